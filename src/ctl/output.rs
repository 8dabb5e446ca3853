//! Where agentctl's answers go: as a table for a person, as JSON or CSV for a program.
//!
//! A list is one JSON object or CSV row a member, written as it comes, so that a dump of any size needs no memory. All
//! text of logs is escaped, except in JSON, which has escapes of its own.

use super::escape::{for_csv, for_json};
pub use super::page::Look;
pub use super::table::Table;
use super::table::terminal_width;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person; the default on a terminal
    Table,
    /// One object a line; the default in a pipe
    Json,
    /// With a head line; formulas are defused
    Csv,
}

/// What standard output can show. `COLUMNS` overrides the width, `NO_COLOR` and `TERM=dumb` take the colour away.
pub fn stdout_look() -> Look {
    let terminal = io::stdout().is_terminal();
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).filter(|c| *c > 0);
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    Look { width: columns.or_else(terminal_width), color: terminal && !no_color && !dumb }
}

/// A member of a list.
pub trait Row: Serialize + Default {
    /// Heads of the table's columns.
    const HEAD: &'static [&'static str];
    /// Cells of the table's row.
    fn cells(&self) -> Vec<String>;
}

/// An answer being written.
pub struct Output<'w> {
    writer: &'w mut dyn Write,
    /// How.
    pub format: Format,
    /// On what.
    pub look: Look,
    /// Whether the head line of CSV has been written.
    headed: bool,
}

impl<'w> Output<'w> {
    /// An answer to a writer; without a format it is a table on a terminal, else JSON.
    pub fn new(writer: &'w mut dyn Write, format: Option<Format>, look: Look, terminal: bool) -> Output<'w> {
        let format = format.unwrap_or(if terminal { Format::Table } else { Format::Json });
        Output { writer, format, look, headed: false }
    }

    /// Writes text that is ready to be shown.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())
    }

    /// Lets the reader see what has been written.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Writes a whole list.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn list<R: Row>(&mut self, rows: &[R], when_empty: &str) -> io::Result<()> {
        if self.format == Format::Table {
            if rows.is_empty() {
                return self.text(&format!("{when_empty}\n"));
            }
            let mut table = Table::with_look(R::HEAD, self.look);
            rows.iter().for_each(|row| table.row(row.cells()));
            return self.text(&table.render());
        }
        self.head(&R::default())?;
        rows.iter().try_for_each(|row| self.member(row))
    }

    /// Writes the head line of CSV, once; nothing in the other formats.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn head<R: Serialize>(&mut self, example: &R) -> io::Result<()> {
        if self.format != Format::Csv || self.headed {
            return Ok(());
        }
        self.headed = true;
        let names: Vec<String> = members(&to_value(example)?).into_iter().map(|(name, _)| name).collect();
        self.text(&format!("{}\n", names.join(",")))
    }

    /// Writes a member of a list as JSON or CSV.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn member<R: Serialize>(&mut self, row: &R) -> io::Result<()> {
        if self.format == Format::Csv {
            let cells: Vec<String> = members(&to_value(row)?).iter().map(|(_, v)| for_csv(&cell(v))).collect();
            return self.text(&format!("{}\n", cells.join(",")));
        }
        self.json(row)
    }

    /// Writes one thing as JSON on a line, or as CSV of names and values; `page` renders it for a person.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn thing<T: Serialize>(&mut self, thing: &T, page: impl FnOnce(Look) -> String) -> io::Result<()> {
        match self.format {
            Format::Table => {
                let page = page(self.look);
                self.text(&page)
            }
            Format::Json => self.json(thing),
            Format::Csv => {
                let mut lines = String::from("name,value\n");
                flatten("", &to_value(thing)?, &mut |name, value| {
                    lines.push_str(&format!("{},{}\n", for_csv(name), for_csv(value)));
                });
                self.text(&lines)
            }
        }
    }

    fn json<T: Serialize>(&mut self, thing: &T) -> io::Result<()> {
        let json = serde_json::to_string(thing)?;
        self.text(&format!("{}\n", for_json(&json)))
    }
}

fn to_value<T: Serialize>(thing: &T) -> io::Result<Value> {
    Ok(serde_json::to_value(thing)?)
}

fn members(value: &Value) -> Vec<(String, Value)> {
    value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// A value as one cell: lists of texts joined, anything deeper as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(";")
        }
        other => other.to_string(),
    }
}

/// `a.b.0.c`, value.
fn flatten(name: &str, value: &Value, each: &mut dyn FnMut(&str, &str)) {
    let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| flatten(&below(k), v, each)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| flatten(&below(&i.to_string()), v, each)),
        other => each(name, &cell(other)),
    }
}
