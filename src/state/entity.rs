//! One entity: a user, a host, a peer group or the agent, with its histories and model instances.
//!
//! What almost every event asks for stands in 48 bytes; what was learned about an entity, behind it: in memory, or in the store
//! alone, with an outline of it in memory.

use super::departments::DepartmentId;
use super::entity_key::EntityKey;
use crate::alert::EntityKind;
use crate::calendar::Day;
use crate::model::days::DaySet;
use crate::model::histogram::Instance;

/// Days of one value: event type, value, days.
pub type ValueHistory = (u8, Box<[u8]>, DaySet);

/// A model's index and its instance.
pub type OfModel = (u16, Instance);

/// A sum: rule, day, value, total.
pub type Sum = (u16, Day, Box<[u8]>, u64);

/// What has trained a model on a day: model, day, sorted hashes.
pub type Once = (u16, Day, Vec<u64>);

/// One entity. There may be millions, so none of its 48 bytes is wasted.
#[derive(Debug)]
pub struct Entity {
    /// Lower-case key.
    pub key: EntityKey,
    /// `None` where nothing was learned, and where the store alone has it.
    known: Option<Box<Knowledge>>,
    /// Latest event day, or [`NEVER`]; never goes back.
    latest: Day,
    /// The day that was last noted in the history, or [`NEVER`], and the event types (as bits): the quick answer for almost
    /// every event.
    noted_day: Day,
    noted_types: u16,
    /// Kind.
    pub kind: EntityKind,
    marks: Marks,
    /// Department last seen (users).
    pub(super) department: DepartmentId,
}

/// No day.
const NEVER: Day = Day::MIN;

/// What an entity is marked with, as bits.
#[derive(Clone, Copy, Debug, Default)]
struct Marks(u8);

/// One of the marks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// An event was about it since this was looked at last.
    Met = 1,
    /// Its record has to be written.
    Dirty = 2,
    /// It stands in the list of those that have changed.
    Queued = 4,
    /// The store alone has what was learned about it.
    Away = 8,
}

/// What was learned about an entity.
#[derive(Debug)]
pub struct Knowledge {
    /// Days with events by event type.
    pub history: Vec<(u8, DaySet)>,
    /// The same for single values, sorted.
    pub history_by_value: Vec<ValueHistory>,
    /// Sums of open days, sorted.
    pub sums: Vec<Sum>,
    /// What has trained a model: model, day, sorted hashes.
    pub once: Vec<Once>,
    /// Instances by model.
    pub instances: Vec<OfModel>,
    /// Its size in memory when it was written last, bytes.
    pub(super) bytes: u32,
    /// The number of the drain that wrote it last; 0 when it is as it was read.
    pub(super) drained: u64,
}

impl Knowledge {
    const NONE: Knowledge = Knowledge {
        history: Vec::new(),
        history_by_value: Vec::new(),
        sums: Vec::new(),
        once: Vec::new(),
        instances: Vec::new(),
        bytes: 0,
        drained: 0,
    };

    /// About how much memory it takes, bytes.
    pub(super) fn measure(&self) -> u32 {
        let days: usize = self.history.iter().map(|h| SMALL + h.1.size()).sum();
        let values: usize = self.history_by_value.iter().map(|h| 2 * SMALL + h.1.len() + h.2.size()).sum();
        let sums: usize = self.sums.iter().map(|s| 2 * SMALL + s.2.len()).sum();
        let once: usize = self.once.iter().map(|o| 2 * SMALL + o.2.len() * 8).sum();
        let instances: usize = self.instances.iter().map(|i| i.1.measure()).sum();
        let all = size_of::<Knowledge>() + days + values + sums + once + instances;
        u32::try_from(all).unwrap_or(u32::MAX)
    }
}

/// What an entry of a list costs with its share of memory that is not used, bytes.
const SMALL: usize = 32;

static NOTHING: Knowledge = Knowledge::NONE;

impl Entity {
    /// One of which nothing is known yet.
    pub(super) fn new(kind: EntityKind, key: &[u8]) -> Entity {
        let marks = Marks(Mark::Met as u8);
        let (known, department) = (None, 0);
        Entity { key: key.into(), known, latest: NEVER, noted_day: NEVER, noted_types: 0, kind, marks, department }
    }

    /// Latest event day.
    #[inline]
    pub fn latest(&self) -> Option<Day> {
        Some(self.latest).filter(|day| *day != NEVER)
    }

    /// Its latest event day becomes another one.
    pub(super) fn set_latest(&mut self, day: Option<Day>) {
        self.latest = day.unwrap_or(NEVER);
    }

    /// Whether these event types (as bits) are those of a day that were noted last.
    #[inline]
    pub fn has_noted(&self, day: Day, types: u16) -> bool {
        self.noted_day == day && self.noted_types & types == types
    }

    /// Event types (as bits) of a day are noted in the history.
    #[inline]
    pub fn has_now_noted(&mut self, day: Day, types: u16) {
        let before = if self.noted_day == day { self.noted_types } else { 0 };
        (self.noted_day, self.noted_types) = (day, before | types);
    }

    /// Whether it is marked so.
    #[inline]
    pub(super) fn is(&self, mark: Mark) -> bool {
        self.marks.0 & mark as u8 != 0
    }

    /// Marks it, or takes the mark away; says whether it was marked.
    #[inline]
    pub(super) fn mark(&mut self, mark: Mark, is: bool) -> bool {
        let before = self.is(mark);
        self.marks.0 = self.marks.0 & !(mark as u8) | if is { mark as u8 } else { 0 };
        before
    }

    /// What was learned about it. Who asks has seen to it that it is in memory.
    #[inline]
    pub fn known(&self) -> &Knowledge {
        debug_assert!(!self.is_away(), "{} is asked for what the store has", self.key.escape_ascii());
        self.known.as_deref().unwrap_or(&NOTHING)
    }

