//! A little cluster, in which the operator dies between any two calls.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::schedule::recorded;

/// What a cluster would hold, and what nobody could know there: how often each minute's job was created.
pub(super) struct World {
    pub(super) observed: Observed,
    pub(super) created: BTreeMap<Timestamp, u32>,
    uids: u32,
}

impl World {
    pub(super) fn new(fields: &Value) -> World {
        World { observed: observed(fields, None, "00:00:00"), created: BTreeMap::new(), uids: 0 }
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.observed.now += SignedDuration::from_secs(seconds);
    }

    /// Decides on what `jobs` shows, which may be stale, and does as it says; dies before call `calls`, if it gets
    /// that far. Says whether it lived.
    pub(super) fn reconcile(&mut self, jobs: Vec<ChildJob>, calls: usize) -> bool {
        let seen = Observed { jobs, ..self.observed.clone() };
        let decision = decide(&seen);
        for (call, action) in decision.actions.iter().enumerate() {
            if call == calls {
                return false;
            }
            self.carry_out(action);
        }
        if decision.actions.len() == calls {
            return false;
        }
        self.observed.schedule.status = Some(decision.status);
        true
    }

    /// Decides on what is there, and lives.
    pub(super) fn look(&mut self) {
        assert!(self.reconcile(self.observed.jobs.clone(), usize::MAX));
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Create { name, .. } if self.observed.jobs.iter().any(|job| job.name == *name) => {}
            Action::Create { name, tick } => {
                *self.created.entry(*tick).or_default() += 1;
                self.uids += 1;
                let (uid, name) = (self.uids.to_string(), name.clone());
                self.observed.jobs.push(ChildJob { name, uid, tick: *tick, ..ChildJob::default() });
            }
            Action::Ask { .. } => {}
            // A job that runs takes its time to stop.
            Action::Delete { uid, .. } => {
                self.observed.jobs.retain(|job| job.uid != *uid || job.finished.is_none());
                for job in self.observed.jobs.iter_mut().filter(|job| job.uid == *uid) {
                    job.deleting = true;
                }
            }
        }
    }

    /// What was being deleted is gone.
    pub(super) fn bury(&mut self) {
        self.observed.jobs.retain(|job| !job.deleting);
    }

    pub(super) fn end(&mut self, succeeded: bool) {
        let now = self.observed.now;
        for job in self.observed.jobs.iter_mut().filter(|job| job.finished.is_none()) {
            job.finished = Some(Finished { succeeded, time: now });
        }
    }

    /// Every job that has ended runs out of its TTL.
    pub(super) fn expire(&mut self) {
        let status = self.observed.schedule.status.clone().unwrap_or_default();
        self.observed.jobs.retain(|job| job.finished.is_none() || !recorded(&status, job.tick));
    }

    pub(super) fn unfinished(&self) -> usize {
        self.observed.jobs.iter().filter(|job| job.finished.is_none()).count()
    }

    fn ticks(&self) -> Vec<String> {
        self.created.iter().map(|(tick, times)| format!("{tick} x{times}")).collect()
    }
}

fn hours(hours: std::ops::RangeInclusive<u32>) -> Vec<String> {
    hours.map(|hour| format!("2026-03-01T{hour:02}:00:00Z x1")).collect()
}

#[rstest]
fn whenever_the_operator_dies_each_tick_runs_once(
    #[values("Allow", "Forbid", "Replace")] policy: &str,
    #[values(0, 1, 2, 3)] calls: usize,
    #[values(0, 600, 3000)] down_seconds: i64,
    #[values(false, true)] ends_meanwhile: bool,
) {
    let fields = json!({
        "concurrencyPolicy": policy, "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0
    });
    let mut world = World::new(&fields);
    for _ in 0..12 {
        world.pass(3600);
        world.reconcile(world.observed.jobs.clone(), calls);
        world.pass(down_seconds);
        if ends_meanwhile {
            world.end(true);
            world.expire();
        }
        world.bury();
        // It is back; what was running ends before the next tick.
        world.look();
        world.bury();
        world.look();
        assert!(policy == "Allow" || world.unfinished() <= 1);
        world.end(true);
        world.expire();
        world.pass(-down_seconds);
    }
    assert_eq!(world.ticks(), hours(1..=12));
}

