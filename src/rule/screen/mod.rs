//! Judges an event by all rules and models at once: those that can hold are found by hash, flag and literal search, and
//! only they are judged.
//!
//! Gives exactly the rules and models whose condition holds. Rules with the same condition share one judgement. What asks for
//! nothing but how a program was started is judged once for each way of starting one.

mod finder;
mod grouping;
mod slots;

use super::Rule;
use super::condition::Condition;
use super::scratch::Scratch;
use crate::batch::{Hit, Training};
use crate::event::{EventType, EventView, Field, FieldSet, Recurs};
use crate::memo::{Look, Memo, Texts};
use crate::model::ModelSpec;
use finder::Finder;
use grouping::Grouping;
use slots::{ModelSlot, RuleSlot};
use std::sync::Arc;

/// All enabled rules and all models, arranged for judging.
#[derive(Debug)]
pub struct Screen {
    groups: Vec<Group>,
    kinds: Vec<KindScreen>,
}

/// Whoever judges events by a screen: its buffers, and what it has judged before.
#[derive(Debug)]
pub struct Judge {
    screen: Arc<Screen>,
    scratch: Scratch,
    /// The groups that held.
    memo: Memo<(), u32>,
}

/// Rules and models that share a condition, or an alternative of one.
#[derive(Debug)]
struct Group {
    condition: Condition,
    /// Fields that must be there for the condition to hold.
    required: FieldSet,
    rules: Vec<RuleSlot>,
    models: Vec<ModelSlot>,
}

/// Bits of groups.
type Mask = Box<[u64]>;

/// What can hold for events of one type.
#[derive(Debug, Default)]
struct KindScreen {
    /// Groups that ask for what recurs from event to event, and the fields that they ask for. None where no condition reads the
    /// command line: judging is quicker than remembering then.
    recurring: Option<Recurring>,
    /// All others, if there are any.
    others: Option<Finder>,
    wanted: FieldSet,
    reads_command: bool,
}

/// Bytes in one half of what a worker has judged before: some 3,000 ways to start a program.
const MEMO_BYTES: usize = 512 * 1024;

/// Groups that ask for what recurs.
#[derive(Debug)]
struct Recurring {
    finder: Finder,
    /// What they ask for, and what of it the number of a program does not say.
    asked: Vec<Field>,
    besides: Vec<Field>,
    /// Groups of the event type that ask for more.
    open: Vec<u32>,
}

/// What came of judging an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its command line is too long to be judged whole.
    pub is_truncated: bool,
    /// No group holds that asks for what recurs, and there are some.
    pub is_of_no_concern: bool,
}

impl Screen {
    /// Arranges the enabled rules and the models. Indices in hits and trainings are those of the slices.
    pub fn new(rules: &[Rule], models: &[ModelSpec]) -> Screen {
        let mut grouping = Grouping::default();
        for (index, rule) in rules.iter().enumerate().filter(|(_, r)| r.judges()) {
            let slot = RuleSlot::of(index, rule, models);
            for alternative in rule.condition.alternatives() {
                grouping.join(&alternative, &rule.events, slot.reads(rule), |g| g.rules.push(slot));
            }
        }
        for (index, model) in models.iter().enumerate() {
            let slot = ModelSlot::of(index, model);
            for alternative in model.condition.alternatives() {
                grouping.join(&alternative, &model.events, slot.reads(), |g| g.models.push(slot));
            }
        }
        grouping.finish()
    }

    /// Fields that some enabled rule or model of each event type reads, and those that the screen looks up itself.
    pub fn wanted(&self) -> [FieldSet; EventType::COUNT] {
        let mut wanted = [FieldSet::default(); EventType::COUNT];
        for (slot, kind) in wanted.iter_mut().zip(&self.kinds) {
            *slot = kind.wanted;
        }
        wanted
    }
}

impl Judge {
    /// Judges by a screen; of command lines longer than `max_command_chars` characters, only head and tail.
    pub fn new(screen: Arc<Screen>, max_command_chars: usize) -> Judge {
        Judge { screen, scratch: Scratch::new(max_command_chars), memo: Memo::new(MEMO_BYTES) }
    }

