//! The `score` task: one shard of a tenant's users, and whatever then makes the lists whole.

mod labels;
mod lists;
mod people;
mod popular;

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use futures::StreamExt;
use sha2::{Digest, Sha256};
use teasel_api::outcome::{ExitCode, Outcome, SHARD_SCORED};
use teasel_api::task::ScoreTask;
use teasel_data::{Csr, TenantBatch, TenantUsers};
use teasel_model::{Compression, Recommendation, Scorer, ScorerOptions};
use teasel_storage::output::{OutputLog, PublishRequest, ScoreIdentity, Scores, Version};

use crate::error::TaskError;
use crate::evaluate::measure::Rows;
use crate::model_store::{self, StoredModel};
use crate::publish::describe_publish;
use crate::worker::TaskContext;
use crate::{outcome, places};
use labels::Labels;
use lists::{LISTS_SCHEMA, ListsWriter, Names, UserList};
use people::Gallery;
use popular::Popular;

/// Users that are scored at once.
const BATCH_USERS: usize = 512;

/// Items of the history that a recommendation's reason names at most.
const REASONS: usize = 3;

/// Scores shard `context.index`, unless it is committed; publishes once all shards are.
pub(crate) async fn run(task: &ScoreTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    if context.index >= task.shards {
        return Err(TaskError::usage(format!("shard {} of {}: --index counts from 0", context.index, task.shards)));
    }
    let tenant = &task.tenant;
    let storage = places::storage(&tenant.storage)?;
    let output = places::open(&tenant.output, "output")?;
    // Read before anything else: a publish of this run by somebody else from now on wins.
    let mut log = OutputLog::open(&output).await?;
    let model = model_store::read(&storage, &task.run).await?;
    let allowed = allowed_items(task, &model).await?;
    let score_hash = score_hash(task, &model, allowed.as_deref());
    let version = Version { run: task.run.clone(), score_hash: score_hash.clone() };
    let scores = Scores::new(&output, &version);
    tch::set_num_threads(context.file.threads_per_process.max(1) as i32);

    if scores.shard(context.index).await?.is_none() {
        let shard = Shard { task, context, model: &model, allowed: allowed.as_deref() };
        shard.score(&storage, &scores).await?;
    }
    let identity =
        ScoreIdentity { tenant: tenant.name.clone(), ownership: task.ownership.clone(), shards: task.shards };
    let mut ended = match scores.commit_manifest(&identity).await? {
        None => outcome::ended(context.file, ExitCode::Done, SHARD_SCORED, "other shards are not scored yet"),
        Some(manifest) => {
            let (reason, message, published) = if task.publish {
                let ownership = task.ownership.clone();
                let request = PublishRequest { version, ownership, take_over: task.take_over };
                let described = describe_publish(&log.publish(&request).await?, &task.run)?;
                log.remove_former(&task.history, teasel_storage::now_milliseconds()).await?;
                described
            } else {
                awaiting_approval()
            };
            let mut ended = outcome::ended(context.file, ExitCode::Done, reason, message);
            ended.published = Some(published);
            ended.users = Some(manifest.users);
            ended
        }
    };
    ended.score_hash = Some(score_hash);
    Ok(ended)
}

fn awaiting_approval() -> (&'static str, String, bool) {
    ("AwaitingApproval", "scored, not published yet".to_owned(), false)
}

/// Emits the outcome of a tenant's scoring from its manifest.
///
/// # Errors
/// [`TaskError::Missing`] where the lists aren't whole.
pub(crate) async fn inspect(task: &ScoreTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let storage = places::storage(&task.tenant.storage)?;
    let output = places::open(&task.tenant.output, "output")?;
    let model = model_store::read(&storage, &task.run).await?;
    let allowed = allowed_items(task, &model).await?;
    let score_hash = score_hash(task, &model, allowed.as_deref());
    let version = Version { run: task.run.clone(), score_hash: score_hash.clone() };
    let manifest = Scores::new(&output, &version)
        .manifest()
        .await?
        .ok_or_else(|| TaskError::Missing(format!("tenant {} isn't scored yet", task.tenant.name)))?;
    let log = OutputLog::open(&output).await?;
    let request = PublishRequest { version, ownership: task.ownership.clone(), take_over: task.take_over };
    let (reason, message, published) = match log.state().decide_publish(&request, log.state().length()) {
        Some(decided) => describe_publish(&decided, &task.run)?,
        None if task.publish => ("Scored", "the lists are whole, and not published yet".to_owned(), false),
        None => awaiting_approval(),
    };
    let mut ended = outcome::ended(context.file, ExitCode::Done, reason, message);
    ended.users = Some(manifest.users);
    ended.score_hash = Some(score_hash);
    ended.published = Some(published);
    Ok(ended)
}

