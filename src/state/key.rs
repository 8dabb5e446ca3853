//! Keys of the records in the store: sorted so that what is read together lies together.
//!
//! `a` the agent's own record · `e` kind entity tag … an entity, its model instances and their bins · `f` id a spool
//! file · `g` day rule kind entity value a guard · `i` digest an import · `k` name a sink · `m` id a model's definition · `o` seq an
//! alert · `s` day rule kind entity a suppression · `x` exception rule what an exception silenced. Numbers are big-endian, days offset so that they sort; texts are escaped (`00` → `00 FF`) and ended by
//! `00 01`, so that one text never runs into the next.

use crate::alert::EntityKind;
use crate::calendar::Day;
use std::borrow::Cow;

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The agent's own record.
    Agent,
    /// An entity.
    Entity(EntityKind, Vec<u8>),
    /// A model's instance of an entity.
    Instance(EntityKind, Vec<u8>, String),
    /// A bin of an instance.
    Bin(EntityKind, Vec<u8>, String, Vec<u8>),
    /// A spool file.
    File(u64),
    /// A guard.
    Guard(GuardKey),
    /// An export that was imported, by the digest of its records.
    Import(String),
    /// A sink.
    Sink(String),
    /// The definition that a model learns by.
    Model(String),
    /// An alert in the outbox.
    Alert(u64),
    /// How many alerts were held back.
    Suppressed(Day, String, EntityKind, Vec<u8>),
    /// What an exception silenced of a rule.
    Silenced(String, String),
}

/// What has fired: the same again within the period is a repeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuardKey {
    /// The sequence day, or the first day of the month.
    pub day: Day,
    /// Id of the rule.
    pub rule: String,
    /// Kind of the entity.
    pub kind: EntityKind,
    /// Key of the entity.
    pub entity: Vec<u8>,
    /// What the rule is "per"; empty when it is per sequence.
    pub value: Vec<u8>,
}

/// The same, borrowed: what an event asks about almost always has fired before, or never will.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    /// See [`GuardKey::day`].
    pub day: Day,
    /// See [`GuardKey::rule`].
    pub rule: &'a str,
    /// See [`GuardKey::kind`].
    pub kind: EntityKind,
    /// See [`GuardKey::entity`].
    pub entity: &'a [u8],
    /// See [`GuardKey::value`].
    pub value: &'a [u8],
}

impl Guard<'_> {
    /// Appends the bytes of its key; the first so many of what was appended name the day and who the alert is about, the rest
    /// is the value.
    pub fn append_to(&self, out: &mut Vec<u8>) -> usize {
        let from = out.len();
        out.push(b'g');
        put_day(out, self.day);
        put_text(out, self.rule.as_bytes());
        out.push(kind_byte(self.kind));
        put_text(out, self.entity);
        let subject = out.len() - from;
        out.extend_from_slice(self.value);
        subject
    }

    /// To keep.
    pub fn to_key(self) -> GuardKey {
        GuardKey {
            day: self.day,
            rule: self.rule.to_owned(),
            kind: self.kind,
            entity: self.entity.to_vec(),
            value: self.value.to_vec(),
        }
    }
}

impl GuardKey {
    /// Borrowed.
    pub fn as_guard(&self) -> Guard<'_> {
        Guard { day: self.day, rule: &self.rule, kind: self.kind, entity: &self.entity, value: &self.value }
    }
}

/// A guard as its key in the store names it.
#[derive(Clone, Debug)]
pub struct StoredGuard<'a> {
    /// See [`GuardKey::day`].
    pub day: Day,
    /// See [`GuardKey::rule`].
    pub rule: Cow<'a, str>,
    /// See [`GuardKey::kind`].
    pub kind: EntityKind,
    /// See [`GuardKey::entity`].
    pub entity: Cow<'a, [u8]>,
    /// See [`GuardKey::value`].
    pub value: &'a [u8],
    /// How many bytes of the key name the day and who the alert is about; see [`Guard::append_to`].
    pub subject: usize,
}

