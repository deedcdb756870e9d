//! `teasel recommend`: one person's list.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, UInt32Type};
use bytes::Bytes;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use futures::TryStreamExt;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use teasel_api::outcome::ExitCode;
use teasel_api::resolved::Tenant;
use teasel_storage::output::{Scores, Version, current};
use teasel_storage::{ParquetObject, Patience, Store};

use crate::arguments::RecommendArguments;
use crate::failure::Failure;
use crate::reference::{Reference, find, open};

/// One recommendation.
struct Row {
    rank: u32,
    item: String,
    score: f32,
    facet: Option<u32>,
    /// What the facet is called. Lists of an earlier release don't say.
    facet_name: Option<String>,
    /// Items of the history that it comes from; unset without explanations.
    reason: Option<Vec<String>>,
    /// Categories and terms that it has in common with these.
    shared: Vec<String>,
}

/// Prints the list.
pub(crate) async fn run(arguments: &RecommendArguments) -> Result<(), Failure> {
    let reference = find(&arguments.reference).await?;
    let tenant = reference.job.scoring.tenants.iter().find(|tenant| tenant.name == arguments.tenant);
    let tenant = tenant.ok_or_else(|| {
        let names: Vec<_> = reference.job.scoring.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        Failure::new(
            ExitCode::Usage,
            format!("there is no tenant {}; the job has {}", arguments.tenant, names.join(", ")),
        )
    })?;
    let output = open(&tenant.output, "output", &reference.secrets, Patience::Moment)?;
    let (version, files) = lists(&output, &reference, tenant).await?;
    let mut rows = Vec::new();
    for file in files {
        rows.extend(read(&output, &file, &arguments.user).await?);
    }
    if rows.is_empty() {
        let message = format!("run {} has no recommendations for that user of tenant {}", version.run, tenant.name);
        return Err(Failure::new(ExitCode::InputMissing, message));
    }
    let texts = texts(&reference.storage, &version.run).await.unwrap_or_default();
    println!("run {}, tenant {}, user {}", version.run, tenant.name, arguments.user);
    println!("{}", render(&rows, &texts, arguments.top));
    Ok(())
}

/// The lists to read, and their files: those of the run that was named, else those that are published.
async fn lists(output: &Store, reference: &Reference, tenant: &Tenant) -> Result<(Version, Vec<String>), Failure> {
    let missing = |what: String| Failure::new(ExitCode::InputMissing, what);
    if !reference.is_named {
        let found =
            current(output).await?.ok_or_else(|| missing("nothing is published for this tenant yet".into()))?;
        return Ok((Version { run: found.run, score_hash: found.score_hash }, found.files));
    }
    let unscored = || missing(format!("run {} isn't scored for this tenant", reference.record.run));
    let version = reference.scored_versions(tenant).await?.pop().ok_or_else(unscored)?;
    let manifest = Scores::new(output, &version).manifest().await?.ok_or_else(unscored)?;
    let files = manifest.files.iter().map(|file| format!("{}/{}", version.path(), file.name)).collect();
    Ok((version, files))
}

