//! Trains the MovieLens-100k example with and without what a pretrained encoder reads of its films, over several splits and
//! seeds, and tells what facets are like, what that costs, where films go whose text is hidden, and how films are recommended
//! that nobody trains with:
//!
//! `cargo run -p teasel-tests --bin content -- [--splits 5] [--seeds 3]`, after `scripts/movielens-100k`. Ends with 1
//! where a mean is below what the product promises.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
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
    let column = |name: &str| -> Result<Vec<f64>> {
        let column = COLUMNS.iter().position(|own| *own == name).with_context(|| format!("no column `{name}`"))?;
        Ok(all.iter().map(|row| row[column]).collect())
    };
    let means: BTreeMap<&str, f64> = COLUMNS
        .iter()
        .map(|name| Ok((*name, column(name)?.iter().sum::<f64>() / all.len() as f64)))
        .collect::<Result<_>>()?;
    for name in COLUMNS {
        let least = column(name)?.into_iter().fold(f64::INFINITY, f64::min);
        println!("{name}: {:.4} on average of {}, {least:.4} at least", means[name], all.len());
    }
    let bars = [
        ("NDCG@100 over the free one's", means["NDCG@100"] / means["free NDCG@100"], 0.99),
        ("agreement", means["agreement"], 0.35),
        ("largest share", means["largest share"], 0.7),
        ("lost when shuffled", means["lost when shuffled"], 0.05),
        ("hidden: agreement over chance", means["hidden: agreement"] - means["chance"], 0.10),
        ("hidden: agreement over the regression's", means["hidden: agreement"] - means["regression"], 0.0),
        ("cold: NDCG@100 / chance", means["cold: NDCG@100 / chance"], 3.0),
        ("cold: recall@50 / chance", means["cold: recall@50 / chance"], 3.0),
        ("cold alone: recall@10 / chance", means["cold alone: recall@10 / chance"], 2.0),
    ];
    let mut missed = Vec::new();
    for (name, value, bar) in bars {
        println!("{name}: {value:.3} of at least {bar}");
        missed.extend((value < bar).then_some(name));
    }
    ensure!(missed.is_empty(), "missed: {}", missed.join("; "));
    Ok(())
}
