//! Laying out the prepared files in the scratch folder: one pass over all persons.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use teasel_api::resolved::{Data, Split, Weighting};
use teasel_api::task::TenantSelector;

use crate::DataError;
use crate::core_filter::Core;
use crate::hash::item_key;
use crate::people::{Pair, People, Person};
use crate::places::Part;
use crate::plan::{VIRTUAL_SHARDS, shard_of};
use crate::report::{Dropped, Report};
use crate::split::{HeldOutPairs, Roles, split};
use crate::timeline::{Span, Timeline};
use crate::vocabulary::{ColdItems, Vocabulary};
use crate::write::{Table, TableWriter, UserRow};

/// Training users of a file, about; parts divide the virtual shards evenly.
const USERS_PER_PART: u64 = 100_000;
/// Most files that are written at once.
const MOST_PARTS: u32 = 60;
/// Users of a tenant's file, which a reader holds in memory.
const TENANT_USERS_PER_PART: u64 = 100_000;

/// What decides the layout.
pub(crate) struct Layout<'a> {
    pub(crate) data: &'a Data,
    pub(crate) people: &'a People,
    pub(crate) core: &'a Core,
    /// Ids by item code.
    pub(crate) ids: &'a [Box<str>],
    /// Whether the dataset itself is written.
    pub(crate) dataset: bool,
    pub(crate) tenants: &'a [TenantSelector],
    /// URLs of the provided held-out sets, for messages.
    pub(crate) held_out_files: [String; 2],
    pub(crate) folder: &'a Path,
}

/// What was written, in the scratch folder.
#[derive(Debug, Default)]
pub(crate) struct LaidOut {
    pub(crate) users: Vec<LocalPart>,
    pub(crate) shard_users: Vec<u64>,
    pub(crate) validation: PathBuf,
    pub(crate) test: PathBuf,
    /// Files of each value of the tenant column that was asked for.
    pub(crate) tenants: HashMap<String, LocalTenant>,
}

/// Training users of some shards.
#[derive(Debug)]
pub(crate) struct LocalPart {
    pub(crate) path: PathBuf,
    pub(crate) first_shard: u32,
    pub(crate) end_shard: u32,
}

/// A tenant's users.
#[derive(Debug, Default)]
pub(crate) struct LocalTenant {
    pub(crate) users: u64,
    pub(crate) cold_users: u64,
    /// Path, users and last user of each file.
    pub(crate) parts: Vec<(PathBuf, u64, String)>,
}

