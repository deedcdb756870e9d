//! Finding the job or schedule that somebody names.

use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use teasel_api::outcome::ExitCode;

use crate::cluster::{Cluster, FIELD_MANAGER};
use crate::failure::Failure;
use crate::reference::{Kind, Reference};

/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.8;
/// How many similar names are shown.
const SHOWN: usize = 3;

/// What a command serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// Jobs only.
    Jobs,
    /// Schedules only.
    Schedules,
    /// Both; a plain name is a job's first.
    Both,
}

impl Serves {
    /// The kinds, in the order in which a plain name is looked for.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Serves::Jobs => &[Kind::Job],
            Serves::Schedules => &[Kind::Schedule],
            Serves::Both => &[Kind::Job, Kind::Schedule],
        }
    }
}

/// A job or schedule that is there.
#[derive(Clone)]
pub(crate) struct Target {
    /// Its kind.
    pub(crate) kind: Kind,
    /// What was read of it.
    pub(crate) object: DynamicObject,
    /// Where it is.
    pub(crate) api: Api<DynamicObject>,
}

impl Target {
    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.object.name_any()
    }

    /// Its UID, which of a job is also its run.
    pub(crate) fn uid(&self) -> String {
        self.object.uid().unwrap_or_default()
    }

    /// As people may write it again.
    pub(crate) fn shown(&self) -> String {
        format!("{}/{}", self.kind.prefix(), self.name())
    }

    /// It as the type that it is.
    pub(crate) fn typed<K: DeserializeOwned>(&self) -> Result<K, Failure> {
        typed(&self.object)
    }

    /// Changes it by a merge patch, and returns what it is then.
    pub(crate) async fn merge(&self, patch: Value) -> Result<DynamicObject, Failure> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        Ok(self.api.patch(&self.name(), &parameters, &Patch::Merge(patch)).await?)
    }

    /// Sets an annotation.
    pub(crate) async fn annotate(&self, annotation: &str, value: &str) -> Result<DynamicObject, Failure> {
        self.merge(json!({"metadata": {"annotations": {annotation: value}}})).await
    }
}

/// An object as the type that it is.
pub(crate) fn typed<K: DeserializeOwned>(object: &DynamicObject) -> Result<K, Failure> {
    let read = serde_json::to_value(object).and_then(serde_json::from_value);
    read.map_err(|error| kube::Error::SerdeError(error).into())
}

/// A text that no request had before.
pub(crate) fn fresh() -> String {
    Timestamp::now().to_string()
}

/// Finds what is named, among the kinds that the command serves.
pub(crate) async fn find(cluster: &Cluster, reference: &Reference, serves: Serves) -> Result<Target, Failure> {
    let kinds: Vec<Kind> =
        serves.kinds().iter().copied().filter(|kind| reference.kind.is_none_or(|named| named == *kind)).collect();
    if kinds.is_empty() {
        let kind = serves.kinds().first().copied().unwrap_or(Kind::Job);
        return Err(Failure::usage(format!("this command serves a {kind} only")));
    }
    for kind in &kinds {
        let api = cluster.objects(*kind);
        if let Some(object) = api.get_opt(&reference.name).await? {
            return Ok(Target { kind: *kind, object, api });
        }
    }
    let mut there = Vec::new();
    for kind in [Kind::Job, Kind::Schedule] {
        // Whoever may read one object needn't be allowed to list all.
        match cluster.objects(kind).list_metadata(&ListParams::default()).await {
            Ok(list) => there.extend(list.items.iter().map(|object| (kind, object.name_any()))),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let message = "the cluster has no RecommenderJobs: Teasel isn't installed in it";
                return Err(Failure::new(ExitCode::InputMissing, message));
            }
            Err(_) => {}
        }
    }
    let message = not_found(&kinds, &cluster.namespace, &reference.name, &there);
    Err(Failure::new(ExitCode::InputMissing, message))
}

/// Says that nothing of these kinds has the name, and what has a similar one.
fn not_found(kinds: &[Kind], namespace: &str, name: &str, there: &[(Kind, String)]) -> String {
    let asked: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    let mut similar: Vec<(f64, String)> = there
        .iter()
        .map(|(kind, other)| (likeness(name, other), format!("{}/{other}", kind.prefix())))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    similar.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    let similar: Vec<String> = similar.into_iter().take(SHOWN).map(|(_, shown)| shown).collect();
    let hint = match similar.as_slice() {
        [] if there.is_empty() => String::new(),
        [] => "; `kubectl teasel status` lists what is there".to_owned(),
        similar => format!("; there is {}", similar.join(", ")),
    };
    format!("namespace {namespace} has no {} {name}{hint}", asked.join(" and no "))
}

/// How alike two names are, from 0 to 1. One that begins with the other is alike: schedules' jobs are named so.
fn likeness(left: &str, right: &str) -> f64 {
    let begins = !left.is_empty() && (right.starts_with(left) || left.starts_with(right));
    strsim::jaro_winkler(left, right).max(if begins { ALIKE } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn there() -> Vec<(Kind, String)> {
        vec![
            (Kind::Job, "films".into()),
            (Kind::Job, "books".into()),
            (Kind::Job, "nightly-29000000".into()),
            (Kind::Schedule, "nightly".into()),
        ]
    }

    #[rstest]
    #[case::a_slip("flims", "namespace shop has no RecommenderJob flims; there is recjob/films")]
    #[case::a_schedule(
        "nightly",
        "namespace shop has no RecommenderJob nightly; there is srecjob/nightly, recjob/nightly-29000000"
    )]
    #[case::nothing_alike(
        "zzz",
        "namespace shop has no RecommenderJob zzz; `kubectl teasel status` lists what is there"
    )]
    fn what_isnt_there_is_named_with_what_is_alike(#[case] name: &str, #[case] message: &str) {
        assert_eq!(not_found(&[Kind::Job], "shop", name, &there()), message);
    }

    #[test]
    fn a_name_of_either_kind_is_said_to_be_of_neither() {
        let message = not_found(Serves::Both.kinds(), "shop", "films", &[]);
        assert_eq!(message, "namespace shop has no RecommenderJob and no ScheduledRecommenderJob films");
    }
}
