//! Checks a tree against the schema of a custom resource, and finds everything that is wrong.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Number, Value};

use super::tree::{Entry, Node, NodeValue};
use crate::spec::Duration;
use crate::violation::{Path, Violations, nearest};

/// Checks `node` and returns what of it is sound, without fields that are unknown or wrong.
pub(crate) fn check(schema: &JSONSchemaProps, node: &Node, path: &Path, found: &mut Violations) -> Option<Value> {
    match (schema.type_.as_deref(), &node.value) {
        (Some("object"), NodeValue::Map(entries)) => Some(object(schema, node, entries, path, found)),
        (Some("array"), NodeValue::List(elements)) => list(schema, elements, path, found),
        (Some("string"), NodeValue::Text(text)) => string(schema, text, path, found),
        (Some("integer" | "number"), NodeValue::Number(value)) => number(schema, value, path, found),
        (Some("boolean"), NodeValue::Boolean(value)) => Some(Value::Bool(*value)),
        (None, _) => Some(node.into()),
        (Some(expected), other) => {
            let hint = match (expected, other) {
                ("string", NodeValue::Number(value)) => Some(format!("put it in quotes: \"{value}\"")),
                ("string", NodeValue::Boolean(value)) => Some(format!("put it in quotes: \"{value}\"")),
                _ => None,
            };
            found.add_with_hint(path, format!("must be {}, not {}", article(expected), other.describe()), hint);
            None
        }
    }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "object" => "an object",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "something else",
    }
}

fn object(schema: &JSONSchemaProps, node: &Node, entries: &[Entry], path: &Path, found: &mut Violations) -> Value {
    if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
        return node.into();
    }
    let mut sound = Map::new();
    for entry in entries {
        let inner = path.field(&entry.name);
        let field = schema.properties.as_ref().and_then(|properties| properties.get(&entry.name));
        let element = match (field, &schema.additional_properties) {
            (Some(field), _) => field,
            (None, Some(JSONSchemaPropsOrBool::Schema(any))) => any,
            // `metadata` and the like: an object of which the schema says nothing.
            (None, _) if schema.properties.is_none() => {
                sound.insert(entry.name.clone(), (&entry.node).into());
                continue;
            }
            (None, _) => {
                let names = schema.properties.iter().flat_map(|properties| properties.keys().map(String::as_str));
                found.add_with_hint(&inner, "is no known field", nearest(&entry.name, names));
                continue;
            }
        };
        if entry.node.value == NodeValue::Null {
            // As for the API server, an optional field that is null is unset; a required one is reported below.
            continue;
        }
        if let Some(value) = check(element, &entry.node, &inner, found) {
            sound.insert(entry.name.clone(), value);
        }
    }
    for required in schema.required.iter().flatten() {
        let given = entries.iter().any(|entry| entry.name == *required && entry.node.value != NodeValue::Null);
        if !given {
            found.add(&path.field(required), "is required");
        }
    }
    Value::Object(sound)
}

fn list(schema: &JSONSchemaProps, elements: &[Node], path: &Path, found: &mut Violations) -> Option<Value> {
    let length = elements.len() as i64;
    if let Some(minimum) = schema.min_items.filter(|minimum| length < *minimum) {
        found.add(path, format!("must have at least {minimum} element{}", plural(minimum)));
        return None;
    }
    if let Some(maximum) = schema.max_items.filter(|maximum| length > *maximum) {
        found.add(path, format!("must have at most {maximum} elements, not {length}"));
        return None;
    }
    let Some(JSONSchemaPropsOrArray::Schema(element)) = &schema.items else {
        return Some(elements.iter().map(Value::from).collect());
    };
    let sound = elements
        .iter()
        .enumerate()
        .filter_map(|(index, node)| check(element, node, &path.index(index), found))
        .collect();
    Some(sound)
}

fn plural(count: i64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn string(schema: &JSONSchemaProps, text: &str, path: &Path, found: &mut Violations) -> Option<Value> {
    if let Some(choices) = &schema.enum_ {
        let names: Vec<&str> = choices.iter().filter_map(|choice| choice.0.as_str()).collect();
        if !names.contains(&text) {
            let message = format!("must be one of {}, not {text:?}", names.join(", "));
            found.add_with_hint(path, message, nearest(text, names));
            return None;
        }
    }
    if schema.pattern.as_deref() == Some(Duration::PATTERN)
        && let Err(error) = text.parse::<Duration>()
    {
        found.add(path, format!("{error}, not {text:?}"));
        return None;
    }
    let length = text.chars().count() as i64;
    if length == 0 && schema.min_length.is_some_and(|minimum| minimum > 0) {
        found.add(path, "must not be empty");
        return None;
    }
    if let Some(maximum) = schema.max_length.filter(|maximum| length > *maximum) {
        found.add(path, format!("must have at most {maximum} characters, not {length}"));
        return None;
    }
    Some(Value::String(text.to_owned()))
}

fn number(schema: &JSONSchemaProps, value: &Number, path: &Path, found: &mut Violations) -> Option<Value> {
    let real = value.as_f64().unwrap_or(f64::NAN);
    if schema.type_.as_deref() == Some("integer") && value.is_f64() {
        found.add(path, format!("must be a whole number, not {value}"));
        return None;
    }
    let below = match schema.minimum {
        Some(minimum) if schema.exclusive_minimum == Some(true) => real <= minimum,
        Some(minimum) => real < minimum,
        None => false,
    };
    let above = match schema.maximum {
        Some(maximum) if schema.exclusive_maximum == Some(true) => real >= maximum,
        Some(maximum) => real > maximum,
        None => false,
    };
    if below || above || real.is_nan() {
        found.add(path, format!("must be {}, not {value}", bounds(schema)));
        return None;
    }
    Some(Value::Number(value.clone()))
}

/// `between 1 and 1000`, `at least 1`, `above 0`, `at least 0 and below 1`.
fn bounds(schema: &JSONSchemaProps) -> String {
    let lower = schema.minimum.map(|minimum| match schema.exclusive_minimum {
        Some(true) => format!("above {minimum}"),
        _ => format!("at least {minimum}"),
    });
    let upper = schema.maximum.map(|maximum| match schema.exclusive_maximum {
        Some(true) => format!("below {maximum}"),
        _ => format!("at most {maximum}"),
    });
    match (lower, upper) {
        (Some(lower), Some(upper)) => format!("{lower} and {upper}"),
        (Some(bound), None) | (None, Some(bound)) => bound,
        (None, None) => "a number".into(),
    }
}
