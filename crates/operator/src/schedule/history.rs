//! Jobs that have ended: how many are kept.

use jiff::Timestamp;
use teasel_api::spec::ScheduledRecommenderJobStatus;

use super::ChildJob;
use super::decide::{Action, Plan};

const SUCCEEDED: u32 = 3;
const FAILED: u32 = 1;

/// Whether a tick's job may be deleted, by history or by its own TTL: the *persisted* status says that the tick was
/// dealt with. Else the job itself is the only thing that says so, and without it the tick would run again.
///
/// A job that somebody asked for between two ticks stays until the next: its minute may become a tick if the schedule
/// is changed.
pub fn recorded(status: &ScheduledRecommenderJobStatus, tick: Timestamp) -> bool {
    status.last_schedule_time.is_some_and(|last| tick <= last)
}

impl Plan<'_> {
    /// Deletes the oldest of the jobs that have ended, beyond the limits.
    pub(super) fn clean_up(&mut self) {
        let spec = &self.observed.schedule.spec;
        self.keep(true, spec.successful_jobs_history_limit.unwrap_or(SUCCEEDED));
        self.keep(false, spec.failed_jobs_history_limit.unwrap_or(FAILED));
    }

    fn keep(&mut self, succeeded: bool, limit: u32) {
        let ended = self.observed.jobs.iter();
        let mut ended: Vec<&ChildJob> =
            ended.filter(|job| job.finished.is_some_and(|end| end.succeeded == succeeded)).collect();
        ended.sort_by_key(|job| (job.tick, &job.name));
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for job in ended.into_iter().take(surplus) {
            if !job.deleting && recorded(&self.before, job.tick) {
                self.decision.actions.push(Action::Delete { name: job.name.clone(), uid: job.uid.clone() });
            }
        }
    }
}
