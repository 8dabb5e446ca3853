//! The JSON of an alert: one description of it, from which lines are written and values are made.
//!
//! A line is written straight from the alert: under a flood of alerts, building a value for each was an eighth of all
//! work. The names of an event's fields are those of the agent's vocabulary, each at most once.

use super::{AgentIdentity, Alert, Evidence, ModelEvidence};
use crate::calendar::format_instant;
use serde::ser::{Serialize, SerializeMap, Serializer};

#[cfg(test)]
pub(crate) use tests::alert as any_alert;

impl Alert {
    /// The alert as one JSON object, as sinks write it. `agent` is {host, version}.
    pub fn to_json(&self, agent: &AgentIdentity) -> serde_json::Value {
        // Nothing in an alert can fail to become a value.
        serde_json::to_value(Whole { alert: self, agent }).unwrap_or_default()
    }

    /// The same as text.
    pub fn to_json_text(&self, agent: &AgentIdentity) -> String {
        serde_json::to_string(&Whole { alert: self, agent }).unwrap_or_default()
    }
}

struct Whole<'a> {
    alert: &'a Alert,
    agent: &'a AgentIdentity,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let alert = self.alert;
        let mut o = serializer.serialize_map(None)?;
        o.serialize_entry("id", &alert.id)?;
        o.serialize_entry("time", &format_instant(alert.time_ms))?;
        o.serialize_entry("detected_at", &format_instant(alert.detected_ms))?;
        o.serialize_entry("kind", &alert.kind)?;
        o.serialize_entry("rule", &Rule(alert))?;
        o.serialize_entry("score", &alert.score)?;
        o.serialize_entry("severity", &alert.severity())?;
        o.serialize_entry("entity", &Entity(alert))?;
        entry_of(&mut o, "value", alert.value.as_ref())?;
        entry_of(&mut o, "sequence", filled(&alert.sequence))?;
        entry_of(&mut o, "peer_group", alert.peer_group.as_ref())?;
        entry_of(&mut o, "event", filled(&alert.event_type).map(|_| Event(alert)))?;
        o.serialize_entry("evidence", &Reasons(&alert.evidence))?;
        entry_of(&mut o, "origin", alert.origin.as_ref())?;
        o.serialize_entry("agent", &Agent(self.agent))?;
        o.end()
    }
}

/// Says nothing where there is nothing to say.
fn entry_of<M: SerializeMap>(o: &mut M, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| o.serialize_entry(key, &value))
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

struct Rule<'a>(&'a Alert);

impl Serialize for Rule<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rule = &self.0.rule;
        let mut o = serializer.serialize_map(None)?;
        o.serialize_entry("id", &rule.id)?;
        o.serialize_entry("name", &rule.name)?;
        o.serialize_entry("revision", &rule.revision)?;
        o.serialize_entry("attack", &rule.attack)?;
        o.serialize_entry("author", &rule.author)?;
        o.serialize_entry("references", &rule.references)?;
        entry_of(&mut o, "license", rule.license.as_ref())?;
        o.end()
    }
}

struct Entity<'a>(&'a Alert);

impl Serialize for Entity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut o = serializer.serialize_map(None)?;
        o.serialize_entry("kind", &self.0.entity_kind)?;
        entry_of(&mut o, "value", filled(&self.0.entity))?;
        o.end()
    }
}

struct Event<'a>(&'a Alert);

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut o = serializer.serialize_map(None)?;
        o.serialize_entry("type", &self.0.event_type)?;
        for (name, value) in self.0.fields.iter() {
            o.serialize_entry(name, value)?;
        }
        o.end()
    }
}

/// Why a rule fired, as alerts say it.
pub(crate) struct Reasons<'a>(pub(crate) &'a Evidence);

impl Serialize for Reasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Evidence { matched, model, sum, notes } = self.0;
        let mut o = serializer.serialize_map(None)?;
        entry_of(&mut o, "matched", (!matched.is_empty()).then_some(matched))?;
        entry_of(&mut o, "model", model.as_ref().map(Model))?;
        entry_of(&mut o, "sum", sum.as_ref())?;
        entry_of(&mut o, "notes", (!notes.is_empty()).then_some(notes))?;
        o.end()
    }
}

