//! From a record's text to an enriched event: the step that workers take for every record, and that detection takes
//! again, in full, for the few events that somebody will look at.

use crate::batch::{BatchEvent, EventBatch, Format};
use crate::calendar::Zone;
use crate::content::Content;
use crate::enrich::Enricher;
use crate::event::{Counts, Draft, EventType, EventView, FieldSet, Reject, Settled, Span, Text};
use crate::parse::{Columns, Extract, Scratch, Told, Workspace};
use std::sync::Arc;

/// Parses and enriches records. One for each thread: it holds caches and buffers.
pub struct Extractor {
    content: Arc<Content>,
    enricher: Enricher,
    /// Fields that someone reads, by event type.
    wanted: [FieldSet; EventType::COUNT],
    /// Zones of CSV times without an offset, by spool.
    zones: Vec<Zone>,
    utc: Zone,
    scratch: Scratch,
    draft: Draft,
    raw: Vec<u8>,
    arena: Vec<u8>,
    oddities: Counts,
}

/// Where a record's text comes from and what is made of it goes.
pub struct Sheet<'a> {
    /// The batch as read.
    pub raw: &'a [u8],
    /// Text made on the way; grows.
    pub arena: &'a mut Vec<u8>,
    /// The event.
    pub draft: &'a mut Draft,
    /// Oddities by [`crate::event::Oddity`].
    pub oddities: &'a mut Counts,
}

/// How a batch's records are to be read.
#[derive(Clone, Copy)]
pub struct Layout<'a> {
    /// The format.
    pub format: Format,
    /// Columns of the header in force; `None` reads rows by position.
    pub columns: Option<&'a Columns>,
    /// Index of the spool.
    pub spool: u16,
}

/// A record looked at alone, for somebody who asks about it.
pub struct Examined<'a> {
    /// How it was read.
    pub format: Format,
    /// Index of the parser, or why the record is no event.
    pub parsed: Result<u16, Reject>,
    /// Every parser, and what keeps the others from taking the record.
    pub parsers: Vec<Told<'a>>,
    /// The activity that the record names, known or not.
    pub activity: Option<String>,
    /// The event with all its fields; empty when there is none.
    pub event: EventView<'a>,
    /// What was odd about it, by [`crate::event::Oddity`].
    pub oddities: &'a Counts,
}

/// Parses and enriches one record, in full. `header` is the header row that a CSV row belongs to; without one, a record that
/// has no `CEF:` in it is a row by position.
pub fn examine<T>(
    content: &Content,
    record: &[u8],
    header: Option<&[u8]>,
    zone: &Zone,
    look: impl FnOnce(Examined<'_>) -> T,
) -> T {
    let (mut arena, mut draft) = (Vec::new(), Draft::default());
    let (mut oddities, mut scratch) = (Counts::default(), Scratch::default());
    let is_row = header.is_some() || memchr::memmem::find(record, b"CEF:").is_none();
    let format = if is_row { Format::Csv } else { Format::Cef };
    let columns = header.and_then(|header| content.parsers.csv_header(header));
    let span = Span::raw(0, record.len());
    let work = &mut Workspace {
        raw: record,
        arena: &mut arena,
        draft: &mut draft,
        oddities: &mut oddities,
        scratch: &mut scratch,
    };
    let parsed = match format {
        Format::Cef => content.parsers.parse_cef(work, span, Extract::All),
        Format::Csv => content.parsers.parse_csv(work, span, columns.as_ref(), zone, Extract::All),
    };
    if parsed.is_ok() {
        Enricher::new(&content.tables).enrich(record, &mut arena, &mut draft, FieldSet(u64::MAX), &mut oddities);
    } else {
        draft.clear();
    }
    look(Examined {
        format,
        parsed,
        parsers: content.parsers.told(record, format, columns.as_ref(), parsed),
        activity: content.parsers.activity(record, format, columns.as_ref()),
        event: EventView { draft: &draft, text: Text { raw: record, arena: &arena } },
        oddities: &oddities,
    })
}

impl Extractor {
    /// An extractor. `wanted` is what the rules and models read; `zones` are those of the spools, in order.
    pub fn new(content: Arc<Content>, wanted: [FieldSet; EventType::COUNT], zones: Vec<Zone>) -> Extractor {
        let enricher = Enricher::new(&content.tables);
        Extractor {
            content,
            enricher,
            wanted,
            zones,
            utc: Zone::utc(),
            scratch: Scratch::default(),
            draft: Draft::default(),
            raw: Vec::new(),
            arena: Vec::new(),
            oddities: Counts::default(),
        }
    }

    /// Parses and enriches one record into `draft`. Gives the parser's index.
    ///
    /// # Errors
    /// Why the record is not an event.
    #[inline]
    pub fn extract(
        &mut self,
        layout: Layout<'_>,
        record: Span,
        extract: Extract,
        sheet: Sheet<'_>,
    ) -> Result<u16, Reject> {
        let Sheet { raw, arena, draft, oddities } = sheet;
        let work = &mut Workspace { raw, arena, draft, oddities, scratch: &mut self.scratch };
        let parsers = &self.content.parsers;
        let parser = match layout.format {
            Format::Cef => parsers.parse_cef(work, record, extract)?,
            Format::Csv => {
                let zone = self.zones.get(layout.spool as usize).unwrap_or(&self.utc);
                parsers.parse_csv(work, record, layout.columns, zone, extract)?
            }
        };
        let wanted = match extract {
            Extract::Wanted => self.wanted.get(work.draft.kind.index()).copied().unwrap_or_default(),
            Extract::All => FieldSet(u64::MAX),
        };
        self.enricher.enrich(work.raw, work.arena, work.draft, wanted, work.oddities);
        Ok(parser)
    }

    /// The event that was extracted last, and is [`crate::event::Recurs::Open`], is judged: its like is settled or, with `None`, is to
    /// be judged each time.
    pub fn judged(&mut self, settled: Option<Settled>) {
        self.scratch.judged(settled);
    }

    /// Enriches an event whose fields are known already, as [`Self::extract`] does after parsing.
    pub fn enrich(&mut self, sheet: Sheet<'_>) {
        let Sheet { raw, arena, draft, oddities } = sheet;
        let wanted = self.wanted.get(draft.kind.index()).copied().unwrap_or_default();
        self.enricher.enrich(raw, arena, draft, wanted, oddities);
    }

    /// Reads an event of a batch again with all its fields and shows it to `look`. An event that was accepted once is
    /// accepted again; should it not be, `look` is not called.
    pub fn full(&mut self, batch: &EventBatch, event: &BatchEvent, look: impl FnOnce(EventView<'_>)) {
        let (mut raw, mut arena) = (std::mem::take(&mut self.raw), std::mem::take(&mut self.arena));
        let (mut draft, mut oddities) = (std::mem::take(&mut self.draft), std::mem::take(&mut self.oddities));
        raw.clear();
        arena.clear();
        raw.extend_from_slice(batch.text().get(event.record));
        let layout = Layout {
            format: batch.format.unwrap_or(Format::Cef),
            columns: batch.columns.as_deref(),
            spool: batch.spool,
        };
        let record = Span::raw(0, raw.len());
        let sheet = Sheet { raw: &raw, arena: &mut arena, draft: &mut draft, oddities: &mut oddities };
        if self.extract(layout, record, Extract::All, sheet).is_ok() {
            look(EventView { draft: &draft, text: Text { raw: &raw, arena: &arena } });
        }
        (self.raw, self.arena, self.draft, self.oddities) = (raw, arena, draft, oddities);
    }
}
