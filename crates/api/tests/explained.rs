//! What `kubectl explain` shows.

#![allow(missing_docs, clippy::unwrap_used)]

use serde_json::Value;
use teasel_api::custom_resource_definitions;

/// Paths of fields below a schema that lack a description, and those that have a default.
fn visit(path: &str, schema: &Value, unexplained: &mut Vec<String>, defaults: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            unexplained.push(path.clone());
        }
        if !field["default"].is_null() {
            defaults.push(path.clone());
        }
        visit(&path, field, unexplained, defaults);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            visit(&format!("{path}[]"), &schema[inner], unexplained, defaults);
        }
    }
}

#[test]
fn every_field_is_explained_and_none_has_a_default_in_the_schema() {
    for (_, definition) in custom_resource_definitions() {
        let definition = serde_json::to_value(definition).unwrap();
        let version = &definition["spec"]["versions"][0];
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let schema = &version["schema"]["openAPIV3Schema"];
        let (mut unexplained, mut defaults) = (Vec::new(), Vec::new());
        for part in ["spec", "status"] {
            let schema = &schema["properties"][part];
            assert!(schema["properties"].as_object().is_some_and(|fields| !fields.is_empty()), "{kind}.{part}");
            visit(&format!("{kind}.{part}"), schema, &mut unexplained, &mut defaults);
        }
        assert!(unexplained.is_empty(), "{unexplained:#?}");
        assert!(defaults.is_empty(), "{defaults:#?}");
        // Column by column as the users' documentation has it.
        assert!(version["subresources"]["status"].is_object(), "{kind}");
    }
}