impl Layout<'_> {
    /// Whether files of users have weights.
    pub(crate) fn weighted(&self) -> bool {
        self.data.interactions.weighting != Weighting::Binary
    }

    /// Counts each item's training users, and so decides the vocabulary.
    pub(crate) fn vocabulary(&self, item_keys: &[u64], report: &mut Report) -> Result<Vocabulary, DataError> {
        let mut counts = vec![0; self.ids.len()];
        let mut times = Span::default();
        self.people.for_each(|number, person| {
            let pairs = self.pairs(number, person);
            pairs.iter().for_each(|pair| times.add(pair.time));
            let roles = split(&self.data.split, person.key(), pairs, |_| true, |item| item_keys[item as usize]);
            for pair in &roles.train {
                counts[pair.item as usize] += 1;
            }
            report.training_interactions += roles.train.len() as u64;
            report.training_users += u64::from(!roles.train.is_empty());
            Ok(())
        })?;
        report.timeline = Timeline::over(times);
        Ok(Vocabulary::of(self.ids, &counts))
    }

    /// The stable key of each item code.
    pub(crate) fn item_keys(&self) -> Vec<u64> {
        self.ids.iter().map(|id| item_key(id)).collect()
    }

    /// A person's pairs that the filters leave. They filter training pairs; held-out ones are left to the vocabulary.
    fn pairs(&self, number: u64, person: &Person) -> Vec<Pair> {
        let user = self.core.keeps_user(number);
        let left = |pair: &&Pair| pair.part != Part::Train || (user && self.core.keeps_item(pair.item));
        person.pairs.iter().filter(left).copied().collect()
    }

    /// Writes every file. Counts what becomes of held-out users in `report`.
    pub(crate) fn write(
        &self,
        vocabulary: &Vocabulary,
        cold_items: &ColdItems,
        item_keys: &[u64],
        report: &mut Report,
    ) -> Result<LaidOut, DataError> {
        let mut dataset = if self.dataset { Some(self.dataset_writers(report.training_users)?) } else { None };
        let mut tenants = TenantWriters::new(self);
        let mut rows = Rows { weighting: self.data.interactions.weighting, ..Rows::default() };
        let mut shard_users = vec![0; VIRTUAL_SHARDS as usize];
        let mut unknown_users = [0u64; 2];
        self.people.for_each(|number, person| {
            let key = person.key();
            if let Some(writers) = &mut dataset {
                let pairs = self.pairs(number, person);
                if let Some(timeline) = &mut report.timeline {
                    pairs.iter().for_each(|pair| timeline.add(pair.time));
                }
                let known = |item: u32| vocabulary.index(item).is_some();
                let asked = asked_pairs(&self.data.split, &pairs, known);
                count_unknown_users(&person.pairs, &mut unknown_users);
                let roles = split(&self.data.split, key, pairs, known, |item| item_keys[item as usize]);
                if !roles.train.is_empty() {
                    rows.fill(vocabulary, &roles.train);
                    writers.part(key)?.push(rows.row(key))?;
                    shard_users[shard_of(key) as usize] += 1;
                }
                count_dropped(&self.data.split, &roles, self.core.keeps_user(number), asked, &mut report.dropped);
                let sets = [
                    (&roles.validation, &mut writers.validation, [Part::TestFoldIn, Part::TestHeldOut]),
                    (&roles.test, &mut writers.test, [Part::ValidationFoldIn, Part::ValidationHeldOut]),
                ];
                for (set, writer, others) in sets {
                    if let Some(HeldOutPairs { fold_in, held_out }) = set {
                        rows.fill(vocabulary, fold_in);
                        rows.fill_held_out(vocabulary, held_out);
                        // What the other set alone says of a person isn't known to this one.
                        let own = person.pairs.iter().filter(|pair| !others.contains(&pair.part));
                        let cold_items = &cold_items.of(own);
                        writer.push(UserRow { tenant: person.tenant(), cold_items, ..rows.row(key) })?;
                    }
                }
            }
            if tenants.takes(person) {
                let known: Vec<Pair> = person.pairs.iter().filter(|pair| pair.part.is_history()).copied().collect();
                rows.fill(vocabulary, &known);
                let cold = !self.trains_or_folds_in(number, person) || rows.items.is_empty();
                let cold_items = &cold_items.of(known.iter());
                tenants.push(person, UserRow { user: person.user(), cold, cold_items, ..rows.row(key) })?;
            }
            Ok(())
        })?;
        for (users, file) in unknown_users.into_iter().zip(&self.held_out_files) {
            if users > 0 {
                return Err(DataError::UnknownUsers { file: file.clone(), users });
            }
        }
        let mut laid_out = LaidOut { shard_users, tenants: tenants.close()?, ..LaidOut::default() };
        if let Some(writers) = dataset {
            for (writer, first_shard, end_shard) in writers.parts {
                laid_out.users.push(LocalPart { path: writer.close()?.0, first_shard, end_shard });
            }
            (laid_out.validation, report.validation_users) = writers.validation.close()?;
            (laid_out.test, report.test_users) = writers.test.close()?;
        }
        Ok(laid_out)
    }

    /// Whether a person is one that the model is made for: it passed the filters, or has provided pairs to fold in.
    fn trains_or_folds_in(&self, number: u64, person: &Person) -> bool {
        self.core.keeps_user(number)
            || person.pairs.iter().any(|pair| matches!(pair.part, Part::ValidationFoldIn | Part::TestFoldIn))
    }

    fn dataset_writers(&self, users: u64) -> Result<DatasetWriters, DataError> {
        let weighted = self.weighted();
        let parts = number_of_parts(users);
        let bound = |part: u32| part * VIRTUAL_SHARDS / parts;
        let create = |name: String, table| TableWriter::create(self.folder.join(name), table, weighted);
        Ok(DatasetWriters {
            parts: (0..parts)
                .map(|part| {
                    let writer = create(format!("part-{part:05}.parquet"), Table::Training)?;
                    Ok((writer, bound(part), bound(part + 1)))
                })
                .collect::<Result<_, DataError>>()?,
            validation: create("validation.parquet".into(), Table::HeldOut)?,
            test: create("test.parquet".into(), Table::HeldOut)?,
        })
    }
}

