//! Trains the MovieLens-100k example over several splits and seeds with `teasel run`, and compares with EASE and
//! popularity on the same users:
//!
//! `cargo run -p teasel-tests --bin learning -- [--splits 5] [--seeds 3] [--gaussian]`, after
//! `scripts/movielens-100k`.

use anyhow::{Context, Result};
use clap::Parser;
use teasel_tests::learning::baselines;
use teasel_tests::project::{GAUSSIAN, Project};

/// How often.
#[derive(Debug, Parser)]
struct Options {
    /// Seeds of the split, from 1.
    #[arg(long, default_value_t = 5)]
    splits: u64,
    /// Seeds of training per split, from 1.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The Gaussian likelihood instead of the multinomial one.
    #[arg(long)]
    gaussian: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let project = Project::empty();
    let model = if options.gaussian { GAUSSIAN } else { "" };
    let mut all = Vec::new();
    for split in 1..=options.splits {
        let mut simple = None;
        for seed in 1..=options.seeds {
            let job = project.movielens("example", split, seed, model)?;
            let result = project.run(&job);
            let simple = match simple {
                Some(simple) => simple,
                None => *simple.insert(runtime.block_on(baselines(&project.path("example-storage"), &result))?),
            };
            let ndcg = result["metrics"]["ndcg@100"].as_f64().context("the result has no ndcg@100")?;
            println!(
                "split {split}, seed {seed}: ndcg@100 {ndcg:.4}, EASE {:.4}, popularity {:.4}",
                simple.ease, simple.popularity
            );
            all.push((ndcg, simple));
        }
    }
    let mean = |pick: &dyn Fn(&(f64, teasel_tests::learning::Baselines)) -> f64| {
        all.iter().map(pick).sum::<f64>() / all.len() as f64
    };
    let (ndcg, ease, popularity) = (mean(&|one| one.0), mean(&|one| one.1.ease), mean(&|one| one.1.popularity));
    println!(
        "mean of {}: ndcg@100 {ndcg:.4}, {:.3} of EASE's {ease:.4}, {:.2} of popularity's {popularity:.4}",
        all.len(),
        ndcg / ease,
        ndcg / popularity
    );
    Ok(())
}
