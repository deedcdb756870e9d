//! Preparing a dataset and tenants' users: acting thinly on what the other modules decide.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use teasel_api::outcome::Usage;
use teasel_api::resolved::Data;
use teasel_api::task::TenantSelector;
use teasel_storage::{Store, manifest, nonce};

use crate::DataError;
use crate::core_filter::Core;
use crate::dataset::Dataset;
use crate::fingerprint::{FORMAT_VERSION, Listing};
use crate::item_rows::{Described, read_metadata};
use crate::layout::{LaidOut, Layout, LocalTenant};
use crate::manifest::{DatasetManifest, TenantManifest, TenantPart, UsersPart, dataset_folder, tenant_folder};
use crate::people::People;
use crate::places::{InputFile, Part, Places};
use crate::progress::{Progress, Stage};
use crate::report::{Dropped, Report};
use crate::rules::Rules;
use crate::scan::{Counts, Scan};
use crate::sort::{SortOptions, sort};
use crate::vocabulary::ColdItems;

/// Files of the items.
const ITEMS: &str = "items.parquet";
const COLD_ITEMS: &str = "cold-items.parquet";

/// How to prepare.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory that the sort may use before it spills, in bytes. Beside it lie the items, and one bit per user.
    pub memory_bytes: u64,
    /// An existing folder for spilled data and for files before they are uploaded.
    pub scratch: PathBuf,
    /// Threads that read and sort. The prepared bytes don't depend on it.
    pub partitions: usize,
    /// Tells what the process has taken so far, which the dataset keeps.
    pub usage: fn() -> Usage,
}

/// What was prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Name of the dataset.
    pub fingerprint: String,
    /// The data report.
    pub report: Report,
    /// Whether the dataset is new; false where it was there.
    pub dataset_made: bool,
    /// Every tenant that was asked for, in that order.
    pub tenants: Vec<PreparedTenant>,
}

/// A tenant's users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedTenant {
    /// Name of the tenant.
    pub name: String,
    /// Number of users.
    pub users: u64,
    /// Users that the filters removed or of whom no item is known.
    pub cold_users: u64,
    /// Whether they are new; false where they were there.
    pub made: bool,
}

/// Whether the dataset and the users of all `tenants` are there.
///
/// # Errors
/// Those of the store.
pub async fn is_prepared(
    storage: &Store,
    fingerprint: &str,
    tenants: &[TenantSelector],
) -> Result<bool, DataError> {
    let dataset: Option<DatasetManifest> =
        manifest::load(storage, &dataset_folder(storage, fingerprint).await?).await?;
    Ok(dataset.is_some() && load_tenants(storage, fingerprint, tenants).await?.iter().all(Option::is_some))
}

/// Prepares the dataset that `data` makes of `places`, and the users of `tenants`, below `storage`. What is there
/// already is left alone.
///
/// Files lie in a folder of their own and are named by a manifest that is created in the end, so an attempt that dies
/// leaves nothing that looks whole, and of two attempts at once one wins.
///
/// # Errors
/// [`DataError`] tells what is wrong with which file, row or column.
pub async fn prepare(
    data: &Data,
    places: &Places,
    storage: &Store,
    tenants: &[TenantSelector],
    options: &Options,
    progress: &Arc<Progress>,
) -> Result<Prepared, DataError> {
    let rules = Rules::of(data)?;
    let listing = Listing::of(places).await?;
    let fingerprint = listing.fingerprint(data)?;
    let dataset: Option<DatasetManifest> =
        manifest::load(storage, &dataset_folder(storage, &fingerprint).await?).await?;
    let there = load_tenants(storage, &fingerprint, tenants).await?;
    let missing: Vec<TenantSelector> = tenants
        .iter()
        .zip(&there)
        .filter(|(_, manifest)| manifest.is_none())
        .map(|(tenant, _)| tenant.clone())
        .collect();
    let dataset_made = dataset.is_none();
    if dataset_made || !missing.is_empty() {
        let scratch = tempfile::Builder::new()
            .prefix("teasel-prepare-")
            .tempdir_in(&options.scratch)
            .map_err(DataError::scratch)?;
        let policy = (data.interactions.on_bad_rows, data.interactions.maximum_bad_rows);
        let scan = Arc::new(Scan::new(rules, policy.0, policy.1, progress.clone()));
        progress.enter(Stage::Reading);
        let parts = places.interactions.iter().map(|(part, _)| *part);
        let files: Vec<(Part, InputFile)> = parts
            .zip(&listing.interactions)
            .flat_map(|(part, files)| files.iter().map(move |file| (part, file.clone())))
            .collect();
        let sorting = SortOptions {
            format: data.interactions.format,
            partitions: options.partitions,
            memory_bytes: options.memory_bytes,
            scratch: scratch.path(),
        };
        let people = People::merge(sort(&scan, files, &sorting)?, scratch.path().join("people")).await?;
        let (counts, ids, low_rated) = scan.finish();
        let work = Work {
            data: data.clone(),
            items: listing.items,
            held_out_files: held_out_files(places),
            people,
            counts,
            ids,
            low_rated,
            dataset: dataset_made,
            tenants: missing.clone(),
            folder: scratch.path().to_owned(),
            progress: progress.clone(),
        };
        let runtime = tokio::runtime::Handle::current();
        let made = tokio::task::spawn_blocking(move || work.run(&runtime))
            .await
            .map_err(|error| DataError::Engine(error.to_string()))??;
        refuse_empty_tenants(data, &missing, &made)?;
        // What was read must be what the fingerprint stands for.
        if Listing::of(places).await?.fingerprint(data)? != fingerprint {
            return Err(DataError::InputChanged);
        }
        if dataset_made {
            commit_dataset(storage, &fingerprint, &made, scratch.path(), options.usage).await?;
        }
        for tenant in &missing {
            commit_tenant(storage, &fingerprint, tenant, &made, data).await?;
        }
    }
    let report = Dataset::open(storage, &fingerprint).await?.report().await?;
    let prepared = load_tenants(storage, &fingerprint, tenants).await?;
    let tenants = tenants
        .iter()
        .zip(&there)
        .zip(prepared)
        .map(|((tenant, before), now)| PreparedTenant {
            name: tenant.name.clone(),
            users: now.as_ref().map_or(0, |manifest| manifest.users),
            cold_users: now.as_ref().map_or(0, |manifest| manifest.cold_users),
            made: before.is_none(),
        })
        .collect();
    Ok(Prepared { fingerprint, report, dataset_made, tenants })
}

