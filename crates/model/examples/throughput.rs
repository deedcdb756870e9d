//! Measures one process: training steps and scoring on random data of a given shape.
//!
//! `cargo run -p teasel-model --example throughput -- [--items N] [--users N] [--history N] [--steps N] [--gaussian]
//! [--int8] [--facets-per-item N]`,
//! where `--users` is the size of a batch and `--history` a user's items. Threads are libtorch's: `OMP_NUM_THREADS`.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use teasel_model::{BatchInput, Compression, Config, FacetVae, Likelihood, ScorerOptions};

fn main() -> Result<()> {
    let (mut items, mut users, mut history, mut steps) = (3_700, 500, 100, 10);
    let mut likelihood = Likelihood::Multinomial;
    let mut compression = Compression::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--gaussian" {
            likelihood = Likelihood::Gaussian { variance_floor: 0.01 };
            continue;
        }
        if name == "--int8" {
            compression.quantised = true;
            continue;
        }
        let value: usize = arguments.next().with_context(|| format!("{name} needs a number"))?.parse()?;
        match name.as_str() {
            "--items" => items = value,
            "--users" => users = value,
            "--history" => history = value,
            "--facets-per-item" => compression.facets_per_item = Some(value),
            "--steps" => steps = value.max(1),
            _ => bail!("{name} is no option"),
        }
    }
    let mut random = StdRng::seed_from_u64(1);
    let (mut offsets, mut rows) = (vec![0], Vec::new());
    for _ in 0..users {
        let mut row: Vec<i64> = (0..history).map(|_| random.random_range(0..items as i64)).collect();
        row.sort_unstable();
        row.dedup();
        rows.extend(row);
        offsets.push(rows.len() as i64);
    }
    let keys: Vec<u64> = (0..users as u64).collect();
    let batch = BatchInput { offsets: &offsets, items: &rows, weights: None, user_keys: &keys };
    let mut model = FacetVae::new(Config {
        items,
        facets: 7,
        dimensions: 100,
        likelihood,
        temperature: 0.1,
        prior_deviation: 0.075,
        dropout: 0.5,
        kl_weight: 0.2,
        kl_anneal_steps: 0,
        seed: 1,
        content: None,
    })?;

    let (mut forward, mut backward) = (0.0, 0.0);
    // The first step fills the work space, and isn't counted.
    for step in 0..=steps as u64 {
        let started = Instant::now();
        let loss = model.loss(&batch, step)?;
        let between = Instant::now();
        loss.objective.f_backward()?;
        if step > 0 {
            forward += (between - started).as_secs_f64();
            backward += between.elapsed().as_secs_f64();
        }
    }
    let steps = steps as f64;
    println!(
        "training: {:.1} ms a step ({:.1} loss, {:.1} backward), {:.0} users/s, without the optimizer",
        1e3 * (forward + backward) / steps,
        1e3 * forward / steps,
        1e3 * backward / steps,
        steps * users as f64 / (forward + backward)
    );

    let mut scorer = model.scorer_with(&ScorerOptions { compression, ..ScorerOptions::default() })?;
    scorer.recommend(&batch, 100, true)?;
    let started = Instant::now();
    for _ in 0..steps as usize {
        scorer.recommend(&batch, 100, true)?;
    }
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "scoring: {:.1} ms a batch, {:.0} users/s, {:.1} M pairs of user and item a second",
        1e3 * elapsed / steps,
        steps * users as f64 / elapsed,
        steps * (users * items) as f64 / elapsed / 1e6
    );

    let lists = scorer.recommend(&batch, 100, true)?;
    scorer.explain(&batch, &lists, 3)?;
    let started = Instant::now();
    for _ in 0..steps as usize {
        scorer.explain(&batch, &lists, 3)?;
    }
    let explained = started.elapsed().as_secs_f64();
    println!(
        "explanations: {:.1} ms a batch; scoring with them takes {:.2} times as long",
        1e3 * explained / steps,
        (elapsed + explained) / elapsed
    );
    let status = std::fs::read_to_string("/proc/self/status")?;
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("peak resident memory: {}", peak.trim_start_matches("VmHWM:").trim());
    }
    Ok(())
}
