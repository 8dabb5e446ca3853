//! Parsing: a record of a spool becomes a [`Draft`]. One format a file; key names and field maps are content.
//!
//! Nothing in here allocates per record in the steady state, panics on any input, or knows a vendor's key names.

use crate::batch::Format;
use crate::content::Faults;
use crate::content::section::Document;
use crate::event::{Counts, Draft, EventType, FieldSet, Reject, Span};

/// Which fields to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extract {
    /// Those that some rule, model or enrichment of the event's type reads.
    Wanted,
    /// All: for events that are shown to someone.
    All,
}

/// All parsers, compiled.
#[derive(Debug, Default)]
pub struct ParserTable {}

/// The columns of a CSV header, resolved to the vocabulary.
#[derive(Debug, Clone, Default)]
pub struct Columns {}

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
}

impl ParserTable {
    /// Compiles `fieldmaps/*.toml`, `parsers/*.toml` and the CEF key list (plain text, one key a line, `#` comments).
    pub fn compile(
        _fieldmaps: &[Document],
        _parsers: &[Document],
        _cef_keys: &str,
        _faults: &mut Faults,
    ) -> ParserTable {
        ParserTable::default()
    }

    /// Says which fields to fill for [`Extract::Wanted`], by event type.
    pub fn set_wanted(&mut self, _wanted: [FieldSet; EventType::COUNT]) {}

    /// Runs the `[[test]]` lines of every parser; what fails is a fault.
    pub fn run_tests(&self, _faults: &mut Faults) {}

    /// Ids of the parsers, by index.
    pub fn ids(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The format of a record that a parser would accept as the first of its file; `None` while that is open.
    /// `csv_by_position` is the spool's `format = "csv"`.
    pub fn sniff(&self, _record: &[u8], _csv_by_position: bool) -> Option<Format> {
        None
    }

    /// Whether a CSV record is a header row, and its columns.
    pub fn csv_header(&self, _record: &[u8]) -> Option<Columns> {
        None
    }

    /// Parses one CEF line (`record` is a raw span without its line end). Returns the parser's index.
    ///
    /// # Errors
    /// Why the line is not an event.
    pub fn parse_cef(&self, _work: &mut Workspace<'_>, _record: Span, _extract: Extract) -> Result<u16, Reject> {
        Err(Reject::NoParser)
    }

    /// Parses one CSV record, by name (`columns`) or by position (`None`).
    ///
    /// # Errors
    /// Why the record is not an event.
    pub fn parse_csv(
        &self,
        _work: &mut Workspace<'_>,
        _record: Span,
        _columns: Option<&Columns>,
        _zone: &crate::calendar::Zone,
        _extract: Extract,
    ) -> Result<u16, Reject> {
        Err(Reject::NoParser)
    }
}
