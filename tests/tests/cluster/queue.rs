//! A job in a queue. The test plays Kueue's part: it admits Jobs by unsuspending them, and takes back what it gave.

use serde_json::{Value, json};
use teasel_tests::cluster::{Namespace, shared_with_real_nodes, wait_for};

use crate::life::long;
use crate::place::{Place, attempts, condition};

fn set_suspended(namespace: &Namespace<'_>, job: &str, suspend: bool) {
    namespace.patch("job", job, &json!({"spec": {"suspend": suspend}})).unwrap();
}

/// The Job of the only attempt that hasn't ended, once it is there.
fn job_of_the_attempt(place: &Place<'_>, task: &str) -> Value {
    wait_for(&format!("a Job for {task}"), || {
        let selector = format!("teasel.dev/task={task}");
        let jobs = place.namespace.json(&["get", "jobs", "--selector", &selector])?;
        let open = jobs["items"].as_array().unwrap().iter().find(|job| {
            job["status"]["conditions"].as_array().is_none_or(|conditions| {
                !conditions.iter().any(|found| found["type"] == "Complete" || found["type"] == "Failed")
            })
        });
        Ok(open.cloned())
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_admits_each_task_and_takes_quota_back_at_no_cost() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    let mut spec = place.spec();
    long(&mut spec);
    let job = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
        "metadata": {"name": "films", "labels": {"kueue.x-k8s.io/queue-name": "team"}}, "spec": spec,
    });
    place.namespace.apply(&job.to_string()).unwrap();
    let queued = place.wait("the queue", |status| status["phase"] == "Queued");
    assert_eq!(condition(&queued, "QuotaReserved").unwrap()["reason"], "Queued");
    assert!(queued["activeSince"].is_null(), "time in a queue doesn't count: {queued}");
    let prepare = job_of_the_attempt(&place, "prepare");
    assert_eq!(prepare["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "team");
    assert_eq!(prepare["spec"]["suspend"], true, "created suspended");
    let name = |job: &Value| job["metadata"]["name"].as_str().unwrap().to_owned();
    set_suspended(&place.namespace, &name(&prepare), false);
    place.wait_for_condition("Prepared", "True", "Prepared");

    // Each task queues anew.
    place.wait("the queue again", |status| status["phase"] == "Queued");
    let train = name(&job_of_the_attempt(&place, "train"));
    set_suspended(&place.namespace, &train, false);
    let trained = place.wait("some steps", |status| status["progress"]["step"].as_u64() > Some(10));
    assert_eq!(condition(&trained, "QuotaReserved").unwrap()["status"], "True", "{trained}");

    // Quota is taken back in the middle of it, and given again.
    set_suspended(&place.namespace, &train, true);
    let queued = place.wait("the queue once more", |status| status["phase"] == "Queued");
    assert!(queued["activeSince"].is_null() && queued["restarts"].is_null(), "{queued}");
    place.wait_until_no_pods();
    let step = place.status().unwrap()["progress"]["step"].as_u64();
    let job = job_of_the_attempt(&place, "train");
    assert_eq!(job["spec"]["suspend"], true, "only the queue unsuspends: {job:#}");
    set_suspended(&place.namespace, &name(&job), false);
    let resumed = place.wait("further steps", |status| {
        status["phase"] == "Training" && status["progress"]["step"].as_u64() > step.map(|step| step + 5)
    });
    assert!(resumed["restarts"].is_null() && resumed["disruptions"].is_null(), "at no cost: {resumed}");
    let newest = attempts(&resumed, "train").into_iter().next_back().unwrap();
    assert!(newest["outcome"].is_null() && newest["firstStep"].as_u64() > Some(0), "from its checkpoint: {newest}");
    place.delete();
}
