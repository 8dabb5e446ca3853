//! The names that can begin a `Key=value` pair, and how to know one in a line without allocating.
//!
//! Names are compared byte by byte, case counts. Names of columns that exist in CSV only are interned here too, but
//! never found in a line.

use memchr::memchr;

/// Index of a name in its [`KeyTable`].
pub(super) type KeyId = u16;

/// How many names a table can hold: the size of a [`KeySet`].
pub(super) const MAX_KEYS: usize = 512;

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet([u64; MAX_KEYS / 64]);

impl KeySet {
    #[inline]
    pub fn insert(&mut self, key: KeyId) {
        if let Some(word) = self.0.get_mut(usize::from(key) / 64) {
            *word |= 1 << (key % 64);
        }
    }

    #[inline]
    pub fn contains(&self, key: KeyId) -> bool {
        self.0.get(usize::from(key) / 64).is_some_and(|word| word & (1 << (key % 64)) != 0)
    }

    pub fn clear(&mut self) {
        self.0 = [0; MAX_KEYS / 64];
    }
}

/// What is special about a key in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyFlags(u8);

impl KeyFlags {
    /// Its value is free text, which only a few keys end.
    pub const FREE_TEXT: KeyFlags = KeyFlags(1);
    /// Its value is text in which names that are not in the list mean nothing.
    pub const VERBATIM: KeyFlags = KeyFlags(2);
    /// Its value is an epoch; followed by anything else it is no key.
    pub const EPOCH: KeyFlags = KeyFlags(4);
    /// It says who, where or when: suspicious after free text.
    pub const IDENTITY: KeyFlags = KeyFlags(8);

    #[inline]
    pub fn has(self, flag: KeyFlags) -> bool {
        self.0 & flag.0 != 0
    }
}

/// Enough of a name to know it by: all of it up to 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signature {
    head: u64,
    tail: u64,
    len: usize,
}

