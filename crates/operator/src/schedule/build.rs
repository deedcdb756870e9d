//! The job of a tick.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use serde_json::Value;
pub use teasel_api::request::tick_job as job_name;
use teasel_api::spec::{RecommenderJob, ScheduledRecommenderJob};

use crate::names::{SCHEDULE_LABEL, SCHEDULED_AT_ANNOTATION};

/// The tick that a job's name carries.
pub(super) fn tick_of_name(name: &str) -> Option<Timestamp> {
    let (_, minute) = name.rsplit_once('-')?;
    let minute: i64 = minute.parse().ok()?;
    Timestamp::from_second(minute.checked_mul(60)?).ok()
}

/// Makes a tick's job from the template.
pub fn job(schedule: &ScheduledRecommenderJob, tick: Timestamp) -> RecommenderJob {
    let owner = schedule.metadata.name.clone().unwrap_or_default();
    let template = &schedule.spec.job_template;
    // Ours come last: a template can't forge them.
    let mut labels = texts(schedule, "labels");
    labels.insert(SCHEDULE_LABEL.into(), owner.clone());
    let mut annotations = texts(schedule, "annotations");
    annotations.insert(SCHEDULED_AT_ANNOTATION.into(), tick.to_string());
    let mut job = RecommenderJob::new(&job_name(&owner, tick), template.spec.clone());
    job.metadata = ObjectMeta {
        namespace: schedule.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(annotations),
        owner_references: Some(vec![OwnerReference {
            api_version: ScheduledRecommenderJob::api_version(&()).into_owned(),
            kind: ScheduledRecommenderJob::kind(&()).into_owned(),
            name: owner,
            uid: schedule.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..job.metadata
    };
    job
}

/// Labels or annotations of the template.
fn texts(schedule: &ScheduledRecommenderJob, field: &str) -> BTreeMap<String, String> {
    let metadata = schedule.spec.job_template.metadata.as_ref();
    let values = metadata.and_then(|metadata| metadata.0.get(field)).and_then(Value::as_object);
    let texts =
        values.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}
