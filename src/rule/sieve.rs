//! Tells quickly of most names that a set does not have them: its length, first and last byte say so.

/// Bits, a power of two.
const BITS: usize = 1024;

/// Of a set of names. Never says no of a name of the set.
#[derive(Clone, Debug)]
pub(super) struct Sieve([u64; BITS / 64]);

impl Sieve {
    /// Of these names.
    pub fn of<'a>(names: impl Iterator<Item = &'a [u8]>) -> Sieve {
        let mut words = [0; BITS / 64];
        for (word, bit) in names.map(place) {
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
        Sieve(words)
    }

    /// Whether the set may have the name.
    #[inline]
    pub fn passes(&self, name: &[u8]) -> bool {
        let (word, bit) = place(name);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The word of a name, and its bit in it.
#[inline]
fn place(name: &[u8]) -> (usize, u64) {
    let byte = |b: Option<&u8>| usize::from(b.copied().unwrap_or_default());
    let at = (byte(name.first()) * 31 + byte(name.last()) * 7 + name.len() * 101) % BITS;
    (at / 64, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_set_passes_and_most_others_do_not() {
        let name = |n: usize| format!("{}{}", "abcdefghijklmnopqrstuvwxyz".repeat(2).split_at(n % 30).0, n * 37);
        let names: Vec<String> = (0..100).map(name).collect();
        let sieve = Sieve::of(names.iter().map(String::as_bytes));
        assert!(names.iter().all(|n| sieve.passes(n.as_bytes())));
        let passing = (1000..3000).filter(|n| sieve.passes(name(*n).as_bytes())).count();
        assert!(passing < 500, "{passing} of 2000");
        assert!(!Sieve::of(std::iter::empty()).passes(b"") && Sieve::of(std::iter::once(&b""[..])).passes(b""));
    }
}
