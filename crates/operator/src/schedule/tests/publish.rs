//! Requests to move a pointer.

use rstest::rstest;
use serde_json::json;
use teasel_api::spec::PublishRequestStatus;

use super::*;

fn request(id: &str) -> String {
    json!({"id": id, "tenant": "city", "action": "Release"}).to_string()
}

fn scored(tick: &str) -> ChildJob {
    ChildJob { scored: vec!["city".into()], ..ended(tick, true) }
}

fn asked_for(text: &str) -> Observed {
    let mut observed = observed(&json!({"successfulJobsHistoryLimit": 9}), Some("04:00:00"), "04:30:00");
    observed.jobs = vec![scored("02:00:00"), scored("03:00:00"), running("04:00:00")];
    let annotations = observed.schedule.metadata.annotations.get_or_insert_default();
    annotations.insert("teasel.dev/publish-request".into(), text.into());
    observed
}

fn answer(id: &str, outcome: Option<&str>) -> PublishRequestStatus {
    PublishRequestStatus {
        id: id.into(),
        tenant: Some("city".into()),
        outcome: outcome.map(str::to_owned),
        message: Some("said so".into()),
    }
}

/// Names of the jobs that are asked.
fn asked(decision: &Decision) -> Vec<&str> {
    let asked = decision.actions.iter().filter_map(|action| match action {
        Action::Ask { uid, .. } => Some(uid.as_str()),
        _ => None,
    });
    asked.collect()
}

#[test]
fn the_newest_job_with_lists_is_asked_and_its_answer_repeated() {
    let mut observed = asked_for(&request("1"));
    let decision = observed.step("04:30:00");
    assert_eq!(asked(&decision), ["uid-03:00:00"]);
    observed.jobs[1].asked = Some("1".into());
    assert_eq!(asked(&observed.step("04:30:01")), Vec::<&str>::new(), "once");
    // A newer one has lists meanwhile; the one that was asked answers.
    observed.jobs[2] = scored("04:00:00");
    observed.jobs[1].answer = Some(answer("1", None));
    assert_eq!(observed.step("04:30:02").status.publish_request, Some(answer("1", None)));
    observed.jobs[1].answer = Some(answer("1", Some("Released")));
    let decision = observed.step("04:30:03");
    assert_eq!(
        (decision.status.publish_request.as_ref(), reasons(&decision)),
        (Some(&answer("1", Some("Released"))), vec!["Released"])
    );
    let later = observed.step("04:30:04");
    assert_eq!((asked(&later), reasons(&later)), (vec![], vec![]));
}

#[rstest]
#[case::nonsense("no json", "the annotation is no request")]
#[case::an_unknown_tenant(
    r#"{"id": "1", "tenant": "moon", "action": "Release"}"#,
    "no job of the schedule has whole lists for a tenant moon"
)]
fn what_nobody_can_do_is_refused_once(#[case] text: &str, #[case] message: &str) {
    let mut observed = asked_for(text);
    let decision = observed.step("04:30:00");
    let status = decision.status.publish_request.clone().unwrap();
    assert_eq!((status.outcome.as_deref(), reasons(&decision)), (Some("Refused"), vec!["Refused"]));
    assert!(status.message.unwrap().contains(message));
    assert_eq!(reasons(&observed.step("04:30:01")), Vec::<&str>::new());
}

#[test]
fn a_job_with_a_request_of_its_own_answers_that_first() {
    let mut observed = asked_for(&request("2"));
    observed.jobs[1].asked = Some("own".into());
    assert_eq!(asked(&observed.step("04:30:00")), Vec::<&str>::new());
    observed.jobs[1].answer = Some(answer("own", Some("RolledBack")));
    assert_eq!(asked(&observed.step("04:30:01")), ["uid-03:00:00"]);
}

#[test]
fn where_the_asked_job_is_deleted_another_is_asked() {
    let mut observed = asked_for(&request("1"));
    observed.jobs[1].asked = Some("1".into());
    observed.jobs[1].deleting = true;
    assert_eq!(asked(&observed.step("04:30:00")), ["uid-02:00:00"]);
}