/// The smallest divisor of the virtual shards that keeps parts small.
fn number_of_parts(users: u64) -> u32 {
    let wanted = users.div_ceil(USERS_PER_PART).clamp(1, MOST_PARTS.into()) as u32;
    (wanted..=MOST_PARTS).find(|parts| VIRTUAL_SHARDS.is_multiple_of(*parts)).unwrap_or(MOST_PARTS)
}

/// How many pairs of a person are meant to be asked for; where whole users are held out, how many of their pairs
/// training doesn't know.
fn asked_pairs(split: &Split, pairs: &[Pair], known: impl Fn(u32) -> bool) -> u64 {
    match split {
        Split::StrongGeneralization { .. } => pairs.iter().filter(|pair| !known(pair.item)).count() as u64,
        Split::LeaveLastOut => {
            if pairs.len() >= 3 {
                2
            } else {
                0
            }
        }
        Split::Provided { .. } => pairs.iter().filter(|pair| !pair.part.is_history()).count() as u64,
    }
}

/// Counts what a split had to drop of a person whom it asks something.
fn count_dropped(split: &Split, roles: &Roles, kept: bool, asked: u64, dropped: &mut Dropped) {
    let sets = [&roles.validation, &roles.test];
    match split {
        Split::StrongGeneralization { .. } => {
            if roles.train.is_empty() && kept {
                dropped.held_out_unknown += asked;
                dropped.held_out_users += u64::from(sets.iter().all(|set| set.is_none()));
            }
        }
        _ => {
            let left: usize = sets.iter().filter_map(|set| set.as_ref()).map(|set| set.held_out.len()).sum();
            dropped.held_out_unknown += asked.saturating_sub(left as u64);
            dropped.held_out_users += u64::from(asked > 0 && left == 0);
        }
    }
}

/// Counts persons with held-out pairs of whom nothing else is known, for validation and test.
fn count_unknown_users(pairs: &[Pair], unknown: &mut [u64; 2]) {
    let has = |part: Part| pairs.iter().any(|pair| pair.part == part);
    let sets = [(Part::ValidationFoldIn, Part::ValidationHeldOut), (Part::TestFoldIn, Part::TestHeldOut)];
    for (count, (fold_in, held_out)) in unknown.iter_mut().zip(sets) {
        *count += u64::from(has(held_out) && !has(fold_in) && !has(Part::Train));
    }
}

struct DatasetWriters {
    /// Writers with their ranges of virtual shards.
    parts: Vec<(TableWriter, u32, u32)>,
    validation: TableWriter,
    test: TableWriter,
}

impl DatasetWriters {
    fn part(&mut self, key: u64) -> Result<&mut TableWriter, DataError> {
        let shard = shard_of(key);
        let found = self.parts.iter_mut().find(|(_, first, end)| (*first..*end).contains(&shard));
        found.map(|(writer, ..)| writer).ok_or_else(|| DataError::Engine("a virtual shard lies in no part".into()))
    }
}

/// Reused columns of one user.
struct Rows {
    weighting: Weighting,
    pairs: Vec<(u32, f32)>,
    items: Vec<u32>,
    weights: Vec<f32>,
    held_out: Vec<u32>,
}

impl Default for Rows {
    fn default() -> Self {
        Rows {
            weighting: Weighting::Binary,
            pairs: Vec::new(),
            items: Vec::new(),
            weights: Vec::new(),
            held_out: Vec::new(),
        }
    }
}