#[rstest]
fn allow_loses_no_tick_while_jobs_pile_up(#[values(0, 1, 2)] calls: usize) {
    let mut world = World::new(&json!({"concurrencyPolicy": "Allow"}));
    for _ in 0..12 {
        world.pass(3600);
        world.reconcile(world.observed.jobs.clone(), calls);
        world.look();
    }
    assert_eq!(world.ticks(), hours(1..=12));
    assert_eq!(world.unfinished(), 12);
}

#[test]
fn a_stale_list_creates_nothing_twice() {
    let mut world = World::new(&json!({"concurrencyPolicy": "Allow"}));
    world.pass(3600);
    assert!(!world.reconcile(Vec::new(), 1), "dies before its status is written");
    world.look();
    world.end(true);
    world.expire();
    assert!(world.observed.jobs.is_empty());
    world.reconcile(vec![running("01:00:00")], usize::MAX);
    world.reconcile(Vec::new(), usize::MAX);
    assert_eq!(world.ticks(), hours(1..=1));
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_twice() {
    let mut world = World::new(&json!({"concurrencyPolicy": "Allow"}));
    for _ in 0..5 {
        world.pass(3600);
        world.look();
        world.end(true);
        world.expire();
    }
    world.pass(-3 * 3600);
    for _ in 0..5 {
        world.look();
        world.pass(3600);
    }
    world.look();
    assert_eq!(world.ticks(), hours(1..=7));
}

/// Replace deletes a request's job in the decision that records it, and the operator dies in between.
#[test]
fn replace_keeps_the_job_of_a_request_until_it_is_recorded() {
    let mut world = World::new(&json!({"concurrencyPolicy": "Replace"}));
    world.pass(3600);
    world.look();
    world.end(true);
    world.pass(60);
    let annotations = world.observed.schedule.metadata.annotations.get_or_insert_default();
    annotations.insert("teasel.dev/retrain-at".into(), "2026-03-01T01:01:00Z".into());
    // Creates the request's job, and dies.
    assert!(!world.reconcile(world.observed.jobs.clone(), 1));
    world.pass(3600);
    // The next tick replaces it; dies after the first call.
    world.reconcile(world.observed.jobs.clone(), 1);
    world.bury();
    for _ in 0..4 {
        world.look();
        world.bury();
    }
    assert!(world.created.values().all(|times| *times == 1), "{:?}", world.ticks());
}

/// A tick's job was created just before the operator died, and the next tick has replaced it.
fn replaced_before_it_was_recorded() -> World {
    let mut world = World::new(&json!({"concurrencyPolicy": "Replace"}));
    world.pass(3600);
    assert!(!world.reconcile(world.observed.jobs.clone(), 1));
    world.pass(3600);
    world.look();
    world.bury();
    world
}

/// Replace deletes a tick's job that isn't recorded, and the clock goes back.
#[test]
fn replace_keeps_the_job_of_a_tick_until_it_is_recorded() {
    let mut world = replaced_before_it_was_recorded();
    world.pass(-3500);
    world.look();
    assert!(world.created.values().all(|times| *times == 1), "{:?}", world.ticks());
}

/// As before, where the schedule is changed instead.
#[test]
fn replace_keeps_the_job_of_a_tick_though_the_schedule_is_changed() {
    let mut world = replaced_before_it_was_recorded();
    world.observed.schedule.spec.schedule = "0 1 * * *".into();
    world.look();
    assert!(world.created.values().all(|times| *times == 1), "{:?}", world.ticks());
}
