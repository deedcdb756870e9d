//! A tenant's lists, read as any reader of Parquet would.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// One recommendation.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// From 1.
    pub rank: u32,
    /// The item's id.
    pub item: String,
    /// Its score.
    pub score: f32,
    /// The facet that it serves.
    pub facet: Option<u32>,
    /// Items of the history that it comes from.
    pub reason: Option<Vec<String>>,
    /// What the facet is called.
    pub facet_name: Option<String>,
    /// Categories and terms that the item has in common with those of the history.
    pub shared: Option<Vec<String>>,
}

/// Lists by user, and what their files say of themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    /// The run that `current.json` names.
    pub run: String,
    /// Each user's rows, in their order in the file.
    pub users: BTreeMap<String, Vec<Row>>,
    /// Metadata of the last file.
    pub metadata: BTreeMap<String, String>,
}

/// What `current.json` of an output says; `None` before the first publish.
pub fn current(output: &Path) -> Option<Value> {
    let bytes = std::fs::read(output.join("current.json")).ok()?;
    Some(serde_json::from_slice(&bytes).expect("current.json is whole"))
}

/// The lists that `current.json` of an output points to.
///
/// # Panics
/// Where nothing is published, a file is missing or cut, or rows aren't sorted by user and rank.
pub fn published(output: &Path) -> Lists {
    read(output, &current(output).expect("something is published"))
}

/// The lists that a `current.json` names.
pub fn read(output: &Path, current: &Value) -> Lists {
    let mut lists = Lists { run: current["run"].as_str().unwrap().to_owned(), ..Lists::default() };
    for file in current["files"].as_array().unwrap() {
        read_file(&output.join(file.as_str().unwrap()), &mut lists);
    }
    lists
}

fn read_file(path: &Path, lists: &mut Lists) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let pairs = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    lists.metadata = pairs.into_iter().filter_map(|pair| Some((pair.key, pair.value?))).collect();
    let mut before: Option<(String, u32)> = None;
    for batch in builder.build().unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap().clone();
        let (users, ranks, scores, facets) = (column("user"), column("rank"), column("score"), column("facet"));
        let (reasons, shared) = (column("reason"), column("shared"));
        let names = cast(&column("facet_name"), &DataType::Utf8).unwrap();
        let items = cast(&column("item"), &DataType::Utf8).unwrap();
        for row in 0..batch.num_rows() {
            let user = users.as_string::<i32>().value(row).to_owned();
            let rank = ranks.as_primitive::<UInt32Type>().value(row);
            let own = Some((user.clone(), rank));
            assert!(before < own, "{before:?} comes before {own:?} in {}", path.display());
            before = own;
            let facets = facets.as_primitive::<UInt32Type>();
            lists.users.entry(user).or_default().push(Row {
                rank,
                item: items.as_string::<i32>().value(row).to_owned(),
                score: scores.as_primitive::<Float32Type>().value(row),
                facet: facets.is_valid(row).then(|| facets.value(row)),
                reason: texts(&reasons, row),
                facet_name: names.is_valid(row).then(|| names.as_string::<i32>().value(row).to_owned()),
                shared: texts(&shared, row),
            });
        }
    }
}

fn texts(lists: &dyn Array, row: usize) -> Option<Vec<String>> {
    let lists = lists.as_list::<i32>();
    lists.is_valid(row).then(|| lists.value(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect())
}
