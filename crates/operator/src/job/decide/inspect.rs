//! Outcomes that nobody has read: the pods of an attempt that succeeded were gone before they were looked at. What was
//! done is durable, so one small pod, with the task's own credentials, says it again; doing the task anew would take as
//! many workers as before.

use teasel_api::resolved::Job;
use teasel_api::spec::AttemptStatus;
use teasel_api::task::{InspectTask, Task, TaskKind};

use super::Plan;
use super::start::Made;
use crate::job::restarts;
use crate::job::verdict::{Disruption, End, OUTCOME_UNREAD};
use crate::task_key::TaskKey;

impl Plan<'_> {
    /// Whether an attempt is at work, or was put to work, that reads the outcome of the newest one at a task. It is
    /// asked once: where it finds nothing, the task is done again.
    pub(super) fn reads_outcome(&mut self, key: &TaskKey, job: &Job, make: impl FnOnce(&Self) -> Made) -> bool {
        let Some(unread) = self.newest(key).filter(|newest| newest.reason.as_deref() == Some(OUTCOME_UNREAD))
        else {
            return false;
        };
        let subject = subject(key.kind, unread.number);
        let inspect = TaskKey { kind: TaskKind::Inspect, tenant: key.tenant.clone() };
        let asked = self.newest(&inspect).filter(|asked| asked.hash == subject);
        match asked.map(|asked| asked.outcome) {
            Some(Some(_)) => {
                // Only now it is known to be lost, and the next attempt begins.
                self.count_disruption(Disruption::Other);
                false
            }
            Some(None) => {
                self.ensure_started(&inspect, |plan| inspection(make(plan), job, subject));
                true
            }
            None => {
                let made = inspection(make(self), job, subject);
                self.begin(&inspect, made);
                true
            }
        }
    }

    /// The task that reads what came of an attempt, as long as it does.
    pub(super) fn inspection_of(&self, unread: &AttemptStatus) -> Option<TaskKey> {
        if unread.reason.as_deref() != Some(OUTCOME_UNREAD) {
            return None;
        }
        let inspect = TaskKey { kind: TaskKind::Inspect, tenant: unread.tenant.clone() };
        let asked = self.newest(&inspect)?;
        (asked.outcome.is_none() && asked.hash == subject(unread.task, unread.number)).then_some(inspect)
    }

    /// Lets what an inspection read take effect, as if the attempt itself had said it.
    pub(super) fn inspected(&mut self, key: &TaskKey, asked: &str, end: &End) {
        let attempts = self.decision.status.attempts.iter_mut();
        let unread = attempts
            .filter(|attempt| attempt.tenant == key.tenant && subject(attempt.task, attempt.number) == asked)
            .find(|attempt| attempt.reason.as_deref() == Some(OUTCOME_UNREAD));
        let Some(unread) = unread else { return };
        restarts::conclude(unread, self.now, end, None);
        let of = TaskKey::of(unread);
        if let Some(report) = &end.report {
            self.take_effect(&of, report);
        }
    }
}

/// What an inspection is about; it stands as the hash of its attempt.
fn subject(kind: TaskKind, number: u32) -> String {
    format!("{}-{number}", kind.as_str())
}

fn inspection(made: Made, job: &Job, subject: String) -> Made {
    let run = |run, task| InspectTask::Run { storage: job.storage.clone(), run, task };
    let task = match made.task {
        Task::Inspect(inspect) => inspect,
        Task::Prepare(prepare) => InspectTask::Prepare { storage: prepare.storage, data: prepare.data },
        Task::Train(train) => run(train.run, TaskKind::Train),
        Task::Evaluate(evaluate) => run(evaluate.run, TaskKind::Evaluate),
        Task::Collect(collect) => run(collect.run, TaskKind::Collect),
        Task::Score(score) => InspectTask::Score { score },
        Task::Publish(publish) => InspectTask::Publish { publish },
        // Nothing of it is durable, so there is nothing to ask: it is done again.
        task @ Task::Measure(_) => return Made { task, hash: subject, ..made },
    };
    Made { task: Task::Inspect(task), indexes: 1, parallelism: 1, hash: subject, ..made }
}
