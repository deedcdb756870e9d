//! Trains the MovieLens-100k example with and without what a pretrained encoder reads of its films, over several splits and
//! seeds, and tells what facets are like, what that costs, where films go whose text is hidden, and how films are recommended
//! that nobody trains with:
//!
//! `cargo run -p teasel-tests --bin content -- [--splits 5] [--seeds 3]`, after `scripts/movielens-100k`.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use clap::Parser;
use teasel_tests::content::{cold_films, hidden, hold_films_out, job, minilm, some_films};
use teasel_tests::project::Project;

/// How often.
#[derive(Debug, Parser)]
struct Options {
    /// Seeds of the split, from 1.
    #[arg(long, default_value_t = 5)]
    splits: u64,
    /// Seeds of training per split, from 1.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
}

/// What is told of films that nobody trains with, as multiples of chance.
const COLD: [(&str, &str); 3] = [("amongAll", "ndcg@100"), ("amongAll", "recall@50"), ("amongCold", "recall@10")];

const COLUMNS: [&str; 14] = [
    "free NDCG@100",
    "NDCG@100",
    "agreement",
    "largest share",
    "effective",
    "lost when shuffled",
    "hidden: agreement",
    "chance",
    "regression",
    "hidden: NDCG@100",
    "cold: NDCG@100 / chance",
    "cold: recall@50 / chance",
    "cold alone: recall@10 / chance",
    "cold: shown",
];

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let encoder = minilm()?;
    let project = Project::empty();
    let mut all: Vec<[f64; COLUMNS.len()]> = Vec::new();
    println!("split, seed: {}", COLUMNS.join(", "));
    for split in 1..=options.splits {
        for seed in 1..=options.seeds {
            let free = project.run(&project.movielens("free", split, seed, "")?);
            let content = project.run(&job(&project, ("content", &encoder), (split, seed), &BTreeSet::new())?);
            let films = some_films(100 * split + seed)?;
            let without = project.run(&job(&project, ("hidden", &encoder), (split, seed), &films)?);
            let found = runtime.block_on(hidden(&project.path("hidden-storage"), &without))?;
            let file = job(&project, ("cold", &encoder), (split, seed), &BTreeSet::new())?;
            hold_films_out(&file)?;
            let cold = project.run(&file);
            let cold = project.measured("cold", &cold)?;
            let times = |(among, metric)| cold_films(&cold, among, metric).map(|(value, chance)| value / chance);
            let of = |result: &serde_json::Value, name: &str| {
                result["metrics"][name].as_f64().with_context(|| format!("the result has no {name}"))
            };
            let measured = project.measured("content", &content)?;
            let row = [
                of(&free, "ndcg@100")?,
                of(&content, "ndcg@100")?,
                of(&content, "facets/agreement")?,
                measured["facets"]["conditions"]["agreement"]["largestShare"]
                    .as_f64()
                    .context("no largest share")?,
                of(&content, "facets/effective")?,
                of(&content, "facets/lost-when-shuffled")?,
                found.model.adjusted_mutual_information,
                found.model.chance_high,
                found.regression.adjusted_mutual_information,
                of(&without, "ndcg@100")?,
                times(COLD[0])?,
                times(COLD[1])?,
                times(COLD[2])?,
                cold["coldItems"]["shown"].as_f64().context("no share of lists")?,
            ];
            println!("{split}, {seed}: {}", row.map(|value| format!("{value:.4}")).join(", "));
            all.push(row);
        }
    }
    let means: Vec<String> = COLUMNS
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let mean = all.iter().map(|row| row[column]).sum::<f64>() / all.len() as f64;
            format!("{name} {mean:.4}")
        })
        .collect();
    println!("means of {}: {}", all.len(), means.join(", "));
    Ok(())
}
