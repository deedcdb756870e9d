//! The files of a report.

use std::collections::BTreeMap;

use serde::Serialize;
use teasel_api::progress::EpochRecord;
use teasel_api::resolved::Job;
use teasel_data::{Catalogue, Dataset};
use teasel_model::Scorer;
use teasel_report::{Facet, Portrait};
use teasel_storage::manifest::File;
use teasel_storage::run_log::RunLog;

use super::baselines::Baseline;
use super::categories::Categories;
use super::cold_items::ColdItems;
use super::facets::FacetMeasures;
use super::gates::GateResult;
use super::groups::Group;
use super::lists::ListMeasures;
use super::portrait;
use crate::error::TaskError;

/// `metrics.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measures<'a> {
    pub(super) run: &'a str,
    pub(super) dataset: &'a str,
    pub(super) best_epoch: u32,
    pub(super) test_users: usize,
    /// How many of them the baselines' lists were made for.
    pub(super) compared_users: usize,
    /// Of the model's lists.
    #[serde(flatten)]
    pub(super) lists: &'a ListMeasures,
    /// What is compared with it, on the same users.
    pub(super) baselines: &'a BTreeMap<&'static str, Baseline>,
    pub(super) facets: &'a FacetMeasures,
    /// What to call the facets, by their numbers; empty where nothing tells one from the others.
    pub(super) facet_names: &'a [String],
    /// Test users with as little of their histories as cold users have. Unset where the filters leave nobody cold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cold: Option<Group>,
    /// Items that nobody trains with. Unset where the model knows none, or no test user has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cold_items: Option<ColdItems>,
    /// Metrics of lists that scoring's compression makes. Unset where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compressed: Option<BTreeMap<String, f64>>,
    /// Test users of each tenant apart. Empty without a tenant column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tenants: BTreeMap<String, Group>,
    pub(super) gates: &'a [GateResult],
    pub(super) history: &'a [EpochRecord],
}

/// What the report shows beside the measures.
pub(super) struct Seen<'a> {
    pub(super) scorer: &'a Scorer,
    pub(super) catalogue: &'a Catalogue,
    pub(super) categories: Option<&'a Categories>,
    pub(super) facets: Vec<Facet>,
    pub(super) dataset: &'a Dataset,
    pub(super) job: &'a Job,
}

/// Writes what was measured, what is shown beside it, and the page that shows both. Returns the files, relative to the
/// run's folder.
pub(super) async fn write(log: &RunLog, measured: &Measures<'_>, seen: Seen<'_>) -> Result<Vec<File>, TaskError> {
    let bug = |error: serde_json::Error| TaskError::bug(format!("the report: {error}"));
    let (measured, portrait) = (to_value(measured)?, portrait(log, seen).await?);
    let mut files = vec![
        ("metrics.json", serde_json::to_vec_pretty(&measured).map_err(bug)?),
        ("portrait.json", serde_json::to_vec(&portrait).map_err(bug)?),
    ];
    match serde_json::from_value(measured) {
        Ok(measured) => files.push(("report.html", teasel_report::render(&measured, &portrait).into_bytes())),
        // A number that is none, say: no reason to fail a run that is measured.
        Err(error) => tracing::warn!("no page is made of what was measured: {error}"),
    }
    let nonce = teasel_storage::nonce();
    let mut written = Vec::new();
    for (name, bytes) in files {
        written.push(log.folder().put_described(&format!("report/{nonce}/{name}"), bytes.into()).await?);
    }
    Ok(written)
}

async fn portrait(log: &RunLog, seen: Seen<'_>) -> Result<Portrait, TaskError> {
    let Seen { scorer, catalogue, categories, facets, dataset, job } = seen;
    let shares = scorer.item_shares()?;
    Ok(Portrait {
        facets,
        categories: categories.map(|known| portrait::heat_map(&shares, known)),
        map: portrait::map(scorer, &shares, catalogue)?,
        tail: portrait::tail(catalogue),
        data: to_value(&dataset.report().await?)?,
        job: to_value(job)?,
        phases: portrait::phases(dataset.preparation(), log.state()),
    })
}

fn to_value(value: &impl Serialize) -> Result<serde_json::Value, TaskError> {
    serde_json::to_value(value).map_err(|error| TaskError::bug(error.to_string()))
}
