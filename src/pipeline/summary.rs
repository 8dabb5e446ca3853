//! What the detect thread answers to whoever watches: a few dozen numbers that it keeps anyway. Its cost depends on content and
//! queues, never on how many users and hosts there are.

use super::outbox::{Delivered, Outbox};
use crate::alert::EntityKind;
use crate::calendar::Day;
use crate::detect::Detector;
use crate::detect::services::Met;
use crate::state::paging::Memory;
use serde::{Deserialize, Serialize};

/// How the agent is, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Durable alerts since the state began.
    pub alerts: u64,
    /// Of these, held back.
    pub suppressed: u64,
    /// Durable alerts that some sink has still to deliver.
    pub queued_alerts: u64,
    /// Records that wait for the next commit.
    pub uncommitted: usize,
    /// About how many bytes they have.
    pub uncommitted_bytes: usize,
    /// Batches waiting for the detect thread.
    pub queued_batches: usize,
    /// Users known.
    pub users: usize,
    /// Hosts known.
    pub hosts: usize,
    /// Peer groups known.
    pub groups: usize,
    /// Guards kept.
    pub guards: usize,
    /// Users and hosts in memory.
    pub memory: Memory,
    /// What each sink has durably done with the durable alerts.
    pub sinks: Vec<SinkProgress>,
    /// How far each model of the content is.
    pub models: Vec<ModelGrowth>,
    /// Newest event day.
    pub newest_day: Option<Day>,
    /// Users whose latest day it is.
    pub users_of_newest_day: u64,
    /// What most of them met.
    pub services: Vec<Met>,
}

/// What a sink has done since the state began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkProgress {
    /// Its name.
    pub name: String,
    /// All alerts up to this number are acknowledged, and that is committed.
    pub seq: u64,
    /// Of these, below its `min_score`.
    pub below_min_score: u64,
    /// Of these, held back.
    pub suppressed: u64,
}

/// How far the instances of a model are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelGrowth {
    /// The model.
    pub model: String,
    /// Instances.
    pub instances: u64,
    /// Of these, converged.
    pub converged: u64,
    /// Of these, saturated.
    pub saturated: u64,
}

impl Summary {
    /// Asked in the detect thread.
    pub fn of(detector: &Detector, outbox: &Outbox, queued_batches: usize) -> Summary {
        let state = &detector.state;
        let entities = &state.entities;
        let growth = |(index, id): (u16, &String)| {
            let grown = entities.census.grown(index);
            ModelGrowth {
                model: id.clone(),
                instances: entities.instance_counts.get(usize::from(index)).map_or(0, |n| *n as u64),
                converged: grown.converged,
                saturated: grown.saturated,
            }
        };
        let sink = |(name, at, suppressed): (&str, Delivered, u64)| SinkProgress {
            name: name.to_owned(),
            seq: at.seq,
            below_min_score: at.below_min_score,
            suppressed,
        };
        let newest_day = state.agent.newest_day;
        Summary {
            alerts: outbox.durable(),
            suppressed: outbox.suppressed(),
            queued_alerts: outbox.queued(),
            uncommitted: state.pending(),
            uncommitted_bytes: state.pending_bytes(),
            queued_batches,
            users: entities.count(EntityKind::User),
            hosts: entities.count(EntityKind::Host),
            groups: entities.count(EntityKind::Group),
            guards: state.guards.len(),
            memory: state.memory(),
            sinks: outbox.delivered_durably().map(sink).collect(),
            models: (0..).zip(&state.names.models).map(growth).collect(),
            newest_day,
            users_of_newest_day: newest_day.map_or(0, |day| entities.census.users_of(day)),
            services: detector.services(),
        }
    }
}