/// Refuses tenants without users: a mistyped value must not publish nothing over good lists.
fn refuse_empty_tenants(data: &Data, tenants: &[TenantSelector], made: &Made) -> Result<(), DataError> {
    if data.interactions.columns.tenant.is_none() {
        return Ok(());
    }
    let has_users =
        |tenant: &&TenantSelector| made.files.tenants.get(&tenant.value).is_some_and(|local| local.users > 0);
    match tenants.iter().find(|tenant| !has_users(tenant)) {
        Some(tenant) => Err(DataError::EmptyTenant { tenant: tenant.name.clone(), value: tenant.value.clone() }),
        None => Ok(()),
    }
}

async fn load_tenants(
    storage: &Store,
    fingerprint: &str,
    tenants: &[TenantSelector],
) -> Result<Vec<Option<TenantManifest>>, DataError> {
    let mut found = Vec::new();
    for tenant in tenants {
        let there: Option<TenantManifest> =
            manifest::load(storage, &tenant_folder(storage, &tenant.name, fingerprint).await?).await?;
        // A tenant that was given another value of the column has other users; its name is taken for good.
        if let Some(there) = &there
            && there.value != tenant.value
        {
            return Err(DataError::Configuration(format!(
                "scoring.tenants: {} is prepared for another value of the tenant column: give it a new name",
                tenant.name
            )));
        }
        found.push(there);
    }
    Ok(found)
}

fn held_out_files(places: &Places) -> [String; 2] {
    [Part::ValidationHeldOut, Part::TestHeldOut].map(|wanted| {
        let place = places.interactions.iter().find(|(part, _)| *part == wanted);
        place.map(|(_, store)| store.uri()).unwrap_or_default()
    })
}

/// All that happens between the sort and the upload, on a thread that may block.
struct Work {
    data: Data,
    items: Vec<InputFile>,
    held_out_files: [String; 2],
    people: People,
    counts: Counts,
    ids: Vec<Box<str>>,
    /// Items that nobody rated well enough, and somebody rated.
    low_rated: HashSet<Box<str>>,
    dataset: bool,
    tenants: Vec<TenantSelector>,
    folder: PathBuf,
    progress: Arc<Progress>,
}

/// What [`Work`] made.
struct Made {
    files: LaidOut,
    weighted: bool,
    items: u32,
    report: Report,
}

