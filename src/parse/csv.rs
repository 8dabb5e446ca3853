//! CSV records: cells by RFC 4180, and which cell is what.
//!
//! The source has cut the record already, so line breaks in here are inside quotes. Malformed quoting never rejects: a
//! cell that breaks the rules is taken as it stands.

use super::keys::{KeyId, KeyTable};
use super::scratch::Scratch;
use crate::event::Span;
use memchr::{memchr, memmem};

/// Where a cell stands: offsets within the record, quotes excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub from: usize,
    pub to: usize,
    /// It holds doubled quotes.
    pub doubled: bool,
}

/// Cuts a record into cells.
pub(super) fn split_cells(record: &[u8], cells: &mut Vec<Cell>) {
    cells.clear();
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let mut at = if record.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    loop {
        let quoted = if record.get(at) == Some(&b'"') { quoted_cell(record, at) } else { None };
        let (cell, end) = quoted.unwrap_or_else(|| {
            let len = record.get(at..).and_then(|rest| memchr(b',', rest));
            let end = len.map_or(record.len(), |n| at + n);
            (Cell { from: at, to: end, doubled: false }, end)
        });
        cells.push(cell);
        if end >= record.len() {
            return;
        }
        at = end + 1;
    }
}

/// A cell that begins with a quote, and where its comma stands. `None` when there is text behind the closing quote.
fn quoted_cell(record: &[u8], at: usize) -> Option<(Cell, usize)> {
    let from = at + 1;
    let mut doubled = false;
    let mut search = from;
    loop {
        let Some(hit) = memchr(b'"', record.get(search..)?) else {
            return Some((Cell { from, to: record.len(), doubled }, record.len()));
        };
        let quote = search + hit;
        match record.get(quote + 1) {
            Some(b'"') => {
                doubled = true;
                search = quote + 2;
            }
            None | Some(b',') => return Some((Cell { from, to: quote, doubled }, quote + 1)),
            Some(_) => return None,
        }
    }
}

/// Appends a cell's text with its doubled quotes halved.
pub(super) fn unquote(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memmem::find(rest, b"\"\"") {
        out.extend_from_slice(rest.get(..=at).unwrap_or_default());
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The columns of a CSV header, resolved to the vocabulary of the [`super::ParserTable`] that read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// What stands in each column.
    pub(super) keys: Vec<Option<KeyId>>,
}

impl Columns {
    /// Resolves the names of a header's cells. Of two columns for the same thing the first counts.
    pub(super) fn from_header(record: &[u8], cells: &[Cell], keys: &KeyTable, aliases: &[(String, KeyId)]) -> Columns {
        let mut columns = Columns::default();
        for cell in cells {
            let name = cell_name(record, cell);
            let alias = || aliases.iter().find(|(a, _)| a.eq_ignore_ascii_case(&name)).map(|(_, key)| *key);
            let key = keys.id(&name).or_else(alias).filter(|k| !columns.keys.contains(&Some(*k)));
            columns.keys.push(key);
        }
        columns
    }

    /// The column of a key.
    pub(super) fn position(&self, key: KeyId) -> Option<usize> {
        self.keys.iter().position(|k| *k == Some(key))
    }

    /// Notes the cells of a record (cut into `scratch.cells`) that hold something.
    pub(super) fn fill(&self, span: Span, scratch: &mut Scratch) {
        scratch.any_json = true;
        let cells = std::mem::take(&mut scratch.cells);
        for (cell, key) in cells.iter().zip(&self.keys) {
            if let Some(key) = key
                && cell.from < cell.to
            {
                scratch.note(*key, span.part(cell.from, cell.to));
                scratch.seen.insert(*key);
                if cell.doubled {
                    scratch.mark_doubled(*key);
                }
            }
        }
        scratch.cells = cells;
    }
}

/// A header cell's text: blanks around it and quotes do not count.
pub(super) fn cell_name(record: &[u8], cell: &Cell) -> String {
    let text = record.get(cell.from..cell.to).unwrap_or_default();
    String::from_utf8_lossy(text).trim().trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(record: &str) -> Vec<String> {
        let mut cells = Vec::new();
        split_cells(record.as_bytes(), &mut cells);
        let text = |c: &Cell| {
            let mut out = Vec::new();
            unquote(&record.as_bytes()[c.from..c.to], &mut out);
            if c.doubled { String::from_utf8(out).unwrap() } else { record[c.from..c.to].to_string() }
        };
        cells.iter().map(text).collect()
    }

    #[test]
    fn cells_follow_rfc_4180_and_tolerate_what_does_not() {
        for (record, wanted) in [
            ("a,b,c", vec!["a", "b", "c"]),
            ("", vec![""]),
            (",", vec!["", ""]),
            ("a,,\r\n", vec!["a", "", ""]),
            ("\u{feff}a,b", vec!["a", "b"]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            ("\"say \"\"hi\"\"\",\"\"", vec!["say \"hi\"", ""]),
            ("\"two\r\nlines\",x", vec!["two\r\nlines", "x"]),
            ("a\"b,c", vec!["a\"b", "c"]),
            ("\"a\"b,c", vec!["\"a\"b", "c"]),
            ("\"open,c", vec!["open,c"]),
            ("\"\"\"\"", vec!["\""]),
        ] {
            assert_eq!(cells(record), wanted, "{record}");
        }
    }
}
