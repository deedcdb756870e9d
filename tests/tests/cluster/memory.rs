//! Workers that run out of memory.

use serde_json::{Value, json};
use teasel_tests::cluster::shared_with_real_nodes;

use crate::place::{Place, attempts};

fn limit(spec: &mut Value, memory: &str) {
    let resources = json!({"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": memory}});
    let container = json!({"name": "worker", "resources": resources});
    spec["training"]["template"] = json!({"spec": {"containers": [container]}});
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_without_enough_memory_names_the_limit_and_an_edit_mends_it() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    place.apply(|spec| limit(spec, "48Mi"));
    let failed = place.wait_for_condition("Failed", "True", "OutOfMemory");
    let said = attempts(&failed, "train").last().unwrap()["message"].as_str().unwrap();
    assert!(said.contains("48Mi") && said.contains("training.template"), "{said}");
    // By default one attempt more than the first may run out of memory.
    assert_eq!(failed["restarts"]["outOfMemory"], 2, "{failed}");
    place.apply(|spec| limit(spec, "1Gi"));
    let done = place.complete();
    place.check_against_undisturbed(&done).await;
}