impl Work {
    fn run(self, runtime: &tokio::runtime::Handle) -> Result<Made, DataError> {
        self.progress.enter(Stage::Filtering);
        let core = Core::of(&self.people, self.ids.len(), self.data.minimum_interactions)?;
        let mut report = report(&self.counts, &self.people, &core);
        if core.users_kept == 0 {
            return Err(DataError::Empty(report.removals()));
        }
        let layout = Layout {
            data: &self.data,
            people: &self.people,
            core: &core,
            ids: &self.ids,
            dataset: self.dataset,
            tenants: &self.tenants,
            held_out_files: self.held_out_files.clone(),
            folder: &self.folder,
        };
        let item_keys = layout.item_keys();
        let vocabulary = layout.vocabulary(&item_keys, &mut report)?;
        if vocabulary.ids.is_empty() {
            return Err(DataError::Empty(format!(
                "all {} users are held out by the split; {}",
                core.users_kept,
                report.removals()
            )));
        }
        report.items = vocabulary.ids.len() as u64;
        self.progress.enter(Stage::Writing);
        let Described { catalogue, cold, items: described } = match &self.data.items {
            Some(items) => {
                let policy = (self.data.interactions.on_bad_rows, self.data.interactions.maximum_bad_rows);
                read_metadata(&self.items, items, (&vocabulary, &self.low_rated), policy, runtime)?
            }
            None => Described::nothing(&vocabulary),
        };
        report.items_without_metadata = if self.data.items.is_some() { report.items - described } else { 0 };
        report.cold_items = cold.len() as u64;
        let cold_items = ColdItems::of_ids(&cold.ids, &self.ids);
        for (name, catalogue) in [(ITEMS, &catalogue), (COLD_ITEMS, &cold)].into_iter().filter(|_| self.dataset) {
            std::fs::write(self.folder.join(name), catalogue.to_parquet()?).map_err(DataError::scratch)?;
        }
        let files = layout.write(&vocabulary, &cold_items, &item_keys, &mut report)?;
        let items = u32::try_from(vocabulary.ids.len()).map_err(|error| DataError::Engine(error.to_string()))?;
        Ok(Made { files, weighted: layout.weighted(), items, report })
    }
}

fn report(counts: &Counts, people: &People, core: &Core) -> Report {
    let interactions = core.pairs_kept;
    let cells = core.users_kept as f64 * core.items_kept as f64;
    Report {
        rows: counts.rows,
        dropped: Dropped {
            bad_rows: counts.bad_rows,
            unlisted_events: counts.unlisted_events,
            low_ratings: counts.low_ratings,
            duplicates: people.duplicates,
            not_positive: people.not_positive,
            users_below_minimum: core.users_removed,
            items_below_minimum: core.items_removed,
            below_minimum: core.pairs_removed,
            ..Dropped::default()
        },
        users: core.users_kept,
        interactions,
        density: if cells > 0.0 { interactions as f64 / cells } else { 0.0 },
        events: counts.events.clone(),
        filter_rounds: core.rounds,
        raw_users: people.persons,
        ..Report::default()
    }
}

async fn commit_dataset(
    storage: &Store,
    fingerprint: &str,
    made: &Made,
    scratch: &Path,
    usage: fn() -> Usage,
) -> Result<(), DataError> {
    let folder = dataset_folder(storage, fingerprint).await?;
    let store = storage.sub(&folder);
    let nonce = nonce();
    let mut users = Vec::new();
    for (number, part) in made.files.users.iter().enumerate() {
        users.push(UsersPart {
            file: store.put_file(&format!("{nonce}/users/part-{number:05}.parquet"), &part.path).await?,
            first_shard: part.first_shard,
            end_shard: part.end_shard,
        });
    }
    let report = serde_json::to_vec_pretty(&made.report).map_err(|error| DataError::Engine(error.to_string()))?;
    let manifest = DatasetManifest {
        version: FORMAT_VERSION,
        items: made.items,
        weighted: made.weighted,
        shard_users: made.files.shard_users.clone(),
        users,
        validation: store.put_file(&format!("{nonce}/validation.parquet"), &made.files.validation).await?,
        test: store.put_file(&format!("{nonce}/test.parquet"), &made.files.test).await?,
        catalogue: store.put_file(&format!("{nonce}/{ITEMS}"), &scratch.join(ITEMS)).await?,
        cold_items: u32::try_from(made.report.cold_items).map_err(|error| DataError::Engine(error.to_string()))?,
        cold_catalogue: Some(store.put_file(&format!("{nonce}/{COLD_ITEMS}"), &scratch.join(COLD_ITEMS)).await?),
        report: store.put_described(&format!("{nonce}/report.json"), report.into()).await?,
        preparation: Some(usage()),
        nonce,
    };
    manifest::commit(storage, &folder, manifest).await?;
    Ok(())
}

async fn commit_tenant(
    storage: &Store,
    fingerprint: &str,
    tenant: &TenantSelector,
    made: &Made,
    data: &Data,
) -> Result<(), DataError> {
    let folder = tenant_folder(storage, &tenant.name, fingerprint).await?;
    let store = storage.sub(&folder);
    let nonce = nonce();
    let value = if data.interactions.columns.tenant.is_some() { tenant.value.as_str() } else { "" };
    let nobody = LocalTenant::default();
    let local = made.files.tenants.get(value).unwrap_or(&nobody);
    let mut parts = Vec::new();
    for (number, (path, users, last_user)) in local.parts.iter().enumerate() {
        parts.push(TenantPart {
            file: store.put_file(&format!("{nonce}/part-{number:05}.parquet"), path).await?,
            users: *users,
            last_user: last_user.clone(),
        });
    }
    let manifest = TenantManifest {
        version: FORMAT_VERSION,
        nonce,
        value: tenant.value.clone(),
        weighted: made.weighted,
        users: local.users,
        cold_users: local.cold_users,
        parts,
    };
    manifest::commit(storage, &folder, manifest).await?;
    Ok(())
}
