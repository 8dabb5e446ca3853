//! The fields of an event as its alert shows them.
//!
//! All values stand in one text: an alert has some fifteen fields, and under a flood of alerts a piece of memory for each name
//! and value was a quarter of all that was allocated. Stored and read, they are pairs of texts. Units: bytes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Names and values, in the order of the fields' declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    values: String,
    /// Each name, and where its value ends.
    names: Vec<(Cow<'static, str>, usize)>,
}

impl Fields {
    /// Room for so many fields with so many bytes of values.
    pub fn with_capacity(fields: usize, bytes: usize) -> Fields {
        Fields { values: String::with_capacity(bytes), names: Vec::with_capacity(fields) }
    }

    /// Adds a field; `value` appends its value.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl FnOnce(&mut String)) {
        value(&mut self.values);
        self.names.push((name.into(), self.values.len()));
    }

    /// Names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let mut from = 0;
        self.names.iter().map(move |(name, to)| {
            let value = self.values.get(std::mem::replace(&mut from, *to)..*to);
            (name.as_ref(), value.unwrap_or_default())
        })
    }

    /// The value of the field with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// About how many bytes of memory they take.
    pub(super) fn size(&self) -> usize {
        self.values.len() + self.names.iter().map(|(name, _)| name.len() + 32).sum::<usize>()
    }
}

impl<N: Into<Cow<'static, str>>, V: AsRef<str>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Fields {
        let mut fields = Fields::default();
        pairs.into_iter().for_each(|(name, value)| fields.push(name, |out| out.push_str(value.as_ref())));
        fields
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        Ok(Vec::<(String, String)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn they_are_pairs_of_texts_in_their_order(pairs: Vec<(String, String)>, name: String) {
            let fields: Fields = pairs.iter().cloned().collect();
            let back: Vec<(String, String)> = fields.iter().map(|(name, value)| (name.into(), value.into())).collect();
            prop_assert_eq!(&back, &pairs);
            prop_assert_eq!(fields.iter().len(), pairs.len());
            let known = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
            for (name, _) in &pairs {
                prop_assert_eq!(fields.get(name), known(name));
            }
            prop_assert_eq!(fields.get(&name), known(&name));
            prop_assert_eq!(codec::encode(&fields), codec::encode(&pairs), "stored as before");
            prop_assert_eq!(codec::decode::<Fields>(&codec::encode(&pairs)), Ok(fields));
        }
    }
}
