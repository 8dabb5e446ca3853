//! Reads `[[test]]` blocks from the files of rules; every fault at once, with its line.

use super::super::fault::{Faults, suggest};
use super::super::rules::required_event;
use super::super::section::{Section, TextOrTable, Value};
use super::{Asked, Earlier, Evasion, Expected, Fill, Kind, NUMBERS, Record, Test};
use crate::calendar::Zone;
use crate::event::{EventType, Field};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// When a tested event happens unless the block or its record says otherwise: noon of a day in the middle of a month.
const NOON_MS: i64 = 1_750_248_000_000;
/// The user and host of an event that names none: rules score somebody.
const NOBODY: [(Field, &str); 2] = [(Field::User, "jdoe"), (Field::Host, "WS-042")];
/// Events of a block's history, at most.
const MAX_EVENTS: u64 = 20_000;
/// Length of a `fill`, at most, bytes.
const MAX_FILL: u64 = 1 << 20;

const KEYS: &[&str] = &[
    "name",
    "kind",
    "evasion",
    "event",
    "fields",
    "line",
    "header",
    "time",
    "history",
    "for_each",
    "fill",
    "settings",
    "clock_behind",
    "fires",
    "value",
    "entity",
    "score",
    "evidence",
];
const EARLIER_KEYS: &[&str] = &["event", "fields", "line", "header", "days", "ago", "ahead", "each", "late"];
const SETTING_KEYS: &[&str] = &["strict", "sanctioned_domains", "options", "tables", "max_bins"];

/// Reads the blocks of a rule.
pub fn read(rule: &Section<'_>, events: &[EventType], faults: &mut Faults) -> Vec<Test> {
    let named = rule.table("test_history", faults);
    let reader = Reader { default_event: events.first().copied(), named: named.as_ref(), used: RefCell::default() };
    let mut tests = Vec::new();
    for block in rule.tables("test", faults) {
        let each = block.strings("for_each", faults);
        if each.as_ref().is_some_and(Vec::is_empty) {
            block.fault(faults, block.line_of("for_each"), "for_each is empty; name what <each> stands for");
        }
        match each {
            // What is wrong in the block is wrong for each.
            Some(each) if !each.is_empty() => {
                tests.extend(each.iter().filter_map(|each| reader.test(&block, Some(each), faults)));
            }
            _ => tests.extend(reader.test(&block, None, faults)),
        }
    }
    if let Some(named) = &named {
        for name in named.keys().filter(|name| !reader.used.borrow().contains(*name)) {
            named.fault(faults, named.line_of(name), format!("no test begins with the history {name:?}"));
        }
    }
    tests
}

/// What `<each>` in the texts of a block stands for.
#[derive(Clone, Copy)]
struct Marks<'a> {
    each: Option<&'a String>,
}

impl Marks<'_> {
    fn put(self, text: String) -> String {
        match self.each {
            Some(each) if text.contains("<each>") => text.replace("<each>", each),
            _ => text,
        }
    }
}

struct Reader<'s, 'd> {
    default_event: Option<EventType>,
    /// Histories that several blocks share.
    named: Option<&'s Section<'d>>,
    used: RefCell<BTreeSet<String>>,
}

impl Reader<'_, '_> {
    /// `each` is what `<each>` stands for.
    fn test(&self, s: &Section<'_>, each: Option<&String>, faults: &mut Faults) -> Option<Test> {
        let fill = read_fill(s, faults);
        let marks = Marks { each };
        let name = s.required("name", faults).map(|name| marks.put(name));
        let kind = one_of(s, "kind", Kind::ALL, Kind::name, faults).into_iter().next();
        let evasions = one_of(s, "evasion", Evasion::ALL, Evasion::name, faults);
        if evasions.is_empty() == (kind == Some(Kind::Evasion)) {
            let message = "kind = \"evasion\" and evasion = \"…\" (or a list) belong together";
            s.fault(faults, s.line_of("evasion"), message);
        }
        let record = self.record(s, marks, faults);
        let is_line = matches!(record, Some(Record::Line(..)));
        let time_ms = match s.string("time", faults) {
            None => (!is_line).then_some(NOON_MS),
            Some(text) => {
                let parsed = Zone::utc().parse(&text);
                if parsed.is_none() {
                    s.fault(faults, s.line_of("time"), format!("{text:?} is no time; write RFC 3339 or an epoch"));
                }
                parsed
            }
        };
        let history = self.history(s, marks, faults);
        let clock_behind = s.unsigned("clock_behind", faults).and_then(|n| u32::try_from(n).ok());
        let settings = s.table("settings", faults).map(|t| read_settings(&t, faults)).unwrap_or_default();
        let fires = s.boolean("fires", faults);
        match (fires, kind.and_then(Kind::fires)) {
            (None, _) => s.fault(faults, s.line, "fires is missing; write true or false"),
            (Some(fires), Some(wanted)) if fires != wanted => {
                let kind = kind.map_or("", Kind::name);
                s.fault(faults, s.line_of("fires"), format!("a test of the kind {kind:?} says fires = {wanted}"));
            }
            _ => {}
        }
        let expected = read_expected(s, marks, faults);
        if fires == Some(false) && !expected.is_empty() {
            s.fault(
                faults,
                s.line,
                "value, entity, score and evidence are those of an alert; with fires = false there is none",
            );
        }
        s.finish(KEYS, faults);
        Some(Test {
            name: name?,
            line: s.line,
            kind,
            evasions,
            history,
            record: record?,
            fill,
            time_ms,
            clock_behind,
            settings,
            fires: fires?,
            expected,
        })
    }

