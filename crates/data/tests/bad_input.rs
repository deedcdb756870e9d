//! Every kind of bad input ends with an error that names file, row or column, and commits nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use common::Folder;
use parquet::arrow::ArrowWriter;
use rstest::rstest;
use serde_json::{Value, json};
use teasel_api::outcome::ExitCode;
use teasel_data::DataError;

const HEADER: &str = "user,item,event,rating,time\n";

fn with_rating(data: &mut Value) {
    data["interactions"]["columns"]["rating"] = json!("rating");
    data["interactions"]["minimumRating"] = json!(4);
}

fn with_time(data: &mut Value) {
    data["interactions"]["columns"]["timestamp"] = json!("time");
    data["split"] = json!({"type": "leaveLastOut"});
}

fn with_events(data: &mut Value) {
    data["interactions"]["columns"]["event"] = json!("event");
    data["interactions"]["events"] = json!({"view": 1.0});
}

fn unchanged(_: &mut Value) {}

async fn failure(folder: &Folder, file: &str, change: fn(&mut Value)) -> DataError {
    let error = folder.prepare(&folder.data(file, change), &[]).await.expect_err("bad input must be refused");
    assert!(!folder.is_committed(), "nothing may be committed after: {error}");
    error
}

fn assert_says(error: &DataError, exit: ExitCode, fragments: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.exit_code(), exit, "{text}");
    for fragment in fragments {
        assert!(text.contains(fragment), "{fragment:?} isn't in {text:?}");
    }
}

#[rstest]
#[case::too_few_fields("a,b\n", unchanged, &["x.csv", "row 2"])]
#[case::too_many_fields("a,b,view,4,7,8\n", unchanged, &["x.csv", "row 2"])]
#[case::no_user(",b,view,4,7\n", unchanged, &["x.csv", "row 2", "`user`"])]
#[case::no_item("a,,view,4,7\n", unchanged, &["x.csv", "row 2", "`item`"])]
#[case::rating_is_text("a,b,view,good,7\n", with_rating, &["x.csv", "row 2", "`rating`", "good"])]
#[case::rating_is_nan("a,b,view,NaN,7\n", with_rating, &["x.csv", "row 2", "`rating`", "NaN"])]
#[case::rating_is_infinite("a,b,view,inf,7\n", with_rating, &["x.csv", "row 2", "`rating`", "inf"])]
#[case::time_is_text("a,b,view,4,yesterday\n", with_time, &["x.csv", "row 2", "`time`", "yesterday"])]
#[case::no_time("a,b,view,4,\n", with_time, &["x.csv", "row 2", "`time`"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_is_named(#[case] row: &str, #[case] change: fn(&mut Value), #[case] fragments: &[&str]) {
    let folder = Folder::new();
    folder.raw("x.csv", format!("{HEADER}a,a,view,5,1\n{row}a,c,view,5,3\n"));
    let error = failure(&folder, "x.csv", change).await;
    assert_says(&error, ExitCode::BadData, fragments);
    assert_eq!(error.reason(), "BadRows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_value_is_cut_and_never_logged() {
    let folder = Folder::new();
    let value = "x".repeat(500);
    folder.raw("x.csv", format!("{HEADER}a,a,view,{value},1\n"));
    let error = failure(&folder, "x.csv", with_rating).await;
    assert!(error.to_string().contains(&"x".repeat(40)) && !error.to_string().contains(&"x".repeat(42)));
    assert!(!error.without_values().contains("xxx"));
}

