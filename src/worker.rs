//! A worker: a batch of whole records in, a batch of screened events out. Stateless; any number may run.

use crate::batch::{BatchEvent, EventBatch, Format, Hit, KeyHasher, RawBatch};
use crate::calendar::Zone;
use crate::event::{Draft, EventType, EventView, Field, FieldSet, Oddity, Recurs, Settled, Span, Text};
use crate::extract::{Extractor, Layout, Sheet};
use crate::parse::{Columns, Extract, ParserTable};
use crate::rule::{Judge, Rule, Screen, Verdict};
use crate::source::{csv_record, empty_lines};
use std::sync::Arc;

/// First bytes kept of a record that the source refused.
const SAMPLE_BYTES: usize = 256;
/// Longest entity key or value, bytes: what is longer keeps its head and gets a hash for the rest.
const MAX_KEY_BYTES: usize = 256;
const KEY_HEAD_BYTES: usize = 200;

/// A rule whose history goes by value: every event of the type is news of the value, whether the rule's condition holds
/// or not.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    rule: u16,
    event: EventType,
    per: Field,
}

impl Visit {
    /// Those of the rules.
    pub fn of(rules: &[Rule]) -> Vec<Visit> {
        let visit = |(index, rule): (usize, &Rule)| match (&rule.verdict, rule.per) {
            (Verdict::Sum { without_history: Some(none), .. }, Some(per)) if none.per_value && rule.enabled => {
                Some(Visit { rule: index as u16, event: none.event, per })
            }
            _ => None,
        };
        rules.iter().enumerate().filter_map(visit).collect()
    }
}

/// Screens batches.
pub struct Worker {
    extractor: Extractor,
    judge: Judge,
    zone: Zone,
    hasher: KeyHasher,
    draft: Draft,
    visits: Vec<Visit>,
    /// The header that was read last and its columns: batches of a file share it.
    header: Option<(Arc<[u8]>, Arc<Columns>)>,
}

impl Worker {
    /// A worker. `zone` is where days begin; longer command lines than `max_command_chars` are judged on head and tail.
    pub fn new(
        extractor: Extractor,
        screen: Arc<Screen>,
        zone: Zone,
        hasher: KeyHasher,
        max_command_chars: usize,
        visits: Vec<Visit>,
    ) -> Worker {
        Worker {
            extractor,
            judge: Judge::new(screen, max_command_chars),
            zone,
            hasher,
            draft: Draft::default(),
            visits,
            header: None,
        }
    }

    /// Screens a batch into a (recycled) event batch.
    pub fn screen(&mut self, batch: RawBatch, parsers: &ParserTable, mut out: EventBatch) -> EventBatch {
        out.reset(&batch);
        out.columns = self.columns(&batch, parsers);
        let RawBatch { data, offset, line, refused, skipped, format, leading_header, remember, is_ascii, .. } = batch;
        out.remember = Some(remember);
        out.tally.bytes += skipped;
        for r in refused {
            out.tally.bytes += r.bytes;
            out.tally.records += 1;
            out.tally.rejects.add(r.reason.index(), 1);
            let start = out.arena.len();
            out.arena.extend_from_slice(r.sample.get(..SAMPLE_BYTES).unwrap_or(&r.sample));
            out.rejected.push((r.line, r.reason, Span::arena(start, out.arena.len())));
        }
        out.tally.bytes += data.len() as u64;
        out.raw = data;
        if let Some(format) = format {
            self.records(&mut out, format, is_ascii, offset, line, leading_header);
        }
        out
    }

    /// Screens an event that never was a record: `fields` are what a parser would have made of one. For tests of content.
    pub fn screen_fields(&mut self, kind: EventType, time_ms: i64, fields: &[(Field, String)], out: &mut EventBatch) {
        let mut raw = std::mem::take(&mut out.raw);
        self.draft.clear();
        (self.draft.kind, self.draft.time_ms) = (kind, time_ms);
        for (field, value) in fields {
            self.draft.append(*field, value, &mut raw);
        }
        let sheet =
            Sheet { raw: &raw, arena: &mut out.arena, draft: &mut self.draft, oddities: &mut out.tally.oddities };
        self.extractor.enrich(sheet);
        self.event(out, &raw, Span::EMPTY, 0, 1);
        out.raw = raw;
    }

