//! The `[cef]` and `[csv]` tables of content: what the two formats look like at this vendor.

use super::field_map::{NumberMark, Piece};
use super::keys::{KeyFlags, KeyId, KeySet, KeyTable};
use crate::content::Faults;
use crate::content::fault::suggest;
use crate::content::section::Section;
use memchr::memmem::Finder;
use std::sync::Arc;

/// `[cef]`.
#[derive(Debug)]
pub(super) struct CefLayout {
    /// Vendors of the header whose lines are ours.
    pub vendors: Vec<String>,
    /// Keys of the time, epochs.
    pub time: Vec<KeyId>,
    /// Keys that end free text whatever the activity.
    pub ends: KeySet,
    /// What the pieces of the header's text are known by.
    pub marks: Marks,
}

/// What the pieces of the header's text are known by.
#[derive(Debug)]
pub(super) struct Marks {
    arrow: Finder<'static>,
    running: Vec<u8>,
    sizes: Vec<NumberMark>,
}

/// `[csv]`.
#[derive(Debug)]
pub(super) struct CsvLayout {
    /// A row with all of these cells is a header.
    pub header_has: Vec<String>,
    /// A row with all of these words is ours without a header.
    pub row_has: Vec<Finder<'static>>,
    /// Keys of the activity.
    pub activity: Vec<KeyId>,
    /// Keys of the time.
    pub time: Vec<KeyId>,
    /// Other names of columns.
    pub aliases: Vec<(String, KeyId)>,
    /// What stands in each column where there is no header.
    pub positions: super::Columns,
}

impl CefLayout {
    /// Reads `[cef]` and marks the keys that it makes special. The second value is the keys whose values are JSON.
    pub fn read(s: &Section<'_>, keys: &mut KeyTable, faults: &mut Faults) -> (CefLayout, Arc<[KeyId]>) {
        let vendors = s.strings("vendor", faults).unwrap_or_default();
        if vendors.is_empty() {
            s.fault(faults, s.line, "vendor is missing; write the vendor of the header");
        }
        let time = known(s, "time", keys, faults);
        if time.is_empty() {
            s.fault(faults, s.line, "time is missing; write the key of the time");
        }
        for key in &time {
            keys.mark(*key, KeyFlags::EPOCH);
        }
        for (name, flag) in
            [("free_text", KeyFlags::FREE_TEXT), ("verbatim", KeyFlags::VERBATIM), ("identity", KeyFlags::IDENTITY)]
        {
            for key in known(s, name, keys, faults) {
                keys.mark(key, flag);
            }
        }
        let mut ends = KeySet::default();
        known(s, "free_text_ends", keys, faults).iter().chain(&time).for_each(|k| ends.insert(*k));
        let prefixes = s.strings("free_text_end_prefixes", faults).unwrap_or_default();
        for (id, name) in keys.names().enumerate() {
            if prefixes.iter().any(|p| name.starts_with(p.as_str())) {
                ends.insert(id as KeyId);
            }
        }
        let json = known(s, "json", keys, faults);
        let marks = Marks::read(s, faults);
        s.finish(
            &[
                "vendor",
                "time",
                "free_text",
                "verbatim",
                "identity",
                "free_text_ends",
                "free_text_end_prefixes",
                "json",
                "arrow",
                "running",
                "size",
            ],
            faults,
        );
        (CefLayout { vendors, time, ends, marks }, Arc::from(json))
    }
}

impl Marks {
    fn read(s: &Section<'_>, faults: &mut Faults) -> Marks {
        let arrow = s.string("arrow", faults).unwrap_or_default();
        Marks {
            arrow: Finder::new(arrow.as_bytes()).into_owned(),
            running: s.string("running", faults).unwrap_or_default().into_bytes(),
            sizes: s.tables("size", faults).iter().filter_map(|t| read_number_mark(t, faults)).collect(),
        }
    }

    /// The bounds of a piece; empty bounds when it is not there.
    pub fn piece(&self, piece: Piece, text: &[u8]) -> (usize, usize) {
        match piece {
            Piece::Text => (0, text.len()),
            Piece::Running => {
                let starts = !self.running.is_empty() && text.starts_with(&self.running);
                if starts { (self.running.len(), text.len()) } else { (0, 0) }
            }
            Piece::Path => {
                let end = self.without_size(text, 0);
                let separated = text.get(..end).is_some_and(|t| memchr::memchr2(b'\\', b'/', t).is_some());
                if separated { (0, end) } else { (0, 0) }
            }
            Piece::OldPath => self.arrow_of(text).map_or((0, 0), |(from, _)| (0, from)),
            Piece::NewPath => self.arrow_of(text).map_or((0, 0), |(_, to)| (to, self.without_size(text, to))),
        }
    }

