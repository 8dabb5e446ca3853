//! What was judged before: programs are started in the same way again and again.
//!
//! Exact: an answer is given again only for texts that are the same, byte for byte. So a memo changes how long judging takes and
//! nothing else, and each worker may have one of its own. What has not been asked for the longest time is forgotten first, by
//! halves.

use crate::event::{EventView, Field};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Bytes in one half of a worker's memo: some 3,000 ways to start a program.
pub const HALF_BYTES: usize = 1024 * 1024;
/// Longest text that is remembered, bytes.
const MOST_BYTES: u16 = 1024;
/// After so many looks it is time to ask whether they were worth it.
const TRIAL: u32 = 1024;
/// Looks for each answer that a memo must give to be worth them.
const LOOKS_PER_ANSWER: u32 = 8;
/// Events that pass without a look when they were not.
const PAUSE: u32 = 32 * TRIAL;

/// Groups that held, by the texts of the fields that they ask for.
#[derive(Debug)]
pub struct Memo {
    half_bytes: usize,
    hasher: RandomState,
    /// The younger and the older half.
    young: Half,
    old: Half,
    looks: u32,
    answers: u32,
    pause: u32,
}

/// One half.
#[derive(Debug, Default)]
struct Half {
    entries: HashTable<Entry>,
    /// The texts of all entries, and behind them those of the event that is looked up.
    keys: Vec<u8>,
    /// The groups of all entries.
    held: Vec<u32>,
}

/// What is known of some texts.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    /// Its part of the keys.
    key: (u32, u32),
    /// Its part of the groups.
    held: (u32, u32),
}

/// What the memo says of an event.
#[derive(Debug)]
pub enum Look {
    /// It was judged before: the place of the answer, for [`Memo::held`].
    Known(Answer),
    /// It was not: where [`Memo::keep`] puts the answer.
    New(Question),
    /// Nothing, and it wants to know nothing.
    Nothing,
}

/// The place of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer((u32, u32));

/// A question without an answer.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    hash: u64,
    from: u32,
}

impl Half {
    fn find(&self, hash: u64, key: &[u8]) -> Option<Entry> {
        let same = |e: &Entry| e.hash == hash && self.key(e) == Some(key);
        self.entries.find(hash, same).copied()
    }

    fn key(&self, entry: &Entry) -> Option<&[u8]> {
        let (from, to) = entry.key;
        self.keys.get(from as usize..to as usize)
    }

    fn groups(&self, (from, to): (u32, u32)) -> &[u32] {
        self.held.get(from as usize..to as usize).unwrap_or_default()
    }

    /// What it holds; its memory is at most twice as much.
    fn bytes(&self) -> usize {
        self.keys.len() + size_of_val(self.held.as_slice()) + self.entries.len() * size_of::<Entry>()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.keys.clear();
        self.held.clear();
    }
}

impl Memo {
    /// An empty one, of so many bytes in each half.
    pub fn new(half_bytes: usize) -> Memo {
        Memo {
            half_bytes,
            hasher: RandomState::default(),
            young: Half::default(),
            old: Half::default(),
            looks: 0,
            answers: 0,
            pause: 0,
        }
    }

