//! The extension of a CEF line: where its values begin and end.
//!
//! A value may hold spaces, `=`, JSON and a caller's own command line, so a value ends only before a name that is known.
//! The first occurrence of a name counts: what stands later in a line is more easily forged. This file finds positions;
//! it decodes nothing and knows no names.

use super::blocks::{BLOCK, blocks};
use super::keys::{KeyFlags, KeyId, KeySet, KeyTable, Name, Strangers};
use super::scratch::Scratch;
use super::sequence::{Meaning, Met};
use crate::calendar::{EPOCH_DIGITS, parse_epoch};
use crate::event::Span;
use memchr::memrchr;

/// What a line's activity says about its extension.
#[derive(Clone, Copy)]
pub(super) struct Activity<'c> {
    /// No other activity of any table has the same.
    pub number: u64,
    /// Keys that end free text.
    pub ends: &'c KeySet,
}

/// What a scan of the extension noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// Names that are in no list and ended a value.
    pub unknown_keys: u64,
    /// A key that says who, where or when stood behind the free text.
    pub late_identity: bool,
    /// Some backslash may be an escape.
    pub escapes: bool,
    /// There is free text.
    pub free_text: bool,
    /// There is a key whose value may be JSON.
    pub json: bool,
}

/// Finds the values of the extension, which begins at `from`, and notes them in `scratch`.
pub(super) fn scan_extension(
    line: &[u8],
    record: Span,
    from: usize,
    keys: &KeyTable,
    activity: Activity<'_>,
    scratch: &mut Scratch,
) -> Noticed {
    let scan = Scan { line, record, keys, ends: activity.ends };
    let mut names = scratch.sequences.take(activity.number);
    let mut noticed = Noticed::default();
    let mut value = Value { key: NO_KEY, flags: KeyFlags::default(), from, is_header: true };
    // Which name is expected next.
    let mut expected = 0;
    let mut base = from;
    let mut after_backslash = 0;
    for block in blocks(line.get(from..).unwrap_or_default()) {
        let (mut equals, backslashes) = (block.mask(b'='), block.mask(b'\\'));
        // A backslash means more than itself only before another and before `=`.
        let next = backslashes << 1 | after_backslash;
        noticed.escapes |= next & (backslashes | equals) != 0;
        after_backslash = backslashes >> 63;
        while equals != 0 {
            let at = base + equals.trailing_zeros() as usize;
            equals &= equals - 1;
            if let Some((place, name)) = names.recognise(expected, line, at)
                && value.may_end_before(name, at)
            {
                if scan.end(&mut value, at - name.len, name.meaning, at, scratch, &mut noticed) {
                    expected = place + 1;
                }
            } else if let Some((from, meaning, is_plain)) = scan.look_up(value, at, &mut scratch.strangers)
                && scan.end(&mut value, from, meaning, at, scratch, &mut noticed)
                && is_plain
            {
                expected += usize::from(names.learn(expected, line, from, at, meaning));
            }
        }
        base += BLOCK;
    }
    scan.close(value, line.len(), scratch);
    scratch.sequences.give_back(activity.number, names);
    noticed
}

/// What is scanned, and by what. What changes on the way is handed from step to step instead, so that it need not stand in memory
/// for each of them.
#[derive(Clone, Copy)]
struct Scan<'s> {
    line: &'s [u8],
    record: Span,
    keys: &'s KeyTable,
    ends: &'s KeySet,
}

/// The value that is being passed.
#[derive(Clone, Copy)]
struct Value {
    /// Its key, or [`NO_KEY`].
    key: KeyId,
    /// What is special about that.
    flags: KeyFlags,
    from: usize,
    /// No name has been met yet: it is what stands between the header and the first one.
    is_header: bool,
}

/// In the place of a key: the name is in no list, or there is none.
const NO_KEY: KeyId = KeyId::MAX;

impl Value {
    /// The name that ends it follows a space that stands here or later. The first one may follow the header's last delimiter.
    #[inline]
    fn floor(&self) -> usize {
        self.from - usize::from(self.is_header && self.from > 0)
    }

    /// Whether the name that follows the header would begin here.
    #[inline]
    fn is_first(&self, from: usize) -> bool {
        self.is_header && from == self.from
    }

    /// Whether it may end before a name that was recognised before the `=` at `equals`. The space before the name is no part of it,
    /// and only one name follows the header.
    #[inline]
    fn may_end_before(&self, name: &Met, equals: usize) -> bool {
        let from = equals - name.len;
        from > self.floor() && (!name.is_first || self.is_first(from))
    }

    /// Whether it is a caller's text, in which names that are in no list mean nothing.
    #[inline]
    fn is_text(&self) -> bool {
        self.flags.has(KeyFlags::FREE_TEXT) || self.flags.has(KeyFlags::VERBATIM)
    }
}

