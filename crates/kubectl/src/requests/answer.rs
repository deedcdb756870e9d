//! What a request's object says of it.

use kube::ResourceExt;
use kube::core::DynamicObject;
use serde::Deserialize;
use teasel_api::request::{PUBLISH_REQUEST_ANNOTATION, PublishRequest, RequestAction};
use teasel_api::spec::PublishRequestStatus;

/// What the operator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done.
    Granted(String),
    /// It isn't, and won't be.
    Refused(String),
}

/// The request that waits for its answer. What is no request at all is refused at its next look, and waits for nothing.
pub(super) fn pending(object: &DynamicObject) -> Option<PublishRequest> {
    let request: PublishRequest =
        serde_json::from_str(object.annotations().get(PUBLISH_REQUEST_ANNOTATION)?).ok()?;
    let is_answered = status(object).is_some_and(|status| status.id == request.id && status.outcome.is_some());
    (!is_answered).then_some(request)
}

/// The answer to a request, once there is one.
pub(super) fn answer(object: &DynamicObject, request: &PublishRequest) -> Option<Answer> {
    let status = status(object).filter(|status| status.id == request.id)?;
    let outcome = status.outcome?;
    let message = status.message.filter(|message| !message.is_empty()).unwrap_or_else(|| outcome.clone());
    let granted = match request.action {
        // Lists that a hold or a newer run keeps back are no failure of the task, and aren't published either.
        RequestAction::Publish | RequestAction::TakeOver => outcome == "Published",
        RequestAction::Rollback | RequestAction::Release => outcome != "Refused",
    };
    Some(if granted { Answer::Granted(message) } else { Answer::Refused(format!("{outcome}: {message}")) })
}

/// What a request waits for, where that is told.
pub(super) fn waits_for(object: &DynamicObject, request: &PublishRequest) -> Option<String> {
    status(object).filter(|status| status.id == request.id && status.outcome.is_none())?.message
}

/// Jobs and schedules answer in the same place.
fn status(object: &DynamicObject) -> Option<PublishRequestStatus> {
    PublishRequestStatus::deserialize(object.data.pointer("/status/publishRequest")?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn object(annotation: &str, status: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
            "metadata": {"name": "films", "annotations": {PUBLISH_REQUEST_ANNOTATION: annotation}},
            "status": {"publishRequest": status},
        }))
        .unwrap()
    }

    fn request(action: RequestAction) -> PublishRequest {
        PublishRequest { id: "2".into(), tenant: "city".into(), action, run: None, hold: false }
    }

    #[rstest]
    #[case::unseen(json!(null), true)]
    #[case::a_former_one_was_answered(json!({"id": "1", "outcome": "Released"}), true)]
    #[case::being_worked_on(json!({"id": "2", "tenant": "city"}), true)]
    #[case::answered(json!({"id": "2", "outcome": "Refused"}), false)]
    fn a_request_waits_until_its_own_answer(#[case] status: Value, #[case] waits: bool) {
        let text = serde_json::to_string(&request(RequestAction::Release)).unwrap();
        assert_eq!(pending(&object(&text, status.clone())).is_some(), waits);
        assert_eq!(pending(&object("no request", status)), None);
    }

    #[rstest]
    #[case::rolled_back(RequestAction::Rollback, "RolledBack", true)]
    #[case::nothing_to_do(RequestAction::Rollback, "AlreadyThere", true)]
    #[case::no_such_run(RequestAction::Rollback, "Refused", false)]
    #[case::released(RequestAction::Release, "Released", true)]
    #[case::published(RequestAction::Publish, "Published", true)]
    #[case::a_hold(RequestAction::Publish, "Held", false)]
    #[case::newer_lists(RequestAction::TakeOver, "Superseded", false)]
    fn an_answer_is_a_yes_or_a_no(#[case] action: RequestAction, #[case] outcome: &str, #[case] granted: bool) {
        let object = object("", json!({"id": "2", "outcome": outcome, "message": "why"}));
        let expected = match granted {
            true => Answer::Granted("why".into()),
            false => Answer::Refused(format!("{outcome}: why")),
        };
        assert_eq!(answer(&object, &request(action)), Some(expected));
    }

    #[test]
    fn anothers_answer_and_one_to_come_are_none() {
        for status in [json!({"id": "1", "outcome": "Released"}), json!({"id": "2"})] {
            assert_eq!(answer(&object("", status), &request(RequestAction::Release)), None);
        }
    }
}