#[rstest]
#[case::missing_file("absent.csv", ExitCode::InputMissing, &["absent.csv"])]
#[case::empty_folder("empty/", ExitCode::InputMissing, &["empty"])]
#[case::unknown_format("x.dat", ExitCode::BadConfiguration, &["x.dat", "format"])]
#[case::missing_column("columns.csv", ExitCode::BadData, &["columns.csv", "`item`", "user, film"])]
#[case::no_header("blank.csv", ExitCode::BadData, &["blank.csv"])]
#[case::not_json("broken.jsonl", ExitCode::BadData, &["broken.jsonl", "row 2"])]
#[case::json_without_column("columns.jsonl", ExitCode::BadData, &["columns.jsonl", "`item`", "film"])]
#[case::not_utf8("latin.csv", ExitCode::BadData, &["latin.csv", "row 1", "`item`"])]
#[case::not_gzip("plain.csv.gz", ExitCode::BadData, &["plain.csv.gz", "damaged"])]
#[case::not_zstd("plain.csv.zst", ExitCode::BadData, &["plain.csv.zst", "damaged"])]
#[case::not_parquet("text.parquet", ExitCode::BadData, &["text.parquet", "damaged"])]
#[case::cut_parquet("cut.parquet", ExitCode::BadData, &["cut.parquet", "damaged"])]
#[case::changed_parquet("flipped.parquet", ExitCode::BadData, &["flipped.parquet"])]
#[case::not_utf8_parquet("binary.parquet", ExitCode::BadData, &["binary.parquet", "row 2", "`item`"])]
#[case::endless_row("endless.jsonl", ExitCode::BadData, &["endless.jsonl", "row 1", "longer"])]
#[case::wrong_type("struct.parquet", ExitCode::BadData, &["struct.parquet", "`item`"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_named(#[case] file: &str, #[case] exit: ExitCode, #[case] fragments: &[&str]) {
    let folder = Folder::new();
    let whole = parquet(string_column());
    let mut flipped = whole.clone();
    // In the pages, behind the magic bytes: what the footer says of them no longer fits.
    flipped[4..40].fill(0xff);
    folder
        .raw("x.dat", format!("{HEADER}a,b,view,4,7\n"))
        .raw("empty/_SUCCESS", "")
        .raw("columns.csv", "user,film\na,b\n")
        .raw("blank.csv", "\n\n")
        .raw("broken.jsonl", "{\"user\": \"a\", \"item\": \"b\"}\n{\"user\": \"a\", \n")
        .raw("columns.jsonl", "{\"user\": \"a\", \"film\": \"b\"}\n")
        .raw("latin.csv", b"user,item\na,caf\xe9\n")
        .raw("plain.csv.gz", "user,item\na,b\n")
        .raw("plain.csv.zst", "user,item\na,b\n")
        .raw("text.parquet", "user,item\na,b\n")
        .raw("cut.parquet", &whole[..whole.len() / 2])
        .raw("flipped.parquet", flipped)
        .raw("binary.parquet", parquet(binary_column()))
        .raw("endless.jsonl", vec![b' '; (16 << 20) + 1])
        .raw("struct.parquet", parquet(struct_column()));
    assert_says(&failure(&folder, file, unchanged).await, exit, fragments);
}

fn string_column() -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..1000).map(|row| format!("item {row}"))))
}

/// The second cell isn't UTF-8.
fn binary_column() -> ArrayRef {
    Arc::new(BinaryArray::from_iter_values((0..1000).map(|row| if row == 1 { vec![0xff] } else { vec![b'a'] })))
}

fn struct_column() -> ArrayRef {
    let field = Arc::new(Field::new("id", DataType::Float64, false));
    let ids: ArrayRef = Arc::new(Float64Array::from_iter_values((0..1000).map(f64::from)));
    Arc::new(StructArray::from(vec![(field, ids)]))
}

