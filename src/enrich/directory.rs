//! The site's directory: which account belongs to which peer group (`user,peer_group[,…]`, RFC 4180).

use crate::content::Faults;
use std::collections::HashMap;

/// Users and their peer groups.
#[derive(Debug, Default)]
pub struct Directory {
    groups: HashMap<Box<[u8]>, Box<str>, foldhash::fast::RandomState>,
}

impl Directory {
    /// Reads the CSV. A first row that says `user` is a header; rows without a group are skipped; a row with one column
    /// is a fault.
    pub fn parse(text: &str, file: &str, faults: &mut Faults) -> Directory {
        let mut directory = Directory::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let cells = cells(line);
            let [user, group, ..] = cells.as_slice() else {
                faults.add(file, index + 1, "detection.directory", "a row needs user,peer_group");
                continue;
            };
            let user = user.trim().to_lowercase();
            if user.is_empty() || (index == 0 && matches!(user.as_str(), "user" | "user_name" | "username")) {
                continue;
            }
            if !group.trim().is_empty() {
                directory.groups.insert(user.into_bytes().into(), group.trim().into());
            }
        }
        directory
    }

    /// The group of a user key: as it stands, else without its domain.
    pub fn group_of(&self, user: &[u8]) -> Option<&str> {
        let bare = || memchr::memrchr(b'\\', user).and_then(|i| user.get(i + 1..));
        self.groups.get(user).or_else(|| self.groups.get(bare()?)).map(|g| &**g)
    }
}

/// The cells of a row, unquoted.
fn cells(row: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    let mut chars = row.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                out.last_mut().map(|cell| cell.push('"')).unwrap_or_default();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            c => out.last_mut().map(|cell| cell.push(c)).unwrap_or_default(),
        }
    }
    out
}
