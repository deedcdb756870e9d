//! Retraining that somebody asks for: `kubectl teasel retrain` writes a time into an annotation, and its minute is a
//! tick. Suspending stops the clock, not people: a request is served all the same.

use jiff::Timestamp;
use teasel_api::request::RETRAIN_ANNOTATION;

use super::decide::Plan;

/// Type of the condition that says that a request can't be read.
const READABLE: &str = "RetrainReadable";

impl<'a> Plan<'a> {
    /// The minute that a job is asked for, if it has come and wasn't dealt with.
    pub(super) fn due_request(&mut self) -> Option<Timestamp> {
        let asked = self.asked()?;
        let minute = minute_of(asked)?;
        // Neither minutes before the last request nor, below, before the last tick: which of them had a job isn't
        // remembered, and none may have two.
        if self.decision.status.last_retrain_time.is_some_and(|last| minute <= last) {
            return None;
        }
        if asked > self.now {
            self.decision.look_again = Some(asked);
            return None;
        }
        let is_past = self.decision.status.last_schedule_time.is_some_and(|last| minute <= last);
        let foregone = if is_past && self.has_job(minute) {
            None
        } else if is_past {
            Some("its minute isn't later than status.lastScheduleTime; ask again with a later one")
        } else if asked.as_second() < self.created().as_second() {
            Some("the schedule is newer")
        } else if self.deadline().is_some_and(|deadline| asked < deadline) {
            Some("spec.startingDeadlineSeconds is over")
        } else {
            return Some(minute);
        };
        if let Some(reason) = foregone {
            self.note(
                true,
                "RetrainPassedOver",
                format!("no job starts for {RETRAIN_ANNOTATION} {asked}: {reason}"),
            );
        }
        self.decision.status.last_retrain_time = Some(minute);
        None
    }

    /// The minute that a job is asked for, be it dealt with or not.
    pub(super) fn asked_minute(&self) -> Option<Timestamp> {
        minute_of(self.annotation()?.parse().ok()?)
    }

    fn annotation(&self) -> Option<&'a str> {
        let annotations = self.observed.schedule.metadata.annotations.as_ref()?;
        annotations.get(RETRAIN_ANNOTATION).map(String::as_str)
    }

    fn asked(&mut self) -> Option<Timestamp> {
        let read: Option<Result<Timestamp, &str>> = self.annotation().map(|text| text.parse().map_err(|_| text));
        let Some(Err(text)) = read else {
            self.decision.status.conditions.retain(|condition| condition.kind != READABLE);
            return read?.ok();
        };
        let message = format!(
            "the annotation {RETRAIN_ANNOTATION} must be a time such as 2030-01-31T03:15:00Z, not {text:?}; no job \
             starts for it"
        );
        if self.set(READABLE, false, "InvalidTime", &message) {
            self.note(true, "InvalidRetrainTime", message);
        }
        None
    }
}

fn minute_of(time: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(time.as_second().div_euclid(60) * 60).ok()
}
