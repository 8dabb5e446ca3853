//! Parsing: a record of a spool becomes a [`Draft`]. One format a file; key names and field maps are content.
//!
//! A line's header says its activity, the activity says the parser, and the parser's field map says which text becomes
//! which field. Nothing in here allocates per record in the steady state, panics on any input, or knows a vendor's key
//! names. Units: times are milliseconds since the epoch, positions are bytes.

mod blocks;
mod cef;
mod claim;
mod csv;
mod escape;
mod extension;
mod field_map;
mod grammar;
mod json;
mod keys;
mod layout;
mod reading;
mod recurring;
mod scratch;
mod selftest;
mod sequence;
mod table;
mod told;

pub use csv::Columns;
pub use scratch::Scratch;
pub use table::ParserTable;
pub use told::{Told, WhyNot};

use crate::batch::Format;
use crate::calendar::Zone;
use crate::event::{Counts, Draft, EventType, Field, FieldSet, Oddity, Reject, Span, Text};
use claim::Claim;
use memchr::{memchr, memmem};
use reading::Reading;
use scratch::Form;

/// Which fields to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extract {
    /// Those that some rule, model or enrichment of the event's type reads.
    Wanted,
    /// All: for events that are shown to someone.
    All,
}

/// Where a record's text goes and what was odd about it. `arena` grows; spans into it stay valid.
pub struct Workspace<'a> {
    /// The batch as read.
    pub raw: &'a [u8],
    /// Text made while parsing.
    pub arena: &'a mut Vec<u8>,
    /// The event to fill; cleared by the parser.
    pub draft: &'a mut Draft,
    /// Oddities by [`crate::event::Oddity`].
    pub oddities: &'a mut Counts,
    /// The worker's own memory: made once with `Scratch::default()`, handed in with every record.
    pub scratch: &'a mut Scratch,
}

impl ParserTable {
    /// Says which fields to fill for [`Extract::Wanted`], by event type. What `file-write` wants, `usb-write` gets too.
    pub fn set_wanted(&mut self, wanted: [FieldSet; EventType::COUNT]) {
        self.claims.iter_mut().for_each(|claim| claim.set_wanted(&wanted));
    }

    /// Ids of the parsers, by index.
    pub fn ids(&self) -> Vec<&str> {
        self.parsers.iter().map(|p| p.id.as_str()).collect()
    }

