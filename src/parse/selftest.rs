//! The `[[test]]` blocks of parser files: a record, and what must become of it.
//!
//! They run with the very functions that read spools. Times are compared as instants; without an offset they are UTC.

use super::{Extract, Format, ParserTable, Workspace};
use crate::calendar::{Zone, format_instant};
use crate::content::Faults;
use crate::content::fault::suggest;
use crate::content::section::Section;
use crate::event::{Counts, Draft, EventType, Field, Oddity, Reject, Span, Text};
use crate::parse::scratch::Scratch;

/// One `[[test]]` block.
#[derive(Debug)]
pub(super) struct Test {
    parser: u16,
    file: String,
    at: usize,
    line: String,
    /// The header row of a CSV test.
    header: Option<String>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Rejected(Reject),
    Event {
        kind: Option<EventType>,
        time_ms: Option<i64>,
        fields: Vec<(Field, String)>,
        absent: Vec<Field>,
        odd: Vec<Oddity>,
    },
}

const TEST_KEYS: [&str; 6] = ["line", "header", "expect", "absent", "odd", "reject"];

impl Test {
    /// Reads a block; what is wrong in it is a fault.
    pub fn read(s: &Section<'_>, parser: u16, faults: &mut Faults) -> Option<Test> {
        let line = s.required("line", faults);
        let header = s.string("header", faults);
        let outcome = if s.has("reject") { read_reject(s, faults) } else { read_event(s, faults) };
        s.finish(&TEST_KEYS, faults);
        Some(Test { parser, file: s.file().to_owned(), at: s.line, line: line?, header, outcome: outcome? })
    }
}

fn read_reject(s: &Section<'_>, faults: &mut Faults) -> Option<Outcome> {
    let name = s.string("reject", faults)?;
    let reject = Reject::from_name(&name);
    if reject.is_none() {
        let hint = suggest(&name, Reject::ALL.iter().map(|r| r.name()));
        s.fault(faults, s.line_of("reject"), format!("unknown reject {name:?}{hint}"));
    }
    reject.map(Outcome::Rejected)
}

fn read_event(s: &Section<'_>, faults: &mut Faults) -> Option<Outcome> {
    let field = |s: &Section<'_>, line: usize, name: &str, faults: &mut Faults| {
        let field = Field::resolve(name);
        if field.is_none() {
            let hint = suggest(name, Field::ALL.iter().map(|f| f.name()));
            s.fault(faults, line, format!("unknown field {name:?}{hint}"));
        }
        field
    };
    let (mut kind, mut time_ms, mut fields) = (None, None, Vec::new());
    let Some(expect) = s.table("expect", faults) else {
        s.fault(faults, s.line, "expect is missing; write the fields that the line must give, or reject");
        return None;
    };
    for name in expect.keys() {
        let Some(value) = expect.string(name, faults) else { continue };
        let line = expect.line_of(name);
        match name {
            "event_type" => kind = super::grammar::read_event_type(&expect, name, &value, faults),
            "time" => {
                time_ms = Zone::utc().parse(&value);
                if time_ms.is_none() {
                    expect.fault(faults, line, format!("{value:?} is no time; write RFC 3339 or an epoch"));
                }
            }
            _ => fields.extend(field(&expect, line, name, faults).map(|f| (f, value))),
        }
    }
    let line = s.line_of("absent");
    let absent = s.strings("absent", faults).unwrap_or_default();
    let absent = absent.iter().filter_map(|n| field(s, line, n, faults)).collect();
    let mut odd = Vec::new();
    for name in s.strings("odd", faults).unwrap_or_default() {
        match Oddity::from_name(&name) {
            Some(oddity) => odd.push(oddity),
            None => {
                let hint = suggest(&name, Oddity::ALL.iter().map(|o| o.name()));
                s.fault(faults, s.line_of("odd"), format!("unknown oddity {name:?}{hint}"));
            }
        }
    }
    Some(Outcome::Event { kind, time_ms, fields, absent, odd })
}

