//! Where records end: lines, RFC 4180 records, limits, NUL bytes, headers.

use super::*;
use crate::source::cut::{Cutter, Follows, RecordLimits};
use crate::source::fuzz_cutting::{check, feed};

/// What a text was cut into.
#[derive(Debug, Default, PartialEq)]
struct Cut {
    /// Data of the parts.
    data: Vec<String>,
    refused: Vec<(String, u64)>,
    rest: String,
}

struct Case {
    limits: RecordLimits,
    format: Option<Format>,
    follows: Follows,
    /// Bytes a read.
    step: usize,
}

const CEF: Case = Case {
    limits: RecordLimits { max_line_bytes: 40, max_quoted_lines: 3 },
    format: None,
    follows: Follows::Time,
    step: usize::MAX,
};

/// Cuts a text that arrives `step` bytes at a time; nothing is lost and line numbers are right.
fn cut(text: &[u8], case: &Case) -> Cut {
    let mut cutter = Cutter::new(case.limits, case.format, None);
    let mut result = Cut::default();
    let mut headers = None;
    let stopped = feed(
        text,
        &mut cutter,
        case.follows,
        &Fake,
        || case.step,
        |fed| {
            result.refused.extend(fed.part.refused.iter().map(|r| (r.reason.to_string(), r.bytes)));
            if fed.part.leading_header {
                headers = fed.part.header.clone();
                assert!(text[fed.start..].starts_with(headers.as_ref().unwrap()));
            }
            assert!(fed.start == fed.end || fed.part.header == headers);
            if fed.end > fed.start {
                result.data.push(String::from_utf8(text[fed.start..fed.end].to_vec()).unwrap());
            }
        },
    );
    result.rest = String::from_utf8_lossy(&text[stopped..]).into_owned();
    result
}

fn expect(data: &[&str], refused: &[(&str, u64)], rest: &str) -> Cut {
    Cut {
        data: data.iter().map(|s| (*s).to_owned()).collect(),
        refused: refused.iter().map(|(r, n)| ((*r).to_owned(), *n)).collect(),
        rest: rest.to_owned(),
    }
}

#[test]
fn lines_are_cut_at_the_last_newline() {
    for (text, data, rest) in [
        ("CEF:1\nCEF:2\nCEF:3", vec!["CEF:1\nCEF:2\n"], "CEF:3"),
        ("CEF:1\r\nCEF:2\r", vec!["CEF:1\r\n"], "CEF:2\r"),
        ("", vec![], ""),
        ("C", vec![], "C"),
        ("\n", vec!["\n"], ""),
        ("junk\nCEF:1\nmore\n", vec!["junk\n", "CEF:1\nmore\n"], ""),
        ("\u{feff}CEF:1\n", vec!["CEF:1\n"], ""),
    ] {
        assert_eq!(cut(text.as_bytes(), &CEF), expect(&data, &[], rest), "{text:?}");
    }
}

#[test]
fn the_last_line_of_a_finished_file_needs_no_newline() {
    let case = Case { follows: Follows::Nothing, ..CEF };
    assert_eq!(cut(b"CEF:1\nCEF:2", &case), expect(&["CEF:1\nCEF:2"], &[], ""));
    let csv = format!("{HEADER}\na,b,c,\"d\nCEF:2");
    assert_eq!(
        cut(csv.as_bytes(), &Case { limits: RecordLimits { max_line_bytes: 60, max_quoted_lines: 3 }, ..case }),
        expect(&[&format!("{HEADER}\n")], &[("open_quote", 14)], "")
    );
}

#[test]
fn an_over_long_line_is_refused_and_its_neighbours_are_not() {
    let long = "x".repeat(41);
    let fits = "y".repeat(40);
    for (text, data, refused) in [
        (format!("CEF:1\n{long}\nCEF:2\n"), vec!["CEF:1\n".to_owned(), "CEF:2\n".to_owned()], 42),
        (format!("CEF:1\n{long}\r\nCEF:2\n"), vec!["CEF:1\n".to_owned(), "CEF:2\n".to_owned()], 43),
        (format!("CEF:1\n{fits}\r\nCEF:2\n"), vec![format!("CEF:1\n{fits}\r\nCEF:2\n")], 0),
        (format!("{}\nCEF:2\n", long.repeat(20)), vec!["CEF:2\n".to_owned()], 821),
    ] {
        let refused: Vec<(&str, u64)> = if refused > 0 { vec![("too_long", refused)] } else { vec![] };
        let data: Vec<&str> = data.iter().map(String::as_str).collect();
        assert_eq!(cut(text.as_bytes(), &CEF), expect(&data, &refused, ""), "{text}");
    }
    // Its end is not there yet: it waits, and is refused whole.
    assert_eq!(cut(format!("CEF:1\n{long}x").as_bytes(), &CEF), expect(&["CEF:1\n"], &[], &format!("{long}x")));
    let finished = Case { follows: Follows::Nothing, ..CEF };
    assert_eq!(cut(format!("CEF:1\n{long}x").as_bytes(), &finished), expect(&["CEF:1\n"], &[("too_long", 42)], ""));
}

#[test]
fn a_header_begins_a_part_and_stays_in_force() {
    let case = Case { limits: RecordLimits { max_line_bytes: 100, max_quoted_lines: 3 }, ..CEF };
    let other = "User_Location,User_Department,User_Name";
    let text = format!("{HEADER}\na,b,c,d\n{other}\r\n1,2,3\nthe word User_Department,x,y\n");
    assert_eq!(
        cut(text.as_bytes(), &case),
        expect(
            &[&format!("{HEADER}\na,b,c,d\n"), &format!("{other}\r\n1,2,3\nthe word User_Department,x,y\n")],
            &[],
            ""
        )
    );
}