/// Its largest bins stay out of alerts.
struct Model<'a>(&'a ModelEvidence);

impl Serialize for Model<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let model = self.0;
        let mut o = serializer.serialize_map(None)?;
        o.serialize_entry("id", &model.id)?;
        o.serialize_entry("scope", &model.scope)?;
        o.serialize_entry("value", &model.value)?;
        o.serialize_entry("verdict", &model.verdict)?;
        o.serialize_entry("n", &model.n)?;
        o.serialize_entry("c", &model.c)?;
        o.serialize_entry("confidence", &((model.confidence * 1e6).round() / 1e6))?;
        o.serialize_entry("converged", &model.converged)?;
        o.serialize_entry("count", &model.count)?;
        entry_of(&mut o, "rank", model.rank)?;
        entry_of(&mut o, "threshold", model.threshold)?;
        entry_of(&mut o, "median", model.median)?;
        o.serialize_entry("history_days", &model.history_days)?;
        o.end()
    }
}

struct Agent<'a>(&'a AgentIdentity);

impl Serialize for Agent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut o = serializer.serialize_map(None)?;
        o.serialize_entry("host", &self.0.host)?;
        o.serialize_entry("version", &self.0.version)?;
        o.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use crate::event::Field;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// The same object, built member by member.
    fn built(alert: &Alert, agent: &AgentIdentity) -> serde_json::Value {
        use serde_json::{Map, Value, json};
        let mut o = Map::new();
        let mut put = |k: &str, v: Value| {
            o.insert(k.into(), v);
        };
        put("id", json!(alert.id));
        put("time", json!(crate::calendar::format_instant(alert.time_ms)));
        put("detected_at", json!(crate::calendar::format_instant(alert.detected_ms)));
        put("kind", json!(alert.kind));
        let mut rule = json!({"id": alert.rule.id, "name": alert.rule.name, "revision": alert.rule.revision,
            "attack": alert.rule.attack, "author": alert.rule.author, "references": alert.rule.references});
        if let (Some(license), Some(rule)) = (&alert.rule.license, rule.as_object_mut()) {
            rule.insert("license".into(), json!(license));
        }
        put("rule", rule);
        put("score", json!(alert.score));
        put("severity", json!(alert.severity()));
        if alert.entity.is_empty() {
            put("entity", json!({"kind": alert.entity_kind}));
        } else {
            put("entity", json!({"kind": alert.entity_kind, "value": alert.entity}));
        }
        if let Some(value) = &alert.value {
            put("value", json!(value));
        }
        if !alert.sequence.is_empty() {
            put("sequence", json!(alert.sequence));
        }
        if let Some(group) = &alert.peer_group {
            put("peer_group", json!(group));
        }
        if !alert.event_type.is_empty() {
            let mut event = Map::new();
            event.insert("type".into(), json!(alert.event_type));
            for (k, v) in alert.fields.iter() {
                event.insert(k.to_owned(), json!(v));
            }
            put("event", Value::Object(event));
        }
        let mut evidence = Map::new();
        if !alert.evidence.matched.is_empty() {
            evidence.insert("matched".into(), json!(alert.evidence.matched));
        }
        if let Some(m) = &alert.evidence.model {
            let mut model = Map::new();
            let mut put = |k: &str, v: Value| {
                model.insert(k.into(), v);
            };
            put("id", json!(m.id));
            put("scope", json!(m.scope));
            put("value", json!(m.value));
            put("verdict", json!(m.verdict));
            put("n", json!(m.n));
            put("c", json!(m.c));
            put("confidence", json!((m.confidence * 1e6).round() / 1e6));
            put("converged", json!(m.converged));
            put("count", json!(m.count));
            if let Some(rank) = m.rank {
                put("rank", json!(rank));
            }
            if let Some(t) = m.threshold {
                put("threshold", json!(t));
            }
            if let Some(median) = m.median {
                put("median", json!(median));
            }
            put("history_days", json!(m.history_days));
            evidence.insert("model".into(), Value::Object(model));
        }
        if let Some(s) = &alert.evidence.sum {
            evidence.insert("sum".into(), json!(s));
        }
        if !alert.evidence.notes.is_empty() {
            evidence.insert("notes".into(), json!(alert.evidence.notes));
        }
        put("evidence", Value::Object(evidence));
        if let Some(origin) = &alert.origin {
            put("origin", json!(origin));
        }
        put("agent", json!({"host": agent.host, "version": agent.version}));
        Value::Object(o)
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), "[ -~]{0,12}", any::<String>()]
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        vec(text(), 0..3)
    }

    fn rule() -> impl Strategy<Value = Arc<AlertRule>> {
        (text(), text(), any::<u32>(), texts(), texts(), texts(), option::of(text())).prop_map(
            |(id, name, revision, attack, author, references, license)| {
                Arc::new(AlertRule { id, name, revision, attack, author, references, license })
            },
        )
    }

    fn model() -> impl Strategy<Value = ModelEvidence> {
        let texts = (text(), text(), text(), text());
        let numbers = (any::<[u64; 3]>(), any::<f64>(), any::<bool>(), any::<u32>());
        let ranked = (any::<Option<u64>>(), any::<Option<u64>>(), option::of(any::<f64>()));
        (texts, numbers, ranked).prop_map(
            |((id, scope, value, verdict), ([n, c, count], confidence, converged, history_days), ranked)| {
                let (rank, threshold, median) = ranked;
                let top_bins = vec![BinView { value: value.clone(), count }];
                ModelEvidence {
                    id,
                    scope,
                    value,
                    verdict,
                    n,
                    c,
                    confidence,
                    converged,
                    count,
                    rank,
                    threshold,
                    median,
                    history_days,
                    top_bins,
                }
            },
        )
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        let matched = (text(), text(), text()).prop_map(|(field, value, test)| Matched { field, value, test });
        let sum = (text(), any::<[u64; 2]>(), any::<Option<u32>>())
            .prop_map(|(field, [total, reaches], history_days)| SumEvidence { field, total, reaches, history_days });
        (vec(matched, 0..3), option::of(model()), option::of(sum), texts())
            .prop_map(|(matched, model, sum, notes)| Evidence { matched, model, sum, notes })
    }

    fn fields() -> impl Strategy<Value = Fields> {
        vec((select(Field::ALL), text()), 0..6).prop_map(|mut fields| {
            let mut seen = std::collections::HashSet::new();
            fields.retain(|(field, _)| seen.insert(*field));
            fields.into_iter().map(|(field, value)| (field.name(), value)).collect()
        })
    }

    /// Any alert at all.
    pub(crate) fn alert() -> impl Strategy<Value = Alert> {
        let kinds = select(vec![AlertKind::Detection, AlertKind::Operational, AlertKind::Summary]);
        let entities = select(vec![EntityKind::User, EntityKind::Host, EntityKind::Group, EntityKind::Agent]);
        let whose = (entities, text(), option::of(text()), text(), option::of(text()));
        let origin = (text(), any::<[u64; 2]>()).prop_map(|(file, [offset, line])| Origin { file, offset, line });
        let what = (text(), fields(), evidence(), option::of(origin));
        (text(), any::<[i64; 2]>(), kinds, rule(), any::<u32>(), whose, what).prop_map(
            |(id, [time_ms, detected_ms], kind, rule, score, whose, (event_type, fields, evidence, origin))| {
                let (entity_kind, entity, value, sequence, peer_group) = whose;
                Alert {
                    id,
                    time_ms,
                    detected_ms,
                    kind,
                    rule,
                    score,
                    entity_kind,
                    entity,
                    value,
                    sequence,
                    peer_group,
                    event_type,
                    fields,
                    evidence,
                    origin,
                    suppressed: false,
                }
            },
        )
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn an_alert_is_written_as_it_would_be_built(alert in alert(), host in text(), version in text()) {
            let agent = AgentIdentity { host, version };
            let built = built(&alert, &agent);
            prop_assert_eq!(alert.to_json_text(&agent), built.to_string());
            prop_assert_eq!(alert.to_json(&agent), built);
        }
    }
}
