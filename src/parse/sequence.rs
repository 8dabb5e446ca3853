//! In which order the lines of an activity name their keys: mostly in the same one, so the next name is guessed and compared
//! instead of looked up.
//!
//! A guess that is right says what looking the name up would have said, so what is remembered changes how long cutting takes and
//! nothing else.

use super::blocks::{TAIL, Tail};
use super::keys::{KeyFlags, KeyId};

/// How many names may be missing before one that is recognised still.
const AHEAD: usize = 4;
/// Names of an activity that are remembered. Where there are more, their order is no order, and begins anew.
const MOST_NAMES: usize = 64;
/// Activities that are remembered, each in a place of its own.
const PLACES: usize = 64;

/// What a name in a line is.
pub(super) type Meaning = Option<(KeyId, KeyFlags)>;

/// The names of the last lines of an activity.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence(Vec<Met>);

/// A name that was met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    /// The byte before it and its text.
    tail: Tail,
    pub len: usize,
    /// It followed the header, and no space: it is a name only where it does.
    pub is_first: bool,
    /// The key, or `None` for a name in no list that ends a value all the same.
    pub meaning: Meaning,
}

/// The sequences of some activities.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequences(Vec<(u64, Sequence)>);

impl Sequences {
    /// The sequence of an activity, by its number, which is to be given back.
    #[inline]
    pub fn take(&mut self, activity: u64) -> Sequence {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, Default::default);
        }
        let Some((number, sequence)) = self.0.get_mut(activity as usize % PLACES) else { return Sequence::default() };
        let mut sequence = std::mem::take(sequence);
        if *number != activity || sequence.0.len() >= MOST_NAMES {
            *number = activity;
            sequence.0.clear();
        }
        sequence
    }

    /// What was taken comes back.
    #[inline]
    pub fn give_back(&mut self, activity: u64, sequence: Sequence) {
        if let Some((_, place)) = self.0.get_mut(activity as usize % PLACES) {
            *place = sequence;
        }
    }
}

impl Sequence {
    /// Which of the names that are expected from `next` on stands before the `=` at `equals`, and its place.
    #[inline]
    pub fn recognise(&self, next: usize, line: &[u8], equals: usize) -> Option<(usize, &Met)> {
        match self.0.get(next) {
            Some(met) if met.stands_before(line, equals) => Some((next, met)),
            _ => self.recognise_further(next + 1, line, equals),
        }
    }

    #[inline(never)]
    fn recognise_further(&self, from: usize, line: &[u8], equals: usize) -> Option<(usize, &Met)> {
        let expected = self.0.get(from..)?.iter().take(AHEAD - 1);
        (from..).zip(expected).find(|(_, met)| met.stands_before(line, equals))
    }

    /// A name that was not recognised has ended a value. It stands at `from..equals` in the line, and is expected before the one at
    /// `next` from now on: `true`, unless it is too long or one too many.
    #[inline(never)]
    pub fn learn(&mut self, next: usize, line: &[u8], from: usize, equals: usize, meaning: Meaning) -> bool {
        let len = equals.saturating_sub(from);
        let is_first = from.checked_sub(1).and_then(|at| line.get(at)) != Some(&b' ');
        let tail = line.get(..equals).and_then(<[u8]>::last_chunk);
        match tail.filter(|_| len < TAIL && self.0.len() < MOST_NAMES) {
            Some(tail) => {
                let met = Met { tail: Tail::new(tail, len + 1), len, is_first, meaning };
                self.0.insert(next.min(self.0.len()), met);
                true
            }
            None => false,
        }
    }
}

impl Met {
    /// Whether it stands before the `=` at `equals`, and before it what did when it was met.
    #[inline]
    fn stands_before(&self, line: &[u8], equals: usize) -> bool {
        let bytes = line.get(..equals).and_then(<[u8]>::last_chunk);
        bytes.is_some_and(|bytes| self.tail.ends(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns what it does not recognise; says which names it recognised. A name has its own number for a key.
    fn read(sequence: &mut Sequence, line: &str) -> Vec<String> {
        let (mut next, mut recognised) = (0, Vec::new());
        for (equals, _) in line.match_indices('=') {
            let from = line[..equals].rfind([' ', '|']).unwrap() + 1;
            let key = line[from..equals].bytes().map(u16::from).sum();
            match sequence.recognise(next, line.as_bytes(), equals) {
                Some((place, name)) => {
                    assert_eq!((name.len, name.meaning.map(|m| m.0)), (equals - from, Some(key)), "{line}");
                    assert_eq!(name.is_first, line.as_bytes()[from - 1] == b'|');
                    recognised.push(line[from..equals].to_owned());
                    next = place + 1;
                }
                None => {
                    let meaning = Some((key, KeyFlags::default()));
                    next += usize::from(sequence.learn(next, line.as_bytes(), from, equals, meaning));
                }
            }
        }
        recognised
    }

    const HEADER: &str = "CEF:0|Vendor|Product|1.0|Activity|text|5|";

    #[test]
    fn names_are_recognised_in_their_order_though_some_are_missing() {
        let mut sequence = Sequence::default();
        let mut read = |pairs: &str| read(&mut sequence, &format!("{HEADER}{pairs}")).join(" ");
        assert_eq!(read("a=1 bb=2 Process_Directory=3 d=4 e=5 f=6 g=7"), "");
        assert_eq!(read("a=1 bb=2 Process_Directory=3 d=4 e=5 f=6 g=7"), "a bb Process_Directory d e f g");
        assert_eq!(read("a=1 d=4 e=5 g=7"), "a d e g");
        // More are missing than are looked past: it is learned anew, in its place.
        assert_eq!(read("a=1 g=7"), "a");
        assert_eq!(read("a=1 g=7"), "a g");
        assert_eq!(read("a=1 x=0 bb=2 d=4"), "a bb d");
        assert_eq!(read("a=1 x=0 bb=2 d=4"), "a x bb d");
        // Neither the end of a name nor more than it.
        assert_eq!(read("a=1 b=2 Xbb=2 bbb=3"), "a");
    }

    #[test]
    fn what_follows_the_header_is_told_from_what_follows_a_space() {
        let mut sequence = Sequence::default();
        read(&mut sequence, &format!("{HEADER}a=1 b=2"));
        assert!(read(&mut sequence, &format!("{HEADER} a=1")).is_empty());
        assert_eq!(read(&mut sequence, &format!("{HEADER}a=1")), ["a"]);
    }

    #[test]
    fn long_names_are_not_remembered_and_too_many_are_forgotten() {
        let (mut sequences, mut sequence) = (Sequences::default(), Sequence::default());
        let long = format!("{HEADER}a=1 {}=2 {}=3", "x".repeat(TAIL - 1), "y".repeat(TAIL));
        read(&mut sequence, &long);
        assert_eq!(read(&mut sequence, &long), ["a".to_owned(), "x".repeat(TAIL - 1)]);
        for n in 0..MOST_NAMES * 2 {
            read(&mut sequence, &format!("{HEADER}a=1 other{n}=2"));
            assert!(sequence.0.len() <= MOST_NAMES);
        }
        sequences.take(7);
        sequences.give_back(7, sequence);
        let mut anew = sequences.take(7);
        assert_eq!(anew.0.len(), 0);
        read(&mut anew, &long);
        sequences.give_back(7, anew);
        assert_eq!(sequences.take(7).0.len(), 2);
        assert_eq!(sequences.take(7 + PLACES as u64).0.len(), 0, "another activity has another order");
    }
}
