//! Reading jobs from YAML, strictly, with every error at once.

mod kubernetes;
mod lines;
mod schema;
mod tree;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube::CustomResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use kubernetes::{check_metadata, check_pod_template};
use lines::Lines;
pub use lines::Located;
use tree::{Node, NodeValue};

use crate::definition;
use crate::resolve::{resolve, resolve_schedule};
use crate::spec::{RecommenderJob, ScheduledRecommenderJob};
use crate::violation::{Path, Violation, Violations, nearest};

/// `apiVersion` of every object.
pub const API_VERSION: &str = "teasel.dev/v1alpha1";

/// Reads every RecommenderJob of a YAML text of one or more documents.
///
/// ScheduledRecommenderJobs in it are checked too, but not returned.
///
/// # Errors
/// Everything that is wrong with the form of the text: YAML that can't be parsed, unknown or missing fields, wrong
/// types, choices and ranges; together with what [`resolve`] finds in the rest of such a document. A text whose form
/// is right may still be refused by [`resolve`].
pub fn load(yaml: &str) -> Result<Vec<RecommenderJob>, Vec<Violation>> {
    Ok(load_located(yaml)?.into_iter().map(|located| located.job).collect())
}

/// As [`load`], with the lines that each job's fields stand on.
///
/// # Errors
/// As [`load`].
pub fn load_located(yaml: &str) -> Result<Vec<Located>, Vec<Violation>> {
    let documents = parse(yaml)?;
    let mut jobs = Vec::new();
    let mut violations = Vec::new();
    for node in &documents {
        let lines = Lines::of(node);
        match document(node) {
            Ok(Some(job)) => jobs.push(Located { job, lines }),
            Ok(None) => {}
            Err(found) => violations.extend(lines.annotate(found)),
        }
    }
    if violations.is_empty() { Ok(jobs) } else { Err(violations) }
}

/// Everything that is wrong with the objects of a YAML text, their form and their meaning; nothing where all is well.
pub fn validate(yaml: &str) -> Vec<Violation> {
    match load_located(yaml) {
        Ok(jobs) => jobs.iter().filter_map(|job| job.resolve().err()).flatten().collect(),
        Err(violations) => violations,
    }
}

/// Reads an object that the API server has taken. Fields that are unknown are no error there: another release may know
/// them.
///
/// # Errors
/// What is wrong with the object's form, with the fields' paths, and in the end why it can't be read.
pub fn read<K: CustomResourceExt + DeserializeOwned>(object: &Value) -> Result<K, Vec<Violation>> {
    K::deserialize(object).map_err(|error| {
        let mut found = check_object::<K>(object);
        // The schema is that of this release: the one in the cluster may take more.
        found.add(&Path::root(), error.to_string());
        found.into_vec()
    })
}

/// Checks an object against its schema, as the API server does.
pub(crate) fn check_object<K: CustomResourceExt>(json: &Value) -> Violations {
    let mut found = Violations::default();
    if let Some(schema) = schema_of::<K>() {
        schema::check(schema, &Node::from(json), &Path::root(), &mut found);
    }
    found
}

fn parse(yaml: &str) -> Result<Vec<Node>, Vec<Violation>> {
    let refuse =
        |line: Option<u32>, message: String| vec![Violation { path: String::new(), line, message, hint: None }];
    let documents = tree::parse(yaml).map_err(|error| {
        let line = error.location().and_then(|location| u32::try_from(location.line()).ok());
        let message = error.without_snippet().to_string();
        refuse(line, format!("is no valid YAML: {message}"))
    })?;
    if documents.is_empty() { Err(refuse(None, "holds no object".into())) } else { Ok(documents) }
}