    /// Appends the hits (by rule index) and trainings (by model index) of an event that is not settled.
    #[inline]
    pub fn judge(&mut self, event: EventView<'_>, hits: &mut Vec<Hit>, trainings: &mut Vec<Training>) -> Judged {
        let Judge { screen, scratch, memo } = self;
        let mut judged = Judged { is_truncated: false, is_of_no_concern: false };
        let Some(kind) = screen.kinds.get(event.draft.kind.index()) else { return judged };
        scratch.begin();
        let mut found = Found { groups: &screen.groups, event, from: (hits.len(), trainings.len()), hits, trainings };
        if let Some(recurring) = &kind.recurring {
            // What is met for the first time is remembered by whoever may settle it.
            let is_open = event.draft.recurs == Recurs::Open;
            let look = if is_open { Look::Nothing } else { memo.look(|texts| recurring.put(event, texts)) };
            judged.is_of_no_concern = match look {
                Look::Known(answer) => {
                    let held = memo.more(answer);
                    held.iter().for_each(|at| found.add(*at));
                    held.is_empty()
                }
                Look::Nothing => found.search(&recurring.finder, scratch),
                Look::New(question) => {
                    let is_nothing = found.search(&recurring.finder, scratch);
                    memo.keep(question, (), &scratch.held);
                    is_nothing
                }
            };
        }
        if let Some(finder) = &kind.others {
            found.search(finder, scratch);
        }
        found.sort();
        judged.is_truncated = kind.reads_command && scratch.truncated(event);
        judged
    }

    /// Whether no group can hold for the like of an event that was judged just now, and was of no concern to those that ask for what
    /// recurs: whatever the fields say that do not.
    pub fn settles(&mut self, event: EventView<'_>) -> bool {
        let Judge { screen, scratch, .. } = self;
        let recurring = screen.kinds.get(event.draft.kind.index()).and_then(|kind| kind.recurring.as_ref());
        recurring.is_some_and(|recurring| {
            let groups = recurring.open.iter().filter_map(|at| screen.groups.get(*at as usize));
            groups.into_iter().all(|g| !g.condition.quick().outlook(event, FieldSet::RECURRING, scratch).holds)
        })
    }
}

impl Recurring {
    /// All that the groups ask of an event.
    #[inline]
    fn put(&self, event: EventView<'_>, texts: &mut Texts<'_>) {
        let draft = event.draft;
        texts.mark(&[draft.kind as u8, draft.flags.0]);
        texts.mark(&draft.program.to_le_bytes());
        let fields = if draft.program == 0 { &self.asked } else { &self.besides };
        fields.iter().for_each(|field| texts.add(event.get(*field).unwrap_or_default()));
    }
}

/// What an event has given so far.
struct Found<'a, 'e> {
    groups: &'a [Group],
    event: EventView<'e>,
    /// Where the event's own hits and trainings begin.
    from: (usize, usize),
    hits: &'a mut Vec<Hit>,
    trainings: &'a mut Vec<Training>,
}

impl Found<'_, '_> {
    /// Adds what the groups give that a finder finds and that hold; they are left in the scratch. Whether there is none.
    #[inline]
    fn search(&mut self, finder: &Finder, scratch: &mut Scratch) -> bool {
        scratch.held.clear();
        if !finder.find(self.event, scratch) {
            return true;
        }
        let (candidates, mut held) = (std::mem::take(&mut scratch.candidates), std::mem::take(&mut scratch.held));
        for (word, bits) in candidates.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(group) = self.groups.get(at) else { continue };
                let there = self.event.draft.present.0 & group.required.0 == group.required.0;
                if there && group.condition.quick().holds(self.event, scratch) {
                    held.push(at as u32);
                    self.add(at as u32);
                }
            }
        }
        (scratch.candidates, scratch.held) = (candidates, held);
        scratch.held.is_empty()
    }

    /// Adds what a group gives that holds.
    fn add(&mut self, at: u32) {
        let Some(group) = self.groups.get(at as usize) else { return };
        let (first_hit, first_training) = self.from;
        // Another alternative of the same rule may have held before.
        for rule in &group.rules {
            let seen = self.hits.get(first_hit..).is_some_and(|new| new.iter().any(|h| h.rule == rule.index));
            self.hits.extend(if seen { None } else { rule.hit(self.event) });
        }
        for model in &group.models {
            let new = self.trainings.get(first_training..);
            let seen = new.is_some_and(|new| new.iter().any(|t| t.model == model.index));
            self.trainings.extend(if seen { None } else { model.training(self.event) });
        }
    }

    fn sort(self) {
        let (first_hit, first_training) = self.from;
        if let Some(new) = self.hits.get_mut(first_hit..) {
            new.sort_unstable_by_key(|h| h.rule);
        }
        if let Some(new) = self.trainings.get_mut(first_training..) {
            new.sort_unstable_by_key(|t| t.model);
        }
    }
}

fn mark(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

/// Whether a rule's stateless part fires, given that its condition holds: what it counts or adds up must be there.
pub fn hit_of(index: usize, rule: &Rule, models: &[ModelSpec], event: EventView<'_>) -> Option<Hit> {
    RuleSlot::of(index, rule, models).hit(event)
}

#[cfg(test)]
mod tests;
