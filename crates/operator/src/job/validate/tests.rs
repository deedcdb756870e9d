//! What only a cluster refuses.

use rstest::rstest;
use serde_json::json;

use super::*;

/// A job with secrets of its own, `storage`, `models` and `city`, and a template of its training.
fn spec(template: &Value) -> Value {
    json!({
        "storage": {"uri": "s3://teasel/films", "secretRef": {"name": "storage"}},
        "data": {
            "interactions": {"location": {"uri": "s3://x"}, "columns": {"user": "u", "item": "i"}},
            "items": {"location": {"uri": "s3://y"}, "columns": {"item": "i", "text": ["title"]}},
        },
        "model": {"content": {"text": {"encoder": {
            "location": {"uri": "s3://models/bert", "secretRef": {"name": "models"}}
        }}}},
        "training": {"template": template},
        "scoring": {"tenants": [{"name": "city", "output": {"uri": "s3://city/lists", "secretRef": {"name": "city"}}}]}
    })
}

/// What is wrong with a job, and with the schedule of such jobs.
fn wrong(spec: &Value, allowed: &[&str]) -> (Vec<String>, Vec<String>) {
    let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let configuration: Configuration =
        serde_json::from_value(json!({"workerImage": "worker", "allowedSecrets": allowed})).unwrap();
    let metadata = json!({"name": "films", "namespace": "media"});
    let job = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob", "metadata": metadata, "spec": spec
    });
    let schedule = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "ScheduledRecommenderJob", "metadata": metadata,
        "spec": {"schedule": "@daily", "jobTemplate": {"spec": spec}}
    });
    let words = |found: Vec<Violation>| found.iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
    let job = validate(&serde_json::from_value(job).unwrap(), &configuration).err().unwrap_or_default();
    let schedule =
        validate_schedule(&serde_json::from_value(schedule).unwrap(), &allowed).err().unwrap_or_default();
    (words(job), words(schedule))
}

const NOT_ALLOWED: &str = "which isn't among the chart's allowedSecrets";
const OWN: &str = "which holds the credentials of a place of the job";

#[rstest]
#[case::none(json!({"nodeSelector": {"disk": "ssd"}}), &[], None)]
#[case::allowed(json!({"imagePullSecrets": [{"name": "registry"}]}), &["registry"], None)]
#[case::a_pull_secret(json!({"imagePullSecrets": [{"name": "registry"}]}), &[], Some(("imagePullSecrets[0].name", "registry", NOT_ALLOWED)))]
#[case::another_is_allowed(json!({"imagePullSecrets": [{"name": "registry"}]}), &["registry-2"], Some(("imagePullSecrets[0].name", "registry", NOT_ALLOWED)))]
#[case::environment(json!({"containers": [{"name": "worker", "envFrom": [{"secretRef": {"name": "other"}}]}]}), &[], Some(("containers[0].envFrom[0].secretRef.name", "other", NOT_ALLOWED)))]
#[case::one_key(json!({"containers": [{"name": "worker", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "other", "key": "a"}}}]}]}), &[], Some(("containers[0].env[0].valueFrom.secretKeyRef.name", "other", NOT_ALLOWED)))]
#[case::of_a_sidecar(json!({"initContainers": [{"name": "proxy", "envFrom": [{"secretRef": {"name": "other"}}]}]}), &[], Some(("initContainers[0].envFrom[0].secretRef.name", "other", NOT_ALLOWED)))]
#[case::a_volume(json!({"volumes": [{"name": "v", "secret": {"secretName": "other"}}]}), &[], Some(("volumes[0].secret.secretName", "other", NOT_ALLOWED)))]
#[case::a_projected_volume(json!({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "other"}}]}}]}), &[], Some(("volumes[0].projected.sources[0].secret.name", "other", NOT_ALLOWED)))]
#[case::a_driver_s(json!({"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "other"}}}]}), &[], Some(("volumes[0].csi.nodePublishSecretRef.name", "other", NOT_ALLOWED)))]
#[case::a_tenant_s_own(json!({"containers": [{"name": "worker", "envFrom": [{"secretRef": {"name": "city"}}]}]}), &[], Some(("containers[0].envFrom[0].secretRef.name", "city", OWN)))]
#[case::a_tenant_s_own_though_allowed(json!({"containers": [{"name": "worker", "envFrom": [{"secretRef": {"name": "city"}}]}]}), &["city"], Some(("containers[0].envFrom[0].secretRef.name", "city", OWN)))]
#[case::the_storage_s_though_allowed(json!({"volumes": [{"name": "v", "secret": {"secretName": "storage"}}]}), &["storage"], Some(("volumes[0].secret.secretName", "storage", OWN)))]
#[case::an_encoder_s_though_allowed(json!({"volumes": [{"name": "v", "secret": {"secretName": "models"}}]}), &["models"], Some(("volumes[0].secret.secretName", "models", OWN)))]
#[case::allowed_beside_the_job_s_own(json!({"imagePullSecrets": [{"name": "registry"}]}), &["registry", "city"], None)]
fn a_template_names_only_secrets_that_are_allowed_and_not_the_job_s_own(
    #[case] pod: Value,
    #[case] allowed: &[&str],
    #[case] expected: Option<(&str, &str, &str)>,
) {
    let (job, schedule) = wrong(&spec(&json!({"spec": pod})), allowed);
    let at = |root: &str| -> Vec<String> {
        let sentence =
            |(field, name, why)| format!("{root}.training.template.spec.{field}: names the secret {name}, {why}");
        expected.map(sentence).into_iter().collect()
    };
    assert_eq!((job, schedule), (at("spec"), at("spec.jobTemplate.spec")));
}

