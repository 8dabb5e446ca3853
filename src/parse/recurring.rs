//! Records that say again what was judged before: the same programs are started in the same way again and again, by somebody else
//! and at another time. What a record says of that is looked up as it was written, before any field is cut out of it.
//!
//! Exact, like every memo: what is asked are the very texts that the fields would be cut from, and all that decides how they would
//! be cut. Who judges events says which records concerned no rule and no model; of their like only the other fields are filled.

use super::field_map::{Base, FieldSources};
use super::keys::{KeyId, KeySet};
use super::reading::Reading;
use super::scratch::{Form, Scratch};
use crate::event::{Field, FieldSet, Recurs, Settled, Text};
use crate::memo::{self, Look, Memo, Question};

/// Bytes in one half of what is remembered: some 3,000 ways to start a program.
const MEMO_BYTES: usize = 1024 * 1024;
/// Keys of either sort that a plan may read: they are told apart by a byte.
const MOST_KEYS: usize = 128;
/// Stands before the number of a key with JSON, where others have theirs.
const JSON: u8 = u8::MAX;

/// What a plan's fields of [`FieldSet::RECURRING`] are filled from.
#[derive(Clone, Debug)]
pub(super) struct Recurring {
    /// No other plan has the same, so what is remembered is for this one.
    number: u64,
    /// Indices of the wanted fields besides.
    pub others: Vec<u16>,
    reads_header: bool,
    keys: Vec<KeyId>,
    /// Keys with JSON, which hardly recurs. Where one has to be asked, nothing is remembered.
    json: Vec<KeyId>,
    any_json: KeySet,
}

/// What is remembered of records.
#[derive(Debug)]
pub(super) struct Records {
    /// There is no more to an answer. (Not `()`: lists of that make the whole program 0.4 MiB larger.)
    memo: Memo<Option<Settled>, u8>,
    /// The present record, if it is new.
    open: Option<Question>,
}

impl Default for Records {
    fn default() -> Self {
        Records { memo: Memo::new(MEMO_BYTES), open: None }
    }
}

impl Records {
    /// The present record is judged: it is settled or, with `None`, to be judged again each time.
    pub fn judged(&mut self, settled: Option<Settled>) {
        if let Some(question) = self.open.take() {
            self.memo.keep(question, settled, &[]);
        }
    }
}

impl Recurring {
    /// Of some wanted fields, by index: `None` where there is no command line among them (they are filled sooner than looked up), or
    /// where one of those that recur is made of another one or the other way round.
    pub fn among(fields: &[FieldSources], wanted: &[u16]) -> Option<Recurring> {
        let field = |index: &u16| fields.get(usize::from(*index));
        let recurs = |index: &u16| field(index).is_some_and(|(field, _)| FieldSet::RECURRING.contains(*field));
        let (mut read, mut of_json) = (KeySet::default(), KeySet::default());
        let (mut reads_header, mut is_apart, mut has_line) = (false, true, false);
        for index in wanted {
            let Some((field, sources)) = field(index) else { continue };
            let recurs = recurs(index);
            has_line |= *field == Field::CommandLine;
            let mut visit = |base: &Base| match base {
                Base::Field(field) => is_apart &= FieldSet::RECURRING.contains(*field) == recurs,
                Base::Key(key) if recurs => read.insert(*key),
                Base::Json { keys, .. } if recurs => keys.iter().for_each(|key| of_json.insert(*key)),
                Base::Header(_) if recurs => reads_header = true,
                _ => {}
            };
            sources.iter().for_each(|source| source.visit(&mut |source| visit(&source.base)));
        }
        let others = wanted.iter().filter(|index| !recurs(index)).copied().collect();
        let keys: Vec<KeyId> = read.iter().filter(|key| !of_json.contains(*key)).collect();
        let json: Vec<KeyId> = of_json.iter().collect();
        let fits = has_line && is_apart && keys.len() <= MOST_KEYS && json.len() <= MOST_KEYS;
        fits.then(|| Recurring { number: memo::number(), others, reads_header, keys, json, any_json: of_json })
    }
}

impl Reading<'_, '_> {
    /// Looks up what recurs of the record, before anything is filled; whether it is settled.
    #[inline]
    pub(super) fn is_settled(&mut self, recurring: &Recurring) -> bool {
        let scratch = &mut *self.work.scratch;
        scratch.records.open = None;
        if scratch.has_doubled() {
            return false;
        }
        let header = self.header.filter(|_| recurring.reads_header);
        let forms = [scratch.form as u8, header.map_or(Form::Plain, |header| header.form) as u8];
        let text = Text { raw: self.work.raw, arena: self.work.arena };
        let Scratch { records, seen, raw, .. } = scratch;
        let look = records.memo.look(|texts| {
            texts.mark(&recurring.number.to_le_bytes());
            texts.mark(&forms);
            texts.add(header.map_or(&[], |header| text.get(header.text)));
            for (n, key) in recurring.keys.iter().enumerate().filter(|(_, key)| seen.contains(**key)) {
                texts.mark(&[n as u8]);
                texts.add(raw.get(usize::from(*key)).map_or(&[], |span| text.get(*span)));
            }
            if recurring.any_json.meets(seen) {
                let there = recurring.json.iter().enumerate().filter(|(_, key)| seen.contains(**key));
                there.for_each(|(n, _)| texts.mark(&[JSON, n as u8]));
            }
        });
        match look {
            Look::Known(answer) => {
                let Some(settled) = answer.note else {
                    records.memo.was_of_no_use();
                    return false;
                };
                self.work.draft.recurs = Recurs::Settled(settled);
                true
            }
            Look::New(question) => {
                records.open = Some(question);
                false
            }
            Look::Nothing => false,
        }
    }

    /// The fields of a record that is not settled are filled: it may become so, if its like would have been filled in the same way.
    pub(super) fn may_settle(&mut self, recurring: &Recurring) {
        let scratch = &mut *self.work.scratch;
        if self.asked_json || recurring.json.iter().any(|key| scratch.decoded(*key).is_some()) {
            scratch.records.open = None;
        }
        if scratch.records.open.is_some() {
            self.work.draft.recurs = Recurs::Open;
        }
    }
}
