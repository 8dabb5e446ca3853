//! Detection: one event after the other, score → judge → train, in the order they were read.
//!
//! The only owner of the working set. Time comes from events; the collector's day enters as a number
//! ([`Detector::set_clock`]) and decides nothing but what lies in the future. No I/O.

pub mod absent;
pub mod counted;
mod evidence;
mod history;
mod prevalence;
pub mod services;
mod verdict;
mod warm;
pub mod why_not;

use crate::alert::{Alert, AlertRule, EntityKind};
use crate::batch::{BatchEvent, EventBatch, Remember, Training};
use crate::calendar::{Day, first_of_month};
use crate::config::{DetectionSettings, Limits};
use crate::content::Content;
use crate::enrich::Directory;
use crate::event::{EventType, Span};
use crate::extract::Extractor;
use crate::model::histogram::Place;
use crate::model::{ModelSpec, Scope};
use crate::rule::{Period, Scratch};
use crate::state::State;
use crate::state::entities::EntityId;
use crate::state::record::AgentRecord;
use counted::Counted;
use history::Histories;
use services::{Met, Services};
use std::collections::BTreeMap;
use std::sync::Arc;
use why_not::WhyNot;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What the agent knows of the clock when it judges a batch.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The collector's calendar day.
    pub today: Day,
    /// `detected_at` of new alerts, ms; `None` takes the event's time.
    pub detected_ms: Option<i64>,
}

/// Judges events and learns from them.
pub struct Detector {
    content: Arc<Content>,
    settings: DetectionSettings,
    limits: Limits,
    directory: Option<Arc<Directory>>,
    /// Everything learned.
    pub state: State,
    /// Reads an event again in full when it has to be shown.
    extractor: Extractor,
    /// All alerts up to this number have been delivered by every sink.
    pub delivered: u64,
    clock: Clock,
    /// Event types whose days someone asks for, by entity kind.
    history: Histories,
    scratch: Scratch,
    /// Of the batch in hand.
    found: Vec<Found>,
    questions: Vec<warm::Question>,
    /// Of the event in hand.
    asked: Option<Asked>,
    /// Memory for the key of a peer group.
    group_key: String,
    /// What was done, and what the state had counted before.
    counted: Counted,
    at_start: AgentRecord,
    services: Services,
    /// What alerts say of rules, by index, of those that have fired.
    about: BTreeMap<u16, Arc<AlertRule>>,
    /// Why hits raised nothing, while somebody listens.
    heard: Option<Vec<(u16, WhyNot)>>,
}

/// The slots of an event's entities, where they were known before its batch.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    user: Option<EntityId>,
    host: Option<EntityId>,
}

/// Where a model's instance has the value of the event in hand: rules and training ask for the same.
#[derive(Clone, Copy, Debug)]
struct Asked {
    model: u16,
    scope: EntityId,
    value: Span,
    place: Place,
}

/// An event with the slots of its entities and what its day means for them.
#[derive(Clone, Copy)]
struct Subject<'a> {
    content: &'a Content,
    event: &'a BatchEvent,
    batch: &'a EventBatch,
    user: Option<EntityId>,
    host: Option<EntityId>,
    /// Late for the user, or in the future.
    user_stale: bool,
    /// Late for the host, or in the future.
    host_stale: bool,
}

impl Subject<'_> {
    fn entity(&self, kind: EntityKind) -> Option<EntityId> {
        match kind {
            EntityKind::User => self.user,
            EntityKind::Host => self.host,
            _ => None,
        }
    }
    fn stale(&self, kind: EntityKind) -> bool {
        match kind {
            EntityKind::Host => self.host_stale,
            _ => self.user_stale,
        }
    }
}

