//! Carries a decision out: the status first, then, once people are told, what is created and deleted.

#[cfg(test)]
mod tests;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PodTemplateSpec, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use teasel_api::spec::RecommenderJob;
use teasel_api::task::TaskKind;

use super::build;
use super::decide::{Action, Decision, Start};
use super::dereference::is_owned_by;
use super::stages::template_field;
use crate::configuration::Configuration;
use crate::context::is_refusal;
use crate::names::{ATTEMPT_LABEL, FROZEN_LABEL, TASK_LABEL, TENANT_LABEL};
use crate::reading::metadata;

/// Why a decision couldn't be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server said no, or nothing. Reconciling again is all there is to do.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// An object of the name that an attempt needs belongs to somebody else, or to another attempt.
    #[error("{kind} {name} exists and isn't this attempt's")]
    NameTaken {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server doesn't take an attempt's objects as they are.
    #[error("{message}")]
    Refused {
        /// Which attempt.
        start: Box<Start>,
        /// Whether it may pass: a quota, a policy.
        may_pass: bool,
        /// The API server's words.
        message: String,
    },
    /// The objects can't be made.
    #[error("{source}")]
    Build {
        /// Which attempt.
        start: Box<Start>,
        /// Why.
        source: build::BuildError,
    },
}

/// Does what `decision` says of `job`. Its status must have been written: one that somebody else has changed since
/// ends a reconcile before anything is done.
///
/// # Errors
/// Where the API server doesn't do what it is asked.
pub async fn apply(
    client: &Client,
    configuration: &Configuration,
    job: &RecommenderJob,
    decision: &Decision,
) -> Result<(), ApplyError> {
    let mut kept = Ok(());
    let mut actions = decision.actions.iter().peekable();
    while let Some(action) = actions.next() {
        match (carry_out(client, configuration, job, action).await, action) {
            (Ok(()), _) => {}
            (Err(error), Action::Freeze(_)) => match actions.peek() {
                // Nothing is started from fields that couldn't be written down.
                Some(Action::Start(start)) => return Err(refused(start, error)),
                // What was started from them goes on, and what is to end must not wait for them.
                _ => kept = kept.and(Err(error)),
            },
            (Err(error), _) => return Err(error),
        }
    }
    kept
}

/// What it means for an attempt that an object couldn't be created.
fn refused(start: &Start, error: ApplyError) -> ApplyError {
    let (may_pass, message) = match &error {
        ApplyError::Kube(kube::Error::Api(status)) if is_refusal(status) => {
            let template = template_field(start.key.kind);
            (status.code == 403, format!("{} (change {template}, or what refuses it)", status.message))
        }
        // It takes somebody to remove the other one.
        ApplyError::NameTaken { .. } => (false, format!("{error}; remove it, and ask for a retry")),
        _ => return error,
    };
    ApplyError::Refused { start: Box::new(start.clone()), may_pass, message }
}

/// Writes the status, unless it is as it was.
///
/// # Errors
/// Where the API server doesn't take it; a conflict means that the decision was made from an old object.
pub async fn write_status(client: &Client, job: &RecommenderJob, decision: &Decision) -> Result<(), kube::Error> {
    if job.status.as_ref() == Some(&decision.status) || job.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let mut changed = job.clone();
    changed.status = Some(decision.status.clone());
    changed.metadata.managed_fields = None;
    let jobs = Api::<RecommenderJob>::namespaced(client.clone(), &job.namespace().unwrap_or_default());
    jobs.replace_status(&job.name_any(), &PostParams::default(), &changed).await?;
    Ok(())
}

async fn carry_out(
    client: &Client,
    configuration: &Configuration,
    job: &RecommenderJob,
    action: &Action,
) -> Result<(), ApplyError> {
    let namespace = job.namespace().unwrap_or_default();
    match action {
        Action::Freeze(part) => create(client, job, &build::frozen_config_map(job, part)).await.map(|_| ()),
        Action::Start(start) => begin(client, configuration, job, start).await,
        Action::DeleteAttempt { name, uid } => {
            if uid.is_empty() {
                // No Job vouches for what bears its name.
                return Ok(delete_leftovers(client, job, name).await?);
            }
            // The Job last: as long as it is there, whoever looks next finds out that all of them must go.
            delete(&Api::<Service>::namespaced(client.clone(), &namespace), name, None).await?;
            delete(&Api::<ConfigMap>::namespaced(client.clone(), &namespace), name, None).await?;
            delete(&Api::<Job>::namespaced(client.clone(), &namespace), name, Some(uid)).await?;
            Ok(())
        }
        Action::DeleteJob => {
            let jobs = metadata::<RecommenderJob>(client, Some(&namespace));
            Ok(delete(&jobs, &job.name_any(), job.uid().as_deref()).await?)
        }
    }
}

/// Creates the objects of an attempt, the Job last: its pods need the others.
async fn begin(
    client: &Client,
    configuration: &Configuration,
    job: &RecommenderJob,
    start: &Start,
) -> Result<(), ApplyError> {
    let failed = |source| ApplyError::Build { start: Box::new(start.clone()), source };
    let template = build::pod_template(job, start, configuration).map_err(failed)?;
    let task = build::task_config_map(job, start, &template).map_err(failed)?;
    let Err(error) = create_all(client, configuration, job, start, template, &task).await else { return Ok(()) };
    let error = refused(start, error);
    if matches!(error, ApplyError::Refused { .. }) {
        // The next attempt makes its own.
        delete_leftovers(client, job, &start.name).await?;
    }
    Err(error)
}

