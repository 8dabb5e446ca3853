//! Judges an event by all rules and models at once: those that can hold are found by hash, flag and literal search, and
//! only they are judged.
//!
//! Gives exactly the rules and models whose condition holds. Rules with the same condition share one judgement.

use super::anchor::{self, Atom};
use super::condition::Condition;
use super::literals::LiteralSet;
use super::scratch::Scratch;
use super::sieve::Sieve;
use super::{EntityKind, Rule, Verdict};
use crate::batch::{Hit, Training};
use crate::event::{EventType, EventView, Field, FieldSet, Flag, Span};
use crate::model::ModelSpec;
use std::collections::{BTreeMap, HashMap};

/// All enabled rules and all models, arranged for judging.
#[derive(Debug)]
pub struct Screen {
    groups: Vec<Group>,
    kinds: Vec<KindScreen>,
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

/// What a hit of a rule is made of.
#[derive(Clone, Copy, Debug)]
struct RuleSlot {
    index: u16,
    per: Option<Field>,
    amount: Option<Field>,
    feature: Option<Field>,
}

/// What a training of a model is made of.
#[derive(Clone, Copy, Debug)]
struct ModelSlot {
    index: u16,
    feature: Field,
    once_per: Option<Field>,
}

/// Bits of groups.
type Mask = Box<[u64]>;

/// What the names of images are looked up in: nearly none of them is there.
#[derive(Debug)]
struct Names {
    sieve: Sieve,
    named: HashMap<Box<[u8]>, Named, foldhash::fast::RandomState>,
}

impl Names {
    #[inline]
    fn get(&self, name: &[u8]) -> Option<&Named> {
        if self.sieve.passes(name) { self.named.get(name) } else { None }
    }
}

/// Groups that are found by one name.
#[derive(Debug)]
struct Named {
    /// Those for which the name is enough.
    mask: Mask,
    /// Those that ask for a literal on the command line besides.
    on_line: Option<LiteralSet>,
}

/// What can hold for events of one type.
#[derive(Debug)]
struct KindScreen {
    /// Groups without an anchor.
    always: Mask,
    images: Names,
    parents: Names,
    flags: Vec<(Flag, Mask)>,
    literals: Vec<(Field, LiteralSet)>,
    line_literals: Option<LiteralSet>,
    wanted: FieldSet,
    reads_command: bool,
    idle: bool,
}

impl Screen {
    /// Arranges the enabled rules and the models. Indices in hits and trainings are those of the slices.
    pub fn new(rules: &[Rule], models: &[ModelSpec]) -> Screen {
        let mut grouping = Grouping::default();
        for (index, rule) in rules.iter().enumerate().filter(|(_, r)| r.judges()) {
            let slot = RuleSlot::of(index, rule, models);
            let fields = rule_fields(rule, slot);
            for alternative in rule.condition.alternatives() {
                grouping.join(&alternative, &rule.events, fields, |g| g.rules.push(slot));
            }
        }
        for (index, model) in models.iter().enumerate() {
            let slot = ModelSlot { index: index as u16, feature: model.feature, once_per: model.once_per };
            let mut fields = FieldSet::of(model.feature);
            model.once_per.into_iter().for_each(|f| fields.insert(f));
            for alternative in model.condition.alternatives() {
                grouping.join(&alternative, &model.events, fields, |g| g.models.push(slot));
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

    /// Appends the hits (by rule index) and trainings (by model index) of an event. Returns whether its command line was
    /// too long to be judged whole.
    #[inline]
    pub fn judge(
        &self,
        event: EventView<'_>,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
        trainings: &mut Vec<Training>,
    ) -> bool {
        let Some(kind) = self.kinds.get(event.draft.kind.index()).filter(|k| !k.idle) else { return false };
        scratch.begin();
        if kind.find_candidates(event, scratch) {
            self.judge_candidates(event, scratch, hits, trainings);
        }
        kind.reads_command && scratch.truncated(event)
    }

    fn judge_candidates(
        &self,
        event: EventView<'_>,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
        trainings: &mut Vec<Training>,
    ) {
        let (first_hit, first_training) = (hits.len(), trainings.len());
        let candidates = std::mem::take(&mut scratch.candidates);
        for (word, bits) in candidates.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(group) = self.groups.get(at) else { continue };
                let there = event.draft.present.0 & group.required.0 == group.required.0;
                if there && group.condition.quick().holds(event, scratch) {
                    // Another alternative of the same rule may have held before.
                    for rule in &group.rules {
                        let seen = hits.get(first_hit..).is_some_and(|new| new.iter().any(|h| h.rule == rule.index));
                        hits.extend(if seen { None } else { rule.hit(event) });
                    }
                    for model in &group.models {
                        let new = trainings.get(first_training..);
                        let seen = new.is_some_and(|new| new.iter().any(|t| t.model == model.index));
                        trainings.extend(if seen { None } else { model.training(event) });
                    }
                }
            }
        }
        scratch.candidates = candidates;
        if let Some(new) = hits.get_mut(first_hit..) {
            new.sort_unstable_by_key(|h| h.rule);
        }
        if let Some(new) = trainings.get_mut(first_training..) {
            new.sort_unstable_by_key(|t| t.model);
        }
    }
}

impl KindScreen {
    /// Marks the groups that can hold; false when there are none.
    #[inline]
    fn find_candidates(&self, event: EventView<'_>, scratch: &mut Scratch) -> bool {
        let mut candidates = std::mem::take(&mut scratch.candidates);
        candidates.clear();
        candidates.extend_from_slice(&self.always);
        for (names, field) in [(&self.images, Field::Image), (&self.parents, Field::ParentImage)] {
            if !names.named.is_empty()
                && let Some(named) = event.get(field).and_then(|name| names.get(name))
            {
                add(&mut candidates, &named.mask);
                if let Some(set) = &named.on_line
                    && let Some(text) = scratch.prepared(event)
                {
                    set.search_prepared(text, |group| mark(&mut candidates, group));
                }
            }
        }
        if event.draft.flags.0 != 0 {
            for (flag, mask) in &self.flags {
                if event.draft.flags.has(*flag) {
                    add(&mut candidates, mask);
                }
            }
        }
        for (field, set) in &self.literals {
            if let Some(text) = event.get(*field) {
                set.search(text, &mut scratch.lower, |group| mark(&mut candidates, group));
            }
        }
        if let Some(set) = &self.line_literals
            && let Some(text) = scratch.prepared(event)
        {
            set.search_prepared(text, |group| mark(&mut candidates, group));
        }
        let any = candidates.iter().any(|word| *word != 0);
        scratch.candidates = candidates;
        any
    }
}

fn add(bits: &mut [u64], more: &[u64]) {
    for (word, extra) in bits.iter_mut().zip(more) {
        *word |= extra;
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

impl RuleSlot {
    fn of(index: usize, rule: &Rule, models: &[ModelSpec]) -> RuleSlot {
        let amount = match &rule.verdict {
            Verdict::Sum { amount, .. } => Some(*amount),
            _ => None,
        };
        let model = match &rule.verdict {
            Verdict::First { model } | Verdict::Abnormal { model, .. } | Verdict::Top { model, .. } => Some(*model),
            Verdict::Always | Verdict::Sum { .. } => None,
        };
        let feature = model.and_then(|m| models.get(usize::from(m))).map(|m| m.feature);
        RuleSlot { index: index as u16, per: rule.per, amount, feature }
    }

    fn hit(&self, event: EventView<'_>) -> Option<Hit> {
        // A model cannot judge a value that is not there.
        if self.feature.is_some_and(|f| !event.draft.present.contains(f)) {
            return None;
        }
        let amount = match self.amount {
            Some(field) => event.number(field).filter(|n| *n > 0)?,
            None => 0,
        };
        let value = self.per.map_or(Span::EMPTY, |f| event.draft.span(f));
        Some(Hit { rule: self.index, value, amount })
    }
}

impl ModelSlot {
    fn training(&self, event: EventView<'_>) -> Option<Training> {
        event.draft.present.contains(self.feature).then(|| Training {
            model: self.index,
            value: event.draft.span(self.feature),
            once: self.once_per.map_or(Span::EMPTY, |f| event.draft.span(f)),
        })
    }
}

/// Fields that a rule reads besides its condition.
fn rule_fields(rule: &Rule, slot: RuleSlot) -> FieldSet {
    let mut fields = FieldSet::default();
    for field in [slot.per, slot.amount, slot.feature].into_iter().flatten() {
        fields.insert(field);
    }
    match rule.entity {
        EntityKind::User => {
            fields.insert(Field::UserKey);
            if rule.scores(false) == EntityKind::Host {
                fields.insert(Field::HostKey);
            }
        }
        EntityKind::Host => fields.insert(Field::HostKey),
        EntityKind::Group | EntityKind::Agent => {}
    }
    fields
}

/// Collects groups and then builds what finds them.
#[derive(Default)]
struct Grouping {
    groups: Vec<(Group, Vec<EventType>, FieldSet)>,
    /// Group by what the condition says and the event types: equal conditions print alike.
    known: BTreeMap<(String, Vec<EventType>), usize>,
}

impl Grouping {
    /// Lets a rule or model join the group of its condition and event types; `fields` are what it reads besides.
    fn join(&mut self, condition: &Condition, events: &[EventType], fields: FieldSet, join: impl FnOnce(&mut Group)) {
        let kinds: Vec<EventType> =
            EventType::ALL.iter().copied().filter(|k| events.iter().any(|e| k.is_a(*e))).collect();
        let key = (format!("{:?}", condition.quick()), kinds.clone());
        let next = self.groups.len();
        let at = *self.known.entry(key).or_insert(next);
        if at == next {
            let required = condition.quick().must_have();
            let group = Group { condition: condition.clone(), required, rules: Vec::new(), models: Vec::new() };
            self.groups.push((group, kinds, condition.reads()));
        }
        if let Some((group, _, wanted)) = self.groups.get_mut(at) {
            *wanted = wanted.union(fields);
            join(group);
        }
    }

    fn finish(self) -> Screen {
        let kinds = EventType::ALL.iter().map(|kind| self.kind(*kind)).collect();
        Screen { groups: self.groups.into_iter().map(|(group, ..)| group).collect(), kinds }
    }

    fn kind(&self, kind: EventType) -> KindScreen {
        let words = self.groups.len().div_ceil(64);
        let mut screen = KindScreen::new(words);
        let (mut images, mut parents) = (NamesBuilder::default(), NamesBuilder::default());
        let mut literals: BTreeMap<Field, Literals> = BTreeMap::new();
        for (at, (group, kinds, wanted)) in self.groups.iter().enumerate() {
            if !kinds.contains(&kind) {
                continue;
            }
            screen.idle = false;
            screen.wanted = screen.wanted.union(*wanted);
            let Some(anchor) = anchor::of(group.condition.quick()) else {
                mark(&mut screen.always, at);
                continue;
            };
            let on_line = anchor::on_line(group.condition.quick());
            for atom in anchor.atoms {
                match atom {
                    Atom::Image(name) => images.add(name, at, on_line.as_deref()),
                    Atom::ParentImage(name) => parents.add(name, at, on_line.as_deref()),
                    Atom::Within(field, text) => literals.entry(field).or_default().entry(text).or_default().push(at),
                    Atom::Flag(flag) => screen.add_flag(flag, at, words),
                }
            }
        }
        screen.images = images.finish(words);
        screen.parents = parents.finish(words);
        for (field, texts) in literals {
            screen.add_literals(field, &texts);
        }
        screen.looks_up();
        screen
    }
}

/// Groups by the literals of which they need one.
type Literals = BTreeMap<Vec<u8>, Vec<usize>>;

fn compile(literals: &Literals) -> Option<LiteralSet> {
    let list: Vec<(Vec<u8>, Vec<usize>)> =
        literals.iter().map(|(text, groups)| (text.clone(), groups.clone())).collect();
    LiteralSet::new(&list)
}

/// Collects groups by a name: those for which it is enough, and those that need a literal besides.
#[derive(Default)]
struct NamesBuilder(BTreeMap<Vec<u8>, (Vec<usize>, Literals)>);

impl NamesBuilder {
    fn add(&mut self, name: Vec<u8>, group: usize, on_line: Option<&[Vec<u8>]>) {
        let (plain, literals) = self.0.entry(name).or_default();
        match on_line {
            None => plain.push(group),
            Some(texts) => texts.iter().for_each(|t| literals.entry(t.clone()).or_default().push(group)),
        }
    }

    fn finish(self, words: usize) -> Names {
        let named = |(mut plain, literals): (Vec<usize>, Literals)| {
            let on_line = if literals.is_empty() { None } else { compile(&literals) };
            if on_line.is_none() {
                plain.extend(literals.values().flatten());
            }
            let mut mask: Mask = vec![0; words].into();
            plain.iter().for_each(|group| mark(&mut mask, *group));
            Named { mask, on_line }
        };
        let sieve = Sieve::of(self.0.keys().map(Vec::as_slice));
        Names { sieve, named: self.0.into_iter().map(|(name, groups)| (name.into(), named(groups))).collect() }
    }
}

impl KindScreen {
    fn new(words: usize) -> KindScreen {
        let nobody = || NamesBuilder::default().finish(words);
        KindScreen {
            always: vec![0; words].into(),
            images: nobody(),
            parents: nobody(),
            flags: Vec::new(),
            literals: Vec::new(),
            line_literals: None,
            wanted: FieldSet::default(),
            reads_command: false,
            idle: true,
        }
    }

    fn add_flag(&mut self, flag: Flag, group: usize, words: usize) {
        if !self.flags.iter().any(|(f, _)| *f == flag) {
            self.flags.push((flag, vec![0; words].into()));
        }
        if let Some((_, mask)) = self.flags.iter_mut().find(|(f, _)| *f == flag) {
            mark(mask, group);
        }
    }

    fn add_literals(&mut self, field: Field, literals: &Literals) {
        match compile(literals) {
            Some(set) if field == Field::CommandLine => self.line_literals = Some(set),
            Some(set) => self.literals.push((field, set)),
            // Too many to search for: judge their groups always.
            None => literals.values().flatten().for_each(|group| mark(&mut self.always, *group)),
        }
    }

    /// Adds the fields that finding candidates reads.
    fn looks_up(&mut self) {
        self.reads_command = self.wanted.contains(Field::CommandLine);
        if !self.images.named.is_empty() {
            self.wanted.insert(Field::Image);
        }
        if !self.parents.named.is_empty() {
            self.wanted.insert(Field::ParentImage);
        }
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
