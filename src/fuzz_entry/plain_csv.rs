//! A plain reader of CSV rows (RFC 4180), one character after the other: what the parser is compared with, by the fuzz
//! target `csv` and by a property test. It is not used by the agent.

/// The cells of a record. A cell that begins with a quote runs to the quote that a comma or the end follows; two quotes
/// in it are one. Where something else follows, or no quote is to be found, the cell is what stands there.
pub fn cells(record: &str) -> Vec<String> {
    let record = record.strip_suffix('\n').unwrap_or(record);
    let record = record.strip_suffix('\r').unwrap_or(record);
    let mut rest = record.strip_prefix('\u{feff}').unwrap_or(record);
    let mut cells = Vec::new();
    loop {
        let (cell, after) = quoted(rest).unwrap_or_else(|| match rest.split_once(',') {
            Some((cell, after)) => (cell.to_owned(), Some(after)),
            None => (rest.to_owned(), None),
        });
        cells.push(cell);
        match after {
            Some(after) => rest = after,
            None => return cells,
        }
    }
}

/// A quoted cell and what follows its comma.
fn quoted(text: &str) -> Option<(String, Option<&str>)> {
    let mut rest = text.strip_prefix('"')?;
    let mut cell = String::new();
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\"\"") {
            cell.push('"');
            rest = after;
        } else if c == '"' {
            let after = rest.get(1..)?;
            return match after.strip_prefix(',') {
                Some(next) => Some((cell, Some(next))),
                None if after.is_empty() => Some((cell, None)),
                None => None,
            };
        } else {
            cell.push(c);
            rest = rest.get(c.len_utf8()..)?;
        }
    }
    // Open to the end.
    Some((cell, None))
}
