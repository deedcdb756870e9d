//! What starts, under which policy.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use teasel_api::spec::ConcurrencyPolicy;

use super::clock::Clock;
use super::decide::{Action, Plan};
use super::history::last_dealt_with;
use super::{ChildJob, build};

/// More missed ticks than this are told: the clock may be wrong.
const MANY: usize = 100;

impl<'a> Plan<'a> {
    /// Starts what is due: the last of the ticks that were missed, as CronJob does, and what somebody asks for.
    pub(super) fn start_due(&mut self, clock: &Clock) {
        let tick = self.due_tick(clock);
        let request = self.due_request();
        let policy = self.policy();
        // Of two that are due at once, one run is enough unless both may run: it sees the same data. The request is
        // the one that somebody waits for.
        let Some(first) = request.or(tick) else { return };
        let is_busy = self.unfinished().next().is_some();
        match policy {
            ConcurrencyPolicy::Forbid if is_busy => self.wait(first),
            ConcurrencyPolicy::Replace if is_busy => self.replace(first),
            _ => {
                let beside = tick.filter(|_| policy == ConcurrencyPolicy::Allow);
                // The later one stands for both as soon as it is there, so it comes last.
                for tick in BTreeSet::from_iter(beside.into_iter().chain([first])) {
                    self.create(tick);
                }
                let status = &mut self.decision.status;
                status.last_schedule_time = status.last_schedule_time.max(tick);
                status.last_retrain_time = status.last_retrain_time.max(request);
            }
        }
    }

    fn policy(&self) -> ConcurrencyPolicy {
        self.observed.schedule.spec.concurrency_policy.unwrap_or(ConcurrencyPolicy::Forbid)
    }

    /// The last tick that was missed and may still start.
    fn due_tick(&mut self, clock: &Clock) -> Option<Timestamp> {
        if self.is_suspended() {
            return None;
        }
        let status = &self.decision.status;
        let last = status.last_schedule_time.or_else(|| Some(self.created())).max(status.last_retrain_time)?;
        let earliest = self.deadline().map_or(last, |deadline| deadline.max(last));
        let Some(tick) = clock.last(earliest, self.now) else {
            if let Some(missed) = clock.last(last, self.now).filter(|missed| self.is_news(*missed)) {
                let message = format!("the tick of {missed} was missed: spec.startingDeadlineSeconds is over");
                self.note(true, "MissSchedule", message);
            }
            return None;
        };
        if self.is_news(tick) && clock.more_than(MANY, earliest, self.now) {
            let message = format!(
                "more than {MANY} ticks were missed since {earliest}, and only the last starts; set or lower \
                 spec.startingDeadlineSeconds, or see whether a clock is wrong"
            );
            self.note(true, "TooManyMissedTimes", message);
        }
        Some(tick)
    }

    /// What was due by then may not start any more.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.observed.schedule.spec.starting_deadline_seconds?;
        Some(self.now.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN))
    }

    /// Whether this is the first decision since a tick: a tick that waits is told once.
    fn is_news(&self, tick: Timestamp) -> bool {
        self.before.next_schedule_time.is_none_or(|next| next <= tick)
    }

    /// Jobs that haven't ended, also queued and suspended ones, and those whose deletion isn't over.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &'a ChildJob> + use<'a> {
        self.observed.jobs.iter().filter(|job| job.finished.is_none())
    }

    pub(super) fn has_job(&self, tick: Timestamp) -> bool {
        let name = build::job_name(&self.name, tick);
        self.observed.jobs.iter().any(|job| job.name == name)
    }

    fn create(&mut self, tick: Timestamp) {
        let name = build::job_name(&self.name, tick);
        self.note(false, "SuccessfulCreate", format!("created job {name} for {tick}"));
        self.decision.status.active.push(name.clone());
        self.decision.actions.push(Action::Create { name, tick });
    }

    fn wait(&mut self, tick: Timestamp) {
        if self.is_news(tick) {
            let names: Vec<_> = self.unfinished().map(|job| job.name.as_str()).collect();
            let message =
                format!("the tick of {tick} waits for {}: the concurrency policy is Forbid", names.join(", "));
            self.note(false, "JobAlreadyActive", message);
        }
    }

    fn replace(&mut self, tick: Timestamp) {
        for job in self.unfinished().filter(|job| !job.deleting) {
            if !self.may_go(job) {
                // It is recorded now, and goes as soon as that is written.
                self.decision.look_again = Some(self.now);
                continue;
            }
            self.note(
                false,
                "SuccessfulDelete",
                format!("deleted job {}: the tick of {tick} replaces it", job.name),
            );
            self.decision.actions.push(Action::Delete { name: job.name.clone(), uid: job.uid.clone() });
        }
    }

    /// Says when the next tick is, and when to look again.
    pub(super) fn look_ahead(&mut self, clock: &Clock) {
        // From the last tick on, as [`Self::due_tick`] will look for it, and not from now: around some clock changes
        // these differ, and a tick would be told that never starts. After a clock was set back, the last tick, or the
        // schedule's creation, is ahead.
        let last = last_dealt_with(&self.decision.status).unwrap_or_else(|| self.created());
        let from = clock.last(last, self.now).unwrap_or(last);
        let next = if self.is_suspended() { None } else { clock.next(from) };
        self.decision.status.next_schedule_time = next;
        self.decision.look_again = [next, self.decision.look_again].into_iter().flatten().min();
    }
}