    /// `line` and `header`, or `event` and `fields`.
    fn record(&self, s: &Section<'_>, marks: Marks<'_>, faults: &mut Faults) -> Option<Record> {
        match (s.has("line"), s.has("fields")) {
            (true, false) => {
                if s.has("event") {
                    s.fault(faults, s.line_of("event"), "the parser says of what type a line is; leave event out");
                    s.string("event", faults);
                }
                let line = s.string("line", faults)?;
                if line.contains(['\n', '\r']) && !s.has("header") {
                    s.fault(faults, s.line_of("line"), "line holds a line break; write one record");
                }
                Some(Record::Line(marks.put(line), s.string("header", faults)))
            }
            (false, true) => {
                let kind = match s.has("event") {
                    true => required_event(s, "event", faults),
                    false => self.default_event,
                };
                let mut fields: Vec<(Field, String)> =
                    s.table("fields", faults).map(|t| read_fields(&t, faults)).unwrap_or_default();
                if fields.is_empty() {
                    s.fault(faults, s.line_of("fields"), "fields is empty; name what the event carries");
                }
                fields.iter_mut().for_each(|(_, value)| *value = marks.put(std::mem::take(value)));
                for (field, value) in NOBODY {
                    if !fields.iter().any(|(f, _)| *f == field) {
                        fields.push((field, value.into()));
                    }
                }
                Some(Record::Fields(kind?, fields))
            }
            (both, _) => {
                let message = if both {
                    "a line gives its own fields; write line or fields, not both"
                } else {
                    "fields is missing; write fields = { … }, or line with a whole record"
                };
                s.fault(faults, s.line, message);
                None
            }
        }
    }

    /// The name of a history, a table, or a list of both.
    fn history(&self, s: &Section<'_>, marks: Marks<'_>, faults: &mut Faults) -> Vec<Earlier> {
        let mut history = Vec::new();
        for member in s.texts_or_tables("history", faults) {
            match member {
                TextOrTable::Table(table) => history.extend(self.earlier(&table, marks, faults)),
                TextOrTable::Text(name, line) => match self.named.filter(|n| n.has(&name)) {
                    Some(named) => {
                        self.used.borrow_mut().insert(name.clone());
                        for table in named.tables(&name, faults) {
                            history.extend(self.earlier(&table, marks, faults));
                        }
                    }
                    None => {
                        let hint = suggest(&name, self.named.into_iter().flat_map(|n| n.keys().collect::<Vec<_>>()));
                        let message = format!("there is no history {name:?} in [test_history]{hint}");
                        s.fault(faults, line, message);
                    }
                },
            }
        }
        let days = |e: &Earlier| (e.from - e.to).unsigned_abs() + 1;
        let events = history.iter().fold(0u64, |sum, e| sum.saturating_add(days(e).saturating_mul(e.each)));
        if events > MAX_EVENTS {
            let message = format!("the history has {events} events; write at most {MAX_EVENTS}");
            s.fault(faults, s.line_of("history"), message);
            history.clear();
        }
        history
    }

