//! ScheduledRecommenderJobs: which ticks become jobs. [`decide()`] is a pure function of what is there, with CronJob's
//! rules; [`build`] makes the job of a tick.
//!
//! # Each tick at most once
//!
//! A [`Decision`]'s actions are carried out in order, and only then its status is written; if one fails, nothing after
//! it happens, and whoever looks next decides anew. So a tick's job is there before `status.lastScheduleTime` says so,
//! as CronJob does it. The other order would lose a tick wherever the operator dies in between, since a status that
//! is ahead looks the same as a job that somebody has deleted. What keeps a tick from running twice instead:
//!
//! | the operator dies | what protects |
//! |---|---|
//! | before the job is created | nothing has happened: the tick is still due |
//! | after that, before the status is written | the job has its tick's minute in its name: it is seen, and only the status is made good; if the list is stale, creating it again is refused |
//! | the same, and the job ends meanwhile | neither history nor Replace nor the job's own TTL deletes a job that isn't [`recorded`] |
//! | between two jobs that are due at once | the earlier one comes first, so the later one is still due |
//! | between two deletions of Replace | nothing is created before the former jobs are gone |
//! | after the status is written | nothing starts that isn't later than both `lastScheduleTime` and `lastRetrainTime`, and these only go forward |
//!
//! For that, `Observed::schedule` must be read from the API server, not from a cache; the list of jobs may be stale.
//!
//! What is left: somebody deletes the new job by hand before the status is written, while the operator is dead. Then
//! the tick runs again, since nothing says that it has. And the API server may come to a creation late, from an operator
//! that has lost its lease since: where that tick's job is there no more, as Replace or history has deleted it, it runs
//! again. No precondition can be put on a creation.
//!
//! Clocks that are set back change nothing: a tick is later than the last one, or it isn't due. Set forward, the
//! time in between counts as missed.

pub mod build;
mod clock;
pub mod controller;
mod decide;
mod history;
mod observed;
mod policy;
mod publish;
mod requests;
mod stock;
#[cfg(test)]
mod tests;

pub use decide::{Action, Decision, decide};
pub use history::recorded;
pub use observed::{ChildJob, Finished, Observed};
