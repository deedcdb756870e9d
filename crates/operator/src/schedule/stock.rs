//! What the jobs' states say for the schedule's status.

use jiff::Timestamp;

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
    ///
    /// A rollback leaves its job's run and every one between that and its target, which wasn't visible any more: what
    /// people see from then on is the target.
    fn find_published(&mut self) {
        let jobs = &self.observed.jobs;
        let tick_of = |run: &str| jobs.iter().find(|job| job.uid == run).map(|job| job.tick);
        let rollbacks = jobs.iter().flat_map(|job| {
            job.rolled_back_to.iter().map(move |target| (tick_of(target), job.tick, target.as_str()))
        });
        // A target whose job is gone is older than all that are there.
        let rollbacks: Vec<(Option<Timestamp>, Timestamp, &str)> = rollbacks.collect();
        let left = |run: &str, tick: Option<Timestamp>| {
            let among = |(target, from, to): &(Option<Timestamp>, Timestamp, &str)| {
                run != *to && tick > *target && tick <= Some(*from)
            };
            rollbacks.iter().any(among)
        };
        let published = jobs.iter().filter(|job| job.published).map(|job| (Some(job.tick), job.uid.as_str()));
        let former = self.before.last_published_run.as_deref();
        let former = former.map(|run| (tick_of(run).or(self.before.last_published_schedule_time), run));
        let targets = rollbacks.iter().map(|(tick, _, target)| (*tick, *target));
        let newest = published.chain(former).chain(targets).filter(|(tick, run)| !left(run, *tick)).max();
        let status = &mut self.decision.status;
        status.last_published_run = newest.map(|(_, run)| run.to_owned());
        status.last_published_schedule_time = newest.and_then(|(tick, _)| tick);
    }
}