fn parquet(items: ArrayRef) -> Vec<u8> {
    let users: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|row| format!("user {row}"))));
    let batch = RecordBatch::try_from_iter([("user", users), ("item", items)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_compressed_file_is_damaged_not_short() {
    let folder = Folder::new();
    let rows: String = (0..20_000).map(|row| format!("user{},item{}\n", row * 7919 % 1000, row % 97)).collect();
    let packed = zstd::encode_all(format!("user,item\n{rows}").as_bytes(), 3).unwrap();
    folder.raw("cut.csv.zst", &packed[..packed.len() - 20]);
    assert_says(&failure(&folder, "cut.csv.zst", unchanged).await, ExitCode::BadData, &["cut.csv.zst", "damaged"]);
}

fn high_minimum(data: &mut Value) {
    data["minimumInteractions"] = json!({"user": 3, "item": 50});
}

fn high_rating(data: &mut Value) {
    with_rating(data);
    data["interactions"]["minimumRating"] = json!(9);
}

fn other_events(data: &mut Value) {
    with_events(data);
    data["interactions"]["events"] = json!({"buy": 1.0});
}

fn negative_events(data: &mut Value) {
    with_events(data);
    data["interactions"]["events"] = json!({"view": -1.0});
}

#[rstest]
#[case::k_core(high_minimum, "minimumInteractions")]
#[case::rating(high_rating, "minimumRating")]
#[case::events(other_events, "events")]
#[case::weights(negative_events, "weight")]
#[tokio::test(flavor = "multi_thread")]
async fn what_filters_leave_nothing_of_says_which_filter(#[case] change: fn(&mut Value), #[case] filter: &str) {
    let folder = Folder::new();
    let rows: String = (0..100).map(|row| format!("u{},i{},view,4,{row}\n", row % 10, row / 10)).collect();
    folder.raw("x.csv", format!("{HEADER}{rows}"));
    let error = failure(&folder, "x.csv", change).await;
    assert_says(&error, ExitCode::BadData, &["100 rows", filter]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_are_skipped_up_to_a_maximum_and_counted() {
    let folder = Folder::new();
    let good: String = (0..200).map(|row| format!("u{},i{},view,5,1\n", row % 20, row / 20)).collect();
    folder.raw("x.csv", format!("{HEADER}{good}a,b,view,bad,7\nshort\n,b,view,5,7\n"));
    let data = |maximum: u64| {
        folder.data("x.csv", |data| {
            with_rating(data);
            data["interactions"]["onBadRows"] = json!("Skip");
            data["interactions"]["maximumBadRows"] = json!(maximum);
        })
    };
    let error = folder.prepare(&data(2), &[]).await.unwrap_err();
    assert_says(&error, ExitCode::BadData, &["more than 2", "row 203", "x.csv"]);
    assert!(!folder.is_committed());
    let prepared = folder.prepare(&data(3), &[]).await.unwrap();
    assert_eq!((prepared.report.rows, prepared.report.dropped.bad_rows), (203, 3));
    assert_eq!(prepared.report.interactions, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_described_twice_is_refused() {
    let folder = Folder::new();
    let rows: String = (0..200).map(|row| format!("u{},i{}\n", row % 20, row / 20)).collect();
    folder.raw("x.csv", format!("user,item\n{rows}"));
    folder.raw("items.csv", "item,title\ni1,One\ni2,Two\ni1,Uno\n");
    let data = folder.data("x.csv", |data| {
        data["items"] = json!({
            "location": {"uri": folder.uri("raw/items.csv")}, "format": null, "categorySeparator": "|",
            "columns": {"item": "item", "text": ["title"], "image": null, "categories": null},
        });
    });
    let error = folder.prepare(&data, &[]).await.unwrap_err();
    assert_says(&error, ExitCode::BadData, &["items.csv", "row 3", "row 1"]);
    assert!(!folder.is_committed());
}

#[tokio::test(flavor = "multi_thread")]
async fn held_out_users_of_whom_nothing_is_known_are_refused() {
    let folder = Folder::new();
    let rows: String = (0..200).map(|row| format!("u{},i{}\n", row % 20, row / 20)).collect();
    folder
        .raw("train.csv", format!("user,item\n{rows}"))
        .raw("fold_in.csv", "user,item\nv,i1\n")
        .raw("held_out.csv", "user,item\nv,i2\n")
        .raw("strangers.csv", "user,item\nv,i2\nstranger,i3\n");
    let data = folder.data("train.csv", |data| {
        let place = |name: &str| json!({"uri": folder.uri(&format!("raw/{name}"))});
        data["split"] = json!({
            "type": "provided",
            "train": place("train.csv"),
            "validation": {"foldIn": place("fold_in.csv"), "heldOut": place("held_out.csv")},
            "test": {"foldIn": place("fold_in.csv"), "heldOut": place("strangers.csv")},
        });
    });
    let error = folder.prepare(&data, &[]).await.unwrap_err();
    assert_says(&error, ExitCode::BadData, &["strangers.csv", "1 user"]);
    assert!(!folder.is_committed());
}

#[rstest]
#[case::not_utf_8(b"item,title\ni1,good\ni2,\xff\xfe\n", &["items.csv", "row 2"])]
#[case::absent(b"item,name\ni1,good\n", &["items.csv", "title"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_items_that_cannot_be_read_is_named(#[case] items: &[u8], #[case] fragments: &[&str]) {
    let folder = Folder::new();
    folder.raw("items.csv", items);
    let rows: String = (0..200).map(|row| format!("u{},i{}\n", row % 20, row / 20)).collect();
    folder.raw("x.csv", format!("user,item\n{rows}"));
    let data = folder.data("x.csv", |data| {
        data["items"] = json!({
            "location": {"uri": folder.uri("raw/items.csv")}, "format": null, "categorySeparator": "|",
            "columns": {"item": "item", "text": ["title"], "image": null, "categories": null},
        });
    });
    assert_says(&folder.prepare(&data, &[]).await.unwrap_err(), ExitCode::BadData, fragments);
}
