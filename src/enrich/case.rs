//! Lower case: the one way in which names are compared and keys are made. ASCII at once, everything else by Unicode.
//!
//! Never fails: bytes that are not UTF-8 become U+FFFD. Nothing here allocates for ASCII of ordinary length.

/// Names up to this many bytes are compared without an allocation.
const ON_STACK: usize = 256;

/// The lower-case form as a text of its own.
pub fn lower(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    lower_from(&mut out, 0);
    out
}

/// Lower-cases what stands in `out` from `mark` on. Its length may change when it is not ASCII.
pub(super) fn lower_from(out: &mut Vec<u8>, mark: usize) {
    let Some(tail) = out.get_mut(mark..) else { return };
    if tail.is_ascii() {
        tail.make_ascii_lowercase();
    } else {
        lower_unicode(out, mark);
    }
}

/// Hands the lower-case form to `read`; short ASCII stays on the stack.
pub(super) fn with_lower<T>(text: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    let mut buffer = [0_u8; ON_STACK];
    match buffer.get_mut(..text.len()) {
        Some(copy) if text.is_ascii() => {
            copy.copy_from_slice(text);
            copy.make_ascii_lowercase();
            read(copy)
        }
        _ => read(&lower(text)),
    }
}

/// Appends the lower-case form behind the original, then closes the gap.
fn lower_unicode(out: &mut Vec<u8>, mark: usize) {
    let end = out.len();
    // A capital sigma becomes one of two letters by its place in the word, which only the whole text tells.
    let tail = out.get(mark..).unwrap_or_default();
    if memchr::memmem::find(tail, "Σ".as_bytes()).is_some() {
        let lowered = String::from_utf8_lossy(tail).to_lowercase();
        out.truncate(mark);
        out.extend_from_slice(lowered.as_bytes());
        return;
    }
    let mut at = mark;
    while at < end {
        let window = out.get(at..end.min(at + 4)).unwrap_or_default();
        let Some(chunk) = window.utf8_chunks().next() else { break };
        let (letter, taken) = match chunk.valid().chars().next() {
            Some(c) => (c, c.len_utf8()),
            None => (char::REPLACEMENT_CHARACTER, chunk.invalid().len().max(1)),
        };
        for c in letter.to_lowercase() {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        at += taken;
    }
    out.drain(mark..end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ascii_and_other_scripts_are_lower_cased() {
        for (given, wanted) in [
            ("", ""),
            ("JDoe", "jdoe"),
            ("MÜLLER", "müller"),
            ("İstanbul", "i̇stanbul"),
            ("ΓΙΏΡΓΟΣ", "γιώργος"),
            ("ИВАН", "иван"),
            ("名前X", "名前x"),
        ] {
            assert_eq!(String::from_utf8(lower(given.as_bytes())).unwrap(), wanted);
            assert!(with_lower(given.as_bytes(), |l| l == wanted.as_bytes()), "{given}");
        }
    }

    #[test]
    fn what_stands_before_the_mark_is_left_alone() {
        let mut out = b"ABCD".to_vec();
        lower_from(&mut out, 2);
        assert_eq!(out, b"ABcd");
        let mut out = "ABÉD".as_bytes().to_vec();
        lower_from(&mut out, 2);
        assert_eq!(out, "ABéd".as_bytes());
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        assert_eq!(lower(b"A\xffB\xe2\x82"), "a\u{fffd}b\u{fffd}".as_bytes());
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn lower_case_agrees_with_the_standard_library(text in "\\PC{0,40}") {
            prop_assert_eq!(lower(text.as_bytes()), text.to_lowercase().into_bytes());
        }

        #[test]
        fn lower_case_is_reached_in_one_step(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let once = lower(&bytes);
            prop_assert!(std::str::from_utf8(&once).is_ok());
            prop_assert_eq!(lower(&once), once);
        }
    }
}