    /// Its kind and key, and its model instances to change.
    pub(super) fn instances_mut(&mut self) -> (EntityKind, &[u8], &mut [OfModel]) {
        let instances = self.known.as_deref_mut().map(|known| known.instances.as_mut_slice());
        (self.kind, &self.key, instances.unwrap_or_default())
    }

    /// What was learned about it, to change. Does not mark its record as changed. Who asks has seen to it that it is in memory.
    pub fn learn(&mut self) -> &mut Knowledge {
        debug_assert!(!self.is_away(), "{} learns while the store has it", self.key.escape_ascii());
        self.known.get_or_insert_with(|| Box::new(Knowledge::NONE))
    }

    /// What was learned about it, if that is in memory and not nothing.
    pub(super) fn here(&mut self) -> Option<&mut Knowledge> {
        self.known.as_deref_mut()
    }

    /// Whether what was learned about it is in the store alone.
    #[inline]
    pub fn is_away(&self) -> bool {
        self.is(Mark::Away)
    }

    /// An event is about it.
    #[inline]
    pub fn meet(&mut self) {
        self.mark(Mark::Met, true);
    }

    /// What was learned about it leaves memory.
    pub(super) fn forget_known(&mut self) {
        self.known = None;
    }

    /// A new day has begun for it: what belongs to days before `oldest_open` leaves.
    pub fn begin_day(&mut self, day: Day, oldest_open: Day) {
        self.latest = day;
        if let Some(known) = self.here() {
            known.sums.retain(|s| s.1 >= oldest_open);
            known.once.retain(|o| o.1 >= oldest_open);
        }
    }

    /// Looks at what was learned about it, if that is in memory, and at nothing behind it.
    #[inline]
    pub fn touch(&self) -> u64 {
        self.known
            .as_deref()
            .map_or(0, |known| known.drained ^ known.history.len() as u64 ^ known.instances.len() as u64)
    }

    /// The instance of a model, if there is one and it is in memory.
    #[inline]
    pub fn near_instance(&self, model: u16) -> Option<&Instance> {
        self.known.as_deref()?.instances.iter().find(|i| i.0 == model).map(|i| &i.1)
    }

    /// The instance of a model, if there is one.
    pub fn instance(&self, model: u16) -> Option<&Instance> {
        self.known().instances.iter().find(|i| i.0 == model).map(|i| &i.1)
    }

    /// Days of an event type in `from..to`.
    pub fn history_days(&self, event: u8, from: Day, to: Day) -> u32 {
        self.known().history.iter().find(|h| h.0 == event).map_or(0, |h| h.1.count(from, to))
    }

    /// Days of an event type in the window that ends with the newest of them.
    pub(super) fn newest_history_days(&self, event: u8, window_days: u32) -> u32 {
        let days = self.known().history.iter().find(|h| h.0 == event).map(|h| &h.1);
        let newest = days.and_then(DaySet::newest);
        newest.map_or(0, |newest| {
            let from = newest.saturating_sub_unsigned(window_days.saturating_sub(1));
            self.history_days(event, from, newest.saturating_add(1))
        })
    }

    /// Notes that a value was met on a day: on how many days from `from` on it was met before that one, and whether another value
    /// had to leave. Of more than `max` values the one met longest ago leaves.
    pub fn note_value(
        &mut self,
        (event, value): (u8, &[u8]),
        (from, day): (Day, Day),
        window_days: u32,
        max: usize,
    ) -> (u32, bool) {
        let place = |all: &[ValueHistory]| all.binary_search_by(|h| (h.0, &*h.1).cmp(&(event, value)));
        let all = &mut self.learn().history_by_value;
        let mut left = false;
        let at = place(all).unwrap_or_else(|mut at| {
            left = all.len() >= max;
            let oldest = |h: &(usize, &ValueHistory)| h.1.2.newest();
            if let (true, Some((oldest, _))) = (left, all.iter().enumerate().min_by_key(oldest)) {
                all.remove(oldest);
                at -= usize::from(oldest < at);
            }
            all.insert(at, (event, value.into(), DaySet::default()));
            at
        });
        let Some((.., days)) = all.get_mut(at) else { return (0, left) };
        let before = days.count(from, day);
        days.insert(day, window_days);
        (before, left)
    }

    /// Adds to the sum of a rule, day and value: the total, and whether another sum had to leave. Of more than `max` sums
    /// the smallest leaves, so that many small ones do not hide a large one.
    pub fn add(&mut self, rule: u16, day: Day, value: &[u8], amount: u64, max: usize) -> (u64, bool) {
        let place = |sums: &[Sum]| sums.binary_search_by(|s| (s.0, s.1, &*s.2).cmp(&(rule, day, value)));
        let sums = &mut self.learn().sums;
        let mut left = false;
        let at = place(sums).unwrap_or_else(|mut at| {
            left = sums.len() >= max;
            let smallest = |s: &(usize, &Sum)| s.1.3;
            if let (true, Some((smallest, _))) = (left, sums.iter().enumerate().min_by_key(smallest)) {
                sums.remove(smallest);
                at -= usize::from(smallest < at);
            }
            sums.insert(at, (rule, day, value.into(), 0));
            at
        });
        let Some(sum) = sums.get_mut(at) else { return (0, left) };
        sum.3 = sum.3.saturating_add(amount);
        (sum.3, left)
    }

    /// Nothing about it is worth a record: no day, no department, nothing learned.
    pub fn is_blank(&self) -> bool {
        let nothing = |known: &Knowledge| known.history.is_empty() && known.instances.is_empty();
        self.latest == NEVER && self.department == 0 && !self.is_away() && self.known.as_deref().is_none_or(nothing)
    }
}
