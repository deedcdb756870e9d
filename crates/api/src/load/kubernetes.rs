//! Checks of what our schema leaves to Kubernetes' own types.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Segment, Track};

use crate::violation::{Path, Violation, Violations};

/// Refuses what a pod template doesn't have.
pub(crate) fn check_pod_template(template: &Map<String, Value>, path: &Path, found: &mut Violations) {
    // `containers` is required there, but here the operator brings the container.
    let mut template = template.clone();
    if let Some(Value::Object(spec)) = template.get_mut("spec") {
        spec.entry("containers").or_insert_with(|| Value::Array(Vec::new()));
    }
    check::<PodTemplateSpec>(&template, "a pod template", path, found);
}

/// Refuses what object metadata doesn't have.
pub(crate) fn check_metadata(metadata: &Map<String, Value>, path: &Path, found: &mut Violations) {
    check::<ObjectMeta>(metadata, "metadata", path, found);
}

fn check<T: DeserializeOwned>(fields: &Map<String, Value>, what: &str, path: &Path, found: &mut Violations) {
    let mut unknown = Vec::new();
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(Value::Object(fields.clone()), &mut track);
    let parsed: Result<T, serde_json::Error> =
        serde_ignored::deserialize(tracked, |ignored| unknown.push(ignored_path(path, &ignored)));
    found.extend(unknown.into_iter().map(|path| Violation {
        path: path.to_string(),
        line: None,
        message: format!("is no field of {what}"),
        hint: None,
    }));
    if let Err(error) = parsed {
        found.add(&failed_path(path, &track.path()), format!("doesn't fit {what}: {error}"));
    }
}

fn ignored_path(base: &Path, ignored: &serde_ignored::Path<'_>) -> Path {
    match ignored {
        serde_ignored::Path::Root => base.clone(),
        serde_ignored::Path::Seq { parent, index } => ignored_path(base, parent).index(*index),
        serde_ignored::Path::Map { parent, key } => ignored_path(base, parent).field(key),
        serde_ignored::Path::Some { parent }
        | serde_ignored::Path::NewtypeStruct { parent }
        | serde_ignored::Path::NewtypeVariant { parent } => ignored_path(base, parent),
    }
}

fn failed_path(base: &Path, failed: &serde_path_to_error::Path) -> Path {
    failed.iter().fold(base.clone(), |path, segment| match segment {
        Segment::Seq { index } => path.index(*index),
        Segment::Map { key } => path.field(key),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"spec": {"nodeSelector": {"disk": "ssd"}}}), &[])]
    #[case(json!({"spec": {"containers": [{"name": "worker", "resources": {"limits": {"cpu": 2}}}]}}), &[])]
    #[case(json!({"metadata": {"lables": {}}}), &["t.metadata.lables: is no field of a pod template"])]
    #[case(
        json!({"spec": {"nodeselector": {}, "containers": [{"name": "worker", "resource": {}}]}}),
        &["t.spec.nodeselector: is no field of a pod template", "t.spec.containers[0].resource: is no field of a pod template"]
    )]
    #[case(
        json!({"spec": {"tolerations": "all"}}),
        &["t.spec.tolerations: doesn't fit a pod template: invalid type: string \"all\", expected a sequence"]
    )]
    fn a_pod_template_keeps_to_kubernetes(#[case] template: Value, #[case] expected: &[&str]) {
        let mut found = Violations::default();
        check_pod_template(template.as_object().unwrap(), &Path::root().field("t"), &mut found);
        let mut messages: Vec<String> = found.into_vec().iter().map(ToString::to_string).collect();
        messages.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(messages, expected);
    }
}
