//! Pods whose image isn't to be had.

use serde_json::json;
use teasel_tests::cluster::shared_with_real_nodes;

use crate::place::{Place, attempts, condition};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_is_named_with_what_to_change_and_an_edit_mends_it() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    place.apply(|spec| {
        let container = json!({"name": "worker", "image": "teasel.test/nowhere:1"});
        spec["training"]["template"] = json!({"spec": {"containers": [container]}});
    });
    let waiting = place.wait_for_condition("Trained", "False", "ImageUnavailable");
    let said = condition(&waiting, "Trained").unwrap()["message"].as_str().unwrap();
    assert!(said.contains("teasel.test/nowhere:1") && said.contains("training.template"), "{said}");
    place.apply(|_| {});
    let done = place.complete();
    let ends: Vec<_> = attempts(&done, "train").iter().map(|attempt| attempt["reason"].clone()).collect();
    assert_eq!(ends, [json!("Replaced"), json!("Trained")], "{done}");
    assert!(done["restarts"].is_null() && done["disruptions"].is_null(), "{done}");
    place.check_against_undisturbed(&done).await;
}
