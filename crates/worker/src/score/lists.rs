//! The Parquet file that a shard's recommendations are written to.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Builder, ListBuilder, RecordBatch, StringBuilder, StringDictionaryBuilder, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use teasel_model::{Contribution, Recommendation};

use super::labels::Labels;
use crate::error::TaskError;

/// Version of the columns below, kept in each file's metadata as `teasel.schema`.
pub(crate) const LISTS_SCHEMA: &str = "teasel.dev/recommendations/v2";

/// Rows that are buffered before they are encoded.
const ROWS_PER_BATCH: usize = 1 << 16;

/// Columns of a recommendations file, one row per recommendation, in the order of users and ranks.
///
/// `facet` and `facet_name` are null where a recommendation comes from no facet (a user without a history), the name also
/// where nothing tells the facet from others. `reason`, the items of the history that contribute most, and `shared`, the
/// categories and terms that the item has in common with these, are null without a facet too, and where the tenant has no
/// explanations.
fn schema() -> SchemaRef {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    Arc::new(Schema::new(vec![
        Field::new("user", DataType::Utf8, false),
        Field::new("rank", DataType::UInt32, false),
        Field::new("item", text.clone(), false),
        Field::new("score", DataType::Float32, false),
        Field::new("facet", DataType::UInt32, true),
        Field::new("reason", texts.clone(), true),
        Field::new("facet_name", text, true),
        Field::new("shared", texts, true),
    ]))
}

/// One user's list.
pub(super) struct UserList<'a> {
    /// The recommendations, best first.
    pub(super) items: &'a [Recommendation],
    /// Whether facets stand behind them.
    pub(super) has_facets: bool,
    /// What each comes from, where that is asked.
    pub(super) reasons: Option<&'a [Vec<Contribution>]>,
}

/// What lists call their items and facets.
pub(super) struct Names<'a> {
    /// The items' ids.
    pub(super) items: &'a [String],
    /// The facets' names; an empty one is none.
    pub(super) facets: &'a [String],
    /// What items have in common, where reasons are asked for.
    pub(super) labels: Option<&'a Labels>,
}

/// Writes recommendations of one shard, user by user, to a local file.
pub(super) struct ListsWriter {
    writer: ArrowWriter<File>,
    users: StringBuilder,
    ranks: UInt32Builder,
    items: StringDictionaryBuilder<Int32Type>,
    scores: Float32Builder,
    facets: UInt32Builder,
    reasons: ListBuilder<StringBuilder>,
    facet_names: StringDictionaryBuilder<Int32Type>,
    shared: ListBuilder<StringBuilder>,
    rows: usize,
}

impl ListsWriter {
    /// A writer to a new file at `path`, with `run` and `model` in its metadata.
    pub(super) fn create(path: &Path, run: &str, model: &str) -> Result<Self, TaskError> {
        let ascending = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
        let entry = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(vec![
                entry("teasel.run", run),
                entry("teasel.model", model),
                entry("teasel.schema", LISTS_SCHEMA),
            ]))
            .set_sorting_columns(Some(vec![ascending(0), ascending(1)]))
            .build();
        let file = File::create(path).map_err(|source| TaskError::scratch("create a file of lists", source))?;
        Ok(ListsWriter {
            writer: ArrowWriter::try_new(file, schema(), Some(properties))?,
            users: StringBuilder::new(),
            ranks: UInt32Builder::new(),
            items: StringDictionaryBuilder::new(),
            scores: Float32Builder::new(),
            facets: UInt32Builder::new(),
            reasons: ListBuilder::new(StringBuilder::new()),
            facet_names: StringDictionaryBuilder::new(),
            shared: ListBuilder::new(StringBuilder::new()),
            rows: 0,
        })
    }

    /// Adds a user's list, best first.
    pub(super) fn push(&mut self, user: &str, list: &UserList<'_>, names: &Names<'_>) -> Result<(), TaskError> {
        let id = |item: u32| {
            let id = names.items.get(item as usize);
            id.ok_or_else(|| TaskError::bug(format!("the model names item {item}, which it doesn't know")))
        };
        let UserList { items: list, has_facets, reasons } = list;
        for (index, recommendation) in list.iter().enumerate() {
            self.users.append_value(user);
            self.ranks.append_value(index as u32 + 1);
            self.items.append(id(recommendation.item)?)?;
            self.scores.append_value(recommendation.score);
            self.facets.append_option(has_facets.then_some(recommendation.facet));
            let facet = has_facets.then(|| names.facets.get(recommendation.facet as usize)).flatten();
            match facet.filter(|name| !name.is_empty()) {
                Some(name) => drop(self.facet_names.append(name)?),
                None => self.facet_names.append_null(),
            }
            let Some(reason) = reasons.and_then(|reasons| reasons.get(index)) else {
                self.reasons.append_null();
                self.shared.append_null();
                continue;
            };
            for contribution in reason {
                self.reasons.values().append_value(id(contribution.item)?);
            }
            self.reasons.append(true);
            let because = reason.iter().map(|contribution| contribution.item);
            for label in names.labels.iter().flat_map(|labels| labels.shared(recommendation.item, because.clone()))
            {
                self.shared.values().append_value(label);
            }
            self.shared.append(true);
        }
        self.rows += list.len();
        if self.rows >= ROWS_PER_BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TaskError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.users.finish()),
            Arc::new(self.ranks.finish()),
            Arc::new(self.items.finish()),
            Arc::new(self.scores.finish()),
            Arc::new(self.facets.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.facet_names.finish()),
            Arc::new(self.shared.finish()),
        ];
        self.rows = 0;
        self.writer.write(&RecordBatch::try_new(schema(), columns)?)?;
        Ok(())
    }

    /// Writes what is buffered and the file's footer.
    pub(super) fn finish(mut self) -> Result<(), TaskError> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.writer.close()?;
        Ok(())
    }
}
