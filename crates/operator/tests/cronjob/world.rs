//! What is decided about, what is seen, and what is decided: the same for us and for CronJob.

use jiff::Timestamp;
use teasel_api::spec::ConcurrencyPolicy;
use teasel_operator::schedule::build;

/// Name of the schedule.
pub(crate) const NAME: &str = "films";

/// What is decided about, and what happens.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) schedule: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) policy: ConcurrencyPolicy,
    pub(crate) deadline: Option<i64>,
    /// How many jobs are kept that have succeeded, and that have failed.
    pub(crate) history: (u32, u32),
    /// When the schedule is created, and when the scenario ends.
    pub(crate) span: (Timestamp, Timestamp),
    /// How long a job runs, in seconds, and whether it succeeds: the first one, the second, and again from the first.
    pub(crate) runs: Vec<(i64, bool)>,
    /// How long a job that runs takes to go when it is deleted.
    pub(crate) stops_in: i64,
    /// What happens when, in seconds that have passed since the start, whatever clocks say.
    pub(crate) events: Vec<(i64, Event)>,
}

/// Something that happens to a schedule or to those who decide about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Suspend(bool),
    /// The operator is there, or isn't.
    Up(bool),
    /// The clock is set forward, or back.
    StepClock(i64),
    /// After the next job is created, the operator dies before it writes the status, and is away for so long.
    Die(i64),
}

/// What somebody who decides sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) now: Timestamp,
    pub(crate) suspended: bool,
    /// The last tick, as the status says.
    pub(crate) last: Option<Timestamp>,
    /// Jobs that run, as the status says.
    pub(crate) active: Vec<String>,
    pub(crate) jobs: Vec<Job>,
}

/// A job of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) tick: Timestamp,
    pub(crate) started: Timestamp,
    /// When it ended, if it did, and whether it succeeded.
    pub(crate) ended: Option<(Timestamp, bool)>,
    pub(crate) deleting: bool,
}

/// What is decided: ticks that get a job, names of jobs that are deleted, in order of their names, the new status, and
/// when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) created: Vec<Timestamp>,
    pub(crate) deleted: Vec<String>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) active: Vec<String>,
    pub(crate) next: Option<Timestamp>,
}

/// What has become of a scenario.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Played {
    /// Ticks, and the second in which their jobs were created.
    pub(crate) created: Vec<(Timestamp, Timestamp)>,
    pub(crate) deleted: Vec<(String, Timestamp)>,
}

pub(crate) fn job_name(tick: Timestamp) -> String {
    build::job_name(NAME, tick)
}

impl Seen {
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.ended.is_none())
    }
}