impl Detector {
    /// A detector over a restored working set.
    pub fn new(
        content: Arc<Content>,
        settings: DetectionSettings,
        limits: Limits,
        directory: Option<Arc<Directory>>,
        extractor: Extractor,
        state: State,
    ) -> Detector {
        let history = Histories::of(&content);
        let scratch = Scratch::new(limits.max_command_chars);
        let clock = Clock { today: Day::MAX / 2, detected_ms: None };
        let (services, at_start) = (Services::of(&content, &state), state.agent.clone());
        Detector {
            content,
            settings,
            limits,
            directory,
            state,
            extractor,
            delivered: 0,
            clock,
            history,
            scratch,
            found: Vec::new(),
            questions: Vec::new(),
            asked: None,
            group_key: String::new(),
            counted: Counted::default(),
            at_start,
            services,
            about: BTreeMap::new(),
            heard: None,
        }
    }

    /// What was done since the detector was made.
    pub fn counted(&self) -> Counted {
        self.counted.since(&self.at_start, &self.state.agent)
    }

    /// What most users of the newest day met, of what rules say that fire for each user and service.
    pub fn services(&self) -> Vec<Met> {
        self.services.of_day(self.state.agent.newest_day)
    }

    /// The guards of the state have come, after the detector was made. Nothing has been judged yet.
    pub fn guards_are_here(&mut self) {
        self.services = Services::of(&self.content, &self.state);
    }

    /// What the clock says from here on.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Judges a batch and learns from it; new alerts are numbered and appended to `raised`.
    pub fn judge(&mut self, batch: &EventBatch, raised: &mut Vec<(u64, Alert)>) {
        let content = &*Arc::clone(&self.content);
        self.find_entities(batch);
        self.warm(batch);
        let found = std::mem::take(&mut self.found);
        let drops = self.state.entities.drops();
        for (event, found) in batch.events.iter().zip(&found) {
            let known = if self.state.entities.drops() == drops { *found } else { Found::default() };
            self.event(content, batch, event, known, raised);
        }
        self.found = found;
        // A clock that runs ahead says nothing about how far a file is, nor since when something has been read.
        let last_day = self.clock.today.saturating_add_unsigned(self.settings.future_days);
        self.note_carried(batch, last_day);
        let newest = self.counted.batch(batch, last_day);
        match &batch.remember {
            Some(Remember::Position(position)) => {
                let record = self.state.file(batch.file);
                record.position.clone_from(position);
                record.tally.merge(&batch.tally);
                record.last_event_ms = record.last_event_ms.max(newest);
            }
            Some(Remember::Forget) => self.state.forget_file(batch.file),
            None => {}
        }
    }

    /// Looks up who the events of a batch are about, before any of them is judged: one after the other the looks into
    /// memory would wait for each other, together they do not. For the same reason all numbers come first, and then all slots.
    fn find_entities(&mut self, batch: &EventBatch) {
        let (text, entities) = (batch.text(), &self.state.entities);
        let guess = |kind, key: Span, hash| if key.is_empty() { None } else { entities.guess(kind, hash) };
        self.found.clear();
        self.found.extend(batch.events.iter().map(|event| Found {
            user: guess(EntityKind::User, event.user, event.user_hash),
            host: guess(EntityKind::Host, event.host, event.host_hash),
        }));
        for (found, event) in self.found.iter_mut().zip(&batch.events) {
            found.user = entities.confirm(found.user, EntityKind::User, text.get(event.user), event.user_hash);
            found.host = entities.confirm(found.host, EntityKind::Host, text.get(event.host), event.host_hash);
        }
    }

