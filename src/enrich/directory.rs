//! The site's directory of peer groups: CSV `user,peer_group[,…]`, with or without a header row.
//!
//! RFC 4180 quoting. Users are compared in lower case, with or without their domain. Never reads a file itself; a user
//! whom the directory lacks has no group here.

use super::case;
use crate::content::Faults;
use std::collections::BTreeMap;

/// Peer groups by user, as the site lists them.
#[derive(Debug, Default)]
pub struct Directory {
    /// The groups' names.
    groups: Vec<Box<str>>,
    /// Index of the group by lower-case user, with its domain where the directory names one.
    by_user: hashbrown::HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    /// The same by bare name for entries with a domain; `None` where two domains disagree.
    by_bare_name: hashbrown::HashMap<Box<[u8]>, Option<u32>, foldhash::fast::RandomState>,
}

impl Directory {
    /// Reads the file's text. Rows without a group say nothing about their user.
    pub fn parse(text: &str, file_name: &str, faults: &mut Faults) -> Directory {
        let mut out = Directory::default();
        let mut columns = (0, 1);
        let mut numbers = BTreeMap::new();
        let mut first = true;
        for row in Rows::new(text) {
            let (cells, line) = match row {
                Ok(row) => row,
                Err(line) => {
                    faults.add(file_name, line, "", "a quote that begins here never closes; double the quotes inside");
                    break;
                }
            };
            if cells.iter().all(|c| c.trim().is_empty()) {
                continue;
            }
            if std::mem::take(&mut first)
                && let Some(found) = header_columns(&cells)
            {
                columns = found;
                continue;
            }
            let (Some(user), Some(group)) = (cells.get(columns.0), cells.get(columns.1)) else {
                faults.add(file_name, line, "", "the row has too few cells; write user,peer_group separated by commas");
                continue;
            };
            if let Err(message) = out.add(user.trim(), group.trim(), &mut numbers) {
                faults.add(file_name, line, "", message);
            }
        }
        out.index_bare_names();
        out
    }

    /// The peer group of a user key (`domain\user` or `user`): the row of exactly this user, else of the bare name.
    pub fn group_of(&self, user_key: &[u8]) -> Option<&str> {
        let bare = bare_name(user_key);
        let group = match self.by_user.get(user_key).or_else(|| self.by_user.get(bare)) {
            Some(group) => Some(*group),
            None if bare.len() == user_key.len() => self.by_bare_name.get(bare).copied().flatten(),
            None => None,
        };
        self.groups.get(group? as usize).map(AsRef::as_ref)
    }

    /// How many users have a group.
    pub fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Whether nobody has.
    pub fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }

    fn add(&mut self, user: &str, group: &str, numbers: &mut BTreeMap<String, u32>) -> Result<(), String> {
        let key = user_key(user);
        if bare_name(&key).is_empty() {
            return Err("the row names no user; fill its user in or take it out".into());
        }
        if group.is_empty() || group == "-" {
            return Ok(());
        }
        let next = self.groups.len() as u32;
        let number = *numbers.entry(group.to_owned()).or_insert(next);
        if number == next {
            self.groups.push(group.into());
        }
        match self.by_user.insert(key.into(), number) {
            Some(other) if other != number => {
                let other = self.groups.get(other as usize).map_or("", AsRef::as_ref);
                Err(format!("{user:?} is in {group:?} here and in {other:?} above; keep one, or write domain\\user"))
            }
            _ => Ok(()),
        }
    }

    fn index_bare_names(&mut self) {
        for (key, group) in &self.by_user {
            let bare = bare_name(key);
            if bare.len() < key.len() {
                let entry = self.by_bare_name.entry(bare.into()).or_insert(Some(*group));
                if *entry != Some(*group) {
                    *entry = None;
                }
            }
        }
    }
}

/// The columns of user and group, when the row is a header.
fn header_columns(cells: &[String]) -> Option<(usize, usize)> {
    let position = |name: &str| cells.iter().position(|c| c.trim().eq_ignore_ascii_case(name));
    match (position("user"), position("peer_group")) {
        (Some(user), Some(group)) => Some((user, group)),
        (Some(0), None) => Some((0, 1)),
        _ => None,
    }
}

/// Lower-case, with one backslash between domain and name; a missing domain (`\name`, `-\name`) is none.
fn user_key(user: &str) -> Vec<u8> {
    let lower = case::lower(user.as_bytes());
    let Some(first) = memchr::memchr(b'\\', &lower) else { return lower };
    let name: Vec<u8> = lower.iter().skip(first).skip_while(|b| **b == b'\\').copied().collect();
    match lower.get(..first).unwrap_or_default() {
        [] | [b'-'] => name,
        domain => [domain, b"\\", &name].concat(),
    }
}

