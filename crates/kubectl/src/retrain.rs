//! `kubectl teasel retrain`: starts a schedule's job now.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use teasel_api::request::{RETRAIN_ANNOTATION, tick_job};
use teasel_api::spec::{ConcurrencyPolicy, ScheduledRecommenderJob, ScheduledRecommenderJobStatus};

use crate::arguments::RetrainArguments;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::target::{Serves, Target, find, typed};
use crate::wait::until;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How long an event that is on its way is waited for, look by look.
const EVENT_PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];

/// Asks for a job, and waits until it is there.
pub(crate) async fn run(cluster: &Cluster, arguments: &RetrainArguments) -> Result<(), Failure> {
    let target = find(cluster, &arguments.name, Serves::Schedules).await?;
    let schedule: ScheduledRecommenderJob = target.typed()?;
    let asked = time_to_ask(Timestamp::now(), schedule.status.as_ref());
    target.annotate(RETRAIN_ANNOTATION, &asked.to_string()).await?;
    let (shown, job) = (target.shown(), tick_job(&target.name(), asked));
    if !arguments.wait.wait {
        return output::line(format!("{shown}: job {job} is asked for"));
    }
    let hindrance = hindrance(&schedule);
    if let Some(hindrance) = &hindrance {
        eprintln!("{hindrance}");
    }
    let served = until(&target, arguments.wait.timeout, |object| {
        let schedule: ScheduledRecommenderJob = typed(object).ok()?;
        is_served(schedule.status.as_ref(), asked).then_some(())
    });
    let left = hindrance
        .map_or_else(|| "the request stays".to_owned(), |hindrance| format!("the request stays, and {hindrance}"));
    served.await.map_err(|error| error.into_failure(&target, &format!("job {job}"), &left))?;
    if cluster.jobs().get_opt(&job).await?.is_some() {
        return output::line(format!("{shown}: job {job} has started; `kubectl teasel status {job}` watches it"));
    }
    let why = passed_over(cluster, &target, asked).await?;
    Err(Failure::Refused(format!("{shown}: {}", why.unwrap_or_else(|| format!("no job {job} has started")))))
}

/// Now, or the next minute that has no job yet: a minute has one job at most.
fn time_to_ask(now: Timestamp, status: Option<&ScheduledRecommenderJobStatus>) -> Timestamp {
    let taken = status.and_then(|status| status.last_schedule_time.max(status.last_retrain_time)).map(minute);
    match taken {
        Some(taken) if minute(now) <= taken => taken + MINUTE,
        _ => Timestamp::from_second(now.as_second()).unwrap_or(now),
    }
}

fn minute(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second().div_euclid(60) * 60).unwrap_or(time)
}

fn is_served(status: Option<&ScheduledRecommenderJobStatus>, asked: Timestamp) -> bool {
    status.and_then(|status| status.last_retrain_time).is_some_and(|last| last >= minute(asked))
}

/// What keeps a job from starting at once.
fn hindrance(schedule: &ScheduledRecommenderJob) -> Option<String> {
    let active = &schedule.status.as_ref()?.active;
    let running = active.join(", ");
    if active.is_empty() {
        return None;
    }
    match schedule.spec.concurrency_policy.unwrap_or(ConcurrencyPolicy::Forbid) {
        ConcurrencyPolicy::Allow => None,
        ConcurrencyPolicy::Forbid => Some(format!(
            "job {running} isn't finished, and concurrencyPolicy is Forbid: the new one starts after it"
        )),
        ConcurrencyPolicy::Replace => {
            Some(format!("job {running} isn't finished, and concurrencyPolicy is Replace: it is deleted first"))
        }
    }
}

/// Why the operator has started nothing, in its words. It tells events after it has written the status.
async fn passed_over(cluster: &Cluster, target: &Target, asked: Timestamp) -> Result<Option<String>, Failure> {
    let fields = format!("involvedObject.uid={},reason=RetrainPassedOver", target.uid());
    for pause in EVENT_PAUSES {
        tokio::time::sleep(pause).await;
        let events = cluster.core::<Event>().list(&ListParams::default().fields(&fields)).await?;
        let mut messages = events.items.into_iter().filter_map(|event| event.message);
        if let Some(message) = messages.find(|message| message.contains(&asked.to_string())) {
            return Ok(Some(message));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn status(schedule: Option<&str>, retrain: Option<&str>) -> ScheduledRecommenderJobStatus {
        ScheduledRecommenderJobStatus {
            last_schedule_time: schedule.map(|time| time.parse().unwrap()),
            last_retrain_time: retrain.map(|time| time.parse().unwrap()),
            ..ScheduledRecommenderJobStatus::default()
        }
    }

    #[rstest]
    #[case::never(None, None, "2030-01-01T12:00:30Z")]
    #[case::long_ago(Some("2030-01-01T03:00:00Z"), None, "2030-01-01T12:00:30Z")]
    #[case::this_minutes_tick(Some("2030-01-01T12:00:00Z"), None, "2030-01-01T12:01:00Z")]
    #[case::twice_in_a_minute(Some("2030-01-01T03:00:00Z"), Some("2030-01-01T12:00:00Z"), "2030-01-01T12:01:00Z")]
    #[case::thrice(None, Some("2030-01-01T12:01:00Z"), "2030-01-01T12:02:00Z")]
    fn a_minute_that_has_a_job_is_passed_over(
        #[case] schedule: Option<&str>,
        #[case] retrain: Option<&str>,
        #[case] expected: &str,
    ) {
        let status = status(schedule, retrain);
        let asked = time_to_ask("2030-01-01T12:00:30.9Z".parse().unwrap(), Some(&status));
        assert_eq!(asked.to_string(), expected);
        assert!(!is_served(Some(&status), asked), "it would be taken for an answer");
    }

    #[test]
    fn a_request_is_served_once_its_minute_is() {
        let asked = "2030-01-01T12:00:30Z".parse().unwrap();
        assert!(!is_served(None, asked));
        assert!(!is_served(Some(&status(None, Some("2030-01-01T11:59:00Z"))), asked));
        assert!(is_served(Some(&status(None, Some("2030-01-01T12:00:00Z"))), asked));
    }

    #[rstest]
    #[case::nothing_runs(None, &[], None)]
    #[case::by_default(None, &["n-1"], Some("starts after it"))]
    #[case::beside(Some("Allow"), &["n-1"], None)]
    #[case::instead(Some("Replace"), &["n-1"], Some("deleted first"))]
    fn what_keeps_a_job_from_starting_is_said(
        #[case] policy: Option<&str>,
        #[case] active: &[&str],
        #[case] said: Option<&str>,
    ) {
        let schedule = json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "ScheduledRecommenderJob", "metadata": {"name": "n"},
            "spec": {
                "schedule": "@daily", "concurrencyPolicy": policy,
                "jobTemplate": {"spec": {
                    "storage": {"uri": "s3://a"}, "scoring": {"tenants": []},
                    "data": {"interactions": {
                        "location": {"uri": "s3://a"}, "columns": {"user": "u", "item": "i"},
                    }},
                }},
            },
            "status": {"active": active},
        });
        let hindrance = hindrance(&serde_json::from_value(schedule).unwrap());
        assert_eq!(hindrance.is_some(), said.is_some());
        assert!(hindrance.unwrap_or_default().contains(said.unwrap_or_default()));
    }
}
