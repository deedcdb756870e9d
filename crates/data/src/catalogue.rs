//! The vocabulary with what is known of each item.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, RecordBatch, StringArray, StringBuilder, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::DataError;
use crate::vocabulary::Vocabulary;
use crate::write::{column, properties};

/// Letters of the name that an item is called by.
const LONGEST_NAME: usize = 80;
/// Rows that are written at once.
const ROWS_AT_ONCE: usize = 1 << 14;

/// All items that a model knows, by index: the one with the most training users first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Ids, as in the raw files.
    pub ids: Vec<String>,
    /// Text columns, joined by line breaks.
    pub texts: Vec<Option<String>>,
    /// Categories.
    pub categories: Vec<Vec<String>>,
    /// Paths of images.
    pub images: Vec<Option<String>>,
    /// Facets that items are known to belong to.
    pub facets: Vec<Option<String>>,
    /// Training users.
    pub counts: Vec<u64>,
}

impl Catalogue {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// What to call an item: the first line of its text, which is the first text column that isn't empty, cut after 80
    /// letters; else its id. Empty where there is no such item.
    pub fn name(&self, item: usize) -> String {
        let text = self.texts.get(item).and_then(Option::as_deref).unwrap_or_default();
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let text = lines.into_iter().find(|line| !line.is_empty()).unwrap_or_default();
        match text.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None if text.is_empty() => self.ids.get(item).cloned().unwrap_or_default(),
            None => text,
        }
    }

    /// These items, and behind them those of `other`.
    pub fn followed_by(mut self, other: Catalogue) -> Self {
        self.ids.extend(other.ids);
        self.texts.extend(other.texts);
        self.categories.extend(other.categories);
        self.images.extend(other.images);
        self.facets.extend(other.facets);
        self.counts.extend(other.counts);
        self
    }

    /// Index of each item by its id.
    pub fn index(&self) -> HashMap<&str, u32> {
        self.ids.iter().map(String::as_str).zip(0..).collect()
    }

    /// The vocabulary without metadata.
    pub(crate) fn bare(vocabulary: &Vocabulary) -> Self {
        let items = vocabulary.ids.len();
        Catalogue {
            ids: vocabulary.ids.iter().map(|id| id.to_string()).collect(),
            texts: vec![None; items],
            categories: vec![Vec::new(); items],
            images: vec![None; items],
            facets: vec![None; items],
            counts: vocabulary.counts.clone(),
        }
    }

    /// The catalogue as a Parquet file with the columns `item`, `text`, `categories`, `image`, `facet` and `count`.
    ///
    /// # Errors
    /// [`DataError::Engine`], a bug: the columns don't fit together.
    pub fn to_parquet(&self) -> Result<Bytes, DataError> {
        let bug = |error: &dyn std::fmt::Display| DataError::Engine(error.to_string());
        let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
        let schema = Arc::new(Schema::new(vec![
            text("item", false),
            text("text", true),
            Field::new("categories", DataType::new_list(DataType::Utf8, true), false),
            text("image", true),
            text("facet", true),
            Field::new("count", DataType::UInt64, false),
        ]));
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties())).map_err(|error| bug(&error))?;
        // One column of all texts may be more than its offsets can count.
        for start in (0..self.len()).step_by(ROWS_AT_ONCE) {
            let rows = start..(start + ROWS_AT_ONCE).min(self.len());
            let columns = self.columns(rows);
            let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|error| bug(&error))?;
            writer.write(&batch).map_err(|error| bug(&error))?;
        }
        writer.close().map_err(|error| bug(&error))?;
        Ok(bytes.into())
    }

    /// Some rows of the columns of [`Self::to_parquet`].
    fn columns(&self, rows: Range<usize>) -> Vec<ArrayRef> {
        let mut categories = ListBuilder::new(StringBuilder::new());
        for own in &self.categories[rows.clone()] {
            own.iter().for_each(|category| categories.values().append_value(category));
            categories.append(true);
        }
        let texts = |own: &[Option<String>]| -> ArrayRef {
            Arc::new(StringArray::from_iter(own[rows.clone()].iter().map(Option::as_deref)))
        };
        vec![
            Arc::new(StringArray::from_iter_values(&self.ids[rows.clone()])),
            texts(&self.texts),
            Arc::new(categories.finish()),
            texts(&self.images),
            texts(&self.facets),
            Arc::new(UInt64Array::from(self.counts[rows.clone()].to_vec())),
        ]
    }

    /// Reads what [`Catalogue::to_parquet`] wrote; `uri` is for errors.
    ///
    /// # Errors
    /// [`DataError`] where the bytes aren't such a file.
    pub fn from_parquet(bytes: Bytes, uri: &str) -> Result<Self, DataError> {
        let corrupt = |error: &dyn std::fmt::Display| DataError::corrupt(uri, error);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(|builder| builder.build())
            .map_err(|error| corrupt(&error))?;
        let mut catalogue = Catalogue::default();
        for batch in reader {
            let batch = batch.map_err(|error| corrupt(&error))?;
            let texts = |name: &str| -> Result<Vec<Option<String>>, DataError> {
                Ok(column(&batch, name, uri)?
                    .as_string::<i32>()
                    .iter()
                    .map(|text| text.map(str::to_owned))
                    .collect())
            };
            catalogue.ids.extend(texts("item")?.into_iter().flatten());
            catalogue.texts.extend(texts("text")?);
            catalogue.images.extend(texts("image")?);
            match batch.column_by_name("facet") {
                Some(_) => catalogue.facets.extend(texts("facet")?),
                // A model of an earlier release.
                None => catalogue.facets.resize(catalogue.ids.len(), None),
            }
            catalogue.counts.extend(column(&batch, "count", uri)?.as_primitive::<UInt64Type>().values());
            let lists = column(&batch, "categories", uri)?.as_list::<i32>();
            catalogue.categories.extend((0..lists.len()).map(|row| {
                lists.value(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
            }));
        }
        Ok(catalogue)
    }
}
