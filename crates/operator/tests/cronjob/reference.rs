//! Both who decide: ours, and Kubernetes' CronJob controller, which Go builds from `tests/cluster/kube/cronjob`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use teasel_api::spec::{ScheduledRecommenderJob, ScheduledRecommenderJobStatus};
use teasel_operator::schedule::{Action, ChildJob, Finished, Observed, decide};

use crate::world::{NAME, Scenario, Seen, Step};

/// What the CronJob controller adds to the time of its next look.
const PADDING: SignedDuration = SignedDuration::from_millis(100);

/// The CronJob controller.
pub(crate) struct CronJobController {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What it has said of the scenario: it holds nothing between two questions.
    said: HashMap<String, String>,
}

impl CronJobController {
    pub(crate) fn start() -> CronJobController {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cluster/kube");
        let mut command = Command::new("go");
        // As scripts/kube builds the same packages, so that they are compiled once.
        command
            .args(["run", "-mod=readonly", "-trimpath", "./cronjob"])
            .env("CGO_ENABLED", "0")
            .current_dir(folder);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            child.expect("missing: go. Install it with: a download from https://go.dev/dl, 1.26 or newer");
        let answers = BufReader::new(child.stdout.take().unwrap());
        CronJobController { questions: child.stdin.take(), answers, child, said: HashMap::new() }
    }

    /// Forgets what it has said: of another scenario it isn't asked the same again.
    pub(crate) fn forget(&mut self) {
        self.said.clear();
    }

    /// What it does, and whether it knows of missed ticks of which it finds none.
    pub(crate) fn decide(&mut self, scenario: &Scenario, seen: &Seen) -> (Step, bool) {
        let jobs = seen.jobs.iter().map(|job| {
            let (ended, succeeded) = job.ended.map_or((None, false), |(at, how)| (Some(at.as_second()), how));
            json!({
                "name": job.name, "started": job.started.as_second(), "ended": ended, "succeeded": succeeded
            })
        });
        let question = json!({
            "now": seen.now.as_millisecond(), "created": scenario.span.0.as_second(),
            "schedule": scenario.schedule, "zone": scenario.zone, "policy": scenario.policy,
            "deadline": scenario.deadline, "suspend": seen.suspended,
            "succeeded": scenario.history.0, "failed": scenario.history.1,
            "last": seen.last.map(Timestamp::as_second), "active": seen.active, "jobs": jobs.collect::<Vec<_>>(),
        });
        let answer: Value =
            serde_json::from_str(self.ask(question.to_string())).expect("the reference failed: see above");
        let names = |field: &str| -> Vec<String> {
            let names = answer[field].as_array().into_iter().flatten();
            let mut names: Vec<String> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        let after = answer["after"].as_i64().map(SignedDuration::from_millis);
        let step = Step {
            created: names("created").iter().map(|name| tick_of(name)).collect(),
            deleted: names("deleted"),
            last: answer["last"].as_i64().map(|last| Timestamp::from_second(last).unwrap()),
            active: names("active"),
            next: after.map(|after| seen.now + after - PADDING),
        };
        (step, answer["lost"] == true)
    }

    fn ask(&mut self, question: String) -> &str {
        self.said.entry(question).or_insert_with_key(|question| {
            writeln!(self.questions.as_ref().unwrap(), "{question}").unwrap();
            let mut answer = String::new();
            self.answers.read_line(&mut answer).unwrap();
            answer
        })
    }
}

impl Drop for CronJobController {
    fn drop(&mut self) {
        // It ends where its input does.
        self.questions = None;
        let _ = self.child.wait();
    }
}

fn tick_of(name: &str) -> Timestamp {
    let minute: i64 = name.strip_prefix(NAME).unwrap()[1..].parse().unwrap();
    Timestamp::from_second(minute * 60).unwrap()
}

/// The schedule of a scenario, as its owner writes it.
pub(crate) fn schedule(scenario: &Scenario) -> ScheduledRecommenderJob {
    serde_json::from_value(json!({
        "apiVersion": "teasel.dev/v1alpha1",
        "kind": "ScheduledRecommenderJob",
        "metadata": {
            "name": NAME, "namespace": "media", "uid": "parent", "generation": 1,
            "creationTimestamp": scenario.span.0.to_string()
        },
        "spec": {
            "schedule": scenario.schedule, "timeZone": scenario.zone, "concurrencyPolicy": scenario.policy,
            "startingDeadlineSeconds": scenario.deadline,
            "successfulJobsHistoryLimit": scenario.history.0, "failedJobsHistoryLimit": scenario.history.1,
            "jobTemplate": {"spec": {
                "storage": {"uri": "s3://teasel/films"},
                "data": {"interactions": {"location": {"uri": "s3://x"}, "columns": {"user": "u", "item": "i"}}},
                "scoring": {"tenants": [{"name": "city", "output": {"uri": "s3://city/lists"}}]}
            }}
        }
    }))
    .unwrap()
}

/// What we do.
pub(crate) fn ours(schedule: &ScheduledRecommenderJob, seen: &Seen) -> Step {
    let mut schedule = schedule.clone();
    schedule.spec.suspend = Some(seen.suspended);
    schedule.status = Some(ScheduledRecommenderJobStatus {
        last_schedule_time: seen.last,
        active: seen.active.clone(),
        ..Default::default()
    });
    let jobs = seen.jobs.iter().map(|job| ChildJob {
        name: job.name.clone(),
        uid: job.name.clone(),
        tick: job.tick,
        finished: job.ended.map(|(time, succeeded)| Finished { succeeded, time }),
        deleting: job.deleting,
        ..ChildJob::default()
    });
    let decision = decide(&Observed { jobs: jobs.collect(), allowed_secrets: Vec::new(), now: seen.now, schedule });
    let mut step = Step {
        created: Vec::new(),
        deleted: Vec::new(),
        last: decision.status.last_schedule_time,
        active: decision.status.active,
        next: decision.look_again,
    };
    for action in decision.actions {
        match action {
            Action::Create { tick, .. } => step.created.push(tick),
            Action::Delete { name, .. } => step.deleted.push(name),
            Action::Ask { .. } => panic!("nobody has asked for anything"),
        }
    }
    step.deleted.sort();
    step.active.sort();
    step
}