impl<'a> StoredGuard<'a> {
    /// Reads a key; `None` when the bytes are no guard's. Texts that stand in it as they are, are not copied.
    pub fn read(key: &'a [u8]) -> Option<StoredGuard<'a>> {
        let (day, rest) = take_day(key.strip_prefix(GUARDS)?)?;
        let (rule, rest) = take_text(rest)?;
        let (kind, rest) = take_kind(rest)?;
        let (entity, value) = take_text(rest)?;
        let rule = match rule {
            Cow::Borrowed(text) => std::str::from_utf8(text).ok()?.into(),
            Cow::Owned(text) => String::from_utf8(text).ok()?.into(),
        };
        Some(StoredGuard { day, rule, kind, entity, value, subject: key.len() - value.len() })
    }

    /// To keep.
    pub fn into_key(self) -> GuardKey {
        let StoredGuard { day, rule, kind, entity, value, .. } = self;
        GuardKey { day, rule: rule.into_owned(), kind, entity: entity.into_owned(), value: value.to_vec() }
    }
}

pub(super) const TAG_ENTITY: u8 = 1;
pub(super) const TAG_INSTANCE: u8 = 2;
pub(super) const TAG_BIN: u8 = 3;

/// Prefix of all entities, with their instances and bins.
pub const ENTITIES: &[u8] = b"e";
/// The first key of hosts and users; groups and the agent itself stand before them.
pub const HOSTS_AND_USERS: &[u8] = b"eh";
/// The first key behind them.
pub const BEHIND_USERS: &[u8] = b"ev";
/// Prefix of spool files.
pub const FILES: &[u8] = b"f";
/// Prefix of sinks.
pub const SINKS: &[u8] = b"k";
/// Prefix of all guards.
pub const GUARDS: &[u8] = b"g";
/// Prefix of the definitions of models.
pub const MODELS: &[u8] = b"m";
/// Prefix of what exceptions silenced.
pub const SILENCED: &[u8] = b"x";
/// Prefix of all alerts.
pub const ALERTS: &[u8] = b"o";
/// The first key behind those of alerts.
pub const BEHIND_ALERTS: &[u8] = b"p";

/// Prefix of the guards of one day.
pub fn guards_of(day: Day) -> Vec<u8> {
    let mut out = GUARDS.to_vec();
    put_day(&mut out, day);
    out
}

/// Kind and key of the entity that a key belongs to, and how long the prefix of all its keys is.
pub fn entity_in(key: &[u8]) -> Option<(EntityKind, Cow<'_, [u8]>, usize)> {
    let (kind, rest) = take_kind(key.strip_prefix(ENTITIES)?)?;
    let (entity, rest) = take_text(rest)?;
    Some((kind, entity, key.len() - rest.len()))
}

/// A text as it stands in keys.
pub fn text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    put_text(&mut out, text);
    out
}

/// The prefix of everything that belongs to one entity.
pub fn entity_prefix(kind: EntityKind, entity: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entity.len() + 4);
    put_entity(&mut out, kind, entity);
    out
}

/// The prefix of all bins of a model instance.
pub fn bins_of(kind: EntityKind, entity: &[u8], model: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_bin_key(&mut out, kind, entity, model, b"");
    out
}

/// Appends the prefix of everything that belongs to one entity.
fn put_entity(out: &mut Vec<u8>, kind: EntityKind, entity: &[u8]) {
    out.extend([b'e', kind_byte(kind)]);
    put_text(out, entity);
}

/// Appends the key of an entity's own record.
pub fn put_entity_key(out: &mut Vec<u8>, kind: EntityKind, entity: &[u8]) {
    put_entity(out, kind, entity);
    out.push(TAG_ENTITY);
}

/// Appends the key of a model instance.
pub fn put_instance_key(out: &mut Vec<u8>, kind: EntityKind, entity: &[u8], model: &str) {
    put_entity(out, kind, entity);
    out.push(TAG_INSTANCE);
    put_text(out, model.as_bytes());
}

/// Appends the key of a bin.
pub fn put_bin_key(out: &mut Vec<u8>, kind: EntityKind, entity: &[u8], model: &str, value: &[u8]) {
    put_entity(out, kind, entity);
    out.push(TAG_BIN);
    put_text(out, model.as_bytes());
    out.extend_from_slice(value);
}

