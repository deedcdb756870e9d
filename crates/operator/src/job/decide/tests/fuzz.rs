//! Anything may happen in any order, and still no task is worked on twice, nothing runs that nobody answers for, and the
//! job comes to an end.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The operator looks, and dies before that action.
    Look {
        actions: usize,
    },
    /// It looks at Jobs that are as old as the event before, and dies before that action.
    LookStale {
        actions: usize,
    },
    Pass(i64),
    /// One of the Jobs that run ends.
    End(usize, ExitCode),
    /// One of the Jobs' nodes goes away.
    Lose(usize),
    /// Somebody deletes one of the Jobs.
    Delete(usize),
    Suspend(bool),
    /// Somebody changes the template of the training's pods.
    EditTemplate(u32),
    /// Somebody changes a tenant's field.
    EditTenant(u32),
    Retry(u32),
    Deadline(Option<i64>),
}

fn events() -> impl Strategy<Value = Event> {
    let actions = || prop_oneof![Just(usize::MAX), 0..3usize];
    let exits = prop_oneof![
        6 => Just(ExitCode::Done),
        1 => Just(ExitCode::BadData),
        1 => Just(ExitCode::Bug),
        1 => Just(ExitCode::PermissionDenied),
        1 => Just(ExitCode::FencedOut),
        1 => Just(ExitCode::Stopped),
        1 => Just(ExitCode::PeerLost),
    ];
    prop_oneof![
        10 => actions().prop_map(|actions| Event::Look { actions }),
        2 => actions().prop_map(|actions| Event::LookStale { actions }),
        4 => prop_oneof![1..20i64, 60..4000i64].prop_map(Event::Pass),
        6 => (0..4usize, exits).prop_map(|(which, exit)| Event::End(which, exit)),
        1 => (0..4usize).prop_map(Event::Lose),
        1 => (0..4usize).prop_map(Event::Delete),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => (1..4u32).prop_map(Event::EditTemplate),
        1 => (1..4u32).prop_map(Event::EditTenant),
        1 => any::<u32>().prop_map(Event::Retry),
        1 => proptest::option::of(10..5000i64).prop_map(Event::Deadline),
    ]
}

impl World {
    fn happen(&mut self, event: &Event, before: Vec<Child>) {
        match event {
            Event::Look { actions } => {
                self.step(*actions);
            }
            Event::LookStale { actions } => {
                let now = std::mem::replace(&mut self.children, before);
                let decision = self.decide();
                self.children = now;
                self.job.status = Some(decision.status);
                for action in decision.actions.into_iter().take(*actions) {
                    self.carry_out(action);
                }
            }
            Event::Pass(seconds) => self.now += SignedDuration::from_secs(*seconds),
            Event::End(which, exit) => {
                if let Some(key) = self.running().get(*which).cloned() {
                    self.finish(&key, *exit);
                }
            }
            Event::Lose(which) => {
                let gone = self.now;
                let running = self.children.iter_mut().filter(|child| child.state == ChildState::Running);
                if let Some(pod) = running.skip(*which).find_map(|child| child.pods.first_mut()) {
                    pod.gone_by = Some(gone);
                }
            }
            Event::Delete(which) => {
                if *which < self.children.len() {
                    self.children.remove(*which);
                }
            }
            Event::Suspend(suspend) => self.edit(|job| job["spec"]["suspend"] = json!(suspend)),
            Event::EditTemplate(value) => self.edit(|job| {
                job["spec"]["training"]["template"] = json!({"metadata": {"labels": {"value": value.to_string()}}});
            }),
            Event::EditTenant(value) => self.edit(|job| {
                job["spec"]["scoring"]["tenants"][0]["output"]["uri"] = json!(format!("s3://a/{value}"));
            }),
            Event::Retry(value) => {
                self.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/retry": value.to_string()}));
            }
            Event::Deadline(seconds) => self.edit(|job| job["spec"]["activeDeadlineSeconds"] = json!(seconds)),
        }
    }

    /// Ends a task, with the outcome that its worker would report.
    fn finish(&mut self, key: &TaskKey, exit: ExitCode) {
        let done = exit == ExitCode::Done;
        self.end(key, exit, |outcome| {
            outcome.dataset = (done && key.kind == TaskKind::Prepare).then(|| "dataset".into());
            if done && key.kind == TaskKind::Score {
                outcome.published = Some(true);
                outcome.score_hash = Some("hash".into());
            }
        });
    }

    fn check(&self) {
        let status = self.status();
        let mut numbers: Vec<_> =
            status.attempts.iter().map(|attempt| (TaskKey::of(attempt), attempt.number)).collect();
        let attempts = numbers.len();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), attempts, "two attempts of one number: {:#?}", status.attempts);
        let open = |key: &TaskKey| {
            status.attempts.iter().filter(|attempt| key.owns(attempt) && attempt.outcome.is_none()).count()
        };
        for (key, _) in &numbers {
            assert!(open(key) <= 1, "{key} is worked on twice: {:#?}", status.attempts);
        }
    }

    /// Lets everything be well, and says how the job ends.
    fn come_to_an_end(&mut self) -> Phase {
        self.edit(|job| {
            job["spec"]["suspend"] = json!(null);
            job["spec"]["activeDeadlineSeconds"] = json!(null);
        });
        for _ in 0..60 {
            self.settle();
            self.check();
            let status = self.status();
            if status.completion_time.is_some() {
                return status.phase.unwrap();
            }
            for key in self.running() {
                self.finish(&key, ExitCode::Done);
            }
        }
        panic!("it doesn't end: {:#?}", self.status());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_happens_a_job_comes_to_an_end_and_leaves_nothing_running(
        events in proptest::collection::vec(events(), 1..60),
    ) {
        let mut world = World::new(&["a", "b"], |_| {});
        let mut before = Vec::new();
        for event in &events {
            let stale = std::mem::replace(&mut before, world.children.clone());
            world.happen(event, stale);
            world.check();
        }
        let mut phase = world.come_to_an_end();
        if phase == Phase::Failed {
            // Whatever it was, once that is mended the job goes on.
            world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/retry": "at last"}));
            phase = world.come_to_an_end();
        }
        prop_assert_eq!(phase, Phase::Succeeded, "{:#?}", world.status());
        prop_assert_eq!(world.running(), Vec::new());
    }
}