    fn columns(&mut self, batch: &RawBatch, parsers: &ParserTable) -> Option<Arc<Columns>> {
        let header = batch.header.as_ref()?;
        if let Some((known, columns)) = &self.header
            && (Arc::ptr_eq(known, header) || known == header)
        {
            return Some(Arc::clone(columns));
        }
        let columns = Arc::new(parsers.csv_header(trim_line_end(header))?);
        self.header = Some((Arc::clone(header), Arc::clone(&columns)));
        Some(columns)
    }

    fn records(
        &mut self,
        out: &mut EventBatch,
        format: Format,
        is_ascii: bool,
        offset: u64,
        mut line: u64,
        mut header: bool,
    ) {
        let raw = std::mem::take(&mut out.raw);
        let all_valid = is_ascii || simdutf8::basic::from_utf8(&raw).is_ok();
        let mut at = 0;
        while let Some(rest) = raw.get(at..).filter(|r| !r.is_empty()) {
            let blank = if header { 0 } else { empty_lines(rest) };
            if blank > 0 {
                out.tally.records += blank as u64;
                out.tally.blank += blank as u64;
                at += blank;
                line += blank as u64;
                continue;
            }
            let (len, lines) = match format {
                Format::Cef => (memchr::memchr(b'\n', rest).map_or(rest.len(), |i| i + 1), 1),
                Format::Csv => csv_record(rest),
            };
            let text = trim_line_end(rest.get(..len).unwrap_or_default());
            out.tally.records += 1;
            if std::mem::take(&mut header) {
                out.tally.headers += 1;
            } else if text.trim_ascii().is_empty() {
                out.tally.blank += 1;
            } else {
                let record = Span::raw(at, at + text.len());
                self.record(out, &raw, record, all_valid, format, offset + at as u64, line);
            }
            at += len;
            line += lines;
        }
        out.raw = raw;
    }

    #[allow(clippy::too_many_arguments)] // one record's place, text and format: they have no life of their own
    #[inline]
    fn record(
        &mut self,
        out: &mut EventBatch,
        raw: &[u8],
        record: Span,
        valid: bool,
        format: Format,
        offset: u64,
        line: u64,
    ) {
        let record = if valid { record } else { replace_invalid(raw, record, out) };
        let columns = out.columns.take();
        let layout = Layout { format, columns: columns.as_deref(), spool: out.spool };
        let sheet = Sheet { raw, arena: &mut out.arena, draft: &mut self.draft, oddities: &mut out.tally.oddities };
        let outcome = self.extractor.extract(layout, record, Extract::Wanted, sheet);
        out.columns = columns;
        match outcome {
            Ok(parser) => {
                out.parsers.add(usize::from(parser), 1);
                self.event(out, raw, record, offset, line);
            }
            Err(reason) => {
                out.tally.rejects.add(reason.index(), 1);
                out.rejected.push((line, reason, record));
            }
        }
    }