impl Scan<'_> {
    /// Looks for a name that was not expected before the `=` at `equals`: where it begins, what it means, and whether it stands
    /// right before the `=`.
    #[inline(never)]
    fn look_up(&self, value: Value, equals: usize, strangers: &mut Strangers) -> Option<(usize, Meaning, bool)> {
        // No name is longer, so nothing is searched twice over.
        let begin = value.floor().max(equals.saturating_sub(self.keys.longest() + 1));
        let from = match memrchr(b' ', self.line.get(begin..equals).unwrap_or_default()) {
            Some(space) => begin + space + 1,
            None if value.is_first(begin + 1) => begin + 1,
            None => return None,
        };
        let is_plain = from < equals;
        let name = if is_plain {
            if value.is_text() && !self.keys.may_begin_with(self.line.get(from)) {
                return None;
            }
            Name::new(self.line, from, equals)
        } else {
            Name::before_blanks(self.line, value.from, equals, value.is_header)?
        };
        let meaning = self.keys.find(self.line, &name);
        // A name in no list ends a value if it looks like a key.
        let ends = meaning.is_some() || (!value.is_text() && strangers.is_key(self.line, &name));
        ends.then_some((name.from, meaning, is_plain))
    }

    /// Ends the value that is being passed and goes on with the next one, if the name that begins at `from` may do that.
    // A call would put what changes into memory for each name.
    #[inline(always)]
    fn end(
        &self,
        value: &mut Value,
        from: usize,
        meaning: Meaning,
        equals: usize,
        scratch: &mut Scratch,
        noticed: &mut Noticed,
    ) -> bool {
        let (key, flags) = match meaning {
            Some((key, flags)) => {
                let ends = !scratch.seen.contains(key)
                    && (!value.flags.has(KeyFlags::FREE_TEXT) || self.ends.contains(key))
                    && (!flags.has(KeyFlags::EPOCH) || is_epoch_next(self.line, equals + 1));
                if !ends {
                    return false;
                }
                if flags != KeyFlags::default() {
                    noticed.late_identity |= noticed.free_text && flags.has(KeyFlags::IDENTITY);
                    noticed.free_text |= flags.has(KeyFlags::FREE_TEXT);
                    noticed.json |= flags.has(KeyFlags::JSON);
                }
                scratch.seen.insert(key);
                (key, flags)
            }
            None if value.is_text() => return false,
            None => {
                noticed.unknown_keys += 1;
                (NO_KEY, KeyFlags::default())
            }
        };
        self.close(*value, from.saturating_sub(1), scratch);
        *value = Value { key, flags, from: equals + 1, is_header: false };
        true
    }

    /// The value that is being passed ends at `to`, or with the blank before it.
    #[inline]
    fn close(&self, value: Value, to: usize, scratch: &mut Scratch) {
        scratch.note(value.key, self.record.part(value.from, to));
    }
}

