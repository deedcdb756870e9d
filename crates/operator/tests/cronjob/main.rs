//! Decisions against those of Kubernetes' own CronJob controller, for the same specs and histories.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod differences;
mod lockstep;
mod play;
mod reference;
mod scenarios;
mod world;

use lockstep::{Difference, Tally, compare};
use reference::CronJobController;
use world::Scenario;

fn compare_all(scenarios: &[Scenario]) -> Tally {
    let mut theirs = CronJobController::start();
    let mut tally = Tally::default();
    for scenario in scenarios {
        compare(scenario, &mut theirs, &mut tally);
    }
    println!("{tally:?}");
    tally
}

#[test]
fn over_a_year_the_same_ticks_start_in_the_same_seconds() {
    let tally = compare_all(&scenarios::years());
    assert!(tally.jobs > 20_000, "{tally:?}");
    let met: Vec<Difference> = tally.differences.into_keys().collect();
    assert_eq!(met, [Difference::ReplaceWaits]);
}

#[test]
fn on_the_days_on_which_clocks_change_they_do_too() {
    let tally = compare_all(&scenarios::clock_changes());
    assert!(tally.jobs > 30_000, "{tally:?}");
    let met: Vec<Difference> = tally.differences.into_keys().collect();
    assert_eq!(met, [Difference::ReplaceWaits]);
}

#[test]
fn whatever_happens_only_the_named_differences_are_met() {
    let tally = compare_all(&scenarios::samples(400));
    assert!(tally.jobs > 10_000, "{tally:?}");
    for difference in [Difference::StatusBehindJobs, Difference::LostTick, Difference::ReplaceWaits] {
        // Else it would be time to take it away, or to look for it elsewhere.
        assert!(tally.differences.get(&difference).is_some_and(|times| *times > 10), "{tally:?}");
    }
}
