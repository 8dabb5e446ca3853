//! The names that can begin a `Key=value` pair, and how to know one in a line without allocating.
//!
//! Names are compared byte by byte, case counts. Names of columns that exist in CSV only are interned here too, but
//! never found in a line.

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
        if let Some(word) = self.0.get_mut(word_of(key)) {
            *word |= 1 << (key % 64);
        }
    }

    #[inline]
    pub fn contains(&self, key: KeyId) -> bool {
        self.0.get(word_of(key)).is_some_and(|word| word & (1 << (key % 64)) != 0)
    }

    /// Whether some key is in both.
    #[inline]
    pub fn meets(&self, other: &KeySet) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// Its members, in order.
    pub fn iter(&self) -> impl Iterator<Item = KeyId> {
        (0..MAX_KEYS as KeyId).filter(|key| self.contains(*key))
    }

    pub fn clear(&mut self) {
        self.0 = [0; MAX_KEYS / 64];
    }
}

/// The word of a [`KeySet`] in which a key has its bit. No table has more keys, so nothing is cut off.
#[inline]
fn word_of(key: KeyId) -> usize {
    usize::from(key) % MAX_KEYS / 64
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
    /// Some field is a member of its value.
    pub const JSON: KeyFlags = KeyFlags(16);

    #[inline]
    pub fn has(self, flag: KeyFlags) -> bool {
        self.0 & flag.0 != 0
    }
}

/// Names up to this length are known by their words alone.
const SHORT: usize = 32;
/// Names longer than this are no keys.
const LONGEST: usize = 64;

/// A name before an `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// First and last eight bytes and those next to them; together all of a name of up to [`SHORT`] bytes.
    words: [u64; 4],
    len: usize,
    /// Where it begins in the line.
    pub from: usize,
}

impl Name {
    /// The bytes `from..to` of a line.
    #[inline]
    pub fn new(line: &[u8], from: usize, to: usize) -> Name {
        let text = line.get(from..to).unwrap_or_default();
        let words = match (text.split_first_chunk::<8>(), text.split_last_chunk::<8>()) {
            (Some((first, behind)), Some((before, last))) => {
                let inner = match (behind.first_chunk::<8>(), before.last_chunk::<8>()) {
                    (Some(second), Some(third)) => [word(second), word(third)],
                    _ => [0; 2],
                };
                [[word(first), word(last)], inner]
            }
            _ => match line.get(..to).and_then(|l| l.last_chunk::<8>()) {
                // What stands before the name is shifted out.
                Some(chunk) => [[(word(chunk) >> 1) >> (63 - 8 * text.len()), 0], [0; 2]],
                None => [[text.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)), 0], [0; 2]],
            },
        };
        let [[a, b], [c, d]] = words;
        Name { words: [a, b, c, d], len: text.len(), from }
    }

    /// The name before the blanks before the `=` at `equals`. It follows a space that is not before `floor`; when
    /// `at_floor`, it may also begin there.
    #[cold]
    #[inline(never)]
    pub fn before_blanks(line: &[u8], floor: usize, equals: usize, at_floor: bool) -> Option<Name> {
        let text = line.get(floor..equals)?;
        // Spaces only: a tab or a carriage return is part of what it follows, here as before a name.
        let to = text.iter().rposition(|b| *b != b' ')? + 1;
        let from = match text.get(..to)?.iter().rposition(|b| *b == b' ') {
            Some(space) => space + 1,
            None if at_floor => 0,
            None => return None,
        };
        Some(Name::new(line, floor + from, floor + to))
    }

    /// Word by word: comparing them as one piece of memory would wait until they are stored.
    #[inline]
    fn is(&self, words: &[u64; 4], len: usize) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.words, *words);
        a == e && b == f && self.len == len && c == g && d == h
    }

    #[inline]
    fn hash(&self) -> usize {
        let [a, b, _, _] = self.words;
        let n = a ^ b.rotate_left(29) ^ self.len as u64;
        (n.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as usize
    }

    fn text<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        line.get(self.from..self.from + self.len).unwrap_or_default()
    }
}

/// Eight bytes as a little-endian number.
#[inline]
fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// A place for a name that can stand in a line.
#[derive(Clone, Copy, Debug)]
struct Slot {
    words: [u64; 4],
    len: usize,
    flags: KeyFlags,
    /// `None`: the place is free.
    id: Option<KeyId>,
}

const FREE: Slot = Slot { words: [0; 4], len: usize::MAX, flags: KeyFlags(0), id: None };

/// All names.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    names: Vec<Box<str>>,
    /// Those that can stand in a line, by hash: open addressing, a power of two. Lines hold the same few over and over, so
    /// what is read of this is small.
    slots: Vec<Slot>,
    /// By byte: whether some name in the list begins with it.
    begins: Vec<bool>,
    /// Length of the longest name, of the list or not, bytes.
    longest: usize,
}

