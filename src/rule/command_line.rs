//! A command line taken apart: normalised text, arguments, tokens and switches.
//!
//! *Normalised*: carets removed, runs of blanks made one. *Arguments*: cut at the blanks outside double quotes, then
//! quotes removed; an open quote runs to the end; the first is the program. *Tokens*: arguments cut at blanks, single
//! quotes at their ends dropped. *Switches*: tokens that begin with `-`, `--`, `/` or a Unicode dash. Lengths are
//! characters where a limit counts, bytes everywhere else. Nothing in here knows a tool; see [`ToolStyle`].

use super::tools::ToolStyle;
use std::ops::Range;

/// Where a command line was cut in the middle because it is too long: no blank, no part of any text.
pub const CUT: u8 = b'\n';

/// One argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Its text without quotes.
    pub text: Range<usize>,
    /// Where it begins in the normalised command line.
    pub source: usize,
}

/// One token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its text.
    pub text: Range<usize>,
    /// The argument it belongs to.
    pub arg: usize,
    /// Whether it is the only token of its argument.
    pub whole: bool,
}

/// One switch.
#[derive(Clone, Debug)]
pub struct Switch {
    /// Its name, without dashes.
    pub name: Range<usize>,
    /// All of it, without dashes: name, separator and attached value.
    pub body: Range<usize>,
    /// Its value: attached, or what follows.
    pub value: Option<Range<usize>>,
}

/// A command line taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Line<'s> {
    /// The normalised text, quotes and all.
    pub cmd: &'s [u8],
    /// The text that the ranges below point into.
    pub text: &'s [u8],
    /// The arguments, the program first.
    pub args: &'s [Arg],
    /// The tokens, the program's too.
    pub tokens: &'s [Token],
    /// The switches, the program's argument left out.
    pub switches: &'s [Switch],
    /// Whether the tool's switches differ by case.
    pub case: bool,
    /// Whether the tool's switches may be written `/S/E/C`.
    pub slash_cut: bool,
}

impl<'s> Line<'s> {
    /// The text of a range.
    pub fn get(&self, range: &Range<usize>) -> &'s [u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The arguments after the program.
    pub fn operands_and_switches(&self) -> impl DoubleEndedIterator<Item = &'s [u8]> + use<'s> {
        let line = *self;
        self.args.iter().skip(1).map(move |a| line.get(&a.text))
    }

    /// Whether an argument is written as a switch.
    pub fn is_switch(&self, arg: &[u8]) -> bool {
        match lead(arg) {
            Some(Lead::Dash { bytes, .. }) => arg.len() > bytes,
            Some(Lead::Slash) => self.slash_cut || !is_posix_path(arg),
            None => false,
        }
    }

    /// The normalised command line after the program and the switches that follow it, with its quotes.
    pub fn after_switches(&self) -> &'s [u8] {
        let line = *self;
        let first = self.args.iter().skip(1).find(|a| !line.is_switch(line.get(&a.text)));
        first.and_then(|a| self.cmd.get(a.source..)).unwrap_or_default()
    }
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

/// Removes carets, makes runs of blanks one blank, drops blanks at the ends.
pub fn normalise(raw: &[u8], out: &mut Vec<u8>) {
    out.clear();
    if is_normal(raw) {
        out.extend_from_slice(raw);
        return;
    }
    let mut blank = false;
    for &b in raw {
        if is_blank(b) {
            blank = true;
        } else if b != b'^' {
            if blank && !out.is_empty() {
                out.push(b' ');
            }
            blank = false;
            out.push(b);
        }
    }
}

/// Whether normalising changes nothing: the common case, found out at the speed of vectors.
fn is_normal(raw: &[u8]) -> bool {
    let odd = raw.iter().fold(false, |odd, b| odd | (*b == b'^') | (b.wrapping_sub(b'\t') < 5));
    let pairs = raw.iter().zip(raw.iter().skip(1));
    let run = pairs.fold(false, |run, (a, b)| run | ((*a == b' ') & (*b == b' ')));
    !odd && !run && raw.first() != Some(&b' ') && raw.last() != Some(&b' ')
}

