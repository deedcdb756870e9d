//! Credentials: each pod has those of the places that it reaches, and no others.

use std::collections::BTreeSet;

use super::*;
use crate::job::build::task_config_map;

/// Every secret that a pod names, but for those that its image is pulled with.
fn secrets(pod: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(pod, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field.to_lowercase().contains("secret") && field != "imagePullSecrets" {
                    let name = value.get("name").or_else(|| value.get("secretName")).unwrap_or(value);
                    found.insert(name.as_str().unwrap_or_else(|| panic!("{field}: {value}")).to_owned());
                }
                collect(value, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, found)),
        _ => {}
    }
}

fn expected(start: &Start) -> BTreeSet<String> {
    let names = match (&start.key.tenant, start.task.subject()) {
        (Some(tenant), _) => ["storage", "output", "catalog"].map(|place| format!("{tenant}-{place}")).to_vec(),
        (None, TaskKind::Prepare) => ["job-storage", "job-interactions", "job-items"].map(str::to_owned).to_vec(),
        (None, _) => vec!["job-storage".into()],
    };
    names.into_iter().collect()
}

#[test]
fn every_pod_has_the_secrets_of_its_own_places_and_no_other_tenants() {
    let configuration = configuration(|_| {});
    for unread in [false, true] {
        for start in attempts(films(|_| {}), &configuration, unread) {
            let pod = pod(&films(|_| {}), &configuration, &start);
            assert_eq!(secrets(&pod), expected(&start), "{}", start.key);
        }
    }
}

#[test]
fn a_tenants_task_file_names_no_other_tenant() {
    let configuration = configuration(|_| {});
    let job = films(|_| {});
    for start in attempts(job.clone(), &configuration, true) {
        let Some(tenant) = &start.key.tenant else { continue };
        let template = pod_template(&job, &start, &configuration).unwrap();
        let task = task_config_map(&job, &start, &template).unwrap();
        let text = serde_json::to_string(&task).unwrap();
        let other = if tenant == "city" { "campus" } else { "city" };
        assert!(text.contains(&format!("s3://{tenant}/lists")), "{text}");
        assert!(!text.contains(other), "{}: {text}", start.key);
    }
}

#[test]
fn each_place_has_its_own_prefix() {
    let configuration = configuration(|_| {});
    let job = films(|_| {});
    let pod = pod(&job, &configuration, &attempt(&job, &configuration, TaskKind::Score));
    let sources = pod["spec"]["containers"][0]["envFrom"].as_array().unwrap();
    let found: Vec<_> = sources.iter().map(|source| (&source["prefix"], &source["secretRef"]["name"])).collect();
    let expected = [
        (json!("TEASEL_STORAGE_"), json!("city-storage")),
        (json!("TEASEL_OUTPUT_"), json!("city-output")),
        (json!("TEASEL_CATALOG_"), json!("city-catalog")),
    ];
    assert_eq!(found, expected.iter().map(|(prefix, name)| (prefix, name)).collect::<Vec<_>>());
}

#[test]
fn a_place_without_a_secret_is_reached_by_the_pods_own_identity() {
    let job = films(|job| {
        job["spec"]["storage"] = json!({"uri": "s3://teasel/films"});
        job["spec"]["training"]["template"] = json!({"spec": {"serviceAccountName": "trainer"}});
    });
    let configuration = configuration(|_| {});
    let pod = pod(&job, &configuration, &attempt(&job, &configuration, TaskKind::Train));
    assert_eq!(secrets(&pod), BTreeSet::new());
    assert_eq!(pod["spec"]["serviceAccountName"], "trainer");
}

#[test]
fn images_are_pulled_with_the_operators_secrets_beside_the_templates() {
    let configuration =
        configuration(|configuration| configuration["imagePullSecrets"] = json!(["pull", "mirror"]));
    let job = films(|job| {
        job["spec"]["training"]["template"] = json!({"spec": {"imagePullSecrets": [{"name": "proxy"}]}});
    });
    let pod = pod(&job, &configuration, &attempt(&job, &configuration, TaskKind::Train));
    let expected = json!([{"name": "proxy"}, {"name": "pull"}, {"name": "mirror"}]);
    assert_eq!(pod["spec"]["imagePullSecrets"], expected);
}
