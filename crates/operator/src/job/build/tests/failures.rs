//! How a Job fails: what it does about it by itself, and what is left to the operator.

use super::*;

/// What is wrong for good: usage, data, missing input, permission, configuration.
const PERMANENT: [i32; 5] = [64, 65, 66, 77, 78];

fn spec(kind: TaskKind) -> Value {
    let configuration = configuration(|_| {});
    let job = films(|_| {});
    job_object(&job, &configuration, &attempt(&job, &configuration, kind))["spec"].take()
}

/// The rules of a Job that does `action` about pods which were taken away.
fn rules(action: &str) -> Value {
    json!({"rules": [
        {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "worker", "operator": "In", "values": PERMANENT}},
    ]})
}

#[test]
fn a_job_whose_workers_work_together_fails_with_the_first_of_them() {
    for kind in [TaskKind::Prepare, TaskKind::Train, TaskKind::Evaluate, TaskKind::Publish, TaskKind::Collect] {
        let spec = spec(kind);
        assert_eq!(spec["podFailurePolicy"], rules("FailJob"), "{kind:?}");
        assert_eq!((&spec["backoffLimit"], &spec["backoffLimitPerIndex"]), (&json!(0), &Value::Null), "{kind:?}");
        assert_eq!(spec["completions"], spec["parallelism"], "{kind:?}");
    }
}

#[test]
fn shards_are_tried_again_one_by_one_and_those_that_were_taken_away_cost_no_try() {
    let spec = spec(TaskKind::Score);
    assert_eq!(spec["podFailurePolicy"], rules("Ignore"));
    assert_eq!((&spec["backoffLimit"], &spec["backoffLimitPerIndex"]), (&Value::Null, &json!(3)));
    assert_eq!((&spec["completions"], &spec["maxFailedIndexes"]), (&json!(3), &json!(0)));
}

#[test]
fn no_pod_runs_beside_the_one_that_it_replaces_and_none_is_restarted_in_place() {
    for kind in [TaskKind::Train, TaskKind::Score, TaskKind::Publish] {
        let spec = spec(kind);
        assert_eq!((&spec["completionMode"], &spec["podReplacementPolicy"]), (&json!("Indexed"), &json!("Failed")));
        let pod = &spec["template"]["spec"];
        assert_eq!((&pod["restartPolicy"], &pod["terminationGracePeriodSeconds"]), (&json!("Never"), &json!(120)));
        assert_eq!(pod["containers"][0]["name"], "worker");
    }
}

#[test]
fn only_a_job_for_a_queue_is_created_suspended() {
    let configuration = configuration(|_| {});
    let queued = films(|job| job["metadata"]["labels"] = json!({"kueue.x-k8s.io/queue-name": "research"}));
    for (job, suspend, queue) in
        [(films(|_| {}), Value::Null, Value::Null), (queued, json!(true), json!("research"))]
    {
        let object = job_object(&job, &configuration, &attempt(&job, &configuration, TaskKind::Train));
        assert_eq!(object["spec"]["suspend"], suspend);
        assert_eq!(object["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], queue);
    }
}
