//! The custom resource definitions: what the API server takes, the types can hold.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::spec::{RecommenderJob, ScheduledRecommenderJob};

/// The largest whole number that the API server can compare with: it keeps bounds as doubles, which are exact up to
/// here.
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// The custom resource definitions, as they are installed, with their file names.
pub fn custom_resource_definitions() -> [(&'static str, CustomResourceDefinition); 2] {
    [
        ("recommenderjobs.yaml", definition::<RecommenderJob>()),
        ("scheduledrecommenderjobs.yaml", definition::<ScheduledRecommenderJob>()),
    ]
}

/// The definition of one resource, as it is installed.
pub(crate) fn definition<K: CustomResourceExt>() -> CustomResourceDefinition {
    let mut definition = K::crd();
    for version in &mut definition.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(schema);
        }
    }
    definition
}

/// The schema of one resource, as it is installed.
pub(crate) fn schema<K: CustomResourceExt>() -> Option<JSONSchemaProps> {
    definition::<K>().spec.versions.into_iter().next()?.schema?.open_api_v3_schema
}

/// Bounds every whole number by its type: one that the type can't hold would be an object that can't be read.
///
/// Drops formats that the API server doesn't know and warns of, such as `uint32`, and defaults, which it would write
/// into objects: those of a next release would then change jobs that run.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.default = None;
    if let Some((lowest, highest)) = schema.format.as_deref().and_then(range) {
        schema.minimum.get_or_insert(lowest);
        schema.maximum.get_or_insert(highest);
    }
    let known = ["int32", "int64", "float", "double", "date-time"];
    if schema.format.as_deref().is_some_and(|format| !known.contains(&format)) {
        schema.format = None;
    }
    for field in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(field);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(element)) = &mut schema.items {
        tidy(element);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        tidy(value);
    }
}

/// What a whole number of a format can be.
fn range(format: &str) -> Option<(f64, f64)> {
    match format {
        "int32" => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        "uint32" => Some((0.0, f64::from(u32::MAX))),
        "int64" => Some((-LARGEST, LARGEST)),
        "uint64" => Some((0.0, LARGEST)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::load::check_object;

    /// Paths of whole numbers below a schema that have no bounds, and of texts that have an unknown format.
    fn unbounded(path: &str, schema: &JSONSchemaProps, found: &mut Vec<String>) {
        let bounded = schema.minimum.is_some() && schema.maximum.is_some();
        let formatted = schema.format.as_deref().is_some_and(|format| format != "date-time");
        if schema.type_.as_deref() == Some("integer") && !bounded
            || schema.type_.as_deref() == Some("string") && formatted
        {
            found.push(path.to_owned());
        }
        for (name, field) in schema.properties.iter().flatten() {
            unbounded(&format!("{path}.{name}"), field, found);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(element)) = &schema.items {
            unbounded(&format!("{path}[]"), element, found);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
            unbounded(&format!("{path}.*"), value, found);
        }
    }

    #[test]
    fn every_whole_number_has_bounds() {
        let mut found = Vec::new();
        unbounded("job", &schema::<RecommenderJob>().unwrap(), &mut found);
        unbounded("schedule", &schema::<ScheduledRecommenderJob>().unwrap(), &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[rstest]
    #[case::largest("epochs", json!(4_294_967_295_u64), true)]
    #[case::too_large("epochs", json!(5_000_000_000_u64), false)]
    #[case::negative("batchSize", json!(-1), false)]
    #[case::zero("epochs", json!(0), false)]
    #[case::broken("epochs", json!(1.5), false)]
    #[case::seed("seed", json!(9_007_199_254_740_991_u64), true)]
    #[case::seed_past_doubles("seed", json!(9_007_199_254_740_993_u64), false)]
    #[case::failures("failurePolicy", json!({"maxFailures": 4_294_967_296_u64}), false)]
    #[case::keep("checkpoint", json!({"keep": 4_294_967_296_u64}), false)]
    #[case::duration("checkpoint", json!({"interval": "1h30m"}), true)]
    #[case::milliseconds("checkpoint", json!({"interval": "500ms"}), false)]
    #[case::half_an_hour("checkpoint", json!({"interval": "1.5h"}), false)]
    #[case::words("checkpoint", json!({"interval": "5 minutes"}), false)]
    #[case::nothing("schedulingTimeout", json!(""), false)]
    #[case::ages("schedulingTimeout", json!("99999999h"), false)]
    #[case::template("template", json!({"spec": {"containers": "none"}}), true)]
    fn what_the_schema_takes_the_types_hold(#[case] field: &str, #[case] value: Value, #[case] taken: bool) {
        let place = json!({"uri": "s3://teasel/films"});
        let job = json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob", "metadata": {"name": "films"},
            "spec": {
                "storage": place,
                "data": {"interactions": {"location": place, "columns": {"user": "u", "item": "i"}}},
                "training": {field: value},
                "scoring": {"tenants": [{"name": "city", "output": place}]}
            }
        });
        assert_eq!(check_object::<RecommenderJob>(&job).is_empty(), taken);
        assert!(!taken || serde_json::from_value::<RecommenderJob>(job).is_ok());
    }
}