    #[inline]
    fn event(
        &mut self,
        content: &Content,
        batch: &EventBatch,
        event: &BatchEvent,
        found: Found,
        raised: &mut Vec<(u64, Alert)>,
    ) {
        let text = batch.text();
        let entities = &mut self.state.entities;
        let mut id = |kind, found: Option<EntityId>, key: Span, hash| match found {
            None if key.is_empty() => None,
            None => Some(entities.id(kind, text.get(key), hash)),
            known => known,
        };
        let user = id(EntityKind::User, found.user, event.user, event.user_hash);
        let host = id(EntityKind::Host, found.host, event.host, event.host_hash);
        if let (Some(user), false) = (user, event.department.is_empty()) {
            self.note_department(user, text.get(event.department));
        }
        let future = i64::from(event.day) > i64::from(self.clock.today) + i64::from(self.settings.future_days);
        let (mut user_stale, mut host_stale) = (future, future);
        if future {
            self.state.agent.future += 1;
            self.state.agent_dirty = true;
        } else {
            let before = self.counted.user_days;
            user_stale = user.is_some_and(|id| self.arrive(id, event.day));
            if self.counted.user_days != before && is_of_machine(text.get(event.user), text.get(event.host)) {
                self.counted.user_days = before;
            }
            host_stale = host.is_some_and(|id| self.arrive(id, event.day));
            if user_stale || host_stale {
                self.state.agent.late += 1;
                self.state.agent_dirty = true;
            }
            let first_day_seen = self.state.agent.newest_day.is_none_or(|d| event.day > d);
            if first_day_seen && !user_stale && !host_stale {
                self.new_day(event, raised);
            }
        }
        let subject = Subject { content, event, batch, user, host, user_stale, host_stale };
        self.asked = None;
        for hit in slice(&batch.hits, event.hits) {
            self.hit(&subject, hit, raised);
        }
        if future {
            user.into_iter().chain(host).for_each(|id| self.state.forget_if_blank(id));
            return;
        }
        for training in slice(&batch.trainings, event.trainings) {
            self.train(&subject, training);
        }
        self.note_history(&subject);
        for kind in [EntityKind::User, EntityKind::Host, EntityKind::Group] {
            self.state.bound_entities(kind, self.limits.max_entities);
        }
    }

    /// Moves an entity's latest day. Says whether the event is late for it.
    #[inline]
    fn arrive(&mut self, id: EntityId, day: Day) -> bool {
        let Some(entity) = self.state.entities.get_mut(id) else { return false };
        entity.meet();
        match entity.latest() {
            Some(latest) if day <= latest => i64::from(day) < i64::from(latest) - i64::from(self.settings.late_days),
            _ => {
                match entity.kind {
                    EntityKind::User => self.counted.user_days += 1,
                    EntityKind::Host => self.counted.host_days += 1,
                    EntityKind::Group | EntityKind::Agent => {}
                }
                let oldest_open = day.saturating_sub_unsigned(self.settings.late_days);
                self.state.entities.begin_day(id, day, oldest_open);
                false
            }
        }
    }

    fn note_department(&mut self, user: EntityId, department: &[u8]) {
        let known = self.state.entities.department(user);
        // Nearly every event says what the one before said.
        if known.is_some_and(|known| known.as_bytes() == department) {
            return;
        }
        let department = String::from_utf8_lossy(department);
        let department = department.trim();
        if !department.is_empty() && known != Some(department) {
            self.state.entities.set_department(user, Some(department));
            self.state.entities.change(user);
        }
    }

    /// The newest day of all moves: old guards leave, and suppressions of closed days are reported.
    fn new_day(&mut self, event: &BatchEvent, raised: &mut Vec<(u64, Alert)>) {
        self.state.agent.newest_day = Some(event.day);
        self.state.agent_dirty = true;
        let open_from = event.day.saturating_sub_unsigned(self.settings.late_days);
        let content = Arc::clone(&self.content);
        let by_month = |rule: &str| content.rules.iter().any(|r| r.id == rule && r.period == Period::Month);
        let is_closed = |day: Day, rule: &str, kind: EntityKind| {
            let open_from = if by_month(rule) { first_of_month(open_from) } else { open_from };
            day < match kind {
                EntityKind::Agent => open_from.saturating_sub_unsigned(prevalence::group_days(&content, rule)),
                _ => open_from,
            }
        };
        for untold in self.state.guards.take_untold(is_closed) {
            self.raise_summary(event, &untold, raised);
        }
        let last_gone = event.day.saturating_sub_unsigned(self.settings.window_days);
        self.state.silenced.age(last_gone);
        self.age_guards(last_gone, event, raised);
    }