#[test]
fn labels_are_no_secrets() {
    let template = json!({"metadata": {"labels": {"secret": "yes"}}});
    assert_eq!(wrong(&spec(&template), &[]), (Vec::new(), Vec::new()));
}

#[test]
fn a_second_container_is_refused() {
    let template = json!({"spec": {"containers": [{"name": "worker"}, {"name": "logs"}]}});
    let (job, schedule) = wrong(&spec(&template), &[]);
    let sentence = "training.template.spec.containers[1].name: must be worker, the only container that a task's end is read from";
    assert_eq!(job, [format!("spec.{sentence}")]);
    assert_eq!(schedule, [format!("spec.jobTemplate.spec.{sentence}")]);
}

#[rstest]
#[case("/storage", "storage.uri")]
#[case("/data/interactions/location", "data.interactions.location.uri")]
#[case("/data/items/location", "data.items.location.uri")]
#[case("/model/content/text/encoder/location", "model.content.text.encoder.location.uri")]
#[case("/scoring/tenants/0/output", "scoring.tenants[0].output.uri")]
fn a_place_is_a_url(#[case] pointer: &str, #[case] field: &str) {
    let mut spec = spec(&json!({}));
    spec.pointer_mut(pointer).unwrap()["uri"] = "lists/films".into();
    let (job, schedule) = wrong(&spec, &[]);
    let sentence = format!("{field}: must be a URL in a cluster: pods don't have the job file's folder");
    assert_eq!(job, [format!("spec.{sentence}")]);
    assert_eq!(schedule, [format!("spec.jobTemplate.spec.{sentence}")]);
}

#[test]
fn a_range_that_an_older_schema_let_pass_is_refused() {
    let mut spec = spec(&json!({}));
    spec["training"]["epochs"] = 0.into();
    let (job, schedule) = wrong(&spec, &[]);
    assert_eq!(job, ["spec.training.epochs: must be at least 1 and at most 4294967295, not 0"]);
    assert_eq!(
        schedule,
        ["spec.jobTemplate.spec.training.epochs: must be at least 1 and at most 4294967295, not 0"]
    );
}