impl KeyTable {
    /// Reads a list: one name a line, `#` begins a comment.
    pub fn from_list(text: &str) -> KeyTable {
        let mut table = KeyTable::default();
        for name in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            if !name.is_empty() {
                table.intern(name);
            }
        }
        table.longest = table.names.iter().map(|name| name.len()).fold(LONGEST, usize::max);
        let size = (table.names.len() * 2).next_power_of_two().max(64);
        table.slots = vec![FREE; size];
        table.begins = vec![false; 256];
        for (id, text) in table.names.iter().enumerate() {
            let name = Name::new(text.as_bytes(), 0, text.len());
            let begins = text.bytes().next().and_then(|byte| table.begins.get_mut(usize::from(byte)));
            begins.into_iter().for_each(|begins| *begins = true);
            let mut at = name.hash() & (size - 1);
            while table.slots.get(at).is_some_and(|slot| slot.id.is_some()) {
                at = (at + 1) & (size - 1);
            }
            if let Some(slot) = table.slots.get_mut(at) {
                *slot = Slot { words: name.words, len: text.len(), flags: KeyFlags::default(), id: Some(id as KeyId) };
            }
        }
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
        let slot = self.slots.iter_mut().find(|slot| slot.id == Some(key));
        slot.into_iter().for_each(|slot| slot.flags.0 |= flag.0);
    }

    /// Length of the longest name there can be, bytes.
    #[inline]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Whether a name in the list may begin with a byte.
    #[inline]
    pub fn may_begin_with(&self, byte: Option<&u8>) -> bool {
        byte.and_then(|byte| self.begins.get(usize::from(*byte))) == Some(&true)
    }

    /// The key of a name in a line.
    #[inline]
    pub fn find(&self, line: &[u8], name: &Name) -> Option<(KeyId, KeyFlags)> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = name.hash() & mask;
        loop {
            let slot = self.slots.get(at)?;
            let id = slot.id?;
            if name.is(&slot.words, slot.len) && (slot.len <= SHORT || self.is_name(id, line, name)) {
                return Some((id, slot.flags));
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    #[inline(never)]
    fn is_name(&self, id: KeyId, line: &[u8], name: &Name) -> bool {
        self.names.get(usize::from(id)).is_some_and(|n| n.as_bytes() == name.text(line))
    }
}

/// Names in no list that were found to have the form of a key: the lines of a file hold the same ones over and over.
#[derive(Clone, Debug)]
pub(super) struct Strangers(Box<[([u64; 4], usize); 128]>);

impl Default for Strangers {
    fn default() -> Self {
        Strangers(Box::new([([0; 4], 0); 128]))
    }
}

impl Strangers {
    /// Whether a name in no list has the form of a vendor's key.
    #[inline]
    pub fn is_key(&mut self, line: &[u8], name: &Name) -> bool {
        let at = name.hash() % 128;
        let knows = |at: usize| self.0.get(at).is_some_and(|(words, len)| name.is(words, *len));
        if name.len <= SHORT && (knows(at) || knows(at ^ 1)) {
            return true;
        }
        self.is_new_key(line, name, at)
    }

    #[cold]
    #[inline(never)]
    fn is_new_key(&mut self, line: &[u8], name: &Name, at: usize) -> bool {
        let is_key = name.len <= LONGEST && is_vendor_shaped(name.text(line));
        if is_key && name.len <= SHORT {
            // The newest takes the first place, and its holder the second.
            let before = self.0.get(at).copied().unwrap_or_default();
            if let Some(second) = self.0.get_mut(at ^ 1) {
                *second = before;
            }
            if let Some(first) = self.0.get_mut(at) {
                *first = (name.words, name.len);
            }
        }
        is_key
    }
}

/// Whether a name has the form of a vendor's key: two or more words joined by `_`, each beginning with a capital.
fn is_vendor_shaped(name: &[u8]) -> bool {
    if !name.contains(&b'_') {
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

    #[test]
    fn every_name_of_a_list_is_found_and_no_other() {
        let names = [
            "in",
            "start",
            "duser",
            "externalId",
            "Source_File_Directory",
            "Source_Bad!_Directory",
            "a",
            "exactly8",
            "exactly_sixteen_",
            "exactly_the_thirty_two_bytes_of_",
            "more_than_the_thirty_two_bytes_of_words",
        ];
        let table = KeyTable::from_list(&format!("# head\n{} # tail\n\nin\n", names.join("\n")));
        assert_eq!(table.len(), names.len());
        for n in names {
            for line in [n.to_string(), format!("{n}=C:\\dir and more")] {
                let (id, _) = table.find(line.as_bytes(), &Name::new(line.as_bytes(), 0, n.len())).unwrap();
                assert_eq!(table.names().nth(usize::from(id)), Some(n));
            }
        }
        let others = names.iter().flat_map(|n| {
            (0..n.len()).map(|at| {
                let mut other = n.as_bytes().to_vec();
                other[at] ^= 1;
                String::from_utf8(other).unwrap()
            })
        });
        for n in others.chain(["", "i", "inn", "Start", "Source_Fool_Directory", "external_d"].map(str::to_owned)) {
            assert_eq!(table.find(n.as_bytes(), &Name::new(n.as_bytes(), 0, n.len())), None, "{n}");
        }
    }

    #[test]
    fn column_names_are_not_keys_of_lines() {
        let mut table = KeyTable::from_list("start\n");
        let id = table.intern("Device_Os_Type");
        assert_eq!(table.id("Device_Os_Type"), Some(id));
        assert_eq!(table.find(b"Device_Os_Type", &Name::new(b"Device_Os_Type", 0, 14)), None);
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