    #[inline]
    fn event(&mut self, out: &mut EventBatch, raw: &[u8], record: Span, offset: u64, line: u64) {
        let draft = &self.draft;
        out.tally.events.add(draft.kind.index(), 1);
        let (hits, trainings) = (out.hits.len(), out.trainings.len());
        let settled = match draft.recurs {
            Recurs::Settled(settled) => settled,
            recurs => {
                let view = EventView { draft, text: Text { raw, arena: &out.arena } };
                let judged = self.judge.judge(view, &mut out.hits, &mut out.trainings);
                let present = FieldSet(draft.present.0 & FieldSet::RECURRING.0);
                let settled = Settled { present, is_truncated: judged.is_truncated };
                if recurs == Recurs::Open {
                    let is_visit = self.visits.iter().any(|visit| draft.kind.is_a(visit.event));
                    let settles = judged.is_of_no_concern && !is_visit && self.judge.settles(view);
                    self.extractor.judged(settles.then_some(settled));
                }
                settled
            }
        };
        if settled.is_truncated {
            out.tally.oddities.add(Oddity::TruncatedCommandLine.index(), 1);
        }
        if let Some(carried) = out.carried.get_mut(draft.kind.index()) {
            *carried = carried.union(draft.present).union(settled.present);
        }
        for visit in self.visits.iter().filter(|v| draft.kind.is_a(v.event) && draft.present.contains(v.per)) {
            if out.hits.iter().skip(hits).all(|h| h.rule != visit.rule) {
                out.hits.push(Hit { rule: visit.rule, value: draft.span(visit.per), amount: 0 });
            }
        }
        for hit in out.hits.iter_mut().skip(hits) {
            hit.value = capped(raw, &mut out.arena, hit.value);
        }
        for training in out.trainings.iter_mut().skip(trainings) {
            training.value = capped(raw, &mut out.arena, training.value);
        }
        let user = capped(raw, &mut out.arena, draft.span(Field::UserKey));
        let host = capped(raw, &mut out.arena, draft.span(Field::HostKey));
        let department = capped(raw, &mut out.arena, draft.span(Field::Department));
        let text = Text { raw, arena: &out.arena };
        out.events.push(BatchEvent {
            kind: draft.kind,
            time_ms: draft.time_ms,
            day: self.zone.day_of(draft.time_ms),
            offset,
            line,
            user,
            user_hash: self.hasher.hash(text.get(user)),
            host,
            host_hash: self.hasher.hash(text.get(host)),
            department,
            hits: (hits as u32, out.hits.len() as u32),
            trainings: (trainings as u32, out.trainings.len() as u32),
            record,
        });
    }
}

impl EventBatch {
    fn reset(&mut self, batch: &RawBatch) {
        self.seq = batch.seq;
        self.file = batch.file;
        self.path = Some(Arc::clone(&batch.path));
        self.spool = batch.spool;
        self.format = batch.format;
        self.arena.clear();
        self.events.clear();
        self.hits.clear();
        self.trainings.clear();
        self.rejected.clear();
        self.tally.clear();
        self.parsers.clear();
        self.carried.clear();
        self.carried.resize(EventType::COUNT, FieldSet::default());
    }
}

/// A record with invalid UTF-8 is read with replacement characters, from the arena.
fn replace_invalid(raw: &[u8], record: Span, out: &mut EventBatch) -> Span {
    let text = Text { raw, arena: &[] }.get(record);
    if simdutf8::basic::from_utf8(text).is_ok() {
        return record;
    }
    out.tally.oddities.add(Oddity::InvalidUtf8.index(), 1);
    let start = out.arena.len();
    for chunk in text.utf8_chunks() {
        out.arena.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.arena.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    Span::arena(start, out.arena.len())
}

/// A key as it is, or its head and a hash when it is too long to be kept.
#[inline]
fn capped(raw: &[u8], arena: &mut Vec<u8>, key: Span) -> Span {
    if key.len() <= MAX_KEY_BYTES { key } else { shortened(raw, arena, key) }
}

#[cold]
#[inline(never)]
fn shortened(raw: &[u8], arena: &mut Vec<u8>, key: Span) -> Span {
    let text = Text { raw, arena }.get(key);
    let mut head = KEY_HEAD_BYTES;
    while head > 0 && text.get(head).is_some_and(|b| b & 0xC0 == 0x80) {
        head -= 1;
    }
    let short = text.get(..head).unwrap_or_default().to_vec();
    let hash = blake3::hash(text).to_hex();
    let start = arena.len();
    arena.extend_from_slice(&short);
    arena.push(b'#');
    arena.extend_from_slice(hash.as_bytes().get(..16).unwrap_or_default());
    Span::arena(start, arena.len())
}

fn trim_line_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

#[cfg(test)]
mod settled_tests;
#[cfg(test)]
mod tests;
