//! A tenant's pods, and what the store refuses them.

use serde_json::json;
use teasel_tests::cluster::shared_with_real_nodes;

use crate::place::{Place, attempts};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_pod_that_asks_for_what_is_not_its_own_is_refused_by_the_store() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    let store = &place.store;
    place.apply(|spec| {
        // Another tenant's users, another tenant's output, and the raw data.
        spec["scoring"]["tenants"] = json!([
            {"name": "city", "output": store.place("town/lists", "town"), "storage": store.secret("town")},
            {"name": "town", "output": store.place("city/lists", "town"), "storage": store.secret("town")},
            {
                "name": "village",
                "output": store.place("films/village", "films"),
                "storage": store.secret("films"),
                "catalog": {"location": store.place("raw/items.csv", "city")},
            },
        ]);
    });
    let refused = [("city", "films/tenants/city"), ("town", "city/lists"), ("village", "raw/items.csv")];
    let status = place.wait("the refusals", |status| {
        let denied =
            attempts(status, "score").into_iter().filter(|attempt| attempt["reason"] == "PermissionDenied");
        let denied: Vec<_> = denied.map(|attempt| attempt["tenant"].clone()).collect();
        refused.iter().all(|(tenant, _)| denied.contains(&json!(tenant)))
    });
    for (tenant, what) in refused {
        let mut attempts = attempts(&status, "score").into_iter();
        let denied =
            attempts.find(|attempt| attempt["tenant"] == tenant && attempt["outcome"] == "PermanentFailure");
        let message = denied.unwrap()["message"].as_str().unwrap();
        assert!(message.contains(what), "{tenant}: {message}");
    }
    for output in ["city/", "town/", "films/village/"] {
        let written = store.open(output).unwrap().list("").await.unwrap();
        assert!(!written.iter().any(|(path, _)| path.ends_with("current.json")), "{output}: {written:?}");
    }
    place.delete();
}
