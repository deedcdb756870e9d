//! Which task of a job, and for which tenant.

use std::fmt;

use teasel_api::spec::AttemptStatus;
use teasel_api::task::TaskKind;

/// A task of a job. Attempts are counted for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// The task.
    pub kind: TaskKind,
    /// The tenant, of tasks that run for one.
    pub tenant: Option<String>,
}

impl TaskKey {
    /// A task of the whole job.
    pub fn of_job(kind: TaskKind) -> Self {
        TaskKey { kind, tenant: None }
    }

    /// A tenant's task.
    pub fn of_tenant(kind: TaskKind, tenant: &str) -> Self {
        TaskKey { kind, tenant: Some(tenant.to_owned()) }
    }

    /// The task that `attempt` is one at.
    pub fn of(attempt: &AttemptStatus) -> Self {
        TaskKey { kind: attempt.task, tenant: attempt.tenant.clone() }
    }

    /// Whether `attempt` is one at this task.
    pub fn owns(&self, attempt: &AttemptStatus) -> bool {
        self.kind == attempt.task && self.tenant == attempt.tenant
    }

    /// Whether attempts of this task and of `other` are numbered together. Those that write one log are: the run log
    /// takes a higher number for a newer owner.
    pub fn numbers_with(&self, other: TaskKind, tenant: Option<&str>) -> bool {
        let group = |kind: TaskKind| match kind {
            TaskKind::Train | TaskKind::Evaluate | TaskKind::Collect => 0,
            TaskKind::Prepare => 1,
            TaskKind::Score | TaskKind::Publish => 2,
            TaskKind::Inspect | TaskKind::Measure => 3,
        };
        group(self.kind) == group(other) && self.tenant.as_deref() == tenant
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.as_str())?;
        match &self.tenant {
            Some(tenant) => write!(formatter, " of tenant {tenant}"),
            None => Ok(()),
        }
    }
}
