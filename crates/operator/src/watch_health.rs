//! Finds out that a watch has gone silent: what the API server has, the watch must have shown by now.
//!
//! Each watch is compared by itself: those of our own objects by the controllers' stores, those of their children by
//! what they have [`Shown`]. A comparison is of one kind in one namespace, or in all. That an object was deleted
//! isn't seen here; a job or a schedule that may still change is looked at again anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::{Api, Resource, ResourceExt};

use crate::server::Health;

/// Pause between two comparisons.
const INTERVAL: Duration = Duration::from_secs(20);
/// How long a watch may show nothing of a change.
const PATIENCE: Duration = Duration::from_secs(60);

/// Versions of objects, by UID.
pub type Versions = HashMap<String, String>;

/// What a watch that has no store has shown.
#[derive(Debug, Default)]
pub struct Shown(Mutex<Versions>);

impl Shown {
    /// Takes down that the watch has shown an object.
    pub fn note(&self, object: &impl Resource) {
        let mut versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        versions.extend(version(object));
    }

    /// What has been shown of objects that are listed still. The rest is forgotten.
    fn of(&self, listed: &Versions) -> Versions {
        let mut versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        versions.retain(|uid, _| listed.contains_key(uid));
        versions.clone()
    }
}

/// Where it can be seen what a watch has shown.
pub enum Source<K>
where
    K: Resource<DynamicType = ()> + 'static,
{
    /// The store of a controller.
    Store(Store<PartialObjectMeta<K>>),
    /// A list of its own.
    Shown(Arc<Shown>),
}

impl<K> Source<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    fn versions(&self, listed: &Versions) -> Versions {
        match self {
            Source::Store(store) => store.state().iter().filter_map(|object| version(object.as_ref())).collect(),
            Source::Shown(shown) => shown.of(listed),
        }
    }
}

fn version(object: &impl Resource) -> Option<(String, String)> {
    Some((object.uid()?, object.resource_version()?))
}

/// What a watch is called: its objects, and the namespace if it is of one.
pub fn name(objects: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{objects} in {namespace}"),
        None => objects.to_owned(),
    }
}

/// Compares what `api` lists with what the watch behind `source` has shown, for ever.
pub async fn compare<K>(
    api: Api<PartialObjectMeta<K>>,
    parameters: ListParams,
    source: Source<K>,
    watch: String,
    health: Arc<Health>,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + 'static,
{
    let mut behind = Behind::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        // An API server that doesn't answer is no fault of the watch.
        let listed = tokio::time::timeout(INTERVAL, api.list(&parameters)).await;
        let Ok(Ok(listed)) = listed else { continue };
        let listed: Versions = listed.items.iter().filter_map(version).collect();
        let now = Instant::now();
        behind.compare(&listed, &source.versions(&listed), now);
        let silent = behind.for_longer_than(PATIENCE, now);
        if silent {
            tracing::error!(watch, "the watch has shown nothing of a change for {PATIENCE:?}");
        }
        health.set_silent(&watch, silent);
    }
}

/// Objects of which a watch hasn't shown the newest version: what it has shown last, and since when that isn't all.
#[derive(Debug, Default)]
struct Behind(HashMap<String, (Option<String>, Instant)>);

impl Behind {
    /// Takes over what is listed and what has been shown. A watch that shows *something* new of an object isn't silent,
    /// though it may never catch up with one that changes all the time.
    fn compare(&mut self, listed: &Versions, shown: &Versions, now: Instant) {
        let behind = listed.iter().filter(|(uid, version)| shown.get(*uid) != Some(*version)).map(|(uid, _)| {
            let last = shown.get(uid).cloned();
            let before = self.0.get(uid).filter(|(before, _)| *before == last);
            (uid.clone(), (last, before.map_or(now, |(_, since)| *since)))
        });
        self.0 = behind.collect();
    }

    fn for_longer_than(&self, patience: Duration, now: Instant) -> bool {
        self.0.values().any(|(_, since)| now.duration_since(*since) >= patience)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn versions(text: &str) -> Versions {
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(u, v)| (u.into(), v.into())).collect()
    }

    /// What is listed and what is shown every twenty seconds.
    #[rstest]
    #[case::all_is_shown(&[("a=1 b=1", "a=1 b=1"); 5], false)]
    #[case::nothing_is_there(&[("", ""); 5], false)]
    #[case::an_object_is_never_shown(&[("a=1", ""); 4], true)]
    #[case::a_change_is_never_shown(&[("a=2 b=1", "a=1 b=1"); 4], true)]
    #[case::it_is_shown_late(&[("a=2", "a=1"), ("a=2", "a=1"), ("a=2", "a=1"), ("a=2", "a=2")], false)]
    #[case::changes_all_the_time_and_nothing_is_shown(&[("a=2", "a=1"), ("a=3", "a=1"), ("a=4", "a=1"), ("a=5", "a=1")], true)]
    #[case::changes_all_the_time_and_is_shown(&[("a=2", "a=1"), ("a=3", "a=2"), ("a=4", "a=3"), ("a=5", "a=4")], false)]
    #[case::it_is_deleted_meanwhile(&[("a=2", "a=1"), ("a=2", "a=1"), ("a=2", "a=1"), ("", "a=1")], false)]
    #[case::another_is_new(&[("a=1", "a=1"), ("a=1", "a=1"), ("a=1 b=1", "a=1"), ("a=1 b=1", "a=1")], false)]
    fn a_watch_is_silent_that_shows_nothing_of_a_change(#[case] looks: &[(&str, &str)], #[case] silent: bool) {
        let start = Instant::now();
        let mut behind = Behind::default();
        let mut now = start;
        for (look, (listed, shown)) in (0..).zip(looks) {
            now = start + INTERVAL * look;
            behind.compare(&versions(listed), &versions(shown), now);
        }
        assert_eq!(behind.for_longer_than(PATIENCE, now), silent);
    }

    #[test]
    fn what_is_no_longer_listed_is_forgotten() {
        let shown = Shown(Mutex::new(versions("a=1 b=1")));
        assert_eq!(shown.of(&versions("a=2")), versions("a=1"));
        assert_eq!(shown.of(&versions("a=1 b=1")), versions("a=1"));
    }
}
