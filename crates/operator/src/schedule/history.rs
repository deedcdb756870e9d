//! Jobs that have ended: how many are kept.

use jiff::Timestamp;
use teasel_api::spec::ScheduledRecommenderJobStatus;

use super::decide::{Action, Plan};
use super::{ChildJob, build};

const SUCCEEDED: u32 = 3;
const FAILED: u32 = 1;

/// The last minute that was dealt with, as tick or as request: nothing that isn't later ever starts again.
pub(super) fn last_dealt_with(status: &ScheduledRecommenderJobStatus) -> Option<Timestamp> {
    status.last_schedule_time.max(status.last_retrain_time)
}

/// Whether a tick's job may be deleted, by history, by Replace or by its own TTL: the *persisted* status says that the
/// tick was dealt with. Else the job itself is the only thing that says so, and without it the tick would run again.
pub fn recorded(status: &ScheduledRecommenderJobStatus, tick: Timestamp) -> bool {
    last_dealt_with(status).is_some_and(|last| tick <= last)
}

impl Plan<'_> {
    /// Records the ticks of jobs that are there, and that the status doesn't know: the operator died before it could
    /// write it.
    pub(super) fn catch_up(&mut self) {
        let asked = self.asked_minute();
        for job in &self.observed.jobs {
            if !self.is_own(job) || recorded(&self.decision.status, job.tick) {
                continue;
            }
            let status = &mut self.decision.status;
            let last = if asked == Some(job.tick) {
                &mut status.last_retrain_time
            } else {
                &mut status.last_schedule_time
            };
            *last = Some(job.tick);
        }
    }

    /// Whether a job is one that this schedule has made, not one that somebody gave to it.
    fn is_own(&self, job: &ChildJob) -> bool {
        job.name == build::job_name(&self.name, job.tick)
    }

    pub(super) fn may_go(&self, job: &ChildJob) -> bool {
        recorded(&self.before, job.tick) || !self.is_own(job)
    }

    /// Deletes the oldest of the jobs that have ended, beyond the limits.
    pub(super) fn clean_up(&mut self) {
        let spec = &self.observed.schedule.spec;
        self.keep(true, spec.successful_jobs_history_limit.unwrap_or(SUCCEEDED));
        self.keep(false, spec.failed_jobs_history_limit.unwrap_or(FAILED));
    }

    /// Whether somebody still has to decide on a job: it outlives the limits, and doesn't count, until a newer run is
    /// published. Its time to live waits for the same.
    fn awaits_approval(&self, job: &ChildJob) -> bool {
        let newer = |other: &ChildJob| other.published && other.tick > job.tick;
        let published = self.decision.status.last_published_schedule_time;
        let superseded = published > Some(job.tick) || self.observed.jobs.iter().any(newer);
        job.awaits_approval && job.finished.is_some_and(|end| end.succeeded) && !superseded
    }

    fn keep(&mut self, succeeded: bool, limit: u32) {
        let ended = self.observed.jobs.iter();
        let mut ended: Vec<&ChildJob> = ended
            .filter(|job| job.finished.is_some_and(|end| end.succeeded == succeeded) && !self.awaits_approval(job))
            .collect();
        ended.sort_by_key(|job| (job.tick, &job.name));
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for job in ended.into_iter().take(surplus) {
            if !job.deleting && self.may_go(job) {
                self.decision.actions.push(Action::Delete { name: job.name.clone(), uid: job.uid.clone() });
            }
        }
    }
}
