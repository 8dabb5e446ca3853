//! Tables as aligned Markdown, readable on a terminal and in a document; medians.

use std::fmt;

#[derive(Clone)]
pub struct Table {
    pub title: String,
    /// What stands below the title.
    pub note: String,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: Vec<String> = self.head.iter().map(|h| (*h).to_owned()).collect();
        let lines = || std::iter::once(&head).chain(&self.rows);
        let width = |at: usize| lines().map(|line| line[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        writeln!(f, "### {}\n", self.title)?;
        if !self.note.is_empty() {
            writeln!(f, "{}\n", self.note)?;
        }
        for (at, line) in lines().enumerate() {
            for (cell, width) in line.iter().zip(&widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
            if at == 0 {
                widths.iter().try_for_each(|width| write!(f, "|-{:-<width$}-", ""))?;
                writeln!(f, "|")?;
            }
        }
        writeln!(f)
    }
}

/// Median, smallest and largest of some numbers.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Spread { median: percentile(&sorted, 50), min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}–{})", short(self.median), short(self.min), short(self.max))
    }
}

/// Of sorted numbers.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Three digits or so.
pub fn short(number: f64) -> String {
    match number.abs() {
        n if n >= 1e6 => format!("{:.2} M", number / 1e6),
        n if n >= 1e4 => format!("{:.0} k", number / 1e3),
        n if n >= 100.0 => format!("{number:.0}"),
        n if n >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// A round number, as short as it can be.
pub fn rounded(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{} M", n / 1e6),
        n if n >= 1e3 => format!("{} k", n / 1e3),
        n => format!("{n}"),
    }
}

pub fn mib(kib: u64) -> String {
    short(kib as f64 / 1024.0)
}
