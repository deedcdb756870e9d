//! Tables of users: what is written is what is read.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanBuilder, Float32Builder, ListArray, ListBuilder, RecordBatch, StringBuilder,
    UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef, UInt32Type, UInt64Type};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::DataError;

/// Users of a row group, which a writer holds in memory.
const ROW_GROUP_USERS: usize = 4096;
/// Users that are handed to a writer at once.
const BATCH_USERS: usize = 512;

/// Columns that tables of earlier releases lack.
const TENANT: &str = "tenant";
const COLD_ITEMS: &str = "coldItems";

/// Which columns a table of users has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// `key`, `items`, `weights`.
    Training,
    /// `tenant`, `key`, `items` (folded in), `weights`, `heldOut`, `coldItems`.
    HeldOut,
    /// `user`, `key`, `items`, `weights`, `cold`, `coldItems`.
    Tenant,
}

/// A user's row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserRow<'a> {
    /// The tenant column's value; empty where there is none.
    pub(crate) tenant: &'a str,
    pub(crate) user: &'a str,
    pub(crate) key: u64,
    /// Ascending.
    pub(crate) items: &'a [u32],
    pub(crate) weights: Option<&'a [f32]>,
    /// Ascending.
    pub(crate) held_out: &'a [u32],
    pub(crate) cold: bool,
    /// Of the items that nobody trains with, ascending.
    pub(crate) cold_items: &'a [u32],
}

impl Table {
    fn schema(self, weighted: bool) -> SchemaRef {
        let list = |name, kind| Field::new(name, DataType::new_list(kind, true), false);
        let mut fields = Vec::new();
        match self {
            Table::Training => {}
            Table::HeldOut => fields.push(Field::new(TENANT, DataType::Utf8, false)),
            Table::Tenant => fields.push(Field::new("user", DataType::Utf8, false)),
        }
        fields.push(Field::new("key", DataType::UInt64, false));
        fields.push(list("items", DataType::UInt32));
        if weighted {
            fields.push(list("weights", DataType::Float32));
        }
        match self {
            Table::Training => {}
            Table::HeldOut => fields.push(list("heldOut", DataType::UInt32)),
            Table::Tenant => fields.push(Field::new("cold", DataType::Boolean, false)),
        }
        if self != Table::Training {
            fields.push(list(COLD_ITEMS, DataType::UInt32));
        }
        Arc::new(Schema::new(fields))
    }
}

/// How prepared files are written. Nothing in it depends on the machine.
pub(crate) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(ROW_GROUP_USERS))
        .build()
}

/// Writes a table of users to a local file.
pub(crate) struct TableWriter {
    table: Table,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    path: PathBuf,
    /// The tenant or the user, whichever the table has.
    name: StringBuilder,
    key: UInt64Builder,
    items: ListBuilder<UInt32Builder>,
    weights: Option<ListBuilder<Float32Builder>>,
    held_out: ListBuilder<UInt32Builder>,
    cold: BooleanBuilder,
    cold_items: ListBuilder<UInt32Builder>,
    waiting: usize,
    users: u64,
}

impl TableWriter {
    pub(crate) fn create(path: PathBuf, table: Table, weighted: bool) -> Result<Self, DataError> {
        let schema = table.schema(weighted);
        let file = File::create(&path).map_err(DataError::scratch)?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties())).map_err(DataError::scratch)?;
        Ok(TableWriter {
            table,
            schema,
            writer,
            path,
            name: StringBuilder::new(),
            key: UInt64Builder::new(),
            items: ListBuilder::new(UInt32Builder::new()),
            weights: weighted.then(|| ListBuilder::new(Float32Builder::new())),
            held_out: ListBuilder::new(UInt32Builder::new()),
            cold: BooleanBuilder::new(),
            cold_items: ListBuilder::new(UInt32Builder::new()),
            waiting: 0,
            users: 0,
        })
    }

    /// Users so far.
    pub(crate) fn users(&self) -> u64 {
        self.users
    }

    pub(crate) fn push(&mut self, row: UserRow<'_>) -> Result<(), DataError> {
        self.key.append_value(row.key);
        self.items.values().append_slice(row.items);
        self.items.append(true);
        if let Some(weights) = &mut self.weights {
            weights.values().append_slice(row.weights.unwrap_or_default());
            weights.append(true);
        }
        match self.table {
            Table::Training => {}
            Table::HeldOut => {
                self.name.append_value(row.tenant);
                self.held_out.values().append_slice(row.held_out);
                self.held_out.append(true);
            }
            Table::Tenant => {
                self.name.append_value(row.user);
                self.cold.append_value(row.cold);
            }
        }
        if self.table != Table::Training {
            self.cold_items.values().append_slice(row.cold_items);
            self.cold_items.append(true);
        }
        self.users += 1;
        self.waiting += 1;
        if self.waiting == BATCH_USERS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DataError> {
        self.waiting = 0;
        let mut columns: Vec<ArrayRef> = Vec::new();
        if self.table != Table::Training {
            columns.push(Arc::new(self.name.finish()));
        }
        columns.push(Arc::new(self.key.finish()));
        columns.push(Arc::new(self.items.finish()));
        if let Some(weights) = &mut self.weights {
            columns.push(Arc::new(weights.finish()));
        }
        match self.table {
            Table::Training => {}
            Table::HeldOut => columns.push(Arc::new(self.held_out.finish())),
            Table::Tenant => columns.push(Arc::new(self.cold.finish())),
        }
        if self.table != Table::Training {
            columns.push(Arc::new(self.cold_items.finish()));
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| DataError::Engine(error.to_string()))?;
        self.writer.write(&batch).map_err(DataError::scratch)
    }

    /// Ends the file, and returns its path and number of users.
    pub(crate) fn close(mut self) -> Result<(PathBuf, u64), DataError> {
        self.flush()?;
        self.writer.close().map_err(DataError::scratch)?;
        Ok((self.path, self.users))
    }
}