    /// Looks an event up by its flags and the texts of some fields, always the same ones for its type.
    #[inline]
    pub fn look(&mut self, event: EventView<'_>, fields: &[Field]) -> Look {
        if self.pause > 0 {
            self.pause -= 1;
            return Look::Nothing;
        }
        if self.looks == TRIAL {
            let is_worth_it = self.answers >= TRIAL / LOOKS_PER_ANSWER;
            (self.looks, self.answers) = (0, 0);
            if !is_worth_it {
                self.pause = PAUSE;
                return Look::Nothing;
            }
        }
        self.looks += 1;
        if self.young.bytes() > self.half_bytes {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let from = self.young.keys.len();
        let Some(hash) = self.put(event, fields) else {
            self.young.keys.truncate(from);
            return Look::Nothing;
        };
        let key = self.young.keys.get(from..).unwrap_or_default();
        if let Some(entry) = self.young.find(hash, key) {
            self.young.keys.truncate(from);
            self.answers += 1;
            return Look::Known(Answer(entry.held));
        }
        let question = Question { hash, from: from as u32 };
        match self.old.find(hash, key) {
            None => Look::New(question),
            Some(entry) => {
                self.answers += 1;
                let held = self.young.held.len() as u32;
                self.young.held.extend_from_slice(self.old.groups(entry.held));
                Look::Known(self.enter(question, held))
            }
        }
    }

    /// The groups that held.
    #[inline]
    pub fn held(&self, answer: Answer) -> &[u32] {
        self.young.groups(answer.0)
    }

    /// Remembers the groups that hold for the event that was looked up last.
    pub fn keep(&mut self, question: Question, groups: &[u32]) {
        let from = self.young.held.len() as u32;
        self.young.held.extend_from_slice(groups);
        self.enter(question, from);
    }

    fn enter(&mut self, question: Question, held: u32) -> Answer {
        let Half { entries, keys, held: all } = &mut self.young;
        let held = (held, all.len() as u32);
        let entry = Entry { hash: question.hash, key: (question.from, keys.len() as u32), held };
        entries.insert_unique(question.hash, entry, |e| e.hash);
        Answer(held)
    }

    /// Puts the texts behind the others, with their lengths: no two events have the same but with the same texts. `None` when one
    /// is too long.
    #[inline]
    fn put(&mut self, event: EventView<'_>, fields: &[Field]) -> Option<u64> {
        let mut hasher = self.hasher.build_hasher();
        let keys = &mut self.young.keys;
        keys.extend_from_slice(&[event.draft.kind as u8, event.draft.flags.0]);
        for field in fields {
            let text = event.get(*field).unwrap_or_default();
            let len = u16::try_from(text.len()).ok().filter(|len| *len <= MOST_BYTES)?;
            keys.extend_from_slice(&len.to_le_bytes());
            keys.extend_from_slice(text);
            hasher.write(text);
        }
        Some(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Draft, EventType, Text};

    /// What a memo knows of an event with these texts; what it does not know it is told.
    fn look(memo: &mut Memo, image: &str, line: &str, groups: &[u32]) -> Option<Vec<u32>> {
        let (mut draft, mut raw) = (Draft::empty(EventType::ProcessCreated, 0), Vec::new());
        draft.append(Field::Image, image, &mut raw);
        draft.append(Field::CommandLine, line, &mut raw);
        let event = EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } };
        match memo.look(event, &[Field::Image, Field::CommandLine]) {
            Look::Known(answer) => Some(memo.held(answer).to_vec()),
            Look::New(question) => {
                memo.keep(question, groups);
                None
            }
            Look::Nothing => None,
        }
    }

    #[test]
    fn the_same_texts_have_the_same_answer_and_others_have_none() {
        let mut memo = Memo::new(1000);
        assert_eq!(look(&mut memo, "ab", "c", &[1, 7]), None);
        assert_eq!(look(&mut memo, "a", "bc", &[]), None);
        assert_eq!(look(&mut memo, "ab", "", &[3]), None);
        assert_eq!(look(&mut memo, "ab", "c", &[]), Some(vec![1, 7]));
        assert_eq!(look(&mut memo, "a", "bc", &[]), Some(vec![]));
        assert_eq!(look(&mut memo, "ab", "", &[]), Some(vec![3]));
        // What is too long is never known, and leaves nothing behind.
        let (long, kept) = ("x".repeat(usize::from(MOST_BYTES) + 1), memo.young.keys.len());
        assert!((0..2).all(|_| look(&mut memo, "a", &long, &[]).is_none()) && memo.young.keys.len() == kept);
    }

    #[test]
    fn texts_that_share_a_hash_are_told_apart() {
        let mut half = Half { keys: b"abcabd".to_vec(), ..Half::default() };
        half.entries.insert_unique(7, Entry { hash: 7, key: (0, 3), held: (0, 0) }, |e| e.hash);
        assert!(half.find(7, b"abc").is_some() && half.find(7, b"abd").is_none() && half.find(7, b"ab").is_none());
        // Nor do the same letters, cut in other places, make the same key.
        let key = |image: &str, line: &str| {
            let mut memo = Memo::new(1000);
            look(&mut memo, image, line, &[]);
            memo.young.keys
        };
        assert_ne!(key("ab", "c"), key("a", "bc"));
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten_in_bounded_memory() {
        let mut memo = Memo::new(1000);
        look(&mut memo, "kept", "line", &[5]);
        look(&mut memo, "once", "line", &[6]);
        for n in 0..500_u32 {
            look(&mut memo, "new", &n.to_string(), &[n]);
            assert_eq!(look(&mut memo, "kept", "line", &[]), Some(vec![5]), "{n}");
            assert!(memo.young.keys.len() < 1100 && memo.old.keys.len() < 1100 && memo.young.entries.len() < 100);
        }
        assert_eq!(look(&mut memo, "once", "line", &[]), None);
    }

    #[test]
    fn where_nothing_recurs_looking_pauses_and_is_tried_again() {
        let mut memo = Memo::new(1 << 20);
        for n in 0..TRIAL {
            assert_eq!(look(&mut memo, "x", &n.to_string(), &[]), None);
        }
        let first = memo.young.entries.len();
        (0..=PAUSE).for_each(|_| assert_eq!(look(&mut memo, "y", "same", &[1]), None));
        assert_eq!(memo.young.entries.len(), first);
        assert_eq!(look(&mut memo, "y", "same", &[1]), None);
        assert_eq!(look(&mut memo, "y", "same", &[]), Some(vec![1]));
    }
}
