//! What befalls a job, and when.

use std::fmt;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A worker's agent, the pod's first process, is killed.
    AgentKilled(u32),
    /// One of a worker's ranks is killed.
    RankKilled(u32),
    /// A worker is asked to stop.
    Terminated(u32),
    PodDeleted,
    PodEvicted,
    /// A pod of a higher priority takes a worker's place.
    PodPreempted,
    /// A kubelet finds that its node has too little memory.
    NodePressed,
    JobDeleted,
    OperatorKilled,
    /// Another release takes over, which makes other images and templates of everything.
    OperatorUpgraded,
    ApiServerRestarts,
    /// The object store takes connections, and answers nothing for most of a minute.
    StorageSilent,
    NodeDies,
    NodeReboots,
    /// A node's kubelet doesn't reach the API server, and its workers go on.
    ApiServerCutOff,
    /// Nothing reaches a node, and its workers go on; later it is back.
    LinkDown,
}

/// A task of the job, in whose middle it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Prepare,
    Train,
    Evaluate,
    Score,
    /// Publishing what waited for somebody's approval.
    Publish,
}

impl Task {
    /// As statuses and labels call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Task::Prepare => "prepare",
            Task::Train => "train",
            Task::Evaluate => "evaluate",
            Task::Score => "score",
            Task::Publish => "publish",
        }
    }
}

/// A fault in the middle of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case(pub(super) Fault, pub(super) Task);

impl Case {
    /// All of them.
    pub(super) fn all() -> Vec<Case> {
        let training = [
            Fault::AgentKilled(0),
            Fault::AgentKilled(1),
            Fault::RankKilled(1),
            Fault::Terminated(1),
            Fault::PodDeleted,
            Fault::PodEvicted,
            Fault::PodPreempted,
            Fault::NodePressed,
            Fault::JobDeleted,
            Fault::OperatorUpgraded,
            Fault::ApiServerRestarts,
            Fault::NodeReboots,
            Fault::ApiServerCutOff,
            Fault::LinkDown,
        ];
        let any = [Fault::OperatorKilled, Fault::StorageSilent, Fault::NodeDies];
        let tasks = [Task::Prepare, Task::Train, Task::Evaluate, Task::Score, Task::Publish];
        let any = any.into_iter().flat_map(|fault| tasks.map(|task| Case(fault, task)));
        // Nobody stands by a task of one process. Scoring's Job makes up for its pods by itself.
        let alone = [Fault::AgentKilled(0), Fault::PodEvicted];
        let others = [Task::Prepare, Task::Evaluate, Task::Score, Task::Publish];
        let alone = alone.into_iter().flat_map(|fault| others.map(|task| Case(fault, task)));
        training.map(|fault| Case(fault, Task::Train)).into_iter().chain(any).chain(alone).collect()
    }

    /// How the task's first attempt ends by it.
    pub(super) fn outcome(self) -> &'static str {
        match self.0 {
            Fault::AgentKilled(_) | Fault::PodEvicted if self.1 == Task::Score => "Succeeded",
            Fault::OperatorKilled | Fault::OperatorUpgraded | Fault::ApiServerRestarts | Fault::StorageSilent => {
                "Succeeded"
            }
            Fault::AgentKilled(_) | Fault::RankKilled(_) => "Failed",
            _ => "Disrupted",
        }
    }

    /// What counts it among the disruptions.
    pub(super) fn counter(self) -> &'static str {
        match self.0 {
            Fault::PodEvicted | Fault::NodePressed => "eviction",
            Fault::PodPreempted => "preemption",
            Fault::ApiServerCutOff | Fault::LinkDown | Fault::NodeDies | Fault::NodeReboots => "nodeFailure",
            _ => "total",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} in {:?}", self.0, self.1)
    }
}
