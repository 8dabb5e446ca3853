//! Watches for rules that cannot fire: one that has been so for a week of events is reported, once in the life of the state.

use crate::alert::Alert;
use crate::calendar::{Day, wall_clock_ms};
use crate::pipeline::Pipeline;
use crate::pipeline::detecting::Question;
use crate::rule::Rule;
use crate::state::record::AgentRecord;
use log::warn;
use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// How many days of its events a rule is given.
const PATIENCE_DAYS: u32 = 7;
/// From one look to the next: it is about days.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long the detect thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has been reported since the start; the state knows what was before.
#[derive(Default)]
pub(super) struct Inert {
    last_look: Option<Instant>,
    told: BTreeSet<String>,
}

impl Inert {
    /// Looks at the rules and reports those that have been inert for long.
    pub(super) fn check(&mut self, rules: &[Rule], pipeline: &Pipeline) {
        if self.last_look.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        let (reply, answer) = sync_channel(1);
        let ask: Question = Box::new(move |detector, _, _| {
            let _ = reply.send(detector.state.agent.clone());
        });
        if pipeline.questions.try_send(ask).is_err() {
            return;
        }
        let Ok(agent) = answer.recv_timeout(PATIENCE) else { return };
        self.last_look = Some(Instant::now());
        for alert in self.alerts(rules, &agent, wall_clock_ms()) {
            warn!("{}", alert.evidence.notes.join("; "));
            let _ = pipeline.operational.try_send(alert);
        }
    }

    /// The reports that are due.
    fn alerts(&mut self, rules: &[Rule], agent: &AgentRecord, now_ms: i64) -> Vec<Alert> {
        let mut due = Vec::new();
        // Of public rules, many stand for what a site does not export: `rules list` names them, nobody is woken.
        for rule in rules.iter().filter(|r| r.enabled && r.sigma.is_none()) {
            let Some(why) = rule.inert(&agent.carried).filter(|_| is_overdue(rule, agent)) else { continue };
            let sentence = format!(
                "the rule {} has not been able to fire for {PATIENCE_DAYS} days of events: {why}; if the export can give \
                 it, switch it on there, else put the rule into detection.disabled_rules",
                rule.id
            );
            let alert = Alert::operational_once("rule-inert", &rule.id, sentence, now_ms);
            if !agent.told_once.contains(&alert.id) && self.told.insert(alert.id.clone()) {
                due.push(alert);
            }
        }
        due
    }
}

/// Whether events of the rule's types have been read for so long.
fn is_overdue(rule: &Rule, agent: &AgentRecord) -> bool {
    let since: Option<Day> = rule.types().filter_map(|t| agent.oldest_days.get(t.index()).copied().flatten()).min();
    let (Some(since), Some(newest)) = (since, agent.newest_day) else { return false };
    newest.saturating_sub_unsigned(PATIENCE_DAYS) >= since
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DetectionSettings;
    use crate::event::{EventType, Field, FieldSet};

    #[test]
    fn a_rule_that_lacks_a_field_for_a_week_is_reported_once() {
        let content = crate::content::load(&DetectionSettings::default()).unwrap();
        let mut agent = AgentRecord { newest_day: Some(106), ..AgentRecord::default() };
        agent.oldest_days.resize(EventType::ALL.len(), None);
        agent.carried.resize(EventType::ALL.len(), FieldSet::default());
        let web = EventType::WebActivityAllowed.index();
        Field::ALL.iter().filter(|f| **f != Field::BytesOut).for_each(|f| agent.carried[web].insert(*f));
        let mut watch = Inert::default();
        let mut told = |agent: &AgentRecord| watch.alerts(&content.rules, agent, 0);
        assert!(told(&agent).is_empty(), "nothing was read that it could judge");
        agent.oldest_days[web] = Some(100);
        assert!(told(&agent).is_empty(), "six days");
        agent.newest_day = Some(107);
        let alerts = told(&agent);
        let rules: Vec<&str> = alerts.iter().map(|a| a.value.as_deref().unwrap()).collect();
        assert_eq!(rules, ["A-WEB-EXFIL-ASSET", "WEB-New-File-20"]);
        assert_eq!(
            alerts[0].evidence.notes,
            [
                "the rule A-WEB-EXFIL-ASSET has not been able to fire for 7 days of events: no event has carried bytes_out; \
              if the export can give it, switch it on there, else put the rule into detection.disabled_rules"
            ]
        );
        assert!(told(&agent).is_empty(), "once");
        agent.told_once = alerts.iter().map(|a| a.id.clone()).collect();
        let mut next_start = Inert::default();
        assert!(next_start.alerts(&content.rules, &agent, 9 << 40).is_empty(), "the state knows, whatever the hour");
    }
}