/// Leaves the head and the tail of a text of more than `limit` characters, [`CUT`] between them. Returns whether it did.
pub fn truncate(cmd: &mut Vec<u8>, limit: usize) -> bool {
    if cmd.len() <= limit {
        return false;
    }
    let is_start = |b: &u8| b & 0xC0 != 0x80;
    let chars = cmd.iter().filter(|b| is_start(b)).count();
    if chars <= limit {
        return false;
    }
    let half = limit / 2;
    let offset_of = |n: usize| {
        let mut starts = cmd.iter().enumerate().filter(|(_, b)| is_start(b)).map(|(at, _)| at);
        starts.nth(n).unwrap_or(cmd.len())
    };
    let (head, tail) = (offset_of(half), offset_of(chars - half));
    cmd.drain(head..tail);
    cmd.insert(head, CUT);
    true
}

/// Copies a text without the double quotes that have a non-blank on both sides. Returns whether there are any; without
/// any, nothing is copied.
pub fn join_quotes(cmd: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut copied = 0;
    let solid = |at: Option<usize>| at.and_then(|i| cmd.get(i)).is_some_and(|b| !matches!(*b, b' ' | CUT));
    for at in memchr::memchr_iter(b'"', cmd) {
        if solid(at.checked_sub(1)) && solid(Some(at + 1)) {
            out.extend_from_slice(cmd.get(copied..at).unwrap_or_default());
            copied = at + 1;
        }
    }
    if copied > 0 {
        out.extend_from_slice(cmd.get(copied..).unwrap_or_default());
    }
    copied > 0
}

/// Cuts a normalised text into arguments.
pub fn cut_arguments(cmd: &[u8], text: &mut Vec<u8>, args: &mut Vec<Arg>) {
    text.clear();
    args.clear();
    let mut quoted = false;
    // Where the open argument begins: in `text` and in `cmd`.
    let mut open: Option<(usize, usize)> = None;
    let mut from = 0;
    for at in memchr::memchr3_iter(b' ', b'"', CUT, cmd).chain(std::iter::once(cmd.len())) {
        let stretch = cmd.get(from..at).unwrap_or_default();
        if !stretch.is_empty() {
            open.get_or_insert((text.len(), from));
            text.extend_from_slice(stretch);
        }
        from = at + 1;
        match cmd.get(at) {
            Some(b' ') if quoted => text.push(b' '),
            Some(b'"') => {
                quoted = !quoted;
                open.get_or_insert((text.len(), at));
            }
            // A blank, the end, or a cut: what stood between head and tail is unknown, so it closes a quote, too.
            other => {
                quoted &= other != Some(&CUT);
                if let Some((start, source)) = open.take() {
                    args.push(Arg { text: start..text.len(), source });
                }
            }
        }
    }
}

/// Cuts arguments into tokens.
pub fn cut_tokens(text: &[u8], args: &[Arg], tokens: &mut Vec<Token>) {
    tokens.clear();
    for (n, arg) in args.iter().enumerate() {
        let first = tokens.len();
        let mut from = arg.text.start;
        for part in text.get(arg.text.clone()).unwrap_or_default().split(|b| *b == b' ') {
            let (mut start, mut end) = (from, from + part.len());
            from = end + 1;
            while start < end && text.get(start) == Some(&b'\'') {
                start += 1;
            }
            while end > start && text.get(end - 1) == Some(&b'\'') {
                end -= 1;
            }
            if start < end {
                tokens.push(Token { text: start..end, arg: n, whole: false });
            }
        }
        if let [only] = tokens.get_mut(first..).unwrap_or_default() {
            only.whole = true;
        }
    }
}

/// How a token that may be a switch begins.
enum Lead {
    /// One or two dashes: how many, and how many bytes.
    Dash {
        dashes: usize,
        bytes: usize,
    },
    Slash,
}

