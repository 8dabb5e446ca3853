//! The tables in docs/quality.md, each between two marks.

use std::fs;

const DOCUMENT: &str = "docs/quality.md";

/// Replaces what stands between the marks of a part.
pub fn write(part: &str, text: &str) {
    let (begin, end) =
        (format!("<!-- make quality, {part}: begin -->\n"), format!("<!-- make quality, {part}: end -->\n"));
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("{DOCUMENT} lost its mark {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{DOCUMENT} lost its mark {end}"));
    fs::write(DOCUMENT, format!("{before}{begin}\n{}\n\n{end}{after}", text.trim_end())).unwrap();
}
