//! Raw files of which some bytes are wrong: each is prepared, or refused by an error that names the file, and nothing
//! panics. `TEASEL_TEST_DEEP` tries twenty times as many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use common::Folder;
use parquet::arrow::ArrowWriter;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rstest::rstest;
use serde_json::json;
use teasel_api::outcome::ExitCode;

const USERS: i64 = 30;
const ITEMS_OF_EACH: i64 = 6;
/// Mutants of each format.
const MUTANTS: usize = 50;
const DEEP: usize = 1000;

/// User, item, rating and time of each row.
fn rows() -> impl Iterator<Item = (i64, i64, f64, i64)> {
    let row = |user: i64, place: i64| (user, (user * 7 + place * 3) % 20, (place % 5 + 1) as f64, 1000 + place);
    (0..USERS).flat_map(move |user| (0..ITEMS_OF_EACH).map(move |place| row(user, place)))
}

fn csv() -> Vec<u8> {
    let mut text = "user,item,rating,time\n".to_owned();
    rows().for_each(|(user, item, rating, time)| writeln!(text, "\"u{user}\",i{item},{rating},{time}").unwrap());
    text.into_bytes()
}

fn json_lines() -> Vec<u8> {
    let mut text = String::new();
    for (user, item, rating, time) in rows() {
        let row = json!({"user": format!("u{user}"), "item": format!("i{item}"), "rating": rating, "time": time});
        writeln!(text, "{row}").unwrap();
    }
    text.into_bytes()
}

fn compressed() -> Vec<u8> {
    zstd::encode_all(csv().as_slice(), 3).unwrap()
}

fn parquet() -> Vec<u8> {
    let texts = |of: fn((i64, i64, f64, i64)) -> String| -> ArrayRef {
        Arc::new(StringArray::from(rows().map(of).collect::<Vec<_>>()))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("user", texts(|row| format!("u{}", row.0))),
        ("item", texts(|row| format!("i{}", row.1))),
        ("rating", Arc::new(Float64Array::from(rows().map(|row| row.2).collect::<Vec<_>>()))),
        ("time", Arc::new(Int64Array::from(rows().map(|row| row.3).collect::<Vec<_>>()))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Changes bytes here and there, or cuts, doubles or moves a part.
fn mutate(random: &mut StdRng, mut bytes: Vec<u8>) -> Vec<u8> {
    let at = random.random_range(0..bytes.len());
    let to = (at + random.random_range(1..40)).min(bytes.len());
    match random.random_range(0..6) {
        0 => bytes[at] = random.random(),
        1 => bytes[at] ^= 1 << random.random_range(0..8),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..to)),
        4 => {
            let part = bytes[at..to].to_vec();
            let place = random.random_range(0..bytes.len());
            bytes.splice(place..place, part);
        }
        _ => {
            let odd: [&[u8]; 8] = [b"\"", b"\0", b"\xff\xfe", b"\n", b",", b"{", b"NaN", b"99999999999999999999"];
            bytes.splice(at..at, odd.choose(random).unwrap().iter().copied());
        }
    }
    bytes
}

async fn try_mutants(name: &str, good: Vec<u8>) {
    let given = std::env::var("TEASEL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| rand::rng().random());
    println!("TEASEL_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mutants = if std::env::var_os("TEASEL_TEST_DEEP").is_some() { DEEP } else { MUTANTS };
    let mut refused = 0;
    for number in 0..=mutants {
        let folder = Folder::new();
        let bytes = if number == 0 { good.clone() } else { mutate(&mut random, good.clone()) };
        folder.raw(name, &bytes);
        let data = folder.data(name, |data| {
            let columns = &mut data["interactions"]["columns"];
            (columns["rating"], columns["timestamp"]) = (json!("rating"), json!("time"));
            data["interactions"]["minimumRating"] = json!(2);
        });
        match folder.prepare(&data, &[]).await {
            Ok(_) => {}
            Err(error) => {
                assert!(number > 0, "the file that is right: {error}");
                refused += 1;
                let text = error.to_string();
                // Where a file is cut short, what is left may be too little, and nothing is wrong with it.
                let is_told = text.contains(name) || text.contains("no interactions are left");
                assert!(is_told, "mutant {number} of seed {seed}: {text}");
                assert_eq!(error.exit_code(), ExitCode::BadData, "mutant {number} of seed {seed}: {text}");
                assert!(!folder.is_committed(), "mutant {number} of seed {seed}: {text}");
            }
        }
    }
    assert!(refused > 0);
}

#[rstest]
#[case::csv("x.csv", csv())]
#[case::json_lines("x.jsonl", json_lines())]
#[case::compressed("x.csv.zst", compressed())]
#[case::parquet("x.parquet", parquet())]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_in_a_file_it_is_prepared_or_refused_by_name(#[case] name: &str, #[case] good: Vec<u8>) {
    try_mutants(name, good).await;
}