/// Reads one document: a job, or nothing for a schedule that is right.
fn document(node: &Node) -> Result<Option<RecommenderJob>, Vec<Violation>> {
    let root = Path::root();
    let mut found = Violations::default();
    match text_field(node, "apiVersion") {
        Some(API_VERSION) => {}
        Some(other) => found.add(&root.field("apiVersion"), format!("must be {API_VERSION}, not {other:?}")),
        None => found.add(&root.field("apiVersion"), format!("is required: {API_VERSION}")),
    }
    match text_field(node, "kind") {
        Some("RecommenderJob") => {
            let job: Option<RecommenderJob> = typed(node, &mut found);
            conclude(job, found, |job| resolve(job).err().unwrap_or_default())
        }
        Some("ScheduledRecommenderJob") => {
            let schedule: Option<ScheduledRecommenderJob> = typed(node, &mut found);
            let check = |schedule: &ScheduledRecommenderJob| resolve_schedule(schedule).err().unwrap_or_default();
            let mut violations = found.into_vec();
            add_new(&mut violations, schedule.as_ref().map(check).unwrap_or_default());
            if violations.is_empty() { Ok(None) } else { Err(violations) }
        }
        Some(other) => {
            let kinds = ["RecommenderJob", "ScheduledRecommenderJob"];
            let message = format!("must be RecommenderJob or ScheduledRecommenderJob, not {other:?}");
            found.add_with_hint(&root.field("kind"), message, nearest(other, kinds));
            Err(found.into_vec())
        }
        None => {
            found.add(&root.field("kind"), "is required: RecommenderJob or ScheduledRecommenderJob");
            Err(found.into_vec())
        }
    }
}

/// Where the form is wrong, adds what is wrong with the meaning of the rest; else returns the job.
fn conclude(
    job: Option<RecommenderJob>,
    found: Violations,
    meaning: impl Fn(&RecommenderJob) -> Vec<Violation>,
) -> Result<Option<RecommenderJob>, Vec<Violation>> {
    let mut violations = found.into_vec();
    match job {
        Some(job) if violations.is_empty() => Ok(Some(job)),
        job => {
            add_new(&mut violations, job.as_ref().map(meaning).unwrap_or_default());
            Err(violations)
        }
    }
}

/// Adds violations at fields that have none yet.
fn add_new(violations: &mut Vec<Violation>, others: Vec<Violation>) {
    for other in others {
        if !violations.iter().any(|violation| violation.path == other.path) {
            violations.push(other);
        }
    }
}

/// Checks a document against its schema and deserializes what is sound of it.
fn typed<T: CustomResourceExt + DeserializeOwned>(node: &Node, found: &mut Violations) -> Option<T> {
    let root = Path::root();
    let schema = schema_of::<T>()?;
    let sound = schema::check(schema, node, &root, found)?;
    match sound.get("metadata") {
        Some(Value::Object(metadata)) => check_metadata(metadata, &root.field("metadata"), found),
        _ => found.add(&root.field("metadata"), "is required"),
    }
    match serde_json::from_value(sound) {
        Ok(object) => Some(object),
        Err(error) => {
            // Usually a required field that is missing or wrong, which has been reported. Anything else is a gap
            // between schema and types, and must not pass in silence.
            if found.is_empty() {
                found.add(&root, error.to_string());
            }
            None
        }
    }
}

/// The schemas by the names of their definitions: making one takes longer than checking an object.
static SCHEMAS: LazyLock<BTreeMap<&'static str, JSONSchemaProps>> = LazyLock::new(|| {
    let schemas = [
        (RecommenderJob::crd_name(), definition::schema::<RecommenderJob>()),
        (ScheduledRecommenderJob::crd_name(), definition::schema::<ScheduledRecommenderJob>()),
    ];
    schemas.into_iter().filter_map(|(name, schema)| Some((name, with_type_and_metadata(schema?)))).collect()
});

fn schema_of<T: CustomResourceExt>() -> Option<&'static JSONSchemaProps> {
    SCHEMAS.get(T::crd_name())
}

/// The API server knows these of every object, so they don't stand in the schema.
fn with_type_and_metadata(mut schema: JSONSchemaProps) -> JSONSchemaProps {
    let kind = |kind: &str| JSONSchemaProps { type_: Some(kind.into()), ..JSONSchemaProps::default() };
    let properties = schema.properties.get_or_insert_default();
    properties.insert("apiVersion".into(), kind("string"));
    properties.insert("kind".into(), kind("string"));
    properties.insert("metadata".into(), kind("object"));
    schema
}

fn text_field<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    let NodeValue::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.name == name).and_then(|entry| match &entry.node.value {
        NodeValue::Text(text) => Some(text.as_str()),
        _ => None,
    })
}
