//! What a decision is made from.

use jiff::Timestamp;
use kube::ResourceExt;
use teasel_api::request::{PUBLISH_REQUEST_ANNOTATION, PublishRequest};
use teasel_api::spec::{PublishRequestStatus, RecommenderJobStatus, ScheduledRecommenderJob};

use super::build;
use crate::names::SCHEDULED_AT_ANNOTATION;
use crate::reading::ListedJob;

/// Everything that a decision is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The schedule, with the status that is persisted.
    pub schedule: ScheduledRecommenderJob,
    /// The jobs that it controls, all of them.
    pub jobs: Vec<ChildJob>,
    /// Secrets that pod templates may name.
    pub allowed_secrets: Vec<String>,
    /// The time.
    pub now: Timestamp,
}

/// A job that the schedule controls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Whether it has succeeded, and its lists wait for somebody's decision or for being published.
    pub awaits_approval: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Tenants whose lists are whole.
    pub scored: Vec<String>,
    /// Runs that rollbacks have led its tenants to, away from this job's.
    pub rolled_back_to: Vec<String>,
    /// Id of the request that it was asked for last.
    pub asked: Option<String>,
    /// Its answer to the newest request that it knows.
    pub answer: Option<PublishRequestStatus>,
}

/// A job's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// When.
    pub time: Timestamp,
}

impl From<&ListedJob> for ChildJob {
    fn from(job: &ListedJob) -> ChildJob {
        let (metadata, annotations) = (&job.object.metadata, job.object.annotations());
        let name = metadata.name.clone().unwrap_or_default();
        let uid = metadata.uid.clone().unwrap_or_default();
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        let annotated = || annotations.get(SCHEDULED_AT_ANNOTATION)?.parse().ok();
        // The name first: nobody can edit it. A job that somebody else gave to the schedule has no tick.
        let tick = build::tick_of_name(&name).or_else(annotated).or(created).unwrap_or_default();
        let status = job.status.clone().unwrap_or_default();
        let tenants = status.tenants.iter();
        let request = annotations.get(PUBLISH_REQUEST_ANNOTATION);
        let request: Option<PublishRequest> = request.and_then(|text| serde_json::from_str(text).ok());
        ChildJob {
            published: status.published_run.as_deref().is_some_and(|run| run == uid),
            awaits_approval: status.conditions.iter().any(|condition| {
                condition.kind == "Published"
                    && condition.status == "False"
                    // What is approved isn't there yet, and its job makes it so.
                    && ["AwaitingApproval", "Publishing"].contains(&condition.reason.as_str())
            }),
            deleting: metadata.deletion_timestamp.is_some(),
            finished: finished(&status),
            scored: tenants
                .clone()
                .filter(|tenant| tenant.phase.is_scored())
                .map(|tenant| tenant.name.clone())
                .collect(),
            rolled_back_to: tenants.filter_map(|tenant| tenant.rolled_back_to.clone()).collect(),
            asked: request.map(|request| request.id),
            answer: status.publish_request,
            name,
            uid,
            tick,
        }
    }
}

fn finished(status: &RecommenderJobStatus) -> Option<Finished> {
    ["Complete", "Failed"].into_iter().find_map(|kind| {
        let mut conditions = status.conditions.iter();
        let ended = conditions.find(|condition| condition.kind == kind && condition.status == "True")?;
        let time = status.completion_time.unwrap_or(ended.last_transition_time);
        Some(Finished { succeeded: kind == "Complete", time })
    })
}
