//! The extension of a CEF line: where its values begin and end.
//!
//! A value may hold spaces, `=`, JSON and a caller's own command line, so a value ends only before a name that is known.
//! The first occurrence of a name counts: what stands later in a line is more easily forged. This file finds positions;
//! it decodes nothing and knows no names.

use super::blocks::{BLOCK, blocks};
use super::keys::{KeyFlags, KeyId, KeySet, KeyTable, Name};
use super::scratch::Scratch;
use super::sequence::{Meaning, Sequence};
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
    let mut scan = Scan {
        line,
        record,
        keys,
        ends: activity.ends,
        names: scratch.sequences.take(activity.number),
        scratch,
        open: None,
        flags: KeyFlags::default(),
        value_from: from,
        // The first name follows the header's last delimiter.
        floor: from.saturating_sub(1),
        behind_free_text: false,
        noticed: Noticed::default(),
    };
    let mut base = from;
    let mut after_backslash = 0;
    for block in blocks(line.get(from..).unwrap_or_default()) {
        let (mut equals, backslashes) = (block.mask(b'='), block.mask(b'\\'));
        // A backslash means more than itself only before another and before `=`.
        let next = backslashes << 1 | after_backslash;
        scan.noticed.escapes |= next & (backslashes | equals) != 0;
        after_backslash = backslashes >> 63;
        while equals != 0 {
            let bit = equals.trailing_zeros();
            equals &= equals - 1;
            let at = base + bit as usize;
            if !scan.sees_expected(at) {
                scan.see_equals(at);
            }
        }
        base += BLOCK;
    }
    scan.close(line.len());
    scan.scratch.sequences.give_back(activity.number, scan.names);
    scan.noticed
}

/// A scan of an extension.
struct Scan<'s> {
    line: &'s [u8],
    record: Span,
    keys: &'s KeyTable,
    ends: &'s KeySet,
    /// The names of the lines before.
    names: Sequence,
    scratch: &'s mut Scratch,
    /// The key whose value is being passed; `None` for one in no list.
    open: Option<KeyId>,
    /// What is special about it.
    flags: KeyFlags,
    /// Where its value begins.
    value_from: usize,
    /// A name follows a space that stands here or later.
    floor: usize,
    behind_free_text: bool,
    noticed: Noticed,
}

impl Scan<'_> {
    /// Looks at the `=` at `equals`: whether a name stands before it that was expected, which is dealt with then.
    #[inline]
    fn sees_expected(&mut self, equals: usize) -> bool {
        let Some(name) = self.names.recognise(self.line, equals) else { return false };
        let from = equals - name.len;
        // The space before it is no part of the value that is being passed, and only one name follows the header.
        if from <= self.floor || (name.is_first && !self.is_first(from)) {
            return false;
        }
        if self.ends_value(from, name.meaning, equals) {
            self.names.pass(name);
        }
        true
    }

    /// Looks at the `=` at `equals`: for a name that was not expected.
    #[inline(never)]
    fn see_equals(&mut self, equals: usize) {
        // No name is longer, so nothing is searched twice over.
        let begin = self.floor.max(equals.saturating_sub(self.keys.longest() + 1));
        let from = match memrchr(b' ', self.line.get(begin..equals).unwrap_or_default()) {
            Some(space) => begin + space + 1,
            None if self.is_first(begin + 1) => begin + 1,
            None => return,
        };
        let is_plain = from < equals;
        let name = if is_plain {
            if self.is_text() && !self.keys.may_begin_with(self.line.get(from)) {
                return;
            }
            Name::new(self.line, from, equals)
        } else {
            let first = self.floor < self.value_from;
            match Name::before_blanks(self.line, self.value_from, equals, first) {
                Some(name) => name,
                None => return,
            }
        };
        let meaning = self.keys.find(self.line, &name);
        // A name in no list ends a value if it looks like a key.
        if meaning.is_none() && (self.is_text() || !self.scratch.strangers.is_key(self.line, &name)) {
            return;
        }
        if self.ends_value(name.from, meaning, equals) && is_plain {
            self.names.learn(self.line, name.from, equals, meaning);
        }
    }

    /// Whether the name that follows the header would begin here.
    #[inline]
    fn is_first(&self, from: usize) -> bool {
        self.floor < self.value_from && from == self.floor + 1
    }

    /// Ends the value that is being passed, if the name that begins at `from` may do that.
    // A call would put all of the scan into memory for each name.
    #[inline(always)]
    fn ends_value(&mut self, from: usize, meaning: Meaning, equals: usize) -> bool {
        let Some((key, flags)) = meaning else {
            let ends = !self.is_text();
            if ends {
                self.noticed.unknown_keys += 1;
                self.close(from.saturating_sub(1));
                self.open(None, KeyFlags::default(), equals);
            }
            return ends;
        };
        let ends = !self.scratch.seen.contains(key)
            && (!self.flags.has(KeyFlags::FREE_TEXT) || self.ends.contains(key))
            && (!flags.has(KeyFlags::EPOCH) || is_epoch_next(self.line, equals + 1));
        if ends {
            self.noticed.late_identity |= self.behind_free_text && flags.has(KeyFlags::IDENTITY);
            self.behind_free_text |= flags.has(KeyFlags::FREE_TEXT);
            self.scratch.any_json |= flags.has(KeyFlags::JSON);
            self.scratch.seen.insert(key);
            self.close(from.saturating_sub(1));
            self.open(Some(key), flags, equals);
        }
        ends
    }

    /// Whether the value that is being passed is a caller's text, in which names that are in no list mean nothing.
    #[inline]
    fn is_text(&self) -> bool {
        self.flags.has(KeyFlags::FREE_TEXT) || self.flags.has(KeyFlags::VERBATIM)
    }

    /// The value that is being passed ends at `to`, or with the blank before it.
    #[inline]
    fn close(&mut self, to: usize) {
        if let Some(key) = self.open {
            self.scratch.note(key, self.record.part(self.value_from, to));
        }
    }

    #[inline]
    fn open(&mut self, key: Option<KeyId>, flags: KeyFlags, equals: usize) {
        self.open = key;
        self.flags = flags;
        self.value_from = equals + 1;
        self.floor = equals + 1;
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