impl Key {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        self.append_to(&mut out);
        out
    }

    /// Appends the bytes.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Key::Agent => out.push(b'a'),
            Key::Entity(kind, entity) => put_entity_key(out, *kind, entity),
            Key::Instance(kind, entity, model) => put_instance_key(out, *kind, entity, model),
            Key::Bin(kind, entity, model, value) => put_bin_key(out, *kind, entity, model, value),
            Key::File(id) => {
                out.push(b'f');
                out.extend_from_slice(&id.to_be_bytes());
            }
            Key::Guard(guard) => _ = guard.as_guard().append_to(out),
            Key::Import(digest) => {
                out.push(b'i');
                out.extend_from_slice(digest.as_bytes());
            }
            Key::Sink(name) => {
                out.push(b'k');
                out.extend_from_slice(name.as_bytes());
            }
            Key::Model(id) => {
                out.extend_from_slice(MODELS);
                out.extend_from_slice(id.as_bytes());
            }
            Key::Alert(seq) => {
                out.push(b'o');
                out.extend_from_slice(&seq.to_be_bytes());
            }
            Key::Suppressed(day, rule, kind, entity) => {
                out.push(b's');
                put_day(out, *day);
                put_text(out, rule.as_bytes());
                out.push(kind_byte(*kind));
                out.extend_from_slice(entity);
            }
            Key::Silenced(exception, rule) => {
                out.extend_from_slice(SILENCED);
                put_text(out, exception.as_bytes());
                out.extend_from_slice(rule.as_bytes());
            }
        }
    }

    /// The number of the alert that a key names.
    pub fn decode_alert(bytes: &[u8]) -> Option<u64> {
        bytes.strip_prefix(ALERTS)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// Reads a key back; `None` when the bytes are no key of this version.
    pub fn decode(bytes: &[u8]) -> Option<Key> {
        let (table, rest) = bytes.split_first()?;
        match table {
            b'a' if rest.is_empty() => Some(Key::Agent),
            b'e' => {
                let (kind, rest) = take_kind(rest)?;
                let (entity, rest) = take_text(rest)?;
                let (tag, rest) = rest.split_first()?;
                match *tag {
                    TAG_ENTITY if rest.is_empty() => Some(Key::Entity(kind, entity.into())),
                    TAG_INSTANCE => {
                        let (model, rest) = take_text(rest)?;
                        rest.is_empty().then_some(Key::Instance(kind, entity.into(), string(model)?))
                    }
                    TAG_BIN => {
                        let (model, value) = take_text(rest)?;
                        Some(Key::Bin(kind, entity.into(), string(model)?, value.to_vec()))
                    }
                    _ => None,
                }
            }
            b'f' => Some(Key::File(u64::from_be_bytes(rest.try_into().ok()?))),
            b'g' => StoredGuard::read(bytes).map(StoredGuard::into_key).map(Key::Guard),
            b'i' => Some(Key::Import(String::from_utf8(rest.to_vec()).ok()?)),
            b'k' => Some(Key::Sink(String::from_utf8(rest.to_vec()).ok()?)),
            b'm' => Some(Key::Model(String::from_utf8(rest.to_vec()).ok()?)),
            b'o' => Some(Key::Alert(u64::from_be_bytes(rest.try_into().ok()?))),
            b's' => {
                let (day, rest) = take_day(rest)?;
                let (rule, rest) = take_text(rest)?;
                let (kind, entity) = take_kind(rest)?;
                Some(Key::Suppressed(day, string(rule)?, kind, entity.to_vec()))
            }
            b'x' => {
                let (exception, rule) = take_text(rest)?;
                Some(Key::Silenced(string(exception)?, String::from_utf8(rule.to_vec()).ok()?))
            }
            _ => None,
        }
    }
}

fn string(text: Cow<'_, [u8]>) -> Option<String> {
    String::from_utf8(text.into_owned()).ok()
}

const fn kind_byte(kind: EntityKind) -> u8 {
    match kind {
        EntityKind::Agent => b'a',
        EntityKind::Group => b'g',
        EntityKind::Host => b'h',
        EntityKind::User => b'u',
    }
}

