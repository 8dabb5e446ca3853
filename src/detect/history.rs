//! On which days an entity had events of a type: how long it is known, and whether a model may judge it.
//!
//! Only what some model or rule asks for is noted. Days come from events.

use super::{Detector, Subject};
use crate::alert::EntityKind;
use crate::batch::BatchEvent;
use crate::content::Content;
use crate::event::EventType;
use crate::model::Scope;
use crate::rule::Verdict;
use crate::state::entities::EntityId;

/// Which event types' days are noted, by kind of entity.
#[derive(Debug, Default)]
pub(super) struct Histories {
    user: Vec<EventType>,
    host: Vec<EventType>,
    group: Vec<EventType>,
    agent: Vec<EventType>,
}

impl Histories {
    pub(super) fn of(content: &Content) -> Histories {
        let mut h = Histories::default();
        for model in &content.models {
            let list = match model.scope {
                Scope::User => &mut h.user,
                Scope::Host => &mut h.host,
                Scope::PeerGroup => &mut h.group,
                Scope::Org => &mut h.agent,
            };
            list.extend(&model.events);
        }
        for rule in content.rules.iter().filter(|r| r.enabled) {
            if let Verdict::Sum { without_history: Some(none), .. } = &rule.verdict {
                match rule.entity {
                    EntityKind::Host => h.host.push(none.event),
                    _ => h.user.push(none.event),
                }
                h.agent.push(none.event);
            }
        }
        for list in [&mut h.user, &mut h.host, &mut h.group, &mut h.agent] {
            list.sort_unstable();
            list.dedup();
        }
        h
    }

    pub(super) fn list(&self, kind: EntityKind) -> &[EventType] {
        match kind {
            EntityKind::User => &self.user,
            EntityKind::Host => &self.host,
            EntityKind::Group => &self.group,
            EntityKind::Agent => &self.agent,
        }
    }
}

impl Detector {
    /// Notes the day of an event for everyone whose days are asked for.
    pub(super) fn note_history(&mut self, s: &Subject<'_>) {
        if let (Some(user), false) = (s.user, s.user_stale) {
            self.note_day(user, s.event);
            // Only where something is noted: a group without a record would be forgotten by a restart alone.
            if self.history.group.iter().any(|t| s.event.kind.is_a(*t))
                && let Some(group) = self.group_entity(user)
            {
                self.note_day(group, s.event);
            }
        }
        if let (Some(host), false) = (s.host, s.host_stale) {
            self.note_day(host, s.event);
        }
        let counts_for_agent = match (s.user, s.host) {
            (Some(_), _) => !s.user_stale,
            (None, Some(_)) => !s.host_stale,
            (None, None) => false,
        };
        if counts_for_agent && !self.history.agent.is_empty() {
            let agent = self.state.agent_entity();
            self.note_day(agent, s.event);
        }
    }

    #[inline]
    fn note_day(&mut self, id: EntityId, event: &BatchEvent) {
        let bit = 1u16 << event.kind.index();
        let kept_days = self.history_days_kept();
        let Some(entity) = self.state.entities.get_mut(id) else { return };
        if entity.has_noted(event.day, bit) {
            return;
        }
        entity.has_now_noted(event.day, bit);
        let mut changed = false;
        for declared in self.history.list(entity.kind).iter().filter(|t| event.kind.is_a(**t)) {
            let index = declared.index() as u8;
            let histories = &mut entity.learn().history;
            let at = match histories.iter().position(|h| h.0 == index) {
                Some(at) => at,
                None => {
                    histories.reserve_exact(1);
                    histories.push((index, Default::default()));
                    histories.len() - 1
                }
            };
            if let Some(history) = histories.get_mut(at) {
                changed |= history.1.insert(event.day, kept_days);
            }
        }
        if changed {
            self.state.entities.change(id);
        }
    }

    /// Days that a history keeps. The window ends with the event's own day, which may lie `late_days` back.
    pub(super) fn history_days_kept(&self) -> u32 {
        self.settings.window_days.saturating_add(self.settings.late_days)
    }
}