/// One user's rows of a file. Row groups are sorted by user, so statistics leave few of them to read.
async fn read(output: &Store, path: &str, user: &str) -> Result<Vec<Row>, Failure> {
    let damaged = |error: &dyn std::fmt::Display| {
        Failure::new(ExitCode::BadData, format!("can't read {}: {error}", output.uri_of(path)))
    };
    let size = output.head(path).await?.map(|object| object.size);
    let size = size.ok_or_else(|| damaged(&"it isn't there"))?;
    let reader = ParquetObject::new(output.object_store(), output.path(path), size);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(|error| damaged(&error))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["user"]);
    let wanted = user.to_owned();
    let filter = ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
        let users = batch.column(0).as_string::<i32>();
        Ok(users.iter().map(|user| Some(user == Some(wanted.as_str()))).collect::<BooleanArray>())
    });
    let stream =
        builder.with_row_filter(RowFilter::new(vec![Box::new(filter)])).build().map_err(|error| damaged(&error))?;
    let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(|error| damaged(&error))?;
    let mut rows = Vec::new();
    for batch in batches {
        let column = |name: &str| {
            batch.column_by_name(name).map(Arc::clone).ok_or_else(|| damaged(&format!("no column {name}")))
        };
        let items = cast(&column("item")?, &DataType::Utf8).map_err(|error| damaged(&error))?;
        let (ranks, scores, facets) = (column("rank")?, column("score")?, column("facet")?);
        let facets = facets.as_primitive::<UInt32Type>();
        let texts = |lists: &dyn Array, row: usize| -> Option<Vec<String>> {
            let texts = lists.as_list_opt::<i32>().filter(|lists| lists.is_valid(row))?.value(row);
            Some(texts.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
        };
        let (reasons, shared) = (column("reason")?, batch.column_by_name("shared"));
        let names = batch.column_by_name("facet_name").map(|names| cast(names, &DataType::Utf8)).transpose();
        let names = names.map_err(|error| damaged(&error))?;
        let name = |row: usize| {
            let names = names.as_ref()?.as_string::<i32>();
            names.is_valid(row).then(|| names.value(row).to_owned())
        };
        for row in 0..batch.num_rows() {
            rows.push(Row {
                rank: ranks.as_primitive::<UInt32Type>().value(row),
                item: items.as_string::<i32>().value(row).to_owned(),
                score: scores.as_primitive::<Float32Type>().value(row),
                facet: facets.is_valid(row).then(|| facets.value(row)),
                facet_name: name(row),
                reason: texts(&reasons, row),
                shared: shared.and_then(|shared| texts(shared, row)).unwrap_or_default(),
            });
        }
    }
    Ok(rows)
}

/// Texts of the items, by id, as far as the run's model has them.
async fn texts(storage: &Store, run: &str) -> Option<HashMap<String, String>> {
    let folder = storage.sub(&format!("models/{run}"));
    let manifest: serde_json::Value = folder.get_json("manifest.json").await.ok()??;
    let name = manifest.get("catalogue")?.get("name")?.as_str()?;
    let bytes: Bytes = folder.get(name).await.ok()?;
    let mut texts = HashMap::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).ok()?.build().ok()? {
        let batch = batch.ok()?;
        let ids = batch.column_by_name("item")?.as_string::<i32>().clone();
        let own = batch.column_by_name("text")?.as_string::<i32>().clone();
        let pairs = ids.iter().zip(own.iter());
        texts.extend(pairs.filter_map(|(id, text)| Some((id?.to_owned(), text?.replace('\n', ", ")))));
    }
    Some(texts)
}

fn render(rows: &[Row], texts: &HashMap<String, String>, top: u32) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let is_explained = rows.iter().any(|row| row.reason.is_some());
    let because = is_explained.then_some("because of");
    table.set_header(["rank", "item", "text", "score", "facet"].into_iter().chain(because));
    let text_of = |item: &String| texts.get(item).map(|text| text.chars().take(60).collect::<String>());
    for row in rows.iter().filter(|row| row.rank <= top) {
        let cells = [
            row.rank.to_string(),
            row.item.clone(),
            text_of(&row.item).unwrap_or_default(),
            format!("{:.4}", row.score),
            match (row.facet, &row.facet_name) {
                (Some(facet), Some(name)) => format!("{facet}: {name}"),
                (facet, _) => facet.map(|facet| facet.to_string()).unwrap_or_default(),
            },
        ];
        let name = |item: &String| text_of(item).unwrap_or_else(|| item.clone());
        let mut reason: Vec<String> = row.reason.iter().flatten().map(name).collect();
        if !row.shared.is_empty() {
            reason.push(format!("({})", row.shared.join(", ")));
        }
        let reason = reason.join("\n");
        table.add_row(cells.into_iter().chain(is_explained.then_some(reason)));
    }
    table
}
