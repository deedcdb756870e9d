//! Training pods that need each other, and don't all find a node.

use serde_json::json;
use teasel_tests::cluster::{shared_with_real_nodes, wait_for};

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
    let waiting = place.wait("one of two pods to find no node", |status| {
        let trained = condition(status, "Trained").filter(|trained| trained["reason"] == "Unschedulable");
        trained.is_some_and(|trained| trained["message"].as_str().unwrap().contains("0/2 nodes"))
    });
    assert_eq!(waiting["phase"], "Training", "{waiting}");
    wait_for("one of two pods to find a node", || {
        let chosen = ["get", "pods", "--selector=teasel.dev/task=train", "--output=jsonpath={..nodeName}"];
        let found = place.namespace.kubectl(&chosen)?;
        anyhow::ensure!(found == node, "{found}");
        Ok(Some(()))
    })
    .unwrap();

    // Given up, at no cost, and tried again.
    let again = place.wait("another attempt", |status| attempts(status, "train").len() >= 2);
    let first = attempts(&again, "train")[0].clone();
    assert_eq!((&first["outcome"], &first["reason"]), (&json!("Disrupted"), &json!("Unschedulable")), "{again}");
    assert!(again["restarts"].is_null() && again["disruptions"]["unschedulable"].as_u64() >= Some(1), "{again}");

    // How pods are run may be changed while they wait.
    place.patch(json!({"spec": {"training": {"template": {"spec": {"nodeSelector": null}}}}})).unwrap();
    let done = place.complete();
    let ends: Vec<_> = attempts(&done, "train").iter().map(|attempt| attempt["reason"].clone()).collect();
    assert_eq!(ends.last(), Some(&json!("Trained")), "{ends:?}");
    assert!(
        ends.iter().all(|end| ["Unschedulable", "Replaced", "Trained"].contains(&end.as_str().unwrap())),
        "{ends:?}"
    );
    assert!(done["restarts"].is_null(), "{done}");
    place.check_against_undisturbed(&done).await;
}