/// Indices of the items that may be recommended, ascending; `None` = all.
async fn allowed_items(task: &ScoreTask, model: &StoredModel) -> Result<Option<Vec<i64>>, TaskError> {
    let Some(location) = &task.tenant.catalog else { return Ok(None) };
    let place = places::open(location, "catalog")?;
    let known: HashMap<&str, i64> = model.catalogue.ids.iter().map(String::as_str).zip(0..).collect();
    let listed = teasel_data::read_item_ids(&place).await?;
    let mut allowed: Vec<i64> = listed.iter().filter_map(|id| known.get(id.as_str()).copied()).collect();
    allowed.sort_unstable();
    allowed.dedup();
    if allowed.is_empty() {
        return Err(TaskError::Configuration(format!(
            "the catalogue of tenant {} lists {} items, and the model knows none of them",
            task.tenant.name,
            listed.len()
        )));
    }
    tracing::info!(listed = listed.len(), known = allowed.len(), "catalogue read");
    Ok(Some(allowed))
}

/// Covers all that decides the lists, so that a changed setting never mixes with old shards.
fn score_hash(task: &ScoreTask, model: &StoredModel, allowed: Option<&[i64]>) -> String {
    let decides = (
        model.manifest.model_id(),
        (&task.dataset, &task.tenant.name, &task.tenant.value),
        (task.tenant.top_k, task.tenant.exclude_seen, task.shards),
        allowed,
        LISTS_SCHEMA,
    );
    let mut hasher = Sha256::new();
    hasher.update(serde_json::to_vec(&decides).unwrap_or_default());
    // Lists without explanations and people keep the hash that they always had.
    if task.tenant.explanations {
        hasher.update(format!("reasons of {REASONS} items"));
    }
    if task.tenant.report_people > 0 {
        hasher.update(format!("{} people", task.tenant.report_people));
    }
    if let Some(compression) = &task.tenant.compression {
        hasher.update(serde_json::to_vec(compression).unwrap_or_default());
    }
    hex::encode(hasher.finalize())[..16].to_owned()
}

struct Shard<'a> {
    task: &'a ScoreTask,
    context: &'a TaskContext<'a>,
    model: &'a StoredModel,
    allowed: Option<&'a [i64]>,
}