fn lead(token: &[u8]) -> Option<Lead> {
    if token.first() == Some(&b'/') {
        return Some(Lead::Slash);
    }
    let (mut dashes, mut bytes) = (0, 0);
    while dashes < 2 {
        let Some(n) = dash(token.get(bytes..).unwrap_or_default()) else { break };
        dashes += 1;
        bytes += n;
    }
    (dashes > 0).then_some(Lead::Dash { dashes, bytes })
}

/// The length of the dash with which a text begins: `-`, U+2010 to U+2015, U+2212, U+FE58, U+FE63, U+FF0D.
fn dash(text: &[u8]) -> Option<usize> {
    match text {
        [b'-', ..] => Some(1),
        [0xE2, 0x80, 0x90..=0x95, ..]
        | [0xE2, 0x88, 0x92, ..]
        | [0xEF, 0xB9, 0x98 | 0xA3, ..]
        | [0xEF, 0xBC, 0x8D, ..] => Some(3),
        _ => None,
    }
}

/// Whether what begins with `/` is a path and no switch: a second `/` before any `:` or `=`, or nothing after the first.
fn is_posix_path(token: &[u8]) -> bool {
    let body = token.get(1..).unwrap_or_default();
    body.is_empty() || body.iter().find(|b| matches!(b, b'/' | b':' | b'=')) == Some(&b'/')
}

/// Finds the switches of all arguments after the program.
pub fn read_switches(text: &[u8], args: &[Arg], tokens: &[Token], style: &ToolStyle, switches: &mut Vec<Switch>) {
    switches.clear();
    // The argument that a bundle took as its value: no switch, whatever it looks like.
    let mut value_arg = None;
    for (n, token) in tokens.iter().enumerate() {
        if token.arg == 0 || Some(token.arg) == value_arg {
            continue;
        }
        let bytes = text.get(token.text.clone()).unwrap_or_default();
        let follows = || {
            if token.whole {
                args.get(token.arg + 1).map(|a| a.text.clone())
            } else {
                tokens.get(n + 1).map(|t| t.text.clone())
            }
        };
        match lead(bytes) {
            Some(Lead::Dash { dashes: 1, bytes }) if style.bundles => {
                if read_bundle(text, token.text.start + bytes..token.text.end, style, switches, follows) && token.whole
                {
                    value_arg = Some(token.arg + 1);
                }
            }
            Some(Lead::Dash { bytes, .. }) => {
                push_switch(text, token.text.start + bytes..token.text.end, switches, follows);
            }
            Some(Lead::Slash) if style.slash_cut => {
                let mut from = token.text.start;
                for part in bytes.split(|b| *b == b'/') {
                    push_switch(text, from..from + part.len(), switches, follows);
                    from += part.len() + 1;
                }
            }
            Some(Lead::Slash) if !is_posix_path(bytes) => {
                push_switch(text, token.text.start + 1..token.text.end, switches, follows);
            }
            Some(Lead::Slash) | None => {}
        }
    }
}

/// A switch with its value attached after `:` or `=`, or following.
fn push_switch(
    text: &[u8],
    body: Range<usize>,
    switches: &mut Vec<Switch>,
    follows: impl FnOnce() -> Option<Range<usize>>,
) {
    if body.is_empty() {
        return;
    }
    let bytes = text.get(body.clone()).unwrap_or_default();
    let (name, value) = match memchr::memchr2(b':', b'=', bytes) {
        Some(at) => (body.start..body.start + at, Some(body.start + at + 1..body.end)),
        None => (body.clone(), follows()),
    };
    switches.push(Switch { name, body, value });
}