/// Calls `visit` for each row of a table that [`TableWriter`] wrote.
pub(crate) fn read_table(
    bytes: Bytes,
    uri: &str,
    table: Table,
    weighted: bool,
    mut visit: impl FnMut(UserRow<'_>),
) -> Result<(), DataError> {
    for batch in batches(bytes, uri, BATCH_USERS)? {
        visit_batch(&batch?, uri, table, weighted, &mut visit)?;
    }
    Ok(())
}

/// The batches of a file whose bytes are here.
pub(crate) fn batches(
    bytes: Bytes,
    uri: &str,
    rows: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, DataError>> + Send + use<>, DataError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(rows).build())
        .map_err(|error| DataError::corrupt(uri, error))?;
    let uri = uri.to_owned();
    Ok(reader.map(move |batch| batch.map_err(|error| DataError::corrupt(&uri, error))))
}

/// Calls `visit` for each row of `batch`.
pub(crate) fn visit_batch(
    batch: &RecordBatch,
    uri: &str,
    table: Table,
    weighted: bool,
    visit: &mut impl FnMut(UserRow<'_>),
) -> Result<(), DataError> {
    let (schema, found) = (table.schema(weighted), batch.schema());
    let missing = |name: &str| [TENANT, COLD_ITEMS].contains(&name) && found.column_with_name(name).is_none();
    let expected = schema.fields().iter().filter(|field| !missing(field.name()));
    let same = found
        .fields()
        .iter()
        .map(|field| (field.name(), field.data_type()))
        .eq(expected.map(|field| (field.name(), field.data_type())));
    if !same {
        return Err(DataError::corrupt(uri, "its columns aren't those of prepared users"));
    }
    let list = |name: &str| column(batch, name, uri).map(|array| array.as_list::<i32>());
    let keys = column(batch, "key", uri)?.as_primitive::<UInt64Type>();
    let items = list("items")?;
    let weights =
        if weighted { Some(list("weights")?.values().as_primitive::<Float32Type>().values()) } else { None };
    let held_out = if table == Table::HeldOut { Some(list("heldOut")?) } else { None };
    let has = |name: &str| found.column_with_name(name).is_some();
    let cold_items = if has(COLD_ITEMS) { Some(list(COLD_ITEMS)?) } else { None };
    let text = |name| column(batch, name, uri).map(|array| array.as_string::<i32>());
    let tenants = if has(TENANT) { Some(text(TENANT)?) } else { None };
    let users = if table == Table::Tenant { Some(text("user")?) } else { None };
    let cold = if table == Table::Tenant { Some(column(batch, "cold", uri)?.as_boolean()) } else { None };
    for row in 0..batch.num_rows() {
        let own = range(items.value_offsets(), row);
        visit(UserRow {
            tenant: tenants.map_or("", |tenants| tenants.value(row)),
            user: users.map_or("", |users| users.value(row)),
            key: keys.value(row),
            weights: weights.and_then(|weights| weights.get(own)),
            items: indices(items, row),
            held_out: held_out.map_or(&[], |lists| indices(lists, row)),
            cold_items: cold_items.map_or(&[], |lists| indices(lists, row)),
            cold: cold.is_some_and(|cold| cold.value(row)),
        });
    }
    Ok(())
}

fn range(offsets: &[i32], row: usize) -> Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Indices that a row lists.
fn indices(lists: &ListArray, row: usize) -> &[u32] {
    let own = range(lists.value_offsets(), row);
    lists.values().as_primitive::<UInt32Type>().values().get(own).unwrap_or_default()
}

/// A column of a prepared file.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str, uri: &str) -> Result<&'a ArrayRef, DataError> {
    batch.column_by_name(name).ok_or_else(|| DataError::corrupt(uri, format!("it has no column {name}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn held_out_users_of_earlier_releases_have_neither_tenant_nor_cold_items_and_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = TableWriter::create(folder.path().join("test"), Table::HeldOut, false).unwrap();
        let (items, held_out, cold_items) = (&[1, 2], &[3], &[0]);
        let row = UserRow { tenant: "city", key: 7, items, held_out, cold_items, ..UserRow::default() };
        writer.push(row).unwrap();
        let (path, _) = writer.close().unwrap();
        let bytes = Bytes::from(std::fs::read(path).unwrap());
        let batch = batches(bytes, "test", 10).unwrap().next().unwrap().unwrap();
        let before = batch.project(&[1, 2, 3]).unwrap();
        for (batch, tenant, cold_items) in [(&batch, "city", &[0][..]), (&before, "", &[])] {
            let mut rows = 0;
            let mut visit = |row: UserRow<'_>| {
                assert_eq!((row.tenant, row.key, row.items, row.held_out), (tenant, 7, &[1, 2][..], &[3][..]));
                assert_eq!(row.cold_items, cold_items);
                rows += 1;
            };
            visit_batch(batch, "test", Table::HeldOut, false, &mut visit).unwrap();
            assert_eq!(rows, 1);
        }
        let without_keys = batch.project(&[0, 2, 3]).unwrap();
        assert!(visit_batch(&without_keys, "test", Table::HeldOut, false, &mut |_| {}).is_err());
    }
}
