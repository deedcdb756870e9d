//! The reference of the job's fields, from the schema.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::definition;
use crate::spec::{Duration, RecommenderJob, ScheduledRecommenderJob};

/// One field, as the reference shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    path: String,
    kind: String,
    default: String,
    description: String,
}

/// The reference of a job's and a schedule's fields, as Markdown.
pub fn job_reference() -> String {
    let mut text = String::from(
        "# The job, field by field\n\n\
         <!-- Generated from crates/api by `make generate`; change the documentation there. -->\n\n\
         A list element is written `[]`, any name `*`. \"required\" means that the field has no default and must be \
         there whenever what contains it is. A *place* is\n\n\
         - `uri`, required: URL of a file or a prefix, `file:///…`, `s3://bucket/…`, `gs://bucket/…` or \
         `az://container/…`; `teasel run` also takes a path relative to the job file.\n\
         - `secretRef.name`: secret with the credentials of this place. Its keys are the environment names that object \
         stores use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, …). Unset means ambient identity.\n",
    );
    for (title, schema, skip) in [
        ("RecommenderJob", definition::schema::<RecommenderJob>(), None),
        ("ScheduledRecommenderJob", definition::schema::<ScheduledRecommenderJob>(), Some("spec.jobTemplate.spec")),
    ] {
        let _ = write!(text, "\n## {title}\n");
        let Some(schema) = schema else { continue };
        for part in ["spec", "status"] {
            let Some(part_schema) = schema.properties.as_ref().and_then(|properties| properties.get(part)) else {
                continue;
            };
            let mut fields = Vec::new();
            collect(part_schema, part, skip, &mut fields);
            let _ = write!(text, "\n### {title} {part}\n\n{}", table(&fields, part == "spec"));
        }
    }
    text
}

fn collect(schema: &JSONSchemaProps, path: &str, skip: Option<&str>, fields: &mut Vec<Field>) {
    if skip == Some(path) {
        return;
    }
    let required = schema.required.clone().unwrap_or_default();
    for (name, inner) in schema.properties.iter().flatten() {
        let inner_path = format!("{path}.{name}");
        let description = inner.description.clone().unwrap_or_default().replace('\n', " ");
        let default = if required.contains(name) { "required".into() } else { default_of(&description) };
        fields.push(Field { path: inner_path.clone(), kind: kind_of(inner), default, description });
        if !is_place(inner) {
            collect(inner, &inner_path, skip, fields);
        }
    }
    if let Some(JSONSchemaPropsOrArray::Schema(element)) = &schema.items {
        collect(element, &format!("{path}[]"), skip, fields);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
        collect(value, &format!("{path}.*"), skip, fields);
    }
}

fn is_place(schema: &JSONSchemaProps) -> bool {
    schema.properties.as_ref().is_some_and(|fields| fields.keys().eq(["secretRef", "uri"]))
}

/// What a description says after "Defaults to" or "Unset means".
fn default_of(description: &str) -> String {
    let after = |phrase: &str| description.split_once(phrase).map(|(_, rest)| rest);
    let (rest, unset) = match (after("Defaults to "), after("Unset means ")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return String::new(),
    };
    let sentence = rest.split(". ").next().unwrap_or(rest).trim_end_matches('.');
    if unset {
        sentence.trim_start_matches("that ").to_owned()
    } else {
        format!("`{}`", sentence.split(' ').next().unwrap_or(sentence))
    }
}

fn kind_of(schema: &JSONSchemaProps) -> String {
    let bounds = match (schema.minimum, schema.maximum) {
        (Some(minimum), Some(maximum)) => format!(", {minimum} to {maximum}"),
        (Some(minimum), None) if schema.exclusive_minimum == Some(true) => format!(", above {minimum}"),
        (Some(minimum), None) => format!(", {minimum} or more"),
        (None, Some(maximum)) => format!(", {maximum} or less"),
        (None, None) => String::new(),
    };
    if let Some(choices) = &schema.enum_ {
        let names: Vec<&str> = choices.iter().filter_map(|choice| choice.0.as_str()).collect();
        return names.join(" \\| ");
    }
    let element = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(element)) => kind_of(element),
        _ => String::new(),
    };
    match (schema.type_.as_deref(), schema.format.as_deref()) {
        (Some("string"), _) if schema.pattern.as_deref() == Some(Duration::PATTERN) => "duration".into(),
        (Some("string"), Some("date-time")) => "time".into(),
        (Some("string"), _) => "text".into(),
        (Some("integer"), _) => format!("integer{bounds}"),
        (Some("number"), _) => format!("number{bounds}"),
        (Some("array"), _) => format!("list of {element}"),
        (Some("object"), _) if is_place(schema) => "place".into(),
        (Some(other), _) => other.into(),
        (None, _) => "any".into(),
    }
}

fn table(fields: &[Field], defaults: bool) -> String {
    let mut text = String::new();
    let (head, rule) = if defaults {
        ("| field | type | default | description |", "|---|---|---|---|")
    } else {
        ("| field | type | description |", "|---|---|---|")
    };
    let _ = writeln!(text, "{head}\n{rule}");
    for field in fields {
        let description = field.description.replace('|', "\\|");
        let default = if defaults { format!(" {} |", field.default.replace('|', "\\|")) } else { String::new() };
        let _ = writeln!(text, "| `{}` | {} |{default} {description} |", field.path, field.kind);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("x is y. Defaults to 7.", "`7`")]
    #[case("x is y. Defaults to 0.1.", "`0.1`")]
    #[case("x is y. Defaults to 1000 where z is Skip.", "`1000`")]
    #[case("x is y. Unset means none. More.", "none")]
    #[case("x is y.", "")]
    fn the_default_is_what_the_description_says(#[case] description: &str, #[case] default: &str) {
        assert_eq!(default_of(description), default);
    }

    #[test]
    fn every_optional_field_of_a_spec_says_what_unset_means() {
        for schema in [definition::schema::<RecommenderJob>(), definition::schema::<ScheduledRecommenderJob>()] {
            let schema = schema.unwrap();
            let mut fields = Vec::new();
            collect(&schema.properties.unwrap()["spec"], "spec", None, &mut fields);
            assert!(fields.len() > 10);
            let bounds = ["minimum", "relativeToPublished", "relativeTo", "weights", "provided"];
            let silent: Vec<_> = fields
                .iter()
                .filter(|field| field.default.is_empty())
                .filter(|field| !bounds.iter().any(|name| field.path.ends_with(&format!(".{name}"))))
                .collect();
            assert!(silent.is_empty(), "{silent:?}");
        }
    }
}