fn bare_name(key: &[u8]) -> &[u8] {
    let start = memchr::memchr(b'\\', key).map_or(0, |i| i + 1);
    key.get(start..).unwrap_or_default()
}

/// Cuts RFC 4180 text into rows: the cells and the 1-based line where the row begins.
struct Rows<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Rows<'t> {
    fn new(text: &'t str) -> Rows<'t> {
        Rows { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 }
    }
}

impl Iterator for Rows<'_> {
    /// `Err` is the line of a quote that never closes.
    type Item = Result<(Vec<String>, usize), usize>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let mut cells = vec![String::new()];
        let (mut quoted, mut quote_line) = (false, line);
        let mut letters = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((i, c)) = letters.next() {
            let Some(cell) = cells.last_mut() else { break };
            let next_is_quote = letters.peek().is_some_and(|(_, n)| *n == '"');
            match c {
                '\n' if !quoted => {
                    end = i + 1;
                    break;
                }
                '"' if quoted && next_is_quote => {
                    cell.push('"');
                    letters.next();
                }
                '"' if quoted => quoted = false,
                '"' if cell.trim().is_empty() => {
                    cell.clear();
                    (quoted, quote_line) = (true, self.line);
                }
                ',' if !quoted => cells.push(String::new()),
                c => cell.push(c),
            }
            self.line += usize::from(c == '\n');
        }
        self.line += 1;
        self.rest = self.rest.get(end..).unwrap_or_default();
        Some(if quoted { Err(quote_line) } else { Ok((cells, line)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Directory, Faults) {
        let mut faults = Faults::default();
        (Directory::parse(text, "groups.csv", &mut faults), faults)
    }

    #[test]
    fn users_match_with_or_without_their_domain_and_the_exact_row_comes_first() {
        let text = "CORP\\jdoe,Engineering\njdoe,Guests\nann,Sales\nLAB\\\\bob,Lab\nA\\eve,One\nB\\eve,Two\n\\zoe,Zed\nMÜLLER,IT\n";
        let (directory, faults) = parse(text);
        assert!(faults.is_empty(), "{faults}");
        for (user, wanted) in [
            ("corp\\jdoe", Some("Engineering")),
            ("jdoe", Some("Guests")),
            ("lab\\jdoe", Some("Guests")),
            ("corp\\ann", Some("Sales")),
            ("ann", Some("Sales")),
            ("lab\\bob", Some("Lab")),
            ("bob", Some("Lab")),
            ("corp\\bob", None),
            ("eve", None),
            ("b\\eve", Some("Two")),
            ("corp\\zoe", Some("Zed")),
            ("corp\\müller", Some("IT")),
            ("nobody", None),
            ("", None),
        ] {
            assert_eq!(directory.group_of(user.as_bytes()), wanted, "{user}");
        }
        assert_eq!(directory.len(), 8);
    }

    #[test]
    fn a_header_row_is_optional_and_may_name_the_columns() {
        for text in [
            "jdoe,Eng,more\n",
            "user,peer_group,title\njdoe,Eng,x\n",
            "\u{feff}User, Peer_Group\r\njdoe,Eng\r\n",
            "mail,peer_group,user\nx@y.z,Eng,JDoe",
            "user,group\njdoe,Eng\n",
            "\n\njdoe,Eng",
        ] {
            let (directory, faults) = parse(text);
            assert!(faults.is_empty(), "{faults}");
            assert_eq!(directory.group_of(b"jdoe"), Some("Eng"), "{text:?}");
            assert_eq!(directory.len(), 1, "{text:?}");
        }
    }

    #[test]
    fn quoted_cells_may_hold_commas_quotes_and_line_breaks() {
        let (directory, faults) = parse("\"jdoe\", \"R&D, \"\"core\"\"\nEurope\"\nann,Sales\n");
        assert!(faults.is_empty(), "{faults}");
        assert_eq!(directory.group_of(b"jdoe"), Some("R&D, \"core\"\nEurope"));
        assert_eq!(directory.group_of(b"ann"), Some("Sales"));
    }

    #[test]
    fn rows_without_a_group_say_nothing_about_their_user() {
        let (directory, faults) = parse("jdoe,\nann, - \n,,\n");
        assert!(faults.is_empty(), "{faults}");
        assert_eq!(directory.group_of(b"jdoe"), None);
        assert!(directory.is_empty());
    }

    #[test]
    fn rows_that_cannot_be_used_are_faults_with_their_line() {
        let (_, faults) = parse("a,\"x\ny\"\nb\n,Eng\nc;Eng\nd,One\nD,One\nd,Two\ne,\"open\n");
        let lines: Vec<usize> = faults.0.iter().map(|f| f.line).collect();
        assert_eq!(lines, [3, 4, 5, 8, 9]);
        assert!(faults.0[3].message.contains("\"Two\" here and in \"One\" above"), "{}", faults.0[3].message);
    }
}