impl Signature {
    /// The signature of the bytes `from..to` of a line.
    #[inline]
    pub fn of(line: &[u8], from: usize, to: usize) -> Signature {
        let len = to.saturating_sub(from);
        if len >= 8 {
            return Signature { head: load(line, from), tail: load(line, to - 8), len };
        }
        // A full word is nearly always there, since a value follows the name.
        let head = match line.get(from..from + 8) {
            Some(_) => load(line, from) & ((1 << (8 * len)) - 1),
            None => line.get(from..to).unwrap_or_default().iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)),
        };
        Signature { head, tail: 0, len }
    }

    #[inline]
    fn hash(self) -> usize {
        let n = self.head ^ self.tail.rotate_left(29) ^ (self.len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (n.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as usize
    }
}

/// Eight bytes as a little-endian number; 0 outside the line.
#[inline]
fn load(line: &[u8], at: usize) -> u64 {
    line.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[derive(Clone, Debug)]
struct Entry {
    signature: Signature,
    id: KeyId,
    flags: KeyFlags,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    names: Vec<Box<str>>,
    /// Those that can stand in a line.
    entries: Vec<Entry>,
    /// Open addressing over `entries`: 1-based, 0 is free. The length is a power of two.
    index: Vec<u16>,
}

impl KeyTable {
    /// Reads a list: one name a line, `#` begins a comment.
    pub fn from_list(text: &str) -> KeyTable {
        let mut table = KeyTable::default();
        for line in text.lines() {
            let name = line.split('#').next().unwrap_or_default().trim();
            if name.is_empty() || table.id(name).is_some() {
                continue;
            }
            let id = table.intern(name);
            let signature = Signature::of(name.as_bytes(), 0, name.len());
            table.entries.push(Entry { signature, id, flags: KeyFlags::default() });
        }
        table.build_index();
        table
    }

    /// The id of a name, new or not. A new one is the name of a column, and not found in lines.
    pub fn intern(&mut self, name: &str) -> KeyId {
        self.id(name).unwrap_or_else(|| {
            self.names.push(name.into());
            (self.names.len() - 1) as KeyId
        })
    }

    /// The id of a name that is known already. For loading, not for lines.
    pub fn id(&self, name: &str) -> Option<KeyId> {
        self.names.iter().position(|n| **n == *name).map(|i| i as KeyId)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// All names, by id.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|n| &**n)
    }

    /// Marks a key. Nothing happens when it cannot stand in a line.
    pub fn mark(&mut self, key: KeyId, flag: KeyFlags) {
        for entry in self.entries.iter_mut().filter(|e| e.id == key) {
            entry.flags.0 |= flag.0;
        }
    }

    /// The key whose name is `from..to` of a line.
    #[inline]
    pub fn find(&self, line: &[u8], from: usize, to: usize) -> Option<(KeyId, KeyFlags)> {
        let signature = Signature::of(line, from, to);
        let mask = self.index.len().checked_sub(1)?;
        let mut slot = signature.hash() & mask;
        loop {
            let entry = match self.index.get(slot) {
                None | Some(0) => return None,
                Some(n) => self.entries.get(usize::from(*n) - 1)?,
            };
            if entry.signature == signature && (signature.len <= 16 || self.is_name(entry.id, line, from, to)) {
                return Some((entry.id, entry.flags));
            }
            slot = (slot + 1) & mask;
        }
    }

    fn is_name(&self, id: KeyId, line: &[u8], from: usize, to: usize) -> bool {
        self.names.get(usize::from(id)).map(|n| n.as_bytes()) == line.get(from..to)
    }

    fn build_index(&mut self) {
        let size = (self.entries.len() * 8).next_power_of_two().max(64);
        self.index = vec![0; size];
        for (i, entry) in self.entries.iter().enumerate() {
            let mut slot = entry.signature.hash() & (size - 1);
            while self.index.get(slot).is_some_and(|n| *n != 0) {
                slot = (slot + 1) & (size - 1);
            }
            if let Some(free) = self.index.get_mut(slot) {
                *free = i as u16 + 1;
            }
        }
    }
}

/// Names longer than this are no keys.
const LONGEST_NAME: usize = 64;

/// Where the name before the `=` at `equals` begins and ends: `(from, to)`. A name follows a space that is not before
/// `floor`; when `at_floor`, it may also begin there. Blanks between the name and the `=` are passed over.
#[inline]
pub(super) fn name_before(line: &[u8], floor: usize, equals: usize, at_floor: bool) -> Option<(usize, usize)> {
    let mut to = equals;
    let mut last = byte(line, to.checked_sub(1)?);
    while last == b' ' || last == b'\t' {
        to -= 1;
        last = byte(line, to.checked_sub(1)?);
    }
    if to <= floor || !(last.is_ascii_alphanumeric() || last == b'_') {
        return None;
    }
    let lowest = floor.max(to.saturating_sub(LONGEST_NAME + 1));
    let from = match last_space(line, lowest, to) {
        Some(space) => space + 1,
        None if at_floor && lowest == floor => floor,
        None => return None,
    };
    byte(line, from).is_ascii_alphabetic().then_some((from, to))
}

#[inline]
fn byte(line: &[u8], at: usize) -> u8 {
    line.get(at).copied().unwrap_or(0)
}

/// The position of the last space of `from..to`. Eight bytes at a time: keys are a few words long, and this is asked
/// for every `=` of every line.
#[inline]
fn last_space(line: &[u8], from: usize, to: usize) -> Option<usize> {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let mut end = to;
    while end >= from + 8 {
        let x = load(line, end - 8) ^ 0x2020_2020_2020_2020;
        let zeros = !(((x & LOW) + LOW) | x | LOW);
        if zeros != 0 {
            return Some(end - 1 - zeros.leading_zeros() as usize / 8);
        }
        end -= 8;
    }
    (from..end).rev().find(|i| byte(line, *i) == b' ')
}

/// Whether a name has the form of a vendor's key: two or more words joined by `_`, each beginning with a capital.
#[inline]
pub(super) fn is_vendor_shaped(name: &[u8]) -> bool {
    if memchr(b'_', name).is_none() {
        return false;
    }
    let mut begins = true;
    for b in name {
        let fits = if begins { b.is_ascii_uppercase() } else { b.is_ascii_alphanumeric() || *b == b'_' };
        if !fits {
            return false;
        }
        begins = *b == b'_';
    }
    !begins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &str, floor: usize, at_floor: bool) -> Option<&str> {
        let equals = line.find('=').unwrap();
        name_before(line.as_bytes(), floor, equals, at_floor).map(|(f, t)| &line[f..t])
    }

    #[test]
    fn a_name_stands_between_a_space_and_the_equals_sign() {
        assert_eq!(name("start=1", 0, true), Some("start"));
        assert_eq!(name("start=1", 0, false), None);
        assert_eq!(name("x Source_File_Directory=C:", 0, false), Some("Source_File_Directory"));
        assert_eq!(name("x Device_Name  =WS1", 0, false), Some("Device_Name"));
        assert_eq!(name("x ab=1", 1, false), Some("ab"));
        assert_eq!(name("x ab=1", 2, false), None);
        assert_eq!(name("x --work-tree=C:", 0, false), None);
        assert_eq!(name("x http://h/?q=1", 0, false), Some("http://h/?q"));
        assert_eq!(name("x  =1", 0, false), None);
        assert_eq!(name(&format!("x {}=1", "a".repeat(65)), 0, false), None);
        assert_eq!(name(&format!("x {}=1", "a".repeat(64)), 0, false).map(str::len), Some(64));
    }

    #[test]
    fn every_name_of_a_list_is_found_and_no_other() {
        let names =
            ["in", "start", "duser", "externalId", "Source_File_Directory", "Source_Bad!_Directory", "a", "exactly8"];
        let table = KeyTable::from_list(&format!("# head\n{} # tail\n\nin\n", names.join("\n")));
        assert_eq!(table.len(), names.len());
        for n in names {
            for line in [n.to_string(), format!("{n}=C:\\dir and more")] {
                let (id, _) = table.find(line.as_bytes(), 0, n.len()).unwrap();
                assert_eq!(table.names().nth(usize::from(id)), Some(n));
            }
        }
        for n in ["", "i", "inn", "Start", "Source_Fool_Directory", "external_d"] {
            assert_eq!(table.find(n.as_bytes(), 0, n.len()), None, "{n}");
        }
    }

    #[test]
    fn column_names_are_not_keys_of_lines() {
        let mut table = KeyTable::from_list("start\n");
        let id = table.intern("Device_Os_Type");
        assert_eq!(table.id("Device_Os_Type"), Some(id));
        assert_eq!(table.find(b"Device_Os_Type", 0, 14), None);
    }

    #[test]
    fn vendor_shaped_names_are_words_with_capitals() {
        for n in ["Session_Id", "Hash_SHA256", "A_B_C9"] {
            assert!(is_vendor_shaped(n.as_bytes()), "{n}");
        }
        for n in ["Session", "Session_id", "session_Id", "_Id", "Id_", "A__B", "A_\u{e9}", "A_b.C", ""] {
            assert!(!is_vendor_shaped(n.as_bytes()), "{n}");
        }
    }
}
