//! Every format and compression gives the same dataset.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use async_compression::tokio::write::{BzEncoder, GzipEncoder, XzEncoder, ZstdEncoder};
use common::{Folder, Snapshot, snapshot};
use parquet::arrow::ArrowWriter;
use serde_json::json;
use teasel_data::Dataset;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// User, item, rating, seconds.
type Row = (i64, String, f32, i64);

fn rows() -> Vec<Row> {
    (0..600i64)
        .map(|row| {
            let mixed = (row * 7_919) % 1_009;
            (mixed % 40, format!("film \"{}\", part", mixed % 23), (mixed % 6) as f32 - 0.5, 1_600_000_000 + row)
        })
        .collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn csv(rows: &[Row]) -> String {
    let lines = rows.iter().map(|(user, item, rating, time)| format!("{time},{user},{},{rating}\n", quoted(item)));
    format!("\u{feff}time,user,item,rating\n{}", lines.collect::<String>())
}

fn recbole(rows: &[Row]) -> String {
    let lines = rows.iter().map(|(user, item, rating, time)| format!("{user}\t{item}\t{rating}\t{time}\n"));
    format!("user:token\titem:token\trating:float\ttime:float\n{}", lines.collect::<String>())
}

fn tsv(rows: &[Row]) -> String {
    let lines =
        rows.iter().map(|(user, item, rating, time)| format!("{user}\t{}\t{rating}\t{time}000\n", quoted(item)));
    format!("user\titem\trating\ttime\n{}", lines.collect::<String>())
}

fn json_lines(rows: &[Row]) -> String {
    rows.iter()
        .map(|(user, item, rating, time)| {
            let time = json!(format!("{}Z", chrono_free_utc(*time)));
            format!("{}\n", json!({"user": user, "item": item, "rating": rating, "time": time, "more": [1]}))
        })
        .collect()
}

/// RFC 3339 without a calendar library: all times lie in the hour after 2020-09-13T12:26:40.
fn chrono_free_utc(seconds: i64) -> String {
    let second_of_day = seconds - 1_599_955_200;
    format!("2020-09-13T{:02}:{:02}:{:02}", second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60)
}

fn parquet(rows: &[Row]) -> Vec<u8> {
    let users: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let items: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1)));
    let ratings: ArrayRef = Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.2)));
    let times: ArrayRef =
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.3 * 1000)));
    let columns = [("time", times), ("item", items), ("rating", ratings), ("user", users)];
    table(&RecordBatch::try_from_iter(columns).unwrap())
}

fn table(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

async fn packed(mut encoder: impl AsyncWrite + Unpin, text: &str) {
    encoder.write_all(text.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
}

async fn prepared(folder: &Folder, input: &str) -> Snapshot {
    let data = folder.data(input, |data| {
        data["interactions"]["columns"]["rating"] = json!("rating");
        data["interactions"]["columns"]["timestamp"] = json!("time");
        data["interactions"]["minimumRating"] = json!(1);
        data["split"] = json!({"type": "leaveLastOut"});
    });
    let prepared = folder.prepare(&data, &[]).await.unwrap_or_else(|error| panic!("{input}: {error}"));
    assert_eq!(prepared.report.rows, 600, "{input}");
    snapshot(&folder.storage(), &prepared.fingerprint).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_and_compression_gives_the_same_dataset() {
    let folder = Folder::new();
    let rows = rows();
    let text = csv(&rows);
    let (mut gzip, mut zstd, mut bzip2, mut xz) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    packed(GzipEncoder::new(&mut gzip), &text).await;
    packed(ZstdEncoder::new(&mut zstd), &text).await;
    packed(BzEncoder::new(&mut bzip2), &text).await;
    packed(XzEncoder::new(&mut xz), &text).await;
    // Two compressed streams, one after the other.
    let (head, tail) = text.split_at(text.len() / 2);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    packed(GzipEncoder::new(&mut first), head).await;
    packed(GzipEncoder::new(&mut second), tail).await;
    first.extend(second);
    let (left, right) = rows.split_at(250);
    folder
        .raw("a.csv", &text)
        .raw("a.tsv", tsv(&rows))
        .raw("a.inter", recbole(&rows))
        .raw("a.jsonl", json_lines(&rows))
        .raw("a.parquet", parquet(&rows))
        .raw("a.csv.gz", gzip)
        .raw("a.csv.zst", zstd)
        .raw("a.csv.bz2", bzip2)
        .raw("a.csv.xz", xz)
        .raw("two.csv.gz", first)
        // A prefix of several formats, with what other tools leave lying about.
        .raw("folder/deep/1.csv", csv(left))
        .raw("folder/2.parquet", parquet(right))
        .raw("folder/_SUCCESS", "")
        .raw("folder/.part.csv.crc", "x");
    let expected = prepared(&folder, "a.csv").await;
    assert!(!expected.test.is_empty());
    for input in [
        "a.tsv",
        "a.inter",
        "a.jsonl",
        "a.parquet",
        "a.csv.gz",
        "a.csv.zst",
        "a.csv.bz2",
        "a.csv.xz",
        "two.csv.gz",
        "folder/",
        "folder",
    ] {
        assert_eq!(prepared(&folder, input).await, expected, "{input}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_are_a_separated_text_or_a_list_and_texts_may_be_either() {
    let folder = Folder::new();
    let rows: String = (0..200).map(|row| format!("u{},i{}\n", row % 20, row / 20)).collect();
    folder.raw("x.csv", format!("user,item\n{rows}"));
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(["i1", "i2", "unknown"]));
    let titles: ArrayRef = Arc::new(StringArray::from(vec![Some("One"), None, Some("None")]));
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a b"), Some("c")]);
    lists.append_null();
    lists.append_value([Some("d")]);
    let lists: ArrayRef = Arc::new(lists.finish());
    let batch = RecordBatch::try_from_iter([("item", ids), ("title", titles), ("genres", lists)]).unwrap();
    folder
        .raw("items.parquet", table(&batch))
        .raw("items.csv", "item,title,genres\ni1,One,a b| c\ni2,,\nunknown,None,d\n")
        .raw("items.jsonl", "{\"item\":\"i1\",\"title\":\"One\",\"genres\":[\"a b\",\"c\"]}\n{\"item\":\"i2\"}\n");
    for (file, text) in
        [("items.parquet", "One\na b, c"), ("items.csv", "One\na b| c"), ("items.jsonl", "One\na b, c")]
    {
        let data = folder.data("x.csv", |data| {
            data["items"] = json!({
                "location": {"uri": folder.uri(&format!("raw/{file}"))}, "format": null, "categorySeparator": "|",
                "columns": {"item": "item", "text": ["title", "genres"], "image": null, "categories": "genres"},
            });
        });
        let prepared = folder.prepare(&data, &[]).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        let dataset = Dataset::open(&folder.storage(), &prepared.fingerprint).await.unwrap();
        let catalogue = dataset.catalogue().await.unwrap();
        let index = catalogue.index();
        let (one, two) = (index["i1"] as usize, index["i2"] as usize);
        assert_eq!(catalogue.categories[one], ["a b", "c"], "{file}");
        assert_eq!(catalogue.texts[one].as_deref(), Some(text), "{file}");
        assert!(catalogue.categories[two].is_empty() && catalogue.texts[two].is_none(), "{file}");
        assert_eq!(prepared.report.items_without_metadata, 8, "{file}");
    }
}
