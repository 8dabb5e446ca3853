//! What was answered before, by the texts that were asked about: records name the same programs again and again.
//!
//! Exact: an answer is given again only for texts that are the same, byte for byte. So a memo changes how long something takes and
//! nothing else, and each thread may have one of its own. What has not been asked for the longest time is forgotten first, by
//! halves.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that nothing else in this process has had; never 0.
pub fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Longest text that is remembered, bytes.
const MOST_BYTES: u16 = 1024;
/// After so many looks it is time to ask whether they were worth it.
const TRIAL: u32 = 1024;
/// Looks for each answer that a memo must give to be worth them.
const LOOKS_PER_ANSWER: u32 = 8;
/// Looks that are passed over when they were not.
const PAUSE: u32 = 32 * TRIAL;

/// Answers by texts. An answer is a short note, and as many `E` as there are.
#[derive(Clone, Debug)]
pub struct Memo<N, E> {
    half_bytes: usize,
    hasher: RandomState,
    /// The younger and the older half.
    young: Half<N, E>,
    old: Half<N, E>,
    looks: u32,
    answers: u32,
    pause: u32,
}

/// One half.
#[derive(Clone, Debug)]
struct Half<N, E> {
    entries: HashTable<Entry<N>>,
    /// The texts of all entries, and behind them those that were asked about last.
    keys: Vec<u8>,
    /// How many bytes of them belong to entries.
    kept: usize,
    /// What there is of all answers.
    more: Vec<E>,
}

/// What is known of some texts.
#[derive(Clone, Copy, Debug)]
struct Entry<N> {
    hash: u64,
    /// Its part of the keys.
    key: (u32, u32),
    answer: Answer<N>,
}

/// The texts that are asked about.
#[derive(Debug)]
pub struct Texts<'k> {
    keys: &'k mut Vec<u8>,
    is_too_long: bool,
}

/// What the memo says of some texts.
#[derive(Debug)]
pub enum Look<N> {
    /// They were asked about before.
    Known(Answer<N>),
    /// They were not: where [`Memo::keep`] puts the answer, before the next look.
    New(Question),
    /// Nothing, and it wants to know nothing.
    Nothing,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<N> {
    /// The note.
    pub note: N,
    /// The place of the rest of it, for [`Memo::more`].
    more: (u32, u32),
}

/// A question without an answer.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    hash: u64,
}

impl<N, E> Default for Half<N, E> {
    fn default() -> Self {
        Half { entries: HashTable::new(), keys: Vec::new(), kept: 0, more: Vec::new() }
    }
}

impl<N: Copy, E: Copy> Half<N, E> {
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<Answer<N>> {
        let same = |e: &Entry<N>| e.hash == hash && self.keys.get(e.key.0 as usize..e.key.1 as usize) == Some(key);
        self.entries.find(hash, same).map(|entry| entry.answer)
    }

    fn more(&self, (from, to): (u32, u32)) -> &[E] {
        self.more.get(from as usize..to as usize).unwrap_or_default()
    }

    /// What it holds; its memory is at most twice as much.
    fn bytes(&self) -> usize {
        self.kept + size_of_val(self.more.as_slice()) + self.entries.len() * size_of::<Entry<N>>()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.keys.clear();
        self.kept = 0;
        self.more.clear();
    }
}

impl Texts<'_> {
    /// One more text. Its length stands before it, so that no others are put together to the same bytes.
    #[inline]
    pub fn add(&mut self, text: &[u8]) {
        match u16::try_from(text.len()) {
            Ok(len) if len <= MOST_BYTES => {
                self.keys.extend_from_slice(&len.to_le_bytes());
                self.keys.extend_from_slice(text);
            }
            _ => self.is_too_long = true,
        }
    }

    /// Bytes of which there are always as many.
    #[inline]
    pub fn mark(&mut self, bytes: &[u8]) {
        self.keys.extend_from_slice(bytes);
    }
}