fn take_kind(bytes: &[u8]) -> Option<(EntityKind, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let kind = match kind {
        b'a' => EntityKind::Agent,
        b'g' => EntityKind::Group,
        b'h' => EntityKind::Host,
        b'u' => EntityKind::User,
        _ => return None,
    };
    Some((kind, rest))
}

fn put_day(out: &mut Vec<u8>, day: Day) {
    out.extend_from_slice(&((day as u32) ^ (1 << 31)).to_be_bytes());
}

fn take_day(bytes: &[u8]) -> Option<(Day, &[u8])> {
    let (day, rest) = bytes.split_first_chunk::<4>()?;
    Some(((u32::from_be_bytes(*day) ^ (1 << 31)) as Day, rest))
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let mut done = 0;
    for zero in memchr::memchr_iter(0, text) {
        out.extend_from_slice(text.get(done..=zero).unwrap_or_default());
        out.push(0xFF);
        done = zero + 1;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    out.extend_from_slice(&[0, 1]);
}

fn take_text(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    // Few texts hold a zero.
    let end = memchr::memchr(0, bytes)?;
    if let (text, [0, 1, rest @ ..]) = bytes.split_at_checked(end)? {
        return Some((text.into(), rest));
    }
    let mut text = Vec::new();
    let mut rest = bytes;
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        if *byte != 0 {
            text.push(*byte);
            continue;
        }
        let (mark, after) = rest.split_first()?;
        rest = after;
        match mark {
            0xFF => text.push(0),
            1 => return Some((text.into(), rest)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = EntityKind> {
        prop::sample::select(vec![EntityKind::User, EntityKind::Host, EntityKind::Group, EntityKind::Agent])
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn keys_read_back_as_they_were_written(
            kind in kinds(), a in prop::collection::vec(0u8..4, 0..5), b in prop::collection::vec(any::<u8>(), 0..6),
            day in any::<i32>(), n in any::<u64>(),
        ) {
            for key in [
                Key::Agent, Key::Entity(kind, a.clone()), Key::Instance(kind, a.clone(), "M".into()),
                Key::Bin(kind, a.clone(), "M".into(), b.clone()), Key::File(n), Key::Alert(n), Key::Sink("file".into()),
                Key::Guard(GuardKey { day, rule: "R".into(), kind, entity: a.clone(), value: b.clone() }),
                Key::Suppressed(day, "R".into(), kind, b.clone()),
                Key::Model("M".into()), Key::Silenced("e\0x".into(), "R".into()),
            ] {
                prop_assert_eq!(Key::decode(&key.encode()), Some(key));
            }
        }

        #[test]
        fn a_stored_guard_is_split_where_it_was_put_together(
            kind in kinds(), day in any::<i32>(), rule in "[a-c\u{0}é]{0,4}", entity in prop::collection::vec(0u8..4, 0..5),
            value in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            let guard = GuardKey { day, rule, kind, entity, value };
            let mut key = Vec::new();
            let subject = guard.as_guard().append_to(&mut key);
            let stored = StoredGuard::read(&key).unwrap();
            prop_assert_eq!(stored.subject, subject);
            prop_assert_eq!(stored.into_key(), guard);
        }

        #[test]
        fn guards_sort_by_day_and_entities_stay_together(d1 in any::<i32>(), d2 in any::<i32>(), e in "[a-c\u{0}]{0,4}", f in "[a-c\u{0}]{0,4}") {
            let guard = |day| Key::Guard(GuardKey { day, rule: "R".into(), kind: EntityKind::User, entity: vec![], value: vec![] }).encode();
            prop_assert_eq!(guard(d1).cmp(&guard(d2)), d1.cmp(&d2));
            let bin = Key::Bin(EntityKind::User, e.clone().into_bytes(), "M".into(), b"v".to_vec()).encode();
            let mut prefix = Vec::new();
            put_entity(&mut prefix, EntityKind::User, f.as_bytes());
            prop_assert_eq!(bin.starts_with(&prefix), e == f);
        }

        #[test]
        fn arbitrary_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Key::decode(&bytes);
        }
    }
}
