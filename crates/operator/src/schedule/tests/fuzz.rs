//! Anything may happen in any order, and still no minute has two jobs.

use proptest::prelude::*;
use serde_json::json;

use super::world::World;

const SCHEDULES: [&str; 5] = ["*/10 * * * *", "0 * * * *", "5,7 */2 * * *", "* 3 * * *", "no schedule"];

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The operator looks, and dies before that call.
    Look {
        calls: usize,
    },
    /// It looks at a list of jobs that is as old as the event before.
    LookStale {
        calls: usize,
    },
    Pass(i64),
    /// The clock is set back.
    SetBack(i64),
    End(bool),
    Bury,
    Expire,
    Suspend(bool),
    Schedule(usize),
    Policy(&'static str),
    Deadline(Option<i64>),
    /// Somebody asks for a job, so many seconds from now.
    Ask(i64),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => prop_oneof![Just(usize::MAX), 0..4usize].prop_map(|calls| Event::Look { calls }),
        2 => prop_oneof![Just(usize::MAX), 0..4usize].prop_map(|calls| Event::LookStale { calls }),
        8 => prop_oneof![1..90i64, 60..10_000i64, 1..500_000i64].prop_map(Event::Pass),
        1 => prop_oneof![1..90i64, 60..100_000i64].prop_map(Event::SetBack),
        4 => any::<bool>().prop_map(Event::End),
        4 => Just(Event::Bury),
        2 => Just(Event::Expire),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => (0..SCHEDULES.len()).prop_map(Event::Schedule),
        1 => prop_oneof![Just("Allow"), Just("Forbid"), Just("Replace")].prop_map(Event::Policy),
        1 => proptest::option::of(0..5000i64).prop_map(Event::Deadline),
        2 => prop_oneof![Just(0), -5000..5000i64].prop_map(Event::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn whatever_happens_no_minute_has_two_jobs(events in proptest::collection::vec(events(), 1..120)) {
        let mut world = World::new(&json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0}));
        let mut stale = Vec::new();
        for event in events {
            let jobs = world.observed.jobs.clone();
            let last = world.observed.schedule.status.clone().unwrap_or_default();
            let mut exclusive = false;
            match event {
                Event::Look { calls } => {
                    let unfinished = world.unfinished();
                    world.reconcile(jobs.clone(), calls);
                    exclusive = world.unfinished() > unfinished;
                }
                Event::LookStale { calls } => {
                    world.reconcile(stale, calls);
                }
                Event::Pass(seconds) => world.pass(seconds),
                Event::SetBack(seconds) => world.pass(-seconds),
                Event::End(succeeded) => world.end(succeeded),
                Event::Bury => world.bury(),
                Event::Expire => world.expire(),
                Event::Suspend(suspend) => world.observed.schedule.spec.suspend = Some(suspend),
                Event::Schedule(index) => world.observed.schedule.spec.schedule = SCHEDULES[index].into(),
                Event::Policy(policy) => {
                    world.observed.schedule.spec.concurrency_policy =
                        Some(serde_json::from_value(json!(policy)).unwrap());
                }
                Event::Deadline(seconds) => world.observed.schedule.spec.starting_deadline_seconds = seconds,
                Event::Ask(seconds) => {
                    let asked = world.observed.now + jiff::SignedDuration::from_secs(seconds);
                    world.observed = world.observed.clone().asked(&asked.to_string());
                }
            }
            stale = jobs;
            prop_assert!(world.created.values().all(|times| *times == 1), "{:?}", world.created);
            let status = world.observed.schedule.status.clone().unwrap_or_default();
            prop_assert!(status.last_schedule_time >= last.last_schedule_time);
            prop_assert!(status.last_retrain_time >= last.last_retrain_time);
            let allow = serde_json::to_value(world.observed.schedule.spec.concurrency_policy).unwrap() == "Allow";
            prop_assert!(!exclusive || allow || world.unfinished() == 1, "one at a time");
        }
    }
}