impl Shard<'_> {
    /// Scores the shard's users, batch by batch, into a local file, and commits it.
    async fn score(&self, storage: &teasel_storage::Store, scores: &Scores) -> Result<(), TaskError> {
        let (task, tenant) = (self.task, &self.task.tenant);
        let users = TenantUsers::open(storage, &tenant.name, &task.dataset).await?;
        let expected = (users.users() as f64 / f64::from(task.shards)).max(1.0);
        let folder = tempfile::tempdir().map_err(|source| TaskError::scratch("create a folder", source))?;
        let path = folder.path().join("lists.parquet");
        let mut writer = ListsWriter::create(&path, &task.run, &self.model.manifest.model_id())?;
        let options = ScorerOptions {
            allowed: self.allowed,
            cold_items: true,
            compression: Compression::from_spec(tenant.compression.as_ref()),
        };
        let mut scorer = self.model.vae.scorer_with(&options)?;
        if scorer.recommendable() == 0 {
            let reason = "nothing is known of any item that its catalogue lists";
            return Err(TaskError::Configuration(format!("tenant {}: {reason}", tenant.name)));
        }
        // No training user has a cold item.
        let trained = &self.model.catalogue.counts[..self.model.vae.config().items];
        let popular = Popular::new(trained, self.allowed);
        let shows_people = self.context.index == 0 && tenant.report_people > 0;
        let labels = (tenant.explanations || shows_people).then(|| Labels::of(&self.model.catalogue));
        let labels = labels.as_ref();
        let names = Names { items: &self.model.catalogue.ids, facets: &self.model.manifest.facet_names, labels };
        let gallery = labels.filter(|_| shows_people);
        let mut gallery = gallery.map(|labels| Gallery::new(self.model, labels, tenant, &task.run));
        let (mut done, mut cold, started) = (0u64, 0u64, Instant::now());
        let mut batches = Box::pin(users.stream(self.context.index, task.shards, BATCH_USERS));
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            if let Some(gallery) = &mut gallery {
                gallery.add(&batch, &mut scorer)?;
            }
            cold += self.score_batch(&batch, &mut scorer, &popular, (&names, &mut writer))?;
            done += batch.users.len() as u64;
            self.context.progress.update(|progress| {
                progress.percent = 100.0 * done as f64 / expected;
                progress.users_per_second = done as f64 / started.elapsed().as_secs_f64().max(1e-9);
                progress.message = format!("{done} users");
            });
            // Scoring never waits for anything, so a stop is only seen between batches.
            tokio::task::yield_now().await;
        }
        writer.finish()?;
        let people = gallery.map(|gallery| gallery.page());
        scores.commit_shard(self.context.index, &path, done, cold, people).await?;
        Ok(())
    }

    /// Writes the lists of a batch and returns how many of its users are cold.
    fn score_batch(
        &self,
        batch: &TenantBatch,
        scorer: &mut Scorer,
        popular: &Popular,
        (names, writer): (&Names<'_>, &mut ListsWriter),
    ) -> Result<u64, TaskError> {
        let tenant = &self.task.tenant;
        let users = Users { batch, range: 0..batch.users.len() };
        let wanted = (tenant.top_k as usize, tenant.exclude_seen);
        let (rows, lists) = users.recommended(scorer, self.model, wanted)?;
        let reasons = tenant.explanations.then(|| scorer.explain(&rows.input(), &lists, REASONS)).transpose()?;
        for (index, (user, list)) in batch.users.iter().zip(&lists).enumerate() {
            if batch.interactions.row(index).is_empty() {
                // Nothing is known of this person: what most people like, and no facet behind it.
                let seen: Vec<u32> = match tenant.exclude_seen {
                    true => users.seen_by(index, self.model).collect(),
                    false => Vec::new(),
                };
                let popular = popular.recommend(&seen, tenant.top_k as usize);
                writer.push(user, &UserList { items: &popular, has_facets: false, reasons: None }, names)?;
            } else {
                let reasons = reasons.as_ref().map(|reasons| reasons[index].as_slice());
                writer.push(user, &UserList { items: list, has_facets: true, reasons }, names)?;
            }
        }
        Ok(batch.cold.iter().map(|cold| u64::from(*cold)).sum())
    }
}

/// Some users of a batch.
struct Users<'a> {
    batch: &'a TenantBatch,
    range: Range<usize>,
}

impl Users<'_> {
    /// What the model is told of them, and their lists.
    fn recommended(
        &self,
        scorer: &mut Scorer,
        model: &StoredModel,
        (top_k, exclude_seen): (usize, bool),
    ) -> Result<(Rows, Vec<Vec<Recommendation>>), TaskError> {
        let known = Rows::of(&self.batch.interactions, &self.batch.keys, self.range.clone());
        // Where training knows all items, the model is told all that they have.
        let has_more = exclude_seen && model.catalogue.len() as u64 > model.manifest.items;
        let lists = match has_more {
            true => scorer.recommend_without(&known.input(), &self.seen(model).input(), top_k)?,
            false => scorer.recommend(&known.input(), top_k, exclude_seen)?,
        };
        Ok((known, lists))
    }

    /// All that one of the batch has, ascending.
    fn seen_by(&self, user: usize, model: &StoredModel) -> impl Iterator<Item = u32> {
        let (trained, all) = (model.manifest.items as u32, model.catalogue.len() as u32);
        let cold = self.batch.cold_items.row(user).iter().map(move |item| trained + item);
        self.batch.interactions.row(user).iter().copied().chain(cold.filter(move |item| *item < all))
    }

    /// All that they have: also of the items that nobody trains with, which are numbered behind the others.
    fn seen(&self, model: &StoredModel) -> Rows {
        let mut seen = Csr::empty(false);
        for user in self.range.clone() {
            seen.push(&self.seen_by(user, model).collect::<Vec<_>>(), None);
        }
        Rows::of(&seen, &self.batch.keys[self.range.clone()], 0..self.range.len())
    }
}