    /// `days = 14` are the fourteen days before, `ago = 3` is three days before, `ahead = 5` five days after; without any
    /// of them it is the same day.
    fn earlier(&self, s: &Section<'_>, marks: Marks<'_>, faults: &mut Faults) -> Option<Earlier> {
        let record = self.record(s, marks, faults);
        let mut number = |key: &str| {
            let n = s.unsigned(key, faults)?;
            let n = i64::try_from(n).ok().filter(|n| *n <= 10_000);
            if n.is_none() {
                s.fault(faults, s.line_of(key), format!("{key} is too large; write at most 10000"));
            }
            n
        };
        let (days, ago, ahead, each) = (number("days"), number("ago"), number("ahead"), number("each"));
        let late = s.boolean("late", faults).unwrap_or(false);
        if ahead.is_some() && (ago.is_some() || days.is_some()) {
            s.fault(
                faults,
                s.line_of("ahead"),
                "ahead is one day after the tested event; write it without ago and days",
            );
        }
        for (key, n) in [("days", days), ("each", each)] {
            if n == Some(0) {
                s.fault(faults, s.line_of(key), format!("{key} is 0; write a number from 1"));
            }
        }
        s.finish(EARLIER_KEYS, faults);
        let to = match (ago, ahead, days) {
            (_, Some(ahead), _) => -ahead,
            (Some(ago), ..) => ago,
            (None, None, Some(_)) => 1,
            (None, None, None) => 0,
        };
        let from = to + days.unwrap_or(1).max(1) - 1;
        Some(Earlier { record: record?, from, to, each: each.unwrap_or(1).max(1).unsigned_abs(), late })
    }
}

fn read_fields(s: &Section<'_>, faults: &mut Faults) -> Vec<(Field, String)> {
    let mut fields = Vec::new();
    for key in s.keys() {
        let Some(field) = Field::resolve(key) else { continue };
        fields.extend(s.string(key, faults).map(|value| (field, value)));
    }
    let known: Vec<&str> = Field::ALL.iter().map(|f| f.name()).collect();
    s.finish(&known, faults);
    fields
}

/// `fill = { text, times }`: what `<fill>` in the texts of the block stands for.
fn read_fill(s: &Section<'_>, faults: &mut Faults) -> Option<Fill> {
    let t = s.table("fill", faults)?;
    let text = t.required("text", faults);
    let times = t.unsigned("times", faults);
    if times.is_none() && !t.has("times") {
        t.fault(faults, t.line, "times is missing; write how often the text stands there");
    }
    t.finish(&["text", "times"], faults);
    let (text, times) = (text?, times?);
    if (text.len() as u64).saturating_mul(times) > MAX_FILL {
        t.fault(faults, t.line, format!("fill makes more than {MAX_FILL} bytes"));
        return None;
    }
    Some(Fill { text, times: usize::try_from(times).unwrap_or_default() })
}

fn read_settings(s: &Section<'_>, faults: &mut Faults) -> Asked {
    let tables = s.table("tables", faults).map(|t| {
        let switches: BTreeMap<String, bool> =
            t.keys().filter_map(|key| Some((key.to_owned(), t.boolean(key, faults)?))).collect();
        switches
    });
    let asked = Asked {
        sanctioned_domains: s.strings("sanctioned_domains", faults).unwrap_or_default(),
        options: s.strings("options", faults).unwrap_or_default(),
        tables: tables.unwrap_or_default(),
        strict: s.boolean("strict", faults).unwrap_or(false),
        max_bins: s.unsigned("max_bins", faults).and_then(|n| usize::try_from(n).ok()),
    };
    s.finish(SETTING_KEYS, faults);
    asked
}

fn read_expected(s: &Section<'_>, marks: Marks<'_>, faults: &mut Faults) -> Expected {
    let mut expected = Expected {
        value: s.string("value", faults).map(|value| marks.put(value)),
        entity: s.string("entity", faults),
        score: s.unsigned("score", faults),
        ..Expected::default()
    };
    let Some(evidence) = s.table("evidence", faults) else { return expected };
    for key in evidence.keys() {
        if key == "matched" {
            expected.matched = evidence.strings(key, faults).unwrap_or_default();
        } else if NUMBERS.contains(&key) {
            match evidence.value(key, faults) {
                Some(Value::Integer(n)) => expected.numbers.push((key.into(), n as f64)),
                Some(Value::Float(n)) => expected.numbers.push((key.into(), n)),
                Some(_) => evidence.fault(faults, evidence.line_of(key), format!("{key} is a number")),
                None => {}
            }
        }
    }
    evidence.finish(&[&["matched"], NUMBERS].concat(), faults);
    expected
}

/// The members of a list (or the one text) at a key that are spelled like one of an enum; others are faults.
fn one_of<T: Copy>(s: &Section<'_>, key: &str, all: &[T], name: fn(T) -> &'static str, faults: &mut Faults) -> Vec<T> {
    let mut found = Vec::new();
    for text in s.strings(key, faults).unwrap_or_default() {
        match all.iter().find(|member| name(**member) == text) {
            Some(member) => found.push(*member),
            None => {
                let hint = suggest(&text, all.iter().map(|member| name(*member)));
                s.fault(faults, s.line_of(key), format!("unknown {key} {text:?}{hint}"));
            }
        }
    }
    found
}
