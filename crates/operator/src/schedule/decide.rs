//! The decision: what to start, what to delete, and what to tell.

use jiff::Timestamp;
use teasel_api::Violation;
use teasel_api::cron::{Cron, time_zone};
use teasel_api::spec::{Condition, ScheduledRecommenderJobStatus};

use super::Observed;
use super::clock::Clock;
use crate::job::decide::Note;
use crate::job::validate::validate_schedule;

/// Type of the condition that says whether schedule, zone and the jobs' template are right.
pub(super) const VALID: &str = "Valid";
/// Type of the condition that says why a tick's job can't be created, and later that it was.
const CREATED: &str = "Created";

/// What is done: the actions are carried out in this order, then the status is written, then events are told. If an
/// action fails, nothing after it happens, but for what [`Decision::refused`] says; the [module](super) says why.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// The new status.
    pub status: ScheduledRecommenderJobStatus,
    /// What to create and delete.
    pub actions: Vec<Action>,
    /// What to tell people.
    pub notes: Vec<Note>,
    /// When time alone may change the decision.
    pub look_again: Option<Timestamp>,
    /// What stands without the jobs that start: they come last among the actions.
    without_starts: Option<Box<Decision>>,
}

/// Something to create or delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create a tick's job, which [`super::build::job`] makes.
    ///
    /// It may be there already, where the list of jobs was stale. If the schedule controls it, that is as good as
    /// having created it. If not, the name is taken by something else, and this fails.
    Create {
        /// Its name.
        name: String,
        /// The tick.
        tick: Timestamp,
    },
    /// Delete a job, and all that it controls, if it still has that UID. If it is gone, that is as good.
    Delete {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// Hand a request to a job, by the annotation
    /// [`PUBLISH_REQUEST_ANNOTATION`](teasel_api::request::PUBLISH_REQUEST_ANNOTATION). If the job is gone, that is an
    /// answer too: whoever looks next finds another.
    Ask {
        /// The job's name.
        name: String,
        /// Its UID.
        uid: String,
        /// The request as it was made.
        request: String,
    },
}

impl Decision {
    /// What stands where the API server doesn't take a tick's job: all but the start, which stays due, and why.
    pub fn refused(self, now: Timestamp, generation: Option<i64>, note: Note) -> Decision {
        let mut rest = self.without_starts.map_or_else(Decision::default, |rest| *rest);
        let condition = Condition {
            kind: CREATED.into(),
            status: "False".into(),
            observed_generation: generation,
            last_transition_time: now,
            reason: note.reason.clone(),
            message: note.message.clone(),
        };
        set(&mut rest.status.conditions, condition);
        rest.notes.push(note);
        rest
    }
}

/// Decides on a schedule.
pub fn decide(observed: &Observed) -> Decision {
    let mut plan = Plan::new(observed);
    plan.take_stock();
    if observed.schedule.metadata.deletion_timestamp.is_some() {
        // Owner references see to the rest.
        return plan.decision;
    }
    plan.clean_up();
    plan.catch_up();
    plan.serve_request();
    match plan.read_clock() {
        Some(clock) => {
            plan.decision.without_starts = Some(Box::new(plan.decision.clone()));
            plan.start_due(&clock);
            plan.forget_refusal();
            plan.look_ahead(&clock);
        }
        None => plan.decision.status.next_schedule_time = None,
    }
    plan.decision
}

/// A decision in the making.
pub(super) struct Plan<'a> {
    pub(super) observed: &'a Observed,
    pub(super) now: Timestamp,
    pub(super) name: String,
    /// The status as it is persisted.
    pub(super) before: ScheduledRecommenderJobStatus,
    pub(super) decision: Decision,
}

impl<'a> Plan<'a> {
    fn new(observed: &'a Observed) -> Self {
        let before = observed.schedule.status.clone().unwrap_or_default();
        let mut status = before.clone();
        status.observed_generation = observed.schedule.metadata.generation;
        Plan {
            observed,
            now: observed.now,
            name: observed.schedule.metadata.name.clone().unwrap_or_default(),
            before,
            decision: Decision { status, ..Decision::default() },
        }
    }

    /// When the schedule was created: earlier ticks aren't its own.
    pub(super) fn created(&self) -> Timestamp {
        self.observed.schedule.metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0)
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.observed.schedule.spec.suspend == Some(true)
    }

    pub(super) fn note(&mut self, warning: bool, reason: &str, message: impl Into<String>) {
        self.decision.notes.push(Note { warning, reason: reason.to_owned(), message: message.into() });
    }

    /// Reads schedule and zone, and checks the template; says what to do where that can't be done.
    fn read_clock(&mut self) -> Option<Clock> {
        let spec = &self.observed.schedule.spec;
        let sentence = |field: &str, problem: String, hint: Option<String>| {
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("spec.{field} {problem}{hint}; nothing starts until that is mended")
        };
        let wrong = match (spec.schedule.parse::<Cron>(), time_zone(spec.time_zone.as_deref())) {
            (Ok(cron), Ok(zone)) => {
                match validate_schedule(&self.observed.schedule, &self.observed.allowed_secrets) {
                    Ok(()) => {
                        self.set(VALID, true, "Valid", "every field is understood");
                        return Some(Clock { cron, zone });
                    }
                    // Every tick's job would fail by the same words.
                    Err(violations) => {
                        let message =
                            format!("{}; nothing starts until that is mended", Violation::list(&violations));
                        ("InvalidJobTemplate", message)
                    }
                }
            }
            (Err(error), _) => ("InvalidSchedule", sentence("schedule", error.message, error.hint)),
            (_, Err(error)) => ("UnknownTimeZone", sentence("timeZone", error.to_string(), error.hint)),
        };
        let (reason, message) = wrong;
        if self.set(VALID, false, reason, &message) {
            self.note(true, reason, message);
        }
        None
    }

    /// Sets a condition, and says whether that changes what people read. Its time of transition only changes with its
    /// status.
    pub(super) fn set(&mut self, kind: &str, holds: bool, reason: &str, message: &str) -> bool {
        let condition = Condition {
            kind: kind.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            observed_generation: self.observed.schedule.metadata.generation,
            last_transition_time: self.now,
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        set(&mut self.decision.status.conditions, condition)
    }

    /// A job that starts has been taken: whoever hears of it knows that what refused it before is gone.
    fn forget_refusal(&mut self) {
        let starts = self.decision.actions.iter().any(|action| matches!(action, Action::Create { .. }));
        if starts && self.decision.status.conditions.iter().any(|condition| condition.kind == CREATED) {
            self.set(CREATED, true, "Created", "the last tick's job was taken");
        }
    }
}

/// Sets a condition, and says whether that changes what people read.
fn set(conditions: &mut Vec<Condition>, condition: Condition) -> bool {
    let Some(before) = conditions.iter_mut().find(|before| before.kind == condition.kind) else {
        conditions.push(condition);
        return true;
    };
    let same_status = before.status == condition.status;
    let news = !same_status || before.reason != condition.reason || before.message != condition.message;
    let since = if same_status { before.last_transition_time } else { condition.last_transition_time };
    *before = Condition { last_transition_time: since, ..condition };
    news
}
