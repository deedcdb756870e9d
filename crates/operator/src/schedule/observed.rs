//! What a decision is made from.

use jiff::Timestamp;
use teasel_api::spec::{RecommenderJob, ScheduledRecommenderJob};

use super::build;
use crate::names::SCHEDULED_AT_ANNOTATION;

/// Everything that a decision is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The schedule, with the status that is persisted.
    pub schedule: ScheduledRecommenderJob,
    /// The jobs that it controls, all of them.
    pub jobs: Vec<ChildJob>,
    /// UIDs of runs that a rollback has left.
    pub rolled_back: Vec<String>,
    /// The time.
    pub now: Timestamp,
}

/// A job that the schedule controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildJob {
    /// Its name.
    pub name: String,
    /// Its UID, which is also its run.
    pub uid: String,
    /// The tick that it was made for.
    pub tick: Timestamp,
    /// How it ended. A job that is queued or suspended hasn't.
    pub finished: Option<Finished>,
    /// Whether its run is published.
    pub published: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// A job's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// When.
    pub time: Timestamp,
}

impl From<&RecommenderJob> for ChildJob {
    fn from(job: &RecommenderJob) -> ChildJob {
        let metadata = &job.metadata;
        let name = metadata.name.clone().unwrap_or_default();
        let uid = metadata.uid.clone().unwrap_or_default();
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        let annotated = || metadata.annotations.as_ref()?.get(SCHEDULED_AT_ANNOTATION)?.parse().ok();
        // The name first: nobody can edit it. A job that somebody else gave to the schedule has no tick.
        let tick = build::tick_of_name(&name).or_else(annotated).or(created).unwrap_or_default();
        let conditions = job.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ended =
            |kind: &str| conditions.iter().find(|condition| condition.kind == kind && condition.status == "True");
        let finished = ["Complete", "Failed"].into_iter().find_map(|kind| {
            let condition = ended(kind)?;
            let time = job.status.as_ref().and_then(|status| status.completion_time);
            Some(Finished { succeeded: kind == "Complete", time: time.unwrap_or(condition.last_transition_time) })
        });
        let published_run = job.status.as_ref().and_then(|status| status.published_run.as_deref());
        ChildJob {
            published: published_run.is_some_and(|run| run == uid),
            deleting: metadata.deletion_timestamp.is_some(),
            name,
            uid,
            tick,
            finished,
        }
    }
}
