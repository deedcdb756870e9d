//! One reconcile: read, validate, decide, apply.

use std::sync::Arc;

use jiff::Timestamp;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action as Requeue;
use kube::runtime::events::Reporter;
use kube::{Resource, ResourceExt};
use teasel_api::spec::{AttemptOutcome, RecommenderJob, RecommenderJobStatus};

use super::apply::{ApplyError, apply, write_status};
use super::decide::{Decision, Note, Start, decide};
use super::dereference::dereference;
use super::restarts;
use super::validate::validate;
use super::verdict::End;
use crate::context::{Context, LONGEST_RECONCILE, LOOK_ANYWAY, is_conflict};
use crate::reading::{Fetched, fetch, is_older};

/// When to read again what was read from an old cache.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a reconcile is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// The API server took a request and didn't answer.
    #[error("the API server hasn't answered for {LONGEST_RECONCILE:?}")]
    Unanswered,
    /// What was decided on couldn't be done.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl ReconcileError {
    /// Whether somebody else wrote the object first: no failure, only a reason to look again.
    pub fn is_conflict(&self) -> bool {
        let (ReconcileError::Kube(error) | ReconcileError::Apply(ApplyError::Kube(error))) = self else {
            return false;
        };
        is_conflict(error)
    }
}

/// Brings a job one step on.
///
/// # Errors
/// Where the API server can't be asked or doesn't do what it is asked; the job is looked at again.
pub async fn reconcile(
    shown: Arc<PartialObjectMeta<RecommenderJob>>,
    context: Arc<Context>,
) -> Result<Requeue, ReconcileError> {
    // What woke us may be older than our own last write.
    let job = match fetch(&context.client, &shown.namespace().unwrap_or_default(), &shown.name_any()).await? {
        // Nothing else may wake us for what isn't seen yet.
        Fetched::Read(job) if is_older(&*job, &*shown) => return Ok(Requeue::requeue(AGAIN)),
        Fetched::Read(job) => *job,
        Fetched::Unreadable(unreadable) => {
            unreadable.report(&context).await?;
            return Ok(Requeue::await_change());
        }
        Fetched::Gone => return Ok(Requeue::await_change()),
    };
    let now = Timestamp::now();
    let observed = dereference(&context, now, job).await?;
    let resolved = validate(&observed.job, &context.configuration);
    let resolved = resolved.as_ref().map_err(Vec::as_slice);
    let decision = decide(now, &observed, resolved, &context.configuration);
    write_status(&context.client, &observed.job, &decision).await?;
    // Only now it has happened, and whoever looks next doesn't see it as news, whatever becomes of the rest.
    context.metrics.observe(&observed.job, &decision);
    context.tell(&observed.job.object_ref(&()), &decision.notes).await;
    match apply(&context.client, &context.configuration, &observed.job, &decision).await {
        Ok(()) => {}
        Err(ApplyError::Refused { start, may_pass, message }) => {
            let reason = if may_pass { "PodsRefused" } else { "JobRefused" };
            refuse(&context, &observed.job, &start, reason, &message).await?;
        }
        Err(ApplyError::Build { start, source }) => {
            refuse(&context, &observed.job, &start, "BadTemplate", &source.to_string()).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(requeue(now, &decision))
}

fn requeue(now: Timestamp, decision: &Decision) -> Requeue {
    let ended = decision.status.completion_time.is_some();
    let until = decision.look_again.map(|at| {
        let wait = at.duration_since(now).max(jiff::SignedDuration::from_millis(100));
        std::time::Duration::try_from(wait).unwrap_or(LOOK_ANYWAY)
    });
    match until {
        Some(until) if ended => Requeue::requeue(until),
        Some(until) => Requeue::requeue(until.min(LOOK_ANYWAY)),
        None if ended => Requeue::await_change(),
        None => Requeue::requeue(LOOK_ANYWAY),
    }
}

/// Records that an attempt's objects weren't taken as they are.
async fn refuse(
    context: &Context,
    job: &RecommenderJob,
    start: &Start,
    reason: &str,
    message: &str,
) -> Result<(), ReconcileError> {
    // The status has just been written. A job that can't be read any more was edited since, which wakes us.
    let namespace = job.namespace().unwrap_or_default();
    let fetched = fetch::<RecommenderJob>(&context.client, &namespace, &job.name_any()).await?;
    let Fetched::Read(current) = fetched else { return Ok(()) };
    let mut status = current.status.clone().unwrap_or_default();
    record_refusal(&mut status, start, reason, message);
    let refused = Decision { status, ..Decision::default() };
    write_status(&context.client, &current, &refused).await?;
    context.metrics.observe(&current, &refused);
    let note = Note { warning: true, reason: reason.to_owned(), message: message.to_owned() };
    context.tell(&job.object_ref(&()), &[note]).await;
    Ok(())
}

fn record_refusal(status: &mut RecommenderJobStatus, start: &Start, reason: &str, message: &str) {
    let attempts = status.attempts.iter_mut();
    let mut begun = attempts.filter(|attempt| start.key.owns(attempt) && attempt.number == start.number);
    if let Some(attempt) = begun.next().filter(|attempt| attempt.outcome.is_none()) {
        let end = End {
            outcome: AttemptOutcome::PermanentFailure,
            reason: reason.to_owned(),
            message: message.to_owned(),
            disruption: None,
            report: None,
        };
        restarts::conclude(attempt, Timestamp::now(), &end, None);
    }
}

/// Who publishes the operator's events.
pub fn reporter(instance: &str) -> Reporter {
    Reporter { controller: "teasel-operator".into(), instance: Some(instance.to_owned()) }
}
