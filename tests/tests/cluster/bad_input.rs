//! One job of which everything is wrong, one thing after another: each is named with what to do, and once that is done,
//! the same job goes on.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use teasel_tests::cluster::shared_with_real_nodes;

use crate::place::{Place, attempts, condition};

/// Waits until a condition that isn't met says all of this.
fn hears(place: &Place<'_>, kind: &str, words: &[&str]) {
    place.wait(&format!("{kind} to say {words:?}"), |status| {
        condition(status, kind).is_some_and(|found| {
            let said = found["message"].as_str().unwrap_or_default();
            found["status"] == "False" && words.iter().all(|word| said.contains(word))
        })
    });
}

fn requests(cpu: &str) -> Value {
    json!({"spec": {"containers": [{"name": "worker", "resources": {"requests": {"cpu": cpu}}}]}})
}

fn patch(place: &Place<'_>, spec: Value) {
    place.patch(json!({"spec": spec})).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_job_is_named_and_mended_without_creating_it_anew() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    let secret = |change: fn(&mut BTreeMap<String, String>)| {
        place.namespace.kubectl(&["delete", "secret", "films-storage", "--ignore-not-found"]).unwrap();
        place.namespace.apply(&place.store.secret_manifest("films", change)).unwrap();
    };
    let interactions = |uri: &str| {
        let location = json!({"uri": uri, "secretRef": {"name": "films-storage"}});
        json!({"data": {"interactions": {"location": location}}})
    };
    let quota = |cpu: &str| {
        let hard = json!({"requests.cpu": cpu});
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": hard}})
            .to_string()
    };
    place.namespace.kubectl(&["delete", "secret", "films-storage"]).unwrap();
    place.namespace.apply(&quota("2")).unwrap();

    // What needs no pod to be seen is told at once, and all of it.
    let name = "x".repeat(1000);
    let mut leak = requests("3");
    leak["spec"]["containers"][0]["envFrom"] = json!([{"secretRef": {"name": "city-storage"}}]);
    place.apply(|spec| {
        spec["data"]["interactions"]["location"]["uri"] = json!(place.store.uri("raw/nothing.csv"));
        spec["data"]["template"] = leak;
        spec["training"]["template"] =
            json!({"spec": {"containers": [{"name": "worker", "securityContext": {"privileged": true}}]}});
        spec["gates"] = json!([{"metric": "ndgc@100", "minimum": 0.01}]);
        spec["scoring"]["tenants"][0]["output"]["uri"] = json!("s3://nowhere/lists");
    });
    hears(
        &place,
        "Validated",
        &["spec.data.template.spec.containers[0].envFrom", "city-storage", "spec.gates[0].metric", "ndgc@100"],
    );
    // What can't be written at all is refused at once.
    let refused = place.patch(json!({"spec": {"scoring": {"tenants": [{"name": name}]}}})).unwrap_err().to_string();
    assert!(refused.contains("spec.scoring.tenants[0].name"), "{refused}");
    patch(&place, json!({"gates": [{"metric": "ndcg@100", "minimum": 0.01}], "data": {"template": requests("3")}}));

    // Quota.
    hears(&place, "Prepared", &["few", "requests.cpu", "spec.data.template"]);
    place.namespace.apply(&quota("1010")).unwrap();
    // The room of no node.
    patch(&place, json!({"data": {"template": requests("1000")}}));
    hears(&place, "Prepared", &["Insufficient cpu", "spec.data.template"]);
    patch(&place, json!({"data": {"template": requests("50m")}}));
    // Secrets.
    hears(&place, "Prepared", &["films-storage"]);
    secret(|values| drop(values.remove("AWS_SECRET_ACCESS_KEY")));
    hears(&place, "Prepared", &["AWS_SECRET_ACCESS_KEY"]);
    secret(|values| drop(values.insert("AWS_SECRET_ACCESS_KEY".into(), "guessed".into())));
    place.teasel(&["retry", "films"]);
    place.wait("the refusal", |status| {
        attempts(status, "prepare").iter().any(|attempt| attempt["reason"] == "PermissionDenied")
    });
    secret(|_| {});
    place.teasel(&["retry", "films"]);
    // Places.
    hears(&place, "Prepared", &["raw/nothing.csv", "isn't there"]);
    patch(&place, interactions("s3://nowhere/interactions.csv"));
    hears(&place, "Prepared", &["s3://nowhere/interactions.csv"]);
    patch(&place, interactions(&place.store.uri("raw/interactions.csv")));

    // What no Job may be, and what Pod Security refuses.
    hears(&place, "Trained", &["privileged", "spec.training.template"]);
    patch(&place, json!({"training": {"template": {"spec": {"hostNetwork": true, "containers": null}}}}));
    hears(&place, "Trained", &["PodSecurity", "hostNetwork", "spec.training.template"]);
    patch(&place, json!({"training": {"template": null}}));

    // A tenant's output.
    place.wait("the tenant's trouble", |status| {
        status["tenants"][0]["message"].as_str().is_some_and(|said| said.contains("nowhere"))
    });
    let mut tenants = place.spec()["scoring"]["tenants"].clone();
    tenants[0]["output"] = place.store.place("city/lists", "city");
    patch(&place, json!({"scoring": {"tenants": tenants}}));
    let done = place.complete();
    assert_eq!(place.published_run().await.as_deref(), done["run"].as_str());
}
