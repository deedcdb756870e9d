//! What the jobs' states say for the schedule's status.

use super::ChildJob;
use super::decide::Plan;

impl Plan<'_> {
    /// Records what runs, what has succeeded and what is published.
    pub(super) fn take_stock(&mut self) {
        let mut active: Vec<&ChildJob> = self.unfinished().collect();
        active.sort_by_key(|job| (job.tick, &job.name));
        self.decision.status.active = active.into_iter().map(|job| job.name.clone()).collect();
        for job in &self.observed.jobs {
            let Some(end) = job.finished else { continue };
            if end.succeeded {
                let last = &mut self.decision.status.last_successful_time;
                *last = (*last).max(Some(end.time));
            }
            if self.before.active.contains(&job.name) {
                let how = if end.succeeded { "succeeded" } else { "failed" };
                self.note(false, "SawCompletedJob", format!("job {} has {how}", job.name));
            }
        }
        self.find_published();
    }

    /// The newest published run that no rollback has left; the former one stays where its job is gone.
    fn find_published(&mut self) {
        let left = |uid: &str| self.observed.rolled_back.iter().any(|left| left == uid);
        let former = self.before.last_published_run.as_deref().filter(|run| !left(run));
        let former_tick = self.before.last_published_schedule_time;
        let former = former.map(|run| (former_tick, run));
        let published = self.observed.jobs.iter().filter(|job| job.published && !left(&job.uid));
        let published = published.map(|job| (Some(job.tick), job.uid.as_str()));
        let newest = published.chain(former).max();
        let status = &mut self.decision.status;
        status.last_published_run = newest.map(|(_, run)| run.to_owned());
        status.last_published_schedule_time = newest.and_then(|(tick, _)| tick);
    }
}