    /// The event types that a parser makes, by the index that parsing returns.
    pub fn event_types(&self, parser: u16) -> Vec<EventType> {
        let mut types: Vec<EventType> =
            self.claims.iter().filter(|c| c.parser == parser).flat_map(Claim::event_types).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// The fields that some parser can fill, by event type. A rule that needs another one can never fire.
    pub fn produces(&self) -> [FieldSet; EventType::COUNT] {
        let mut all = [FieldSet::default(); EventType::COUNT];
        for claim in &self.claims {
            for kind in claim.event_types() {
                if let Some(set) = all.get_mut(kind.index()) {
                    *set = set.union(claim.produces());
                }
            }
        }
        all
    }

    /// The format of a record that a parser would accept as the first of its file; `None` while that is open.
    /// `csv_by_position` is the spool's `format = "csv"`.
    pub fn sniff(&self, record: &[u8], csv_by_position: bool) -> Option<Format> {
        if self.accepts_cef(record) {
            return Some(Format::Cef);
        }
        let may_be_row = || csv_by_position || self.has_words_of_rows(record);
        let is_row = || may_be_row() && self.accepts_row(record, &mut Scratch::default());
        (self.csv_header(record).is_some() || is_row()).then_some(Format::Csv)
    }

    /// Bytes that every CSV header row contains; empty when there is no CSV layout.
    pub fn csv_header_mark(&self) -> &[u8] {
        self.csv.as_ref().and_then(|l| l.header_has.first()).map_or(b"", |name| name.as_bytes())
    }

    /// Whether a CSV record is a header row, and its columns. Columns belong to the table that made them.
    pub fn csv_header(&self, record: &[u8]) -> Option<Columns> {
        let layout = self.csv.as_ref()?;
        // Almost every record is a row: look for one of the names first.
        memmem::find(record, layout.header_has.first()?.as_bytes())?;
        let mut cells = Vec::new();
        csv::split_cells(record, &mut cells);
        let named = |wanted: &String| cells.iter().any(|c| csv::cell_name(record, c) == *wanted);
        let header = layout.header_has.iter().all(named);
        header.then(|| Columns::from_header(record, &cells, &self.keys, &layout.aliases))
    }

    /// Parses one CEF line (`record` is a span without its line end). Returns the parser's index.
    ///
    /// # Errors
    /// Why the line is not an event.
    pub fn parse_cef(&self, work: &mut Workspace<'_>, record: Span, extract: Extract) -> Result<u16, Reject> {
        work.draft.clear();
        let line = Text { raw: work.raw, arena: work.arena }.get(record);
        let Some(layout) = &self.cef else { return Err(Reject::NoParser) };
        let Claimed { header, claim, activity, text } = match self.cef_claim(line, work.scratch) {
            Ok(found) => found,
            Err(reject) => return Err(self.reason(line, reject, Format::Cef, work.scratch)),
        };
        work.scratch.begin(self.keys.len(), Form::Plain);
        let activity_of = extension::Activity { number: claim.number, ends: &claim.ends };
        let noticed = extension::scan_extension(line, record, header.extension, &self.keys, activity_of, work.scratch);
        work.scratch.form = if noticed.escapes { Form::Escaped } else { Form::Plain };
        work.scratch.any_json = noticed.json;
        let time = layout.time.iter().filter_map(|key| work.scratch.raw(*key)).find_map(|span| {
            let text = Text { raw: work.raw, arena: work.arena }.get(span);
            crate::calendar::parse_epoch(text.trim_ascii())
        });
        work.draft.time_ms = time.ok_or(Reject::BadTime)?;
        work.draft.kind = claim.kind;
        work.draft.set(Field::Activity, record.part(activity.0, activity.1));
        if noticed.unknown_keys > 0 {
            work.oddities.add(Oddity::UnknownKey.index(), noticed.unknown_keys);
        }
        if noticed.late_identity {
            work.oddities.add(Oddity::IdentityAfterReason.index(), 1);
        }
        let form = if header.escaped { Form::Escaped } else { Form::Plain };
        Reading::with_header(work, record.part(text.0, text.1), form, &layout.marks)
            .fill(claim, extract == Extract::All);
        Ok(claim.parser)
    }

    /// Parses one CSV record, by name (`columns`) or by position (`None`). Times without an offset are in `zone`.
    ///
    /// # Errors
    /// Why the record is not an event.
    pub fn parse_csv(
        &self,
        work: &mut Workspace<'_>,
        record: Span,
        columns: Option<&Columns>,
        zone: &Zone,
        extract: Extract,
    ) -> Result<u16, Reject> {
        work.draft.clear();
        let text = Text { raw: work.raw, arena: work.arena };
        let Some(layout) = &self.csv else { return Err(Reject::NoParser) };
        let columns = columns.unwrap_or(&layout.positions);
        let found = self.csv_claim(text, record, columns, zone, work.scratch);
        let (claim, activity, time) =
            found.map_err(|reject| self.reason(text.get(record), reject, Format::Csv, work.scratch))?;
        work.draft.time_ms = time;
        work.draft.kind = claim.kind;
        work.draft.set(Field::Activity, activity);
        Reading::without_header(work).fill(claim, extract == Extract::All);
        Ok(claim.parser)
    }

    /// Reads the header of a line.
    #[inline]
    fn cef_claim(&self, line: &[u8], scratch: &mut Scratch) -> Result<Claimed<'_>, Reject> {
        let start = cef::find_start(line).ok_or(Reject::NoParser)?;
        let header = cef::read_header(line, start, scratch)?;
        let text = |(from, to): (usize, usize)| line.get(from..to).unwrap_or_default().trim_ascii();
        let vendor = text(header.vendor);
        let ours = self.cef.as_ref().is_some_and(|layout| layout.vendors.iter().any(|v| v.as_bytes() == vendor));
        if !ours {
            return Err(Reject::NoParser);
        }
        // Form A names the activity first and then a text, form B a category and then the activity.
        if let Some(claim) = self.claim(&self.cef_activities, text(header.first)) {
            return Ok(Claimed { header, claim, activity: header.first, text: header.second });
        }
        let claim = self.claim(&self.cef_activities, text(header.second)).ok_or(Reject::UnknownActivity)?;
        Ok(Claimed { header, claim, activity: header.second, text: (0, 0) })
    }

