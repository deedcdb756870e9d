//! Training pods that need each other, and don't all find a node.

use serde_json::json;
use teasel_tests::cluster::shared_with_real_nodes;

use crate::place::{Place, attempts, condition};

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_found_a_node_wait_for_those_that_did_not_and_another_template_starts_both_at_once() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    let node = cluster.nodes().unwrap()[0].name().to_owned();
    place.apply(|spec| {
        spec["training"]["schedulingTimeout"] = json!("15s");
        // Two pods that don't share a node, and one node for them.
        let apart = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {
            "matchLabels": {"teasel.dev/job": "films", "teasel.dev/task": "train"}
        }});
        spec["training"]["template"] = json!({"spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        }});
    });
    let waiting = place.wait("one of two pods to run", |status| status["workers"]["ready"] == 1);
    let trained = condition(&waiting, "Trained").unwrap();
    assert_eq!((&trained["reason"], &waiting["phase"]), (&json!("Unschedulable"), &json!("Training")), "{waiting}");
    assert!(trained["message"].as_str().unwrap().contains("0/2 nodes"), "{trained}");

    // Given up, at no cost, and tried again.
    let again = place.wait("another attempt", |status| attempts(status, "train").len() == 2);
    let first = attempts(&again, "train")[0].clone();
    assert_eq!((&first["outcome"], &first["reason"]), (&json!("Disrupted"), &json!("Unschedulable")), "{again}");
    assert!(again["restarts"].is_null() && again["disruptions"]["unschedulable"] == 1, "{again}");

    // How pods are run may be changed while they wait.
    place
        .patch(json!({"spec": {"training": {"template": {"spec": {"nodeSelector": null}}, "schedulingTimeout": "15s"}}}))
        .unwrap();
    let done = place.complete();
    let ends: Vec<_> = attempts(&done, "train").iter().map(|attempt| attempt["reason"].clone()).collect();
    assert_eq!(ends.last(), Some(&json!("Trained")), "{ends:?}");
    assert!(ends.contains(&json!("Replaced")) || ends.len() == 2, "{ends:?}");
    assert!(done["restarts"].is_null(), "{done}");
}