    /// Where the text ends once its last size is cut off. Nothing before `from` is cut.
    fn without_size(&self, text: &[u8], from: usize) -> usize {
        let tail = text.get(from..).unwrap_or_default();
        let cut = |mark: &NumberMark| mark.find_last(tail).map(|(digits, _)| from + digits - mark.before.len());
        // It nearly always stands at the end; searching for the other marks would cost more than all the rest.
        let at_end = self.sizes.iter().find(|mark| tail.ends_with(&mark.after)).and_then(cut);
        at_end.or_else(|| self.sizes.iter().filter_map(cut).max()).unwrap_or(text.len())
    }

    /// The arrow's bounds. Names may hold arrows too, so the one before a full path is taken, else the first.
    fn arrow_of(&self, text: &[u8]) -> Option<(usize, usize)> {
        let len = self.arrow.needle().len();
        if len == 0 {
            return None;
        }
        let full_path = |at: &usize| {
            let after = text.get(at + len..).unwrap_or_default().trim_ascii_start();
            let drive = after.first().is_some_and(u8::is_ascii_alphabetic) && after.get(1) == Some(&b':');
            drive || after.starts_with(b"\\\\") || after.starts_with(b"/")
        };
        let at = self.arrow.find_iter(text).find(full_path).or_else(|| self.arrow.find(text))?;
        Some((at, at + len))
    }
}

impl CsvLayout {
    /// Reads `[csv]`; its columns may be new to the vocabulary.
    pub fn read(s: &Section<'_>, keys: &mut KeyTable, faults: &mut Faults) -> CsvLayout {
        let mut columns = super::Columns::default();
        if let Some(positions) = s.table("positions", faults) {
            for name in positions.keys() {
                let Some(column) = positions.unsigned(name, faults).and_then(|n| usize::try_from(n).ok()) else {
                    continue;
                };
                if column >= MAX_COLUMNS {
                    positions.fault(faults, positions.line_of(name), format!("column {column} of {name} is too high"));
                    continue;
                }
                if columns.keys.len() <= column {
                    columns.keys.resize(column + 1, None);
                }
                let key = keys.intern(name);
                match columns.keys.get_mut(column) {
                    Some(slot) if slot.is_none() => *slot = Some(key),
                    _ => positions.fault(faults, positions.line_of(name), format!("column {column} is taken already")),
                }
            }
        }
        for name in s.strings("columns", faults).unwrap_or_default() {
            keys.intern(&name);
        }
        let mut aliases = Vec::new();
        if let Some(table) = s.table("aliases", faults) {
            for alias in table.keys() {
                let key = known(&table, alias, keys, faults);
                aliases.extend(key.first().map(|k| (alias.to_owned(), *k)));
            }
        }
        let wanted = |name: &str, faults: &mut Faults| {
            let list = s.strings(name, faults).unwrap_or_default();
            if list.is_empty() {
                s.fault(faults, s.line, format!("{name} is missing; write the names by which a row is known"));
            }
            list
        };
        let header_has = wanted("header_has", faults);
        let row_has = wanted("row_has", faults).iter().map(|w| Finder::new(w.as_bytes()).into_owned()).collect();
        let layout = CsvLayout {
            header_has,
            row_has,
            activity: known(s, "activity", keys, faults),
            time: known(s, "time", keys, faults),
            aliases,
            positions: columns,
        };
        s.finish(&["header_has", "row_has", "activity", "time", "aliases", "columns", "positions"], faults);
        layout
    }
}

/// More columns than any export has; a typing error must not allocate gigabytes.
const MAX_COLUMNS: usize = 4096;

/// Reads `{ before = "[", after = " page(s)]" }`.
pub(super) fn read_number_mark(s: &Section<'_>, faults: &mut Faults) -> Option<NumberMark> {
    let before = s.string("before", faults).unwrap_or_default();
    let after = s.required("after", faults)?;
    s.finish(&["before", "after"], faults);
    if after.is_empty() {
        s.fault(faults, s.line, "after is empty; write the text that follows the number");
        return None;
    }
    Some(NumberMark { before: before.into_bytes(), after: after.into_bytes() })
}

/// A list of keys; one that is not in the vocabulary is a fault.
pub(super) fn known(s: &Section<'_>, name: &str, keys: &KeyTable, faults: &mut Faults) -> Vec<KeyId> {
    let line = s.line_of(name);
    let names = s.strings(name, faults).unwrap_or_default();
    names.iter().filter_map(|n| known_key(s, line, n, keys, faults)).collect()
}

/// One key; one that is not in the vocabulary is a fault.
pub(super) fn known_key(
    s: &Section<'_>,
    line: usize,
    name: &str,
    keys: &KeyTable,
    faults: &mut Faults,
) -> Option<KeyId> {
    let id = keys.id(name);
    if id.is_none() {
        let hint = suggest(name, keys.names());
        s.fault(faults, line, format!("key {name:?} is neither in the list of CEF keys nor a column of [csv]{hint}"));
    }
    id
}
