//! Reads our own objects one by one. One that this release can't read must not keep the others from being looked
//! after, so neither watches nor lists hold the whole of them: a typed list fails as a whole.
//!
//! The schema refuses what the types can't hold, but an object may be older than its schema, and the schema of the
//! cluster newer than the operator.

use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta, PartialObjectMetaExt};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, CustomResourceExt, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use teasel_api::Violation;
use teasel_api::spec::{RecommenderJob, RecommenderJobStatus};

use crate::job::dereference::controller_of;
use crate::unreadable::Unreadable;

/// What became of asking for an object.
#[derive(Debug)]
pub enum Fetched<K> {
    /// It is there.
    Read(Box<K>),
    /// It is there, and can't be read.
    Unreadable(Box<Unreadable>),
    /// It isn't there.
    Gone,
}

/// Asks for an object.
///
/// # Errors
/// Where the API server can't be asked.
pub async fn fetch<K>(client: &Client, namespace: &str, name: &str) -> Result<Fetched<K>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + CustomResourceExt + DeserializeOwned,
{
    let resource = ApiResource::erase::<K>(&());
    let objects = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    Ok(match objects.get_opt(name).await? {
        Some(object) => read(object),
        None => Fetched::Gone,
    })
}

/// Whether an object as it was read is older than as a watch has shown it: a cache has answered. Its resource versions are
/// numbers that grow; where they aren't, nothing is known.
pub fn is_older(read: &impl Resource, shown: &impl Resource) -> bool {
    let version = |object: &str| object.parse::<u128>().ok();
    let versions = (read.resource_version(), shown.resource_version());
    let (Some(read), Some(shown)) = versions else { return false };
    version(&read).zip(version(&shown)).is_some_and(|(read, shown)| read < shown)
}

fn read<K>(object: DynamicObject) -> Fetched<K>
where
    K: Resource<DynamicType = ()> + CustomResourceExt + DeserializeOwned,
{
    let read = serde_json::to_value(&object)
        .map_err(|error| error.to_string())
        .and_then(|json| teasel_api::read(&json).map_err(|violations| Violation::list(&violations)));
    match read {
        Ok(read) => Fetched::Read(Box::new(read)),
        Err(message) => {
            Fetched::Unreadable(Box::new(Unreadable::new(object, ApiResource::erase::<K>(&()), message)))
        }
    }
}

/// A job among others, of which only the state matters.
#[derive(Clone, Debug)]
pub struct ListedJob {
    /// What every object has.
    pub object: PartialObjectMeta<RecommenderJob>,
    /// Its status; none where it has none, or none that can be read.
    pub status: Option<RecommenderJobStatus>,
}

impl From<DynamicObject> for ListedJob {
    fn from(object: DynamicObject) -> Self {
        ListedJob { status: status(&object), object: object.metadata.into_response_partial() }
    }
}

/// Lists jobs with a label.
///
/// # Errors
/// Where the API server can't be asked.
pub async fn list_jobs(client: &Client, namespace: &str, label: &str) -> Result<Vec<ListedJob>, kube::Error> {
    let resource = ApiResource::erase::<RecommenderJob>(&());
    let jobs = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let listed = jobs.list(&ListParams::default().labels(label)).await?;
    Ok(listed.items.into_iter().map(ListedJob::from).collect())
}

/// The status of an object, whatever its spec says.
pub fn status<S: DeserializeOwned>(object: &DynamicObject) -> Option<S> {
    S::deserialize(object.data.get("status")?).ok()
}

/// The metadata of our objects, or of those that belong to them, in one namespace or in all.
pub fn metadata<K>(client: &Client, namespace: Option<&str>) -> Api<PartialObjectMeta<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The object of ours that controls another.
pub fn owner<K>(object: &impl Resource) -> Option<ObjectRef<PartialObjectMeta<K>>>
where
    K: Resource<DynamicType = ()>,
{
    ObjectRef::from_owner_ref(object.namespace().as_deref(), controller_of(object)?, ())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn object(training: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
            "metadata": {"name": "films", "namespace": "media", "uid": "u"},
            "spec": {
                "storage": {"uri": "s3://teasel/films"},
                "data": {"interactions": {"location": {"uri": "s3://x"}, "columns": {"user": "u", "item": "i"}}},
                "training": training,
                "scoring": {"tenants": [{"name": "city", "output": {"uri": "s3://city/lists"}}]}
            },
            "status": {"phase": "Training", "run": "u"}
        }))
        .unwrap()
    }

    #[test]
    fn an_object_is_read_as_a_whole() {
        let Fetched::Read(job) = read::<RecommenderJob>(object(&json!({"epochs": 5}))) else {
            panic!("unreadable")
        };
        assert_eq!(job.spec.training.unwrap().epochs, Some(5));
    }

    #[rstest]
    #[case::of_a_cache("9", "10", true)]
    #[case::after_our_own_write("11", "10", false)]
    #[case::the_same("10", "10", false)]
    #[case::of_no_order("a", "10", false)]
    fn an_answer_of_a_cache_is_told_by_its_version(#[case] read: &str, #[case] shown: &str, #[case] older: bool) {
        let object = |version: &str| {
            let mut object = object(&json!({}));
            object.metadata.resource_version = Some(version.to_owned());
            object
        };
        assert_eq!(is_older(&object(read), &object(shown)), older);
    }

    #[test]
    fn one_that_cannot_be_read_says_which_fields_are_wrong() {
        let fields = json!({"epochs": 5_000_000_000_u64, "checkpoint": {"interval": "500ms"}});
        let Fetched::Unreadable(unreadable) = read::<RecommenderJob>(object(&fields)) else { panic!("read") };
        let message = unreadable.to_string();
        assert!(message.contains("spec.training.epochs: must be at least 1 and at most 4294967295"), "{message}");
        assert!(
            message.contains("spec.training.checkpoint.interval: must be hours, minutes and seconds"),
            "{message}"
        );
    }

    #[test]
    fn a_listed_job_has_its_status_though_its_spec_cannot_be_read() {
        let listed = ListedJob::from(object(&json!({"epochs": "many"})));
        assert_eq!(listed.status.unwrap().run.as_deref(), Some("u"));
        assert_eq!(listed.object.metadata.name.as_deref(), Some("films"));
    }

    #[test]
    fn a_status_that_cannot_be_read_counts_as_none() {
        let mut object = object(&json!({}));
        object.data["status"]["phase"] = "Dancing".into();
        assert_eq!(ListedJob::from(object).status, None);
    }
}
