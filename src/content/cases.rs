//! The `[[test]]` blocks of rules: what happened before, one event, and what the rule must make of it.
//!
//! An event is a record as it stands in a spool (`line`) or the fields that a parser would have made of one (`fields`).
//! Nothing in here judges: [`crate::selftest`] plays the events to the very code that detects. A loaded agent keeps none of it.

mod read;

pub(super) use read::read;

use crate::event::{EventType, Field, named_enum};
use std::borrow::Cow;
use std::collections::BTreeMap;

named_enum! {
    /// What a test shows.
    Kind {
        /// What the rule is about, plainly done: fires.
        Plain = "plain",
        /// The same thing, spelled otherwise: fires.
        Spelling = "spelling",
        /// The same end by another tool, service or form of a switch: fires.
        Form = "form",
        /// Written so as not to be found: fires all the same.
        Evasion = "evasion",
        /// Everyday work that comes near: does not fire.
        NearMiss = "near-miss",
        /// What went before decides: maturity, sums, repeats, late events. Fires or not.
        Sequence = "sequence",
        /// What the rule is known not to find: does not fire. `blind_spots` says it in words.
        BlindSpot = "blind-spot",
    }
}

named_enum! {
    /// How something is written so as not to be found.
    Evasion {
        /// Carets, which the Windows shell drops.
        Carets = "carets",
        /// Quotes inside words.
        Quotes = "quotes",
        /// Capital letters where there are none, or the other way round.
        Case = "case",
        /// `/` where others write `-`.
        Slash = "slash",
        /// A dash that is not the one of ASCII.
        UnicodeDash = "unicode-dash",
        /// A switch with its value attached.
        AttachedValue = "attached-value",
        /// Another extension of the program, or none.
        Extension = "extension",
        /// Two blanks and more between words.
        Blanks = "blanks",
        /// Tabs between words.
        Tabs = "tabs",
        /// A command line, path or address of 30,000 characters.
        Long = "long",
        /// One-letter switches written together.
        Bundle = "bundle",
        /// An address with what a browser ignores: a port, a user, a dot at the end of the host.
        Address = "address",
        /// A folder whose name changes from run to run, or a version in the name of a program.
        RandomName = "random-name",
    }
}

impl Kind {
    /// Whether a test of the kind must fire; `None` where both may be.
    pub const fn fires(self) -> Option<bool> {
        match self {
            Kind::Plain | Kind::Spelling | Kind::Form | Kind::Evasion => Some(true),
            Kind::NearMiss | Kind::BlindSpot => Some(false),
            Kind::Sequence => None,
        }
    }
}

/// One event.
#[derive(Clone, Debug)]
pub enum Record {
    /// The fields that a parser would have made of it, and its type.
    Fields(EventType, Vec<(Field, String)>),
    /// A record, and the header row of a CSV row.
    Line(String, Option<String>),
}

/// Events before the tested one: the same record on each of some days.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The record; `<n>` in it is the number of the event on its day, `<day>` that of the day, from 1.
    pub record: Record,
    /// The first day, in days before the tested event's; below 0 is after it.
    pub from: i64,
    /// The last one.
    pub to: i64,
    /// Events on each day.
    pub each: u64,
    /// Whether they are read last, just before the tested event, and not in the order of the days.
    pub late: bool,
}

/// Settings that a test asks for; all others are those of an agent without a config.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// `detection.sanctioned_domains`.
    pub sanctioned_domains: Vec<String>,
    /// `detection.options`.
    pub options: Vec<String>,
    /// `[detection.tables]`.
    pub tables: BTreeMap<String, bool>,
    /// `detection.strict`.
    pub strict: bool,
    /// `limits.max_bins`.
    pub max_bins: Option<usize>,
}

/// What the alert must say, where the test says so.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// What the rule is "per".
    pub value: Option<String>,
    /// Key of the user or host.
    pub entity: Option<String>,
    /// The score.
    pub score: Option<u64>,
    /// Numbers of the model or sum, by name.
    pub numbers: Vec<(String, f64)>,
    /// Parts of the condition that held, as alerts show them: `image equals certutil`.
    pub matched: Vec<String>,
}

/// One `[[test]]` block.
#[derive(Clone, Debug)]
pub struct Test {
    /// What the case shows.
    pub name: String,
    /// Line of the block.
    pub line: usize,
    /// What kind of case it is.
    pub kind: Option<Kind>,
    /// The evasions that it tries.
    pub evasions: Vec<Evasion>,
    /// What happened before. It is read in the order of the days, those of one day as the block names them.
    pub history: Vec<Earlier>,
    /// The event.
    pub record: Record,
    /// What `<fill>` in the records stands for; kept short until the test runs.
    pub fill: Option<Fill>,
    /// When it happens, ms since the epoch; `None` when its record says so.
    pub time_ms: Option<i64>,
    /// Days by which the collector's clock is behind the event.
    pub clock_behind: Option<u32>,
    /// Settings.
    pub settings: Asked,
    /// Whether the rule must fire for the event.
    pub fires: bool,
    /// What its alert must say.
    pub expected: Expected,
}

/// A long text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What is repeated.
    pub text: String,
    /// How often.
    pub times: usize,
}

/// The tests of a rule.
#[derive(Clone, Debug)]
pub struct RuleTests {
    /// Id of the rule.
    pub rule: String,
    /// The file that they stand in.
    pub file: String,
    /// Whether it is a shipped one.
    pub shipped: bool,
    /// The tests, in the order of the file.
    pub tests: Vec<Test>,
}

impl Record {
    /// The record of the n-th event of a day, with `<n>` and `<day>` filled in.
    pub fn numbered(&self, n: u64, day: u64) -> Record {
        let put = |text: &String| text.replace("<n>", &n.to_string()).replace("<day>", &day.to_string());
        match self {
            Record::Line(line, header) => Record::Line(put(line), header.clone()),
            Record::Fields(kind, fields) => Record::Fields(*kind, fields.iter().map(|(f, v)| (*f, put(v))).collect()),
        }
    }
}

impl Test {
    /// The test with `<fill>` filled in.
    pub fn filled(&self) -> Cow<'_, Test> {
        let Some(Fill { text, times }) = &self.fill else { return Cow::Borrowed(self) };
        let fill = text.repeat(*times);
        let mut test = Test { fill: None, ..self.clone() };
        let put = |text: &mut String| *text = text.replace("<fill>", &fill);
        for record in test.history.iter_mut().map(|e| &mut e.record).chain([&mut test.record]) {
            match record {
                Record::Line(line, _) => put(line),
                Record::Fields(_, fields) => fields.iter_mut().for_each(|(_, value)| put(value)),
            }
        }
        Cow::Owned(test)
    }
}

/// Numbers of an alert's evidence that a test may ask for.
pub const NUMBERS: &[&str] =
    &["n", "c", "confidence", "count", "rank", "threshold", "median", "history_days", "total", "reaches"];

impl Expected {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        let texts = self.value.is_none() && self.entity.is_none() && self.score.is_none();
        texts && self.numbers.is_empty() && self.matched.is_empty()
    }
}