    /// What is made of a row, its activity and its time. The row's cells are in the scratch afterwards.
    fn csv_claim(
        &self,
        text: Text<'_>,
        record: Span,
        columns: &Columns,
        zone: &Zone,
        scratch: &mut Scratch,
    ) -> Result<(&Claim, Span, i64), Reject> {
        let Some(layout) = &self.csv else { return Err(Reject::NoParser) };
        csv::split_cells(text.get(record), &mut scratch.cells);
        scratch.begin(self.keys.len(), Form::Plain);
        columns.fill(record, scratch);
        let cells = scratch.cells.len();
        let needed = layout.activity.iter().chain(&layout.time).filter_map(|key| columns.position(*key));
        let short = || needed.clone().any(|column| column >= cells);
        let text = |span: Span| text.get(span).trim_ascii();
        let activity = layout.activity.iter().find_map(|key| scratch.raw(*key));
        let claim = activity.and_then(|span| self.claim(&self.csv_activities, text(span)));
        let (Some(activity), Some(claim)) = (activity, claim) else {
            return Err(if short() { Reject::ShortRow } else { Reject::UnknownActivity });
        };
        let time = layout.time.iter().filter_map(|key| scratch.raw(*key)).find_map(|span| {
            let text = std::str::from_utf8(text(span)).ok()?;
            zone.parse(text)
        });
        let bad = || if short() { Reject::ShortRow } else { Reject::BadTime };
        time.map(|time| (claim, activity, time)).ok_or_else(bad)
    }

    /// Whether a line would become an event.
    fn accepts_cef(&self, line: &[u8]) -> bool {
        if cef::find_start(line).is_none() {
            return false;
        }
        let (mut arena, mut draft, mut scratch) = (Vec::new(), Draft::default(), Scratch::default());
        let mut work = Workspace {
            raw: line,
            arena: &mut arena,
            draft: &mut draft,
            oddities: &mut Counts::default(),
            scratch: &mut scratch,
        };
        self.parse_cef(&mut work, Span::raw(0, line.len()), Extract::Wanted).is_ok()
    }

    /// Whether a row without a header above it holds what tells it from other text.
    fn has_words_of_rows(&self, row: &[u8]) -> bool {
        self.csv.as_ref().is_some_and(|layout| layout.row_has.iter().all(|word| word.find(row).is_some()))
    }

    /// Whether a row would become an event by position.
    fn accepts_row(&self, row: &[u8], scratch: &mut Scratch) -> bool {
        let Some(layout) = &self.csv else { return false };
        let text = Text { raw: row, arena: &[] };
        let record = Span::raw(0, row.len());
        self.csv_claim(text, record, &layout.positions, &Zone::utc(), scratch).is_ok()
    }

    /// The reason to count a reject under: binary text and records of the other format have one of their own.
    #[cold]
    fn reason(&self, record: &[u8], reject: Reject, format: Format, scratch: &mut Scratch) -> Reject {
        if memchr(0, record).is_some() {
            return Reject::Binary;
        }
        let other = match format {
            Format::Cef => {
                reject == Reject::NoParser && (self.csv_header(record).is_some() || self.accepts_row(record, scratch))
            }
            Format::Csv => self.accepts_cef(record),
        };
        if other { Reject::WrongFormat } else { reject }
    }
}

/// A line's header, what is made of it, and where the activity and the text stand.
struct Claimed<'t> {
    header: cef::Header,
    claim: &'t Claim,
    activity: (usize, usize),
    text: (usize, usize),
}

#[cfg(test)]
mod tests;
