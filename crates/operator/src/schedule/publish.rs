//! Requests to move a tenant's pointer. A schedule has no credentials and no lists: one of its jobs carries a request
//! out, since all of them publish as the same owner, and the schedule repeats the answer.

use teasel_api::request::PUBLISH_REQUEST_ANNOTATION;
use teasel_api::spec::PublishRequestStatus;

use super::ChildJob;
use super::decide::{Action, Plan};
use crate::publish_request;

impl Plan<'_> {
    /// Hands a request to a job, and takes over what that answers.
    pub(super) fn serve_request(&mut self) {
        let annotations = self.observed.schedule.metadata.annotations.as_ref();
        let Some(text) = annotations.and_then(|annotations| annotations.get(PUBLISH_REQUEST_ANNOTATION)) else {
            return;
        };
        let request = match publish_request::read(text) {
            Ok(request) => request,
            Err((id, message)) => return self.refuse(&id, None, &message),
        };
        if self.decision.status.publish_request.as_ref().is_some_and(|answer| answer.answers(&request.id)) {
            return;
        }
        let jobs = self.observed.jobs.iter().filter(|job| !job.deleting);
        let asked = jobs.clone().find(|job| job.asked.as_deref() == Some(&request.id));
        // The newest: its lists are those that a publish is about, and what its rollback leaves is seen from there.
        let able = || jobs.clone().filter(|job| job.scored.contains(&request.tenant)).max_by_key(|job| job.tick);
        let Some(job) = asked.or_else(able) else {
            let message = format!("no job of the schedule has whole lists for a tenant {}", request.tenant);
            return self.refuse(&request.id, Some(&request.tenant), &message);
        };
        if let Some(answer) = job.answer.as_ref().filter(|answer| answer.id == request.id) {
            let news = answer.outcome.is_some();
            let refused = answer.outcome.as_deref() == Some("Refused");
            self.decision.status.publish_request = Some(answer.clone());
            if news {
                let outcome = answer.outcome.clone().unwrap_or_default();
                let message = answer.message.clone().unwrap_or_default();
                self.note(refused, &outcome, format!("request {}, by job {}: {message}", request.id, job.name));
            }
            return;
        }
        if is_busy(job) {
            // It is at it, or at a request of its own, which comes first: the annotation holds one. Its answer wakes us.
            return;
        }
        self.decision.actions.push(Action::Ask {
            name: job.name.clone(),
            uid: job.uid.clone(),
            request: text.clone(),
        });
    }

    fn refuse(&mut self, id: &str, tenant: Option<&str>, message: &str) {
        let answer = PublishRequestStatus {
            id: id.to_owned(),
            tenant: tenant.map(str::to_owned),
            outcome: Some("Refused".into()),
            message: Some(message.to_owned()),
        };
        if self.decision.status.publish_request.as_ref() != Some(&answer) {
            self.note(true, "Refused", format!("request {id}: {message}"));
            self.decision.status.publish_request = Some(answer);
        }
    }
}

/// Whether a job has a request that it hasn't answered.
fn is_busy(job: &ChildJob) -> bool {
    let answered = |id: &str| job.answer.as_ref().is_some_and(|answer| answer.answers(id));
    job.asked.as_deref().is_some_and(|id| !answered(id))
}