impl Rows {
    /// Takes the pairs that the vocabulary knows; of an item that comes twice, the first.
    fn fill(&mut self, vocabulary: &Vocabulary, pairs: &[Pair]) {
        let weighting = self.weighting;
        self.held_out.clear();
        self.pairs.clear();
        self.pairs.extend(
            pairs.iter().filter_map(|pair| Some((vocabulary.index(pair.item)?, weight_of(weighting, pair.weight)))),
        );
        self.pairs.sort_by_key(|(item, _)| *item);
        self.pairs.dedup_by_key(|(item, _)| *item);
        self.items.clear();
        self.items.extend(self.pairs.iter().map(|(item, _)| *item));
        self.weights.clear();
        self.weights.extend(self.pairs.iter().map(|(_, weight)| *weight));
    }

    fn fill_held_out(&mut self, vocabulary: &Vocabulary, pairs: &[Pair]) {
        self.held_out.clear();
        self.held_out.extend(pairs.iter().filter_map(|pair| vocabulary.index(pair.item)));
        self.held_out.sort_unstable();
    }

    fn row(&self, key: u64) -> UserRow<'_> {
        UserRow {
            key,
            items: &self.items,
            weights: Some(&self.weights),
            held_out: &self.held_out,
            ..UserRow::default()
        }
    }
}

/// What a merged weight means to the model; never infinite.
fn weight_of(weighting: Weighting, weight: f64) -> f32 {
    let meant = match weighting {
        Weighting::Binary => 1.0,
        Weighting::Weighted => weight,
        Weighting::Log => weight.ln_1p(),
    };
    meant.min(f64::from(f32::MAX)) as f32
}

/// Files of the tenants that are asked for. Persons come by tenant, so at most one file is open at a time.
struct TenantWriters<'a> {
    folder: &'a Path,
    weighted: bool,
    /// Without a tenant column all persons go to one set of files, under the empty value.
    column: bool,
    tenants: HashMap<String, LocalTenant>,
    /// The value whose part is open.
    open: Option<(String, TableWriter, String)>,
    files: usize,
}

impl<'a> TenantWriters<'a> {
    fn new(layout: &Layout<'a>) -> Self {
        let column = layout.data.interactions.columns.tenant.is_some();
        TenantWriters {
            folder: layout.folder,
            weighted: layout.weighted(),
            column,
            tenants: layout
                .tenants
                .iter()
                .map(|tenant| (if column { tenant.value.clone() } else { String::new() }, LocalTenant::default()))
                .collect(),
            open: None,
            files: 0,
        }
    }

    /// Whether the users of `person`'s tenant are asked for.
    fn takes(&self, person: &Person) -> bool {
        if self.column { self.tenants.contains_key(person.tenant()) } else { !self.tenants.is_empty() }
    }

    fn push(&mut self, person: &Person, row: UserRow<'_>) -> Result<(), DataError> {
        let value = if self.column { person.tenant() } else { "" };
        let full = |(open, writer, _): &(String, TableWriter, String)| {
            open != value || writer.users() == TENANT_USERS_PER_PART
        };
        if self.open.as_ref().is_some_and(full) {
            self.end_part()?;
        }
        let (_, writer, last_user) = match &mut self.open {
            Some(open) => open,
            None => {
                let path = self.folder.join(format!("tenant-{}.parquet", self.files));
                self.files += 1;
                let writer = TableWriter::create(path, Table::Tenant, self.weighted)?;
                self.open.insert((value.to_owned(), writer, String::new()))
            }
        };
        writer.push(row)?;
        last_user.clear();
        last_user.push_str(row.user);
        if let Some(tenant) = self.tenants.get_mut(value) {
            tenant.users += 1;
            tenant.cold_users += u64::from(row.cold);
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), DataError> {
        if let Some((value, writer, last_user)) = self.open.take() {
            let (path, users) = writer.close()?;
            if let Some(tenant) = self.tenants.get_mut(&value) {
                tenant.parts.push((path, users, last_user));
            }
        }
        Ok(())
    }

    fn close(mut self) -> Result<HashMap<String, LocalTenant>, DataError> {
        self.end_part()?;
        Ok(self.tenants)
    }
}
