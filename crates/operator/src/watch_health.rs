//! Finds out that a watch has gone silent: what the API server has, the watch must have shown by now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::ListParams;
use kube::runtime::reflector::Store;
use kube::{Api, ResourceExt};
use teasel_api::spec::RecommenderJob;

use crate::server::Health;

/// Pause between two comparisons.
const INTERVAL: Duration = Duration::from_secs(20);
/// How long a version may be missing from the watch.
const PATIENCE: Duration = Duration::from_secs(60);

/// Compares what `api` lists with what the watch behind `store` has shown, for ever.
pub async fn compare(api: Api<RecommenderJob>, store: Store<RecommenderJob>, health: Arc<Health>) {
    let mut missing: HashMap<(String, String), Instant> = HashMap::new();
    loop {
        tokio::time::sleep(INTERVAL).await;
        // An API server that doesn't answer is no fault of the watch.
        let Ok(listed) = api.list_metadata(&ListParams::default()).await else { continue };
        let seen: HashMap<String, String> = store
            .state()
            .iter()
            .map(|job| (job.uid().unwrap_or_default(), job.resource_version().unwrap_or_default()))
            .collect();
        let now = Instant::now();
        let behind = listed.items.iter().filter_map(|job| {
            let (uid, version) = (job.uid()?, job.resource_version()?);
            (seen.get(&uid) != Some(&version)).then_some((uid, version))
        });
        missing = behind.map(|version| (version.clone(), missing.get(&version).copied().unwrap_or(now))).collect();
        let silent = missing.values().any(|since| now.duration_since(*since) >= PATIENCE);
        if silent {
            tracing::error!("the watch of recommenderjobs has shown nothing of a change for {PATIENCE:?}");
        }
        health.set_silent(silent);
    }
}
