//! Schema of a field with a few choices.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The choices of `T`, an enum of documented names, as a plain `enum`.
///
/// schemars makes a `oneOf` of such an enum, from which kube takes the enum's description in place of the field's.
pub(crate) fn choice<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let schema = T::json_schema(generator);
    let names: Vec<Value> = match (schema.get("enum"), schema.get("oneOf")) {
        (Some(Value::Array(names)), _) => names.clone(),
        (None, Some(Value::Array(variants))) => variants.iter().flat_map(names_of).collect(),
        _ => Vec::new(),
    };
    json_schema!({ "type": "string", "enum": names })
}

fn names_of(variant: &Value) -> Vec<Value> {
    match (variant.get("const"), variant.get("enum")) {
        (Some(name), _) => vec![name.clone()],
        (None, Some(Value::Array(names))) => names.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resolved::{Format, OnBadRows};

    #[test]
    fn documented_names_become_a_plain_list() {
        let mut generator = SchemaGenerator::default();
        let names = |schema: Schema| schema.get("enum").cloned();
        assert_eq!(names(choice::<OnBadRows>(&mut generator)), Some(json!(["Fail", "Skip"])));
        let formats = names(choice::<Format>(&mut generator)).unwrap();
        assert_eq!(formats.as_array().unwrap().len(), 5);
    }
}
