//! The Job of an attempt.

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use teasel_api::outcome::ExitCode;
use teasel_api::spec::RecommenderJob;
use teasel_api::task::TaskKind;

use super::{attempt_labels, metadata};
use crate::job::decide::Start;
use crate::names::{QUEUE_LABEL, WORKER_CONTAINER};

/// How often a shard is tried within one attempt.
const SHARD_RETRIES: i32 = 3;

/// The Job of an attempt whose pods are made from `template` ([`super::pod::template`]).
pub fn attempt_job(owner: &RecommenderJob, start: &Start, template: PodTemplateSpec) -> Job {
    let mut labels = attempt_labels(owner, start);
    labels.extend(start.queue.clone().map(|queue| (QUEUE_LABEL.to_owned(), queue)));
    // Shards are independent; the workers of everything else end together, and only the operator tries again.
    let independent = start.key.kind == TaskKind::Score;
    Job {
        metadata: metadata(owner, &start.name, labels),
        spec: Some(JobSpec {
            completions: i32::try_from(start.indexes).ok(),
            parallelism: i32::try_from(start.parallelism).ok(),
            completion_mode: Some("Indexed".into()),
            backoff_limit: (!independent).then_some(0),
            backoff_limit_per_index: independent.then_some(SHARD_RETRIES),
            max_failed_indexes: independent.then_some(0),
            pod_replacement_policy: Some("Failed".into()),
            pod_failure_policy: Some(PodFailurePolicy { rules: rules(independent) }),
            // From then on the field is the queue's.
            suspend: start.queue.is_some().then_some(true),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// All else fails the Job by its backoff limit, which doesn't count the pods that a suspension deletes.
fn rules(independent: bool) -> Vec<PodFailurePolicyRule> {
    let disrupted = PodFailurePolicyRule {
        action: if independent { "Ignore" } else { "FailJob" }.into(),
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".into(),
            status: "True".into(),
        }]),
        ..PodFailurePolicyRule::default()
    };
    let permanent = PodFailurePolicyRule {
        action: "FailJob".into(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(WORKER_CONTAINER.into()),
            operator: "In".into(),
            values: ExitCode::ALL.into_iter().filter(|code| code.is_permanent()).map(|code| code as i32).collect(),
        }),
        ..PodFailurePolicyRule::default()
    };
    vec![disrupted, permanent]
}