impl ParserTable {
    /// Runs the `[[test]]` lines of every parser; what fails is a fault.
    pub fn run_tests(&self, faults: &mut Faults) {
        for test in &self.tests {
            for message in self.run_test(test) {
                let id = self.parsers.get(usize::from(test.parser)).map_or("", |p| p.id.as_str());
                faults.add(&test.file, test.at, &format!("parser {id}"), format!("test: {message}"));
            }
        }
        for (i, parser) in self.parsers.iter().enumerate() {
            if !self.tests.iter().any(|t| usize::from(t.parser) == i) {
                let message = "no [[test]] block; write one, so that a change which breaks it is seen";
                faults.add(&parser.file, 0, &format!("parser {}", parser.id), message);
            }
        }
    }

    /// How many `[[test]]` blocks there are.
    pub fn test_count(&self) -> usize {
        self.tests.len()
    }

    fn run_test(&self, test: &Test) -> Vec<String> {
        let raw = test.line.as_bytes();
        let (mut arena, mut draft) = (Vec::new(), Draft::default());
        let (mut oddities, mut scratch) = (Counts::default(), Scratch::default());
        let record = Span::raw(0, raw.len());
        let work = &mut Workspace {
            raw,
            arena: &mut arena,
            draft: &mut draft,
            oddities: &mut oddities,
            scratch: &mut scratch,
        };
        let csv = self.parsers.get(usize::from(test.parser)).is_some_and(|p| p.format == Some(Format::Csv));
        let result = if csv {
            let columns = match &test.header {
                None => None,
                Some(header) => match self.csv_header(header.as_bytes()) {
                    None => return vec!["the header is no CSV header".into()],
                    columns => columns,
                },
            };
            self.parse_csv(work, record, columns.as_ref(), &Zone::utc(), Extract::All)
        } else {
            self.parse_cef(work, record, Extract::All)
        };
        let text = Text { raw, arena: &arena };
        let mut wrong = Vec::new();
        match (&test.outcome, result) {
            (Outcome::Rejected(wanted), Err(got)) if *wanted == got => {}
            (Outcome::Rejected(wanted), Err(got)) => wrong.push(format!("rejected as {got} instead of {wanted}")),
            (Outcome::Rejected(wanted), Ok(_)) => wrong.push(format!("accepted; it must be rejected as {wanted}")),
            (Outcome::Event { .. }, Err(got)) => wrong.push(format!("rejected as {got}")),
            (Outcome::Event { kind, time_ms, fields, absent, odd }, Ok(parser)) => {
                if parser != test.parser {
                    let other = self.parsers.get(usize::from(parser)).map_or("", |p| p.id.as_str());
                    wrong.push(format!("parser {other} read the line"));
                }
                wrong.extend(check_event(&draft, text, *kind, *time_ms, fields, absent));
                wrong.extend(check_oddities(&oddities, odd));
                if !csv && self.sniff(raw, false) != Some(Format::Cef) {
                    wrong.push("the line is not known as CEF when it is the first of a file".into());
                }
            }
        }
        wrong
    }
}

fn check_event(
    draft: &Draft,
    text: Text<'_>,
    kind: Option<EventType>,
    time_ms: Option<i64>,
    fields: &[(Field, String)],
    absent: &[Field],
) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(kind) = kind.filter(|k| *k != draft.kind) {
        wrong.push(format!("event_type is {}, expected {kind}", draft.kind));
    }
    if let Some(time) = time_ms.filter(|t| *t != draft.time_ms) {
        wrong.push(format!("time is {}, expected {}", format_instant(draft.time_ms), format_instant(time)));
    }
    let value = |f: Field| String::from_utf8_lossy(text.get(draft.span(f))).into_owned();
    for (field, expected) in fields {
        if !draft.present.contains(*field) {
            wrong.push(format!("{field} is missing, expected {expected:?}"));
        } else if value(*field) != *expected {
            wrong.push(format!("{field} is {:?}, expected {expected:?}", value(*field)));
        }
    }
    for field in absent.iter().filter(|f| draft.present.contains(**f)) {
        wrong.push(format!("{field} is {:?}, expected none", value(*field)));
    }
    wrong
}

/// Oddities that a block names must be there, and no others.
fn check_oddities(found: &Counts, wanted: &[Oddity]) -> Vec<String> {
    let mut wrong = Vec::new();
    for oddity in Oddity::ALL {
        match (found.get(oddity.index()) > 0, wanted.contains(oddity)) {
            (true, false) => wrong.push(format!("{oddity} was counted; write it in odd if it is meant")),
            (false, true) => wrong.push(format!("{oddity} was not counted")),
            _ => {}
        }
    }
    wrong
}
