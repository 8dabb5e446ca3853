//! A table for a person. The only module that names comfy-table.
//!
//! Cells are escaped when they are added. Columns of numbers stand to the right. Where the terminal is too narrow for
//! the columns, each row becomes a block of named values.

use super::escape::for_terminal;
use super::output::stdout_look;
use super::page::{Look, Page, Tone};
use crate::alert::Severity;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle,
    TableStyle,
};
use unicode_width::UnicodeWidthStr;

/// Rows under a head.
#[derive(Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    look: Look,
}

/// Cells up to this width stay whole.
const WHOLE_CELL: usize = 20;
/// Columns into which wider cells can be wrapped without becoming unreadable.
const LEAST_CELL: usize = 14;

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none().junction(' '));

impl Table {
    /// A table for standard output.
    pub fn new(head: &[&str]) -> Table {
        Table::with_look(head, stdout_look())
    }

    /// A table for a terminal of this look.
    pub fn with_look(head: &[&str], look: Look) -> Table {
        Table { head: head.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new(), look }
    }

    /// Adds a row, one cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|c| for_terminal(c).into_owned()).collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, the last one ended.
    pub fn render(&self) -> String {
        if self.look.width.is_some_and(|width| self.least_width() > width) { self.blocks() } else { self.columns() }
    }

    fn columns(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = self.look.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.min(u16::MAX.into()) as u16);
        }
        if self.look.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(self.head.iter().map(|h| Cell::new(h).add_attribute(Attribute::Bold)));
        for row in &self.rows {
            table.add_row(self.head.iter().zip(row).map(|(head, text)| toned(head, text)));
        }
        for (i, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 1));
            if self.look.width.is_some() && self.widest(i) <= WHOLE_CELL {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            if self.cells(i).any(|c| !c.is_empty()) && self.cells(i).all(is_number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn blocks(&self) -> String {
        let blocks = self.rows.iter().map(|row| {
            let mut page = Page::new(self.look);
            for (name, cell) in self.head.iter().zip(row) {
                let tone = match severity(name, cell) {
                    Some(Severity::Critical | Severity::High) => Tone::Bad,
                    Some(Severity::Medium) => Tone::Warn,
                    Some(Severity::Low) | None => Tone::Plain,
                };
                page.toned_value(tone, name, cell);
            }
            page.finish()
        });
        blocks.collect::<Vec<_>>().join("\n")
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(move |row| row.get(column)).map(String::as_str)
    }

    fn least_width(&self) -> usize {
        let least = |widest| if widest <= WHOLE_CELL { widest } else { LEAST_CELL };
        (0..self.head.len()).map(|i| least(self.widest(i)) + 2).sum()
    }

    /// Columns of the terminal that the widest cell of a column takes, its head included.
    fn widest(&self, column: usize) -> usize {
        let head = self.head.get(column).map_or(0, |h| h.width());
        self.cells(column).map(|c| c.width()).max().unwrap_or(0).max(head)
    }
}

/// Columns of the terminal behind standard output, if there is one.
pub(super) fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}

/// Whether a cell is an amount; ids of digits are not.
fn is_number(cell: &str) -> bool {
    let digits = cell.trim_end_matches(" %");
    let id = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let amount = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    amount && !id
}

/// The severity that a cell tells.
fn severity(head: &str, text: &str) -> Option<Severity> {
    let score = if head == "score" { text.parse().ok() } else { None };
    score.map(Severity::of)
}

/// High scores stand out.
fn toned(head: &str, text: &str) -> Cell {
    let cell = Cell::new(text);
    match severity(head, text) {
        Some(Severity::Critical) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Some(Severity::High) => cell.fg(Color::Red),
        Some(Severity::Medium) => cell.fg(Color::Yellow),
        Some(Severity::Low) | None => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(look: Look) -> String {
        let mut table = Table::with_look(&["id", "score", "count"], look);
        table.row(vec!["a\u{1b}[31m".into(), "20".into(), "7".into()]);
        table.row(vec!["bb".into(), "8".into(), "1200".into()]);
        table.render()
    }

    #[test]
    fn numbers_stand_right_and_hostile_text_is_shown() {
        let expected = expect_test::expect![[r#"
            id         score  count
            ────────────────────────
            a\x1b[31m     20      7
            bb             8   1200
        "#]];
        expected.assert_eq(&table(Look::default()));
    }

    #[test]
    fn colour_marks_high_scores_and_only_our_own_escapes_are_there() {
        let colored = table(Look { width: Some(80), color: true });
        assert!(colored.contains("\u{1b}["), "{colored:?}");
        assert!(colored.contains("a\\x1b[31m"), "{colored:?}");
    }

    #[test]
    fn a_narrow_terminal_gets_blocks() {
        let narrow = table(Look { width: Some(20), color: false });
        assert_eq!(narrow.matches("score").count(), 2, "{narrow}");
    }
}