/// Whether an epoch stands here. `start= auto` in a command line is no time.
fn is_epoch_next(line: &[u8], from: usize) -> bool {
    let rest = line.get(from..).unwrap_or_default().trim_ascii_start();
    let stands_alone = |len: usize| rest.get(len).is_none_or(u8::is_ascii_whitespace);
    EPOCH_DIGITS.into_iter().any(|len| stands_alone(len) && rest.get(..len).and_then(parse_epoch).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "Long_Name_Of_More_Than_Thirty_Two_Bytes";

    fn table() -> (KeyTable, KeySet) {
        let mut keys = KeyTable::from_list(&format!("start\nreason\nParams\nUser_Name\nin\n{LONG}\noutcome"));
        let id = |keys: &KeyTable, name: &str| keys.id(name).unwrap();
        for (name, flag) in [
            ("start", KeyFlags::EPOCH),
            ("reason", KeyFlags::FREE_TEXT),
            ("Params", KeyFlags::VERBATIM),
            ("User_Name", KeyFlags::IDENTITY),
        ] {
            keys.mark(id(&keys, name), flag);
        }
        let mut ends = KeySet::default();
        ["start", "User_Name", "outcome"].iter().for_each(|n| ends.insert(id(&keys, n)));
        (keys, ends)
    }

    /// The values by key, the number of unknown keys, and whether identity came late.
    type Found = (Vec<(String, String)>, u64, bool);

    fn scanned(extension: &str, number: u64, scratch: &mut Scratch) -> Found {
        let (keys, ends) = table();
        // As long before the first name as names are looked for by the bytes before their `=`.
        let line = format!("CEF:0|Vendor|Product|1.0|Activity|text|5|{extension}");
        let from = line.len() - extension.len();
        scratch.begin(keys.len(), super::super::scratch::Form::Plain);
        let (record, activity) = (Span::raw(0, line.len()), Activity { number, ends: &ends });
        let noticed = scan_extension(line.as_bytes(), record, from, &keys, activity, scratch);
        let text = crate::event::Text { raw: line.as_bytes(), arena: b"" };
        let value = |(id, name): (usize, &str)| {
            let raw = scratch.raw(id as KeyId)?;
            Some((name.to_owned(), String::from_utf8_lossy(text.get(raw)).trim_end_matches(' ').to_owned()))
        };
        (keys.names().enumerate().filter_map(value).collect(), noticed.unknown_keys, noticed.late_identity)
    }

    /// The same laws, byte by byte.
    fn plainly(extension: &str) -> Found {
        let names = ["start", "reason", "Params", "User_Name", "in", LONG, "outcome"];
        let (mut values, mut unknown, mut late) = (std::collections::BTreeMap::new(), 0, false);
        let (mut open, mut from) = (None::<&str>, 0);
        let close = |values: &mut std::collections::BTreeMap<_, _>, open: Option<&str>, from: usize, to: usize| {
            if let Some(name) = open {
                values.insert(name.to_owned(), extension[from..to].trim_end_matches(' ').to_owned());
            }
        };
        let mut seen: Vec<&str> = Vec::new();
        for (at, _) in extension.match_indices('=') {
            let before = extension[from..at].trim_end_matches(' ');
            let name = match before.rfind(' ') {
                Some(space) => &before[space + 1..],
                None if from == 0 => before,
                None => continue,
            };
            let begin = from + before.len() - name.len();
            let text = matches!(open, Some("reason" | "Params"));
            match names.iter().find(|n| **n == name) {
                Some(key) => {
                    let value = extension[at + 1..].trim_ascii_start();
                    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
                    let alone = value[digits.len()..].chars().next().is_none_or(|c| c.is_ascii_whitespace());
                    let epoch = alone && matches!(digits.len(), 10 | 13);
                    let ends = open != Some("reason") || matches!(*key, "start" | "User_Name" | "outcome");
                    if seen.contains(key) || !ends || (*key == "start" && !epoch) {
                        continue;
                    }
                    late |= *key == "User_Name" && seen.contains(&"reason");
                    seen.push(key);
                    close(&mut values, open, from, begin);
                    open = Some(key);
                }
                None => {
                    let words: Vec<&str> = name.split('_').collect();
                    let word = |w: &&str| {
                        w.starts_with(|c: char| c.is_ascii_uppercase()) && w.chars().all(|c| c.is_ascii_alphanumeric())
                    };
                    if text || words.len() < 2 || !words.iter().all(word) || name.len() > 64 {
                        continue;
                    }
                    unknown += 1;
                    close(&mut values, open, from, begin);
                    open = None;
                }
            }
            from = at + 1;
        }
        close(&mut values, open, from, extension.len());
        let in_order = names.iter().filter_map(|n| values.get(*n).map(|v| (n.to_string(), v.clone()))).collect();
        (in_order, unknown, late)
    }

    use proptest::prelude::*;

    fn extension() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("start=1612345678901".to_owned()),
            prop::sample::select(vec![
                "start",
                "reason",
                "Params",
                "User_Name",
                "in",
                LONG,
                "outcome",
                "User_Nam",
                "inn"
            ])
            .prop_map(str::to_owned),
            prop::sample::select(vec![
                "Session_Id",
                "New_Key2",
                "A_b",
                "Ab_",
                "Long_Name_Of_More_Than_Thirty_Two_Bytez"
            ])
            .prop_map(str::to_owned),
            (55usize..70).prop_map(|n| format!("A_{}", "X".repeat(n))),
            Just("=".to_owned()),
            Just(" ".to_owned()),
            // What may follow the header may stand behind a `|` in a value.
            Just("|start=1612345678901".to_owned()),
            prop::sample::select(vec!["\t", "\r", "\u{b}"]).prop_map(str::to_owned),
            "[a-z \\\\=_]{0,70}",
        ];
        prop::collection::vec((piece, prop_oneof![Just("="), Just(" "), Just(" ="), Just("")]), 0..25)
            .prop_map(|pieces| pieces.into_iter().map(|(p, s)| p + s).collect())
    }

    proptest! {
        #![proptest_config(crate::effort::cases_of(3000))]

        #[test]
        fn the_fast_scan_cuts_like_the_plain_one(
            extensions in prop::collection::vec(extension(), 1..6),
            order in prop::collection::vec((any::<prop::sample::Index>(), 1..3_u64), 1..10),
        ) {
            // What was learned from some lines is right for others, of the same activity or not.
            let mut scratch = Scratch::default();
            for (index, number) in order {
                let extension = index.get(&extensions);
                prop_assert_eq!(scanned(extension, number, &mut scratch), plainly(extension));
            }
        }
    }
}