    /// What tells later which rules cannot fire: the fields that came, and since when.
    fn note_carried(&mut self, batch: &EventBatch, last_day: Day) {
        let agent = &mut self.state.agent;
        agent.oldest_days.resize(EventType::ALL.len(), None);
        for event in batch.events.iter().filter(|e| e.day <= last_day) {
            if let Some(oldest) = agent.oldest_days.get_mut(event.kind.index())
                && oldest.is_none_or(|day| event.day < day)
            {
                *oldest = Some(event.day);
                self.state.agent_dirty = true;
            }
        }
        if agent.carried.len() < batch.carried.len() {
            agent.carried.resize(batch.carried.len(), Default::default());
        }
        for (known, new) in agent.carried.iter_mut().zip(&batch.carried) {
            let union = known.union(*new);
            if union != *known {
                *known = union;
                self.state.agent_dirty = true;
            }
        }
    }

    fn train(&mut self, s: &Subject<'_>, training: &Training) {
        let Some(model) = s.content.models.get(training.model as usize) else { return };
        let (Some(scope), false) = (self.scope_entity(s, model), s.stale(kind_of(model.scope))) else { return };
        let text = s.batch.text();
        let (value, day) = (text.get(training.value), s.event.day);
        if let Some(other) = model.new_to
            && self.count_of(s, other, training.value).is_none_or(|count| count > 0)
        {
            return;
        }
        let place = self.place(training.model, scope, training.value, value);
        if model.counts_by_day() {
            let bin = self.state.entities.get(scope).and_then(|e| e.instance(training.model)?.at(place));
            if bin.is_some_and(|b| b.count_on(day) > 0) {
                return;
            }
        } else {
            let Some(owner) = s.user.or(s.host) else { return };
            let mark = once_hash(value);
            if !self.note_once(owner, training.model, day, [mark, unique_hash(mark, text.get(training.once))]) {
                return;
            }
        }
        let Some(bounds) = self.state.bounds.get(training.model as usize).copied() else { return };
        let mut pushed_out = 0;
        if let Some(instance) = self.state.entities.train(scope, training.model) {
            instance.train_at(place, value, day, s.event.time_ms, &bounds);
            pushed_out = u64::from(instance.take_pushed_out());
        }
        if pushed_out > 0 {
            let counts = &mut self.state.agent.limits;
            match model.scope {
                Scope::User | Scope::Host => counts.max_bins += pushed_out,
                Scope::PeerGroup | Scope::Org => counts.max_bins_wide += pushed_out,
            }
            self.state.agent_dirty = true;
        }
        let event = model.events.first().map_or(0, |e| e.index() as u8);
        self.state.bound_instances(training.model, event, self.limits.max_instances);
    }

    /// Notes what trains a model on a day: the value, and the value with what makes it unique. Says whether the latter is new.
    fn note_once(&mut self, owner: EntityId, model: u16, day: Day, [mark, unique]: [u64; 2]) -> bool {
        let Some(entity) = self.state.entities.get(owner) else { return false };
        let list = entity.known().once.iter().find(|o| o.0 == model && o.1 == day).map(|o| &o.2);
        if list.is_some_and(|l| l.binary_search(&unique).is_ok()) {
            return false;
        }
        // Each training leaves up to two marks. One user cannot train what belongs to all without end.
        if list.is_some_and(|l| l.len() >= self.limits.max_values.saturating_mul(2)) {
            self.state.agent.limits.max_values += 1;
            self.state.agent_dirty = true;
            return false;
        }
        let Some(entity) = self.state.entities.change(owner) else { return false };
        let lists = &mut entity.learn().once;
        let at = match lists.iter().position(|o| o.0 == model && o.1 == day) {
            Some(at) => at,
            None => {
                lists.push((model, day, Vec::new()));
                lists.len() - 1
            }
        };
        if let Some((.., list)) = lists.get_mut(at) {
            for hash in [mark, unique] {
                if let Err(place) = list.binary_search(&hash) {
                    list.insert(place, hash);
                }
            }
        }
        true
    }