impl<N: Copy, E: Copy> Memo<N, E> {
    /// An empty one, of so many bytes in each half.
    pub fn new(half_bytes: usize) -> Memo<N, E> {
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

    /// Looks up the texts that `put` adds.
    #[inline]
    pub fn look(&mut self, put: impl FnOnce(&mut Texts<'_>)) -> Look<N> {
        if self.pause > 0 {
            self.pause -= 1;
            return Look::Nothing;
        }
        if self.looks == TRIAL && !self.is_worth_it() {
            return Look::Nothing;
        }
        self.looks += 1;
        if self.young.bytes() > self.half_bytes {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let from = self.young.kept;
        self.young.keys.truncate(from);
        let mut texts = Texts { keys: &mut self.young.keys, is_too_long: false };
        put(&mut texts);
        if texts.is_too_long {
            return Look::Nothing;
        }
        let key = self.young.keys.get(from..).unwrap_or_default();
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        let hash = hasher.finish();
        if let Some(answer) = self.young.find(hash, key) {
            self.answers += 1;
            return Look::Known(answer);
        }
        self.look_further(hash)
    }

    /// Looks up in the older half what is not in the younger.
    #[inline(never)]
    fn look_further(&mut self, hash: u64) -> Look<N> {
        let question = Question { hash };
        let key = self.young.keys.get(self.young.kept..).unwrap_or_default();
        let Some(Answer { note, more }) = self.old.find(hash, key) else { return Look::New(question) };
        self.answers += 1;
        let from = self.young.more.len() as u32;
        self.young.more.extend_from_slice(self.old.more(more));
        Look::Known(self.enter(question, note, from))
    }

    /// The last answer spared nothing: it does not count when the memo asks itself whether looking is worth it.
    pub fn was_of_no_use(&mut self) {
        self.answers = self.answers.saturating_sub(1);
    }

    /// Whether the last looks were worth it; if not, it looks no more for a while.
    fn is_worth_it(&mut self) -> bool {
        let is_worth_it = self.answers >= TRIAL / LOOKS_PER_ANSWER;
        (self.looks, self.answers) = (0, 0);
        self.pause = if is_worth_it { 0 } else { PAUSE };
        is_worth_it
    }

    /// The rest of an answer, until the next look.
    #[inline]
    pub fn more(&self, answer: Answer<N>) -> &[E] {
        self.young.more(answer.more)
    }

    /// Remembers the answer about the texts that were looked up last.
    pub fn keep(&mut self, question: Question, note: N, more: &[E]) {
        let from = self.young.more.len() as u32;
        self.young.more.extend_from_slice(more);
        self.enter(question, note, from);
    }

    fn enter(&mut self, question: Question, note: N, from: u32) -> Answer<N> {
        let Half { entries, keys, kept, more } = &mut self.young;
        let answer = Answer { note, more: (from, more.len() as u32) };
        let key = (*kept as u32, keys.len() as u32);
        *kept = keys.len();
        entries.insert_unique(question.hash, Entry { hash: question.hash, key, answer }, |e| e.hash);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a memo knows of some texts; what it does not know it is told.
    fn look(memo: &mut Memo<u8, u32>, texts: &[&str], answer: &[u32]) -> Option<Vec<u32>> {
        match memo.look(|to| texts.iter().for_each(|text| to.add(text.as_bytes()))) {
            Look::Known(answer) => {
                assert_eq!(answer.note, memo.more(answer).len() as u8);
                Some(memo.more(answer).to_vec())
            }
            Look::New(question) => {
                memo.keep(question, answer.len() as u8, answer);
                None
            }
            Look::Nothing => None,
        }
    }

    #[test]
    fn the_same_texts_have_the_same_answer_and_others_have_none() {
        let memo = &mut Memo::new(1000);
        assert_eq!(look(memo, &["ab", "c"], &[1, 7]), None);
        assert_eq!(look(memo, &["a", "bc"], &[]), None);
        assert_eq!(look(memo, &["ab", ""], &[3]), None);
        assert_eq!(look(memo, &["ab", "c"], &[]), Some(vec![1, 7]));
        assert_eq!(look(memo, &["a", "bc"], &[]), Some(vec![]));
        assert_eq!(look(memo, &["ab", ""], &[]), Some(vec![3]));
        // What is too long is never known.
        let long = "x".repeat(usize::from(MOST_BYTES) + 1);
        assert!((0..2).all(|_| look(memo, &["a", &long], &[]).is_none()));
        assert_eq!(look(memo, &["a", long.get(1..).unwrap()], &[4]), None);
        assert_eq!(look(memo, &["a", long.get(1..).unwrap()], &[]), Some(vec![4]));
    }

    #[test]
    fn texts_that_share_a_hash_are_told_apart() {
        let mut half: Half<u8, u32> = Half { keys: b"abcabd".to_vec(), ..Half::default() };
        let answer = Answer { note: 1, more: (0, 0) };
        half.entries.insert_unique(7, Entry { hash: 7, key: (0, 3), answer }, |e| e.hash);
        assert!(half.find(7, b"abc").is_some() && half.find(7, b"abd").is_none() && half.find(7, b"ab").is_none());
    }

    #[test]
    fn a_question_that_nobody_answers_leaves_nothing_behind() {
        let memo = &mut Memo::<u8, u32>::new(1000);
        look(memo, &["known"], &[1]);
        let kept = memo.young.bytes();
        assert!(matches!(memo.look(|to| to.add(b"open")), Look::New(_)));
        assert_eq!(memo.young.bytes(), kept);
        assert_eq!(look(memo, &["other"], &[2]), None);
        assert!(matches!(memo.look(|to| to.add(b"open")), Look::New(_)));
        assert_eq!([look(memo, &["known"], &[]), look(memo, &["other"], &[])], [Some(vec![1]), Some(vec![2])]);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten_in_bounded_memory() {
        let memo = &mut Memo::new(1000);
        look(memo, &["kept", "line"], &[5]);
        look(memo, &["once", "line"], &[6]);
        for n in 0..500_u32 {
            look(memo, &["new", &n.to_string()], &[n]);
            assert_eq!(look(memo, &["kept", "line"], &[]), Some(vec![5]), "{n}");
            assert!(memo.young.keys.len() < 1100 && memo.old.keys.len() < 1100 && memo.young.entries.len() < 100);
        }
        assert_eq!(look(memo, &["once", "line"], &[]), None);
    }

    #[test]
    fn answers_of_no_use_are_not_worth_looking_for() {
        let knows = |uses_them: bool| {
            let memo = &mut Memo::new(1 << 20);
            let mut known = 0;
            for _ in 0..4 * TRIAL {
                known += u32::from(look(memo, &["x"], &[1]).is_some());
                if !uses_them {
                    memo.was_of_no_use();
                }
            }
            known
        };
        assert_eq!([knows(true), knows(false)], [4 * TRIAL - 1, TRIAL - 1]);
    }

    #[test]
    fn where_nothing_recurs_looking_pauses_and_is_tried_again() {
        let memo = &mut Memo::new(1 << 20);
        for n in 0..TRIAL {
            assert_eq!(look(memo, &["x", &n.to_string()], &[]), None);
        }
        let first = memo.young.entries.len();
        (0..=PAUSE).for_each(|_| assert_eq!(look(memo, &["y", "same"], &[1]), None));
        assert_eq!(memo.young.entries.len(), first);
        assert_eq!(look(memo, &["y", "same"], &[1]), None);
        assert_eq!(look(memo, &["y", "same"], &[]), Some(vec![1]));
    }
}