/// One-letter switches written together. Returns whether the last one takes what follows as its value.
fn read_bundle(
    text: &[u8],
    body: Range<usize>,
    style: &ToolStyle,
    switches: &mut Vec<Switch>,
    follows: impl FnOnce() -> Option<Range<usize>>,
) -> bool {
    let letters = text.get(body.clone()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
    for (at, letter) in letters.char_indices() {
        let name = body.start + at..body.start + at + letter.len_utf8();
        let rest = name.end..body.end;
        if !style.value_letters.contains(letter) {
            switches.push(Switch { name: name.clone(), body: name, value: None });
            continue;
        }
        let takes_next = rest.is_empty();
        let value = if takes_next { follows() } else { Some(rest) };
        switches.push(Switch { name: name.clone(), body: name.start..body.end, value });
        return takes_next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(raw: &str) -> Vec<u8> {
        let mut out = Vec::new();
        normalise(raw.as_bytes(), &mut out);
        out
    }

    fn arguments(raw: &str) -> Vec<String> {
        let (mut text, mut args) = (Vec::new(), Vec::new());
        cut_arguments(&normalised(raw), &mut text, &mut args);
        args.iter().map(|a| String::from_utf8_lossy(&text[a.text.clone()]).into_owned()).collect()
    }

    #[test]
    fn carets_go_and_runs_of_blanks_become_one() {
        assert_eq!(normalised("  c^ert^^util \t\r\n -enc^ode  "), b"certutil -encode");
        assert_eq!(normalised("^^^"), b"");
    }

    #[test]
    fn arguments_are_cut_at_blanks_outside_quotes() {
        let cases: &[(&str, &[&str])] = &[
            (r#"c^ert"u"til -encode"#, &["certutil", "-encode"]),
            (r#"scp f u@host:"/up dir/f""#, &["scp", "f", "u@host:/up dir/f"]),
            (r#"x "" y"#, &["x", "", "y"]),
            (r#"x "open quote runs on"#, &["x", "open quote runs on"]),
            (r#""a b"c d"#, &["a bc", "d"]),
            ("", &[]),
        ];
        for (raw, wanted) in cases {
            assert_eq!(arguments(raw), *wanted, "{raw}");
        }
    }

    #[test]
    fn only_quotes_between_non_blanks_are_joined() {
        for (cmd, wanted) in
            [(r#"a"b"c"#, "abc"), (r#""a b" c"#, r#""a b" c"#), (r#"x="a b""#, r#"x=a b""#), (r#"x "" y"#, r#"x "" y"#)]
        {
            let mut out = Vec::new();
            let joins = join_quotes(cmd.as_bytes(), &mut out);
            assert_eq!(if joins { String::from_utf8_lossy(&out).into_owned() } else { cmd.into() }, wanted, "{cmd}");
        }
    }

    #[test]
    fn an_over_long_text_keeps_head_and_tail_counted_in_characters() {
        let mut cmd = "ä".repeat(7).into_bytes();
        assert!(!truncate(&mut cmd, 7));
        assert!(truncate(&mut cmd, 6));
        assert_eq!(String::from_utf8_lossy(&cmd), "äää\näää");
        let mut cmd = b"abcdefgh".to_vec();
        assert!(truncate(&mut cmd, 7));
        assert_eq!(cmd, b"abc\nfgh");
        let (mut text, mut args) = (Vec::new(), Vec::new());
        cut_arguments(b"a \"b\nc d", &mut text, &mut args);
        assert_eq!(args.len(), 4, "the cut closes the open quote");
    }

    #[test]
    fn tokens_are_arguments_cut_at_blanks_without_single_quotes_at_their_ends() {
        let cmd = br#"lftp -e "mirror -R 'a' ''; put 'x" 'it''s'"#;
        let (mut text, mut args, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        cut_arguments(cmd, &mut text, &mut args);
        cut_tokens(&text, &args, &mut tokens);
        let got: Vec<_> = tokens.iter().map(|t| String::from_utf8_lossy(&text[t.text.clone()])).collect();
        assert_eq!(got, ["lftp", "-e", "mirror", "-R", "a", ";", "put", "x", "it''s"]);
        assert!(tokens[1].whole && !tokens[2].whole);
    }
}