async fn create_all(
    client: &Client,
    configuration: &Configuration,
    job: &RecommenderJob,
    start: &Start,
    template: PodTemplateSpec,
    task: &ConfigMap,
) -> Result<(), ApplyError> {
    if configuration.network_policy.enabled {
        renew(client, job, build::network_policy(job, &configuration.network_policy)).await?;
    }
    create(client, job, task).await?;
    if start.key.kind == TaskKind::Train {
        create(client, job, &build::service(job, start)).await?;
    }
    create(client, job, &build::attempt_job(job, start, template)).await
}

/// Creates the job's NetworkPolicy, or makes it say what the operator is told now: else a job whose pods were cut off
/// from their storage by mistake would stay so.
async fn renew(client: &Client, job: &RecommenderJob, policy: NetworkPolicy) -> Result<(), ApplyError> {
    let api = Api::<NetworkPolicy>::namespaced(client.clone(), &job.namespace().unwrap_or_default());
    let name = policy.name_any();
    let Some(found) = api.get_opt(&name).await? else { return create(client, job, &policy).await };
    if !is_owned_by(&found, &job.uid().unwrap_or_default()) {
        return Err(ApplyError::NameTaken { kind: NetworkPolicy::kind(&()).into_owned(), name });
    }
    if found.spec != policy.spec {
        // Its version goes along: what somebody else has written since isn't lost.
        let renewed = NetworkPolicy { spec: policy.spec, ..found };
        api.replace(&name, &PostParams::default(), &renewed).await?;
    }
    Ok(())
}

/// Creates an object of the job, or finds it created.
async fn create<K>(client: &Client, job: &RecommenderJob, object: &K) -> Result<(), ApplyError>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let api = Api::<K>::namespaced(client.clone(), &job.namespace().unwrap_or_default());
    let (name, owner) = (object.name_any(), job.uid().unwrap_or_default());
    let created = match create_own(&api, object, &owner).await? {
        // Nobody finds it by its labels, which somebody has taken off, and nothing depends on it yet.
        Created::Unlabelled(uid) if K::kind(&()) != "Job" => {
            delete(&api, &name, Some(&uid)).await?;
            create_own(&api, object, &owner).await?
        }
        created => created,
    };
    match created {
        Created::There => Ok(()),
        _ => Err(ApplyError::NameTaken { kind: K::kind(&()).into_owned(), name }),
    }
}

/// What came of creating an object.
pub(crate) enum Created {
    /// It is there.
    There,
    /// It is there, without the labels that it was created with; this is its UID.
    Unlabelled(String),
    /// Its name is another object's.
    NameTaken,
}

/// Creates an object, or finds it created.
pub(crate) async fn create_own<K>(api: &Api<K>, object: &K, owner: &str) -> Result<Created, kube::Error>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(Created::There),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
            let found = api.get_metadata_opt(&object.name_any()).await?;
            // One that is gone again is created when we look again.
            Ok(found.map_or(Created::There, |found| compare(&found, object, owner)))
        }
        Err(error) => Err(error),
    }
}

/// Whether what was found is the object that `owner` would have created: another task's may have its name.
fn compare(found: &impl Resource, object: &impl Resource, owner: &str) -> Created {
    let (labels, wanted) = (found.labels(), object.labels());
    let of_another = [TASK_LABEL, TENANT_LABEL, ATTEMPT_LABEL, FROZEN_LABEL]
        .iter()
        .any(|label| labels.get(*label).is_some_and(|value| Some(value) != wanted.get(*label)));
    match found.uid().filter(|_| is_owned_by(found, owner) && !of_another) {
        None => Created::NameTaken,
        Some(uid) if wanted.iter().any(|(label, value)| labels.get(label) != Some(value)) => {
            Created::Unlabelled(uid)
        }
        Some(_) => Created::There,
    }
}

/// Deletes what was made for an attempt that has no Job, as far as it is the job's own.
async fn delete_leftovers(client: &Client, job: &RecommenderJob, name: &str) -> Result<(), kube::Error> {
    let namespace = job.namespace().unwrap_or_default();
    let owner = job.uid().unwrap_or_default();
    delete_own(&Api::<Service>::namespaced(client.clone(), &namespace), name, &owner).await?;
    delete_own(&Api::<ConfigMap>::namespaced(client.clone(), &namespace), name, &owner).await
}

/// Deletes an object of that name, if it is the owner's.
async fn delete_own<K>(api: &Api<K>, name: &str, owner: &str) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    match api.get_metadata_opt(name).await? {
        Some(found) if is_owned_by(&found, owner) => delete(api, name, found.uid().as_deref()).await,
        _ => Ok(()),
    }
}

/// Deletes an object and what it owns; one that is gone, or another of its name, is fine.
pub(crate) async fn delete<K: Clone + std::fmt::Debug + DeserializeOwned>(
    api: &Api<K>,
    name: &str,
    uid: Option<&str>,
) -> Result<(), kube::Error> {
    // Without a policy a Job's pods would be orphaned.
    let background = DeleteParams::background();
    let parameters = match uid {
        Some(uid) => background.preconditions(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        None => background,
    };
    match api.delete(name, &parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}
