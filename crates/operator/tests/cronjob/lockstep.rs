//! Decision by decision: whatever we see, the CronJob controller is asked about too, and must decide the same, but for
//! the named differences.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use teasel_api::cron::{Cron, time_zone};
use teasel_api::spec::{ConcurrencyPolicy, ScheduledRecommenderJob};

use crate::play::play;
use crate::reference::{CronJobController, ours, schedule};
use crate::world::{Job, Played, Scenario, Seen, Step};

/// Where we differ on purpose. Each says what CronJob decides for another input, or a moment later, and that this is
/// exactly what we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// There is a job that the status doesn't know, since the operator died before it could write it. CronJob goes by
    /// its status: it starts the next tick beside that job, whatever the policy says, and its history deletes the job
    /// of a tick that it then starts again. We go by the jobs: we do what CronJob does where the status is as it should
    /// be, but delete nothing whose tick isn't recorded.
    StatusBehindJobs,
    /// CronJob knows that ticks were missed, and finds none: it guesses where the last one is from the distance of the
    /// first two. We do what it does where only the last one was missed.
    LostTick,
    /// For two days after some changes of clocks, ticks depend on where a search for them begins: that is a quirk of
    /// the library that CronJob uses, which we keep. CronJob begins where it guesses that the last tick is, we begin
    /// at the tick before. We start what is found from there.
    OtherSearch,
    /// CronJob deletes what it replaces and starts the tick in one go. We delete, and start the tick when nothing runs
    /// any more.
    ReplaceWaits,
}

/// What came of comparisons.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) scenarios: usize,
    pub(crate) decisions: usize,
    /// Jobs that were created.
    pub(crate) jobs: usize,
    pub(crate) differences: BTreeMap<Difference, usize>,
}

/// Plays a scenario as we decide. Compares each decision, and the whole where no difference that matters was met.
pub(crate) fn compare(scenario: &Scenario, theirs: &mut CronJobController, tally: &mut Tally) -> Played {
    let mut differences: BTreeMap<Difference, usize> = BTreeMap::new();
    let schedule = schedule(scenario);
    let ours = play(scenario, |seen| {
        tally.decisions += 1;
        let (step, met) = decide(scenario, &schedule, seen, theirs);
        for difference in met {
            *differences.entry(difference).or_default() += 1;
        }
        step
    });
    // If there is nothing to wait for, Replace only takes one look more.
    let same = |difference| difference == Difference::ReplaceWaits && scenario.stops_in == 0;
    if differences.keys().copied().all(same) {
        assert_eq!(ours, play(scenario, |seen| theirs.decide(scenario, seen).0), "{scenario:?}");
    }
    theirs.forget();
    tally.scenarios += 1;
    tally.jobs += ours.created.len();
    for (difference, times) in differences {
        *tally.differences.entry(difference).or_default() += times;
    }
    ours
}

/// Our decision, which is CronJob's, and by which differences it isn't.
pub(crate) fn decide(
    scenario: &Scenario,
    schedule: &ScheduledRecommenderJob,
    seen: &Seen,
    theirs: &mut CronJobController,
) -> (Step, Vec<Difference>) {
    let step = ours(schedule, seen);
    let (mut expected, mut lost) = theirs.decide(scenario, seen);
    let mut met = Vec::new();
    if step == expected {
        return (step, met);
    }
    let mut input = seen.clone();
    let is_unknown = |job: &Job| Some(job.tick) > seen.last;
    if seen.jobs.iter().any(is_unknown) || seen.unfinished().any(|job| !seen.active.contains(&job.name)) {
        met.push(Difference::StatusBehindJobs);
        input.last = seen.last.max(seen.jobs.iter().map(|job| job.tick).max());
        input.active = names(seen);
        (expected, lost) = theirs.decide(scenario, &input);
    }
    let last = input.last;
    let due = last_missed(scenario, &input);
    let is_quirk =
        due.is_some_and(|due| expected.created.iter().any(|tick| *tick != due && is_odd(scenario, *tick)));
    if lost || is_quirk {
        met.push(if lost { Difference::LostTick } else { Difference::OtherSearch });
        assert!(!lost || expected.created.is_empty(), "it finds none");
        input.last = due.map(|due| due - SignedDuration::from_secs(1));
        (expected, _) = theirs.decide(scenario, &input);
        if expected.created.is_empty() {
            expected.last = last;
        }
    }
    expected.deleted.retain(|name| !seen.jobs.iter().any(|job| job.name == *name && is_unknown(job)));
    let is_replaced = scenario.policy == ConcurrencyPolicy::Replace && seen.unfinished().next().is_some();
    if is_replaced && !expected.created.is_empty() {
        met.push(Difference::ReplaceWaits);
        expected.created.clear();
        expected.last = last;
        expected.active = names(seen);
        expected.deleted.retain(|name| !seen.jobs.iter().any(|job| job.name == *name && job.deleting));
        // Its tick is recorded now, and it is deleted right after.
        if seen.unfinished().any(|job| is_unknown(job) && !job.deleting) {
            expected.next = Some(seen.now);
        }
    }
    assert_eq!(step, expected, "\nours, and CronJob's by {met:?}, for\n{scenario:?}\n{seen:?}");
    (step, met)
}

fn names(seen: &Seen) -> Vec<String> {
    let mut names: Vec<String> = seen.unfinished().map(|job| job.name.clone()).collect();
    names.sort();
    names
}

/// The last tick that may start, found by going through all of them.
fn last_missed(scenario: &Scenario, seen: &Seen) -> Option<Timestamp> {
    let cron: Cron = scenario.schedule.parse().unwrap();
    let zone = time_zone(Some(scenario.zone)).unwrap();
    let after = seen.last.unwrap_or(scenario.span.0);
    let after =
        scenario.deadline.map_or(after, |deadline| after.max(seen.now - SignedDuration::from_secs(deadline)));
    let ticks = std::iter::successors(cron.next(after, &zone), |tick| cron.next(*tick, &zone));
    ticks.take_while(|tick| *tick <= seen.now).last()
}

/// Whether clocks changed within two days around a tick.
fn is_odd(scenario: &Scenario, tick: Timestamp) -> bool {
    let zone = time_zone(Some(scenario.zone)).unwrap();
    let days = SignedDuration::from_hours(48);
    zone.following(tick - days).next().is_some_and(|change| change.timestamp() < tick + days)
}
