//! A year of ticks in many zones, against what robfig/cron said of them.

#![allow(missing_docs, clippy::unwrap_used)]

mod cron;

use cron::{Case, folder};

#[test]
fn a_year_of_ticks_is_the_one_of_robfig() {
    let expected = std::fs::read_to_string(folder().join("ticks.txt")).unwrap();
    let ours: Vec<String> = Case::all().iter().map(|case| case.digest(&case.ticks())).collect();
    assert_eq!(expected.lines().count(), ours.len());
    let wrong: Vec<(&str, &str)> = expected
        .lines()
        .zip(ours.iter().map(|line| line.trim_end()))
        .filter(|(theirs, ours)| theirs != ours)
        .collect();
    assert!(wrong.is_empty(), "expected and found: {wrong:#?}");
}