#[test]
fn quotes_hold_line_ends_up_to_the_limits() {
    let case =
        Case { limits: RecordLimits { max_line_bytes: 60, max_quoted_lines: 3 }, format: Some(Format::Csv), ..CEF };
    for (text, data, refused, rest) in [
        ("a,\"b\nc\",d\ne\n", vec!["a,\"b\nc\",d\ne\n"], vec![], ""),
        ("a,\"b\"\"\nc\",d\ne\n", vec!["a,\"b\"\"\nc\",d\ne\n"], vec![], ""),
        // A quote inside a cell is an ordinary byte.
        ("a,5\" disk,d\ne\n", vec!["a,5\" disk,d\ne\n"], vec![], ""),
        ("\"a\"b\"c\nd\n", vec!["\"a\"b\"c\nd\n"], vec![], ""),
        ("a,\"b\nc", vec![], vec![], "a,\"b\nc"),
        // Open over three lines is allowed, over four is not; reading goes on at the fifth.
        ("a,\"1\n2\n3\n4\",b\nc\n", vec!["a,\"1\n2\n3\n4\",b\nc\n"], vec![], ""),
        ("a,\"1\n2\n3\n4\nnext,\"x\"\n", vec!["next,\"x\"\n"], vec![("open_quote", 11)], ""),
    ] {
        assert_eq!(cut(text.as_bytes(), &case), expect(&data, &refused, rest), "{text:?}");
    }
    let long = format!("a,\"{}\n{}\nnext\n", "x".repeat(30), "y".repeat(30));
    assert_eq!(cut(long.as_bytes(), &case), expect(&["next\n"], &[("open_quote", 65)], ""));
    let long = format!("a,{}\nnext\n", "x".repeat(60));
    assert_eq!(cut(long.as_bytes(), &case), expect(&["next\n"], &[("too_long", 63)], ""));
}

#[test]
fn runs_of_nul_are_refused_and_what_follows_is_not() {
    for (text, data, refused, rest) in [
        (&b"\0\0\0\0CEF:1\n"[..], vec!["CEF:1\n"], vec![("binary", 4)], ""),
        // Reserved space: its writer may still fill it.
        (b"CEF:1\n\0\0\0", vec!["CEF:1\n"], vec![], "\0\0\0"),
        (b"CEF:1\nCEF:2\0\0", vec!["CEF:1\n"], vec![], "CEF:2\0\0"),
        // Cut off by a crash: both records are worth reading.
        (b"CEF:1\nCEF:2 par\0\0\0CEF:3\n", vec!["CEF:1\nCEF:2 par", "CEF:3\n"], vec![("binary", 3)], ""),
        (b"CEF:1\npar\0\0\0CEF:3\n", vec!["CEF:1\n", "CEF:3\n"], vec![("binary", 6)], ""),
        // UTF-16 without a mark: one refusal.
        (b"C\0E\0F\0:\0\n\0C\0\n\0x", vec![], vec![("binary", 14)], "x"),
    ] {
        assert_eq!(cut(text, &CEF), expect(&data, &refused, rest), "{:?}", String::from_utf8_lossy(text));
    }
    let finished = Case { follows: Follows::Nothing, ..CEF };
    assert_eq!(cut(b"CEF:1\n\0\0\0", &finished), expect(&["CEF:1\n"], &[("binary", 3)], ""));
    let csv = Case { format: Some(Format::Csv), ..CEF };
    assert_eq!(cut(b"a,b\nc,\"d\0\0e,f\n", &csv), expect(&["a,b\n", "e,f\n"], &[("binary", 6)], ""));
}

#[test]
fn hostile_bytes_make_few_parts_at_a_time() {
    let text = b"\0a\n".repeat(10_000);
    let mut cutter = Cutter::new(CEF.limits, None, None);
    let (parts, more) = cutter.cut(&text, 0, 0, Follows::Time, &Fake);
    assert!(parts.len() < 100 && more);
    assert_eq!(cut(&text, &CEF).refused.len(), 10_000);
}

proptest::proptest! {
    #![proptest_config(crate::effort::cases_of(500))]
    /// However the bytes arrive, the same records come out, and they are those of the plain splitter.
    #[test]
    fn cutting_does_not_depend_on_how_bytes_arrive(
        text in proptest::collection::vec(proptest::sample::select(
            vec![&b"CEF:1 abc"[..], b"\n", b"\n", b"\r\n", b"\"", b"\"", b",", b"x", b"\0\0\0", b"xxxxxxxxxxxxxxxxxxxxxxxxxxx", b"head,a", b"\xef\xbb\xbf"]), 0..40),
        holes in proptest::bool::weighted(0.2),
        format in proptest::sample::select(vec![None, Some(Format::Csv), Some(Format::Cef)]),
        finished: bool,
        max_line_bytes in 20_usize..60,
        steps in proptest::collection::vec(1_usize..90, 1..6),
    ) {
        let text: Vec<u8> = text.concat().into_iter().filter(|b| holes || *b != 0).collect();
        let follows = if finished { Follows::Nothing } else { Follows::Time };
        check(&text, RecordLimits { max_line_bytes, max_quoted_lines: 3 }, format, follows, &steps);
    }
}
