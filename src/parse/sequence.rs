//! In which order the lines of an activity name their keys: mostly in the same one, so the next name is guessed and compared
//! instead of looked up.
//!
//! A guess that is right says what looking the name up would have said, so what is remembered changes how long cutting takes and
//! nothing else.

use super::keys::{KeyFlags, KeyId};

/// Bytes before an `=` that are compared: the longest name that is remembered has one less, for the byte before it.
const TAIL: usize = 32;
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
pub(super) struct Sequence {
    names: Vec<Met>,
    /// The name that is expected next.
    next: usize,
}

/// A name that was met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    /// The byte before it and its text, at the end of a word of [`TAIL`] bytes, and which bytes of that these are.
    text: [u64; TAIL / 8],
    mask: [u64; TAIL / 8],
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
    /// The sequence of an activity, by its number, at its beginning. It is to be given back.
    #[inline]
    pub fn take(&mut self, activity: u64) -> Sequence {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, Default::default);
        }
        let Some((number, sequence)) = self.0.get_mut(activity as usize % PLACES) else { return Sequence::default() };
        let mut sequence = std::mem::take(sequence);
        if *number != activity || sequence.names.len() >= MOST_NAMES {
            *number = activity;
            sequence.names.clear();
        }
        sequence.next = 0;
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
    /// Which of the names that are expected next stands before the `=` at `equals`.
    #[inline]
    pub fn recognise(&self, line: &[u8], equals: usize) -> Option<usize> {
        let tail = words(line.get(..equals)?.last_chunk()?);
        if self.names.get(self.next)?.is_in(tail) { Some(self.next) } else { self.recognise_further(tail) }
    }

    /// Which of those that are expected behind the next one it is.
    #[inline(never)]
    fn recognise_further(&self, tail: [u64; TAIL / 8]) -> Option<usize> {
        let behind = self.next + 1;
        let expected = self.names.get(behind..)?.iter().take(AHEAD - 1);
        expected.zip(behind..).find(|(met, _)| met.is_in(tail)).map(|(_, at)| at)
    }

    /// A name that was recognised.
    #[inline]
    pub fn name(&self, at: usize) -> Option<&Met> {
        self.names.get(at)
    }

    /// A name that was recognised has ended a value; the one behind it is expected next.
    #[inline]
    pub fn pass(&mut self, at: usize) {
        self.next = at + 1;
    }

    /// A name that was not recognised has ended a value. It stands at `from..equals` in the line.
    #[inline(never)]
    pub fn learn(&mut self, line: &[u8], from: usize, equals: usize, meaning: Meaning) {
        let len = equals.saturating_sub(from);
        let tail = line.get(..equals).and_then(<[u8]>::last_chunk);
        let is_first = from.checked_sub(1).and_then(|at| line.get(at)) != Some(&b' ');
        if let Some(tail) = tail
            && len < TAIL
            && self.names.len() < MOST_NAMES
        {
            let mut mask = [0_u8; TAIL];
            mask.iter_mut().skip(TAIL - len - 1).for_each(|byte| *byte = u8::MAX);
            let mask = words(&mask);
            let [a, b, c, d] = words(tail);
            let [e, f, g, h] = mask;
            let met = Met { text: [a & e, b & f, c & g, d & h], mask, len, is_first, meaning };
            self.names.insert(self.next.min(self.names.len()), met);
            self.next += 1;
        }
    }
}

impl Met {
    #[inline]
    fn is_in(&self, tail: [u64; TAIL / 8]) -> bool {
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) = (tail, self.mask, self.text);
        (a & e ^ i) | (b & f ^ j) | (c & g ^ k) | (d & h ^ l) == 0
    }
}

#[inline]
fn words(bytes: &[u8; TAIL]) -> [u64; TAIL / 8] {
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
    [word(0), word(1), word(2), word(3)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns what it does not recognise; says which names it recognised. A name has its own number for a key.
    fn read(sequence: &mut Sequence, line: &str) -> Vec<String> {
        sequence.next = 0;
        let mut recognised = Vec::new();
        for (equals, _) in line.match_indices('=') {
            let from = line[..equals].rfind([' ', '|']).unwrap() + 1;
            let key = line[from..equals].bytes().map(u16::from).sum();
            match sequence.recognise(line.as_bytes(), equals) {
                Some(at) => {
                    let name = sequence.name(at).unwrap();
                    assert_eq!((name.len, name.meaning.map(|m| m.0)), (equals - from, Some(key)), "{line}");
                    assert_eq!(name.is_first, line.as_bytes()[from - 1] == b'|');
                    recognised.push(line[from..equals].to_owned());
                    sequence.pass(at);
                }
                None => sequence.learn(line.as_bytes(), from, equals, Some((key, KeyFlags::default()))),
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
            assert!(sequence.names.len() <= MOST_NAMES);
        }
        sequences.take(7);
        sequences.give_back(7, sequence);
        let mut anew = sequences.take(7);
        assert_eq!(anew.names.len(), 0);
        read(&mut anew, &long);
        sequences.give_back(7, anew);
        assert_eq!(sequences.take(7).names.len(), 2);
        assert_eq!(sequences.take(7 + PLACES as u64).names.len(), 0, "another activity has another order");
    }
}