    /// How often a model has counted a value for the event's scope; `None` where the event has no such scope.
    fn count_of(&mut self, s: &Subject<'_>, model: u16, span: Span) -> Option<u64> {
        let spec = s.content.models.get(usize::from(model))?;
        let scope = self.scope_entity(s, spec)?;
        let place = self.place(model, scope, span, s.batch.text().get(span));
        let bin = self.state.entities.get(scope).and_then(|e| e.instance(model)?.at(place));
        Some(bin.map_or(0, |b| b.total))
    }

    /// The entity whose instance of a model an event belongs to.
    fn scope_entity(&mut self, s: &Subject<'_>, model: &ModelSpec) -> Option<EntityId> {
        match model.scope {
            Scope::User => s.user,
            Scope::Host => s.host,
            Scope::Org => Some(self.state.agent_entity()),
            Scope::PeerGroup => self.group_entity(s.user?),
        }
    }

    /// The user's peer group as it is now: the site's directory, else the department last seen.
    fn group_of(&self, user: EntityId) -> Option<&str> {
        let entity = self.state.entities.get(user)?;
        let listed = self.directory.as_ref().and_then(|d| d.group_of(&entity.key));
        listed.or(self.state.entities.department(user))
    }

    fn group_entity(&mut self, user: EntityId) -> Option<EntityId> {
        let mut key = std::mem::take(&mut self.group_key);
        key.clear();
        let is_named = match self.group_of(user) {
            Some(name) if name.is_ascii() => {
                key.push_str(name);
                key.make_ascii_lowercase();
                true
            }
            Some(name) => {
                key.push_str(&name.to_lowercase());
                true
            }
            None => false,
        };
        let group = is_named.then(|| self.state.entities.id_of(EntityKind::Group, key.as_bytes()));
        self.group_key = key;
        group
    }

    /// Where the instance of a model has a value, looked up once an event.
    fn place(&mut self, model: u16, scope: EntityId, span: Span, value: &[u8]) -> Place {
        if let Some(asked) = self.asked.filter(|a| a.model == model && a.scope == scope && a.value == span) {
            return asked.place;
        }
        let instance = self.state.entities.get(scope).and_then(|e| e.instance(model));
        let place = instance.map(|i| i.find(value)).unwrap_or_default();
        self.asked = Some(Asked { model, scope, value: span, place });
        place
    }
}

/// Whether an account belongs to the host: its key begins with the host's.
fn is_of_machine(user: &[u8], host: &[u8]) -> bool {
    user.strip_prefix(host).is_some_and(|rest| rest.first() == Some(&b'\\')) && !host.is_empty()
}

/// Whose lateness a model goes by.
const fn kind_of(scope: Scope) -> EntityKind {
    match scope {
        Scope::Host => EntityKind::Host,
        _ => EntityKind::User,
    }
}

/// What stands for a value in a list of what has trained a model: stable over restarts and versions. Who makes two values
/// alike makes one of them train nothing on that day.
fn once_hash(value: &[u8]) -> u64 {
    xxh3_64(value)
}

/// The same for a value with what makes a training of it unique.
fn unique_hash(mark: u64, unique: &[u8]) -> u64 {
    if unique.is_empty() { mark } else { xxh3_64_with_seed(unique, mark) }
}

fn slice<T>(all: &[T], range: (u32, u32)) -> &[T] {
    all.get(range.0 as usize..range.1 as usize).unwrap_or_default()
}
