//! A page of text for a person: headings, named values, lists, bars; wrapped to the width of the terminal.
//!
//! Everything that is put on a page is escaped here, once. Widths are columns of the terminal, not bytes or characters.

use super::escape::for_terminal;
use unicode_width::UnicodeWidthStr;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Columns; `None` when nothing bounds them (a pipe or file).
    pub width: Option<usize>,
    /// Whether bold and colours may be used.
    pub color: bool,
}

/// Columns of a page where nothing bounds them.
const UNBOUNDED: usize = 100;
/// Columns below which a long value stands under its name.
const NARROW: usize = 56;

/// How a word stands out, where colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As the rest.
    Plain,
    /// A heading.
    Bold,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Worth a look now.
    Bad,
}

/// A page being written.
#[derive(Debug)]
pub struct Page {
    text: String,
    width: usize,
    color: bool,
    /// Columns of the names of values.
    names: usize,
}

impl Page {
    /// An empty page.
    pub fn new(look: Look) -> Page {
        let width = look.width.unwrap_or(UNBOUNDED).clamp(20, 160);
        Page { text: String::new(), width, color: look.color, names: if width < NARROW { 14 } else { 18 } }
    }

    /// The page.
    pub fn finish(self) -> String {
        self.text
    }

    /// A heading, with an empty line before it.
    pub fn heading(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.lines(title, "", "", Tone::Bold);
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        self.lines(text, "", "", Tone::Plain);
    }

    /// A paragraph that stands out.
    pub fn toned(&mut self, tone: Tone, text: &str) {
        self.lines(text, "", "", tone);
    }

    /// A member of a list that stands out.
    pub fn toned_item(&mut self, tone: Tone, text: &str) {
        self.lines(text, "  - ", "    ", tone);
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A value and its name. Left out when the value is empty.
    pub fn value(&mut self, name: &str, value: &str) {
        self.toned_value(Tone::Plain, name, value);
    }

    /// A value that stands out.
    pub fn toned_value(&mut self, tone: Tone, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let name = for_terminal(name).into_owned();
        let room = self.width.saturating_sub(self.names + 2);
        let beside = self.width >= NARROW || for_terminal(value).width() <= room;
        if beside && name.width() < self.names {
            let first = format!("  {name}{}", " ".repeat(self.names - name.width()));
            self.lines(value, &first, &" ".repeat(self.names + 2), tone);
        } else {
            self.lines(&name, "  ", "  ", tone);
            self.lines(value, "    ", "    ", tone);
        }
    }

    /// A member of a list.
    pub fn item(&mut self, text: &str) {
        self.lines(text, "  - ", "    ", Tone::Plain);
    }

    /// Bars of equal scale: label, count, and a mark that says what is special about it.
    pub fn bars(&mut self, bars: &[(String, u64, &str)]) {
        let labels: Vec<String> = bars.iter().map(|b| for_terminal(&b.0).into_owned()).collect();
        let counts = bars.iter().map(|b| b.1.to_string().len()).max().unwrap_or(1);
        let marks = bars.iter().map(|b| b.2.width()).max().unwrap_or(0);
        let most = bars.iter().map(|b| b.1).max().unwrap_or(0).max(1);
        let room = self.width.saturating_sub(counts + marks + 6).max(8);
        let label_room = labels.iter().map(|l| l.width()).max().unwrap_or(0).min(room * 3 / 5);
        let bar_room = (room - label_room).clamp(4, 40);
        for ((_, count, mark), label) in bars.iter().zip(&labels) {
            let label = keep_end(label, label_room);
            let pad = " ".repeat(label_room - label.width().min(label_room));
            let bar = bar(*count, most, bar_room);
            let mark = if mark.is_empty() { String::new() } else { format!(" {mark}") };
            let bar = if bar.is_empty() { bar } else { format!(" {bar}") };
            self.push_line(&format!("  {label}{pad} {count:>counts$}{bar}{mark}"), Tone::Plain);
        }
    }

    fn lines(&mut self, text: &str, first: &str, rest: &str, tone: Tone) {
        let text = for_terminal(text);
        let room = self.width.saturating_sub(rest.width()).max(8);
        let mut before = first;
        for line in wrap(&text, room) {
            let line = format!("{before}{line}");
            self.push_line(line.trim_end(), tone);
            before = rest;
        }
    }

    fn push_line(&mut self, line: &str, tone: Tone) {
        let start = match tone {
            _ if !self.color => "",
            Tone::Plain => "",
            Tone::Bold => "\x1b[1m",
            Tone::Good => "\x1b[1;32m",
            Tone::Warn => "\x1b[33m",
            Tone::Bad => "\x1b[1;31m",
        };
        self.text.push_str(start);
        self.text.push_str(line);
        if !start.is_empty() {
            self.text.push_str("\x1b[0m");
        }
        self.text.push('\n');
    }
}

/// A bar in eighths of a column; what is not zero shows at least a sliver.
fn bar(count: u64, most: u64, room: usize) -> String {
    let eighths = (count as f64 / most as f64 * room as f64 * 8.0).round() as usize;
    let eighths = if count > 0 { eighths.max(1) } else { 0 };
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8).copied().unwrap_or_default();
    format!("{}{part}", "█".repeat(eighths / 8))
}

/// The end of a text that is too wide: of a path or domain it tells more than the beginning.
pub(super) fn keep_end(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut kept: Vec<char> = Vec::new();
    let mut width = 1;
    for c in text.chars().rev() {
        width += c.to_string().width();
        if width > room {
            break;
        }
        kept.push(c);
    }
    std::iter::once('…').chain(kept.into_iter().rev()).collect()
}

/// Lines of at most `room` columns, broken at blanks where there are any.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let width = word.width();
        let needed = if used == 0 { width } else { width + 1 };
        if used > 0 && used + needed > room {
            lines.push(String::new());
            used = 0;
        }
        let Some(line) = lines.last_mut() else { return lines };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        if used + width <= room {
            line.push_str(word);
            used += width;
            continue;
        }
        for c in word.chars() {
            let wide = c.to_string().width();
            if used + wide > room {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += wide;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_never_exceed_their_room_and_lose_nothing() {
        for text in ["a bb ccc dddd", "C:\\a\\very\\long\\path\\without\\blanks.exe", "日本語のテキスト", "", "  two  "]
        {
            for room in [8, 9, 20] {
                let lines = wrap(text, room);
                assert!(lines.iter().all(|l| l.width() <= room), "{lines:?}");
                assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
            }
        }
    }

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_nothing_for_something() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(1, 1000, 4), "▏");
        assert_eq!(bar(5, 10, 4), "██");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(keep_end("\\users\\%user%\\x.exe", 8), "…%\\x.exe");
    }

    #[test]
    fn colour_is_used_only_where_it_may() {
        let page = |color| {
            let mut page = Page::new(Look { width: Some(80), color });
            page.heading("Title\u{1b}[0m");
            page.finish()
        };
        assert_eq!(page(false), "Title\\x1b[0m\n");
        assert_eq!(page(true), "\u{1b}[1mTitle\\x1b[0m\u{1b}[0m\n");
    }
}
