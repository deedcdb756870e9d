//! Trains on MovieLens-100k in one process and compares with EASE and popularity on the same users.
//!
//! `cargo run -p teasel-model --example movielens -- FOLDER [--gaussian] [--splits N] [--seeds N] [--epochs N]
//! [--patience N] [--batch N]`, where FOLDER holds RecBole's `ml-100k.inter`.
//!
//! Ratings of 4 and more count; users with fewer than 5 of them are left out. Strong generalization as in Liang et al.
//! 2018: a tenth of the users for validation and a tenth for test, each with a fifth of their items hidden. Items that no
//! training user has are dropped.
//!
//! Measured, one thread, NDCG@100: multinomial with `--splits 5 --seeds 3` .4456, .969 of EASE's and 1.70 of
//! popularity's; Gaussian with `--splits 5` .3884, 1.48 of popularity's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tch::Tensor;
use teasel_model::baselines::{Ease, Popularity};
use teasel_model::bootstrap::ratio_interval;
use teasel_model::metrics::{Metric, MetricKind, mean};
use teasel_model::{BatchInput, Config, FacetVae, Likelihood};

const METRIC: Metric = Metric { kind: MetricKind::Ndcg, cutoff: 100 };
const PENALTIES: [f64; 8] = [20.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0];

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let people = read(&options.folder.join("ml-100k.inter"))?;
    let mut ratios = Vec::new();
    for split_seed in 1..=options.splits {
        let split = Split::new(&people, split_seed);
        let ease = fit_ease(&split)?;
        let popularity = split.test.values(
            &Popularity::fit(split.items, &split.training.batch())?.recommend(&split.test.input.batch(), 100)?,
        );
        println!(
            "split {split_seed}: {} training users, {} items, {} test users; EASE {:.4}, popularity {:.4}",
            split.training.keys.len(),
            split.items,
            split.test.input.keys.len(),
            mean(&ease),
            mean(&popularity)
        );
        for seed in 1..=options.seeds {
            let started = Instant::now();
            let trained = train(&split, &options, seed)?;
            let interval = ratio_interval(&trained.test, &ease, 1000, seed)?;
            println!(
                "  seed {seed}: ndcg@100 {:.4} (validation {:.4}, epoch {} of {}), {:.3} [{:.3}, {:.3}] of EASE, {:.2} of popularity, {:.0} users/s, {:.1?}",
                mean(&trained.test),
                trained.validation,
                trained.best_epoch,
                trained.epochs,
                interval.ratio,
                interval.low,
                interval.high,
                mean(&trained.test) / mean(&popularity),
                trained.users_per_second,
                started.elapsed(),
            );
            ratios.push((mean(&trained.test), interval.ratio, mean(&trained.test) / mean(&popularity)));
        }
    }
    let average = |pick: fn(&(f64, f64, f64)) -> f64| mean(&ratios.iter().map(pick).collect::<Vec<_>>());
    println!(
        "mean of {}: ndcg@100 {:.4}, {:.3} of EASE, {:.2} of popularity",
        ratios.len(),
        average(|one| one.0),
        average(|one| one.1),
        average(|one| one.2)
    );
    Ok(())
}

struct Options {
    folder: PathBuf,
    likelihood: Likelihood,
    splits: u64,
    seeds: u64,
    epochs: u64,
    patience: u64,
    batch: usize,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            folder: arguments.next().context("the folder with ml-100k.inter is missing")?.into(),
            likelihood: Likelihood::Multinomial,
            splits: 1,
            seeds: 1,
            epochs: 200,
            patience: 40,
            batch: 100,
        };
        while let Some(name) = arguments.next() {
            if name == "--gaussian" {
                options.likelihood = Likelihood::Gaussian { variance_floor: 0.01 };
                continue;
            }
            let value: u64 = arguments.next().with_context(|| format!("{name} needs a number"))?.parse()?;
            match name.as_str() {
                "--splits" => options.splits = value,
                "--seeds" => options.seeds = value,
                "--epochs" => options.epochs = value,
                "--patience" => options.patience = value,
                "--batch" => options.batch = value as usize,
                _ => bail!("{name} is no option"),
            }
        }
        Ok(options)
    }
}

/// Each user's liked items, both by number.
fn read(path: &Path) -> Result<Vec<Vec<u64>>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut people: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (row, line) in text.lines().enumerate().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [user, item, rating, ..] = fields[..] else { bail!("row {row} has too few columns") };
        if rating.parse::<f64>()? >= 4.0 {
            people.entry(user.parse()?).or_default().push(item.parse()?);
        }
    }
    Ok(people.into_values().filter(|items| items.len() >= 5).collect())
}

/// Users as compressed sparse rows, owned.
#[derive(Default)]
struct Rows {
    offsets: Vec<i64>,
    items: Vec<i64>,
    keys: Vec<u64>,
}

impl Rows {
    fn of<'a>(rows: impl Iterator<Item = (u64, &'a [i64])>) -> Self {
        let mut result = Self { offsets: vec![0], ..Self::default() };
        for (key, items) in rows {
            result.items.extend(items);
            result.offsets.push(result.items.len() as i64);
            result.keys.push(key);
        }
        result
    }

    fn batch(&self) -> BatchInput<'_> {
        BatchInput { offsets: &self.offsets, items: &self.items, weights: None, user_keys: &self.keys }
    }

    fn row(&self, user: usize) -> &[i64] {
        &self.items[self.offsets[user] as usize..self.offsets[user + 1] as usize]
    }
}

/// Users with hidden items.
struct HeldOut {
    input: Rows,
    hidden: Vec<Vec<u32>>,
}

impl HeldOut {
    fn values<T: AsRef<[u32]>>(&self, lists: &[T]) -> Vec<f64> {
        lists.iter().zip(&self.hidden).map(|(list, hidden)| METRIC.of_user(list.as_ref(), hidden)).collect()
    }

    fn of_model(&self, model: &FacetVae) -> Result<Vec<f64>> {
        let lists = model.scorer(None)?.recommend(&self.input.batch(), METRIC.cutoff, true)?;
        let lists: Vec<Vec<u32>> = lists.iter().map(|list| list.iter().map(|one| one.item).collect()).collect();
        Ok(self.values(&lists))
    }
}

struct Split {
    items: usize,
    training: Rows,
    validation: HeldOut,
    test: HeldOut,
}

impl Split {
    fn new(people: &[Vec<u64>], seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..people.len()).collect();
        order.shuffle(&mut random);
        let held = people.len() / 10;
        let training_users = &order[2 * held..];
        let mut index: BTreeMap<u64, i64> = BTreeMap::new();
        for &user in training_users {
            for &item in &people[user] {
                let next = index.len() as i64;
                index.entry(item).or_insert(next);
            }
        }
        let known = |user: usize| -> Vec<i64> {
            let mut items: Vec<i64> = people[user].iter().filter_map(|item| index.get(item).copied()).collect();
            items.sort_unstable();
            items
        };
        let mut hold_out = |users: &[usize]| {
            let mut inputs = Vec::new();
            let mut hidden = Vec::new();
            for &user in users {
                let mut items = known(user);
                items.shuffle(&mut random);
                let mut held: Vec<u32> =
                    items.split_off(items.len() - items.len() / 5).iter().map(|&item| item as u32).collect();
                if held.is_empty() {
                    continue;
                }
                held.sort_unstable();
                items.sort_unstable();
                inputs.push((user as u64, items));
                hidden.push(held);
            }
            HeldOut { input: Rows::of(inputs.iter().map(|(key, items)| (*key, &items[..]))), hidden }
        };
        let test = hold_out(&order[..held]);
        let validation = hold_out(&order[held..2 * held]);
        let training: Vec<(u64, Vec<i64>)> =
            training_users.iter().map(|&user| (user as u64, known(user))).collect();
        let training = Rows::of(training.iter().map(|(key, items)| (*key, &items[..])));
        Self { items: index.len(), training, validation, test }
    }
}

/// Test values with the penalty that is best on validation.
fn fit_ease(split: &Split) -> Result<Vec<f64>> {
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for penalty in PENALTIES {
        let ease = Ease::fit(split.items, &split.training.batch(), penalty)?;
        let value = mean(&split.validation.values(&ease.recommend(&split.validation.input.batch(), 100)?));
        if value > best.0 {
            best = (value, split.test.values(&ease.recommend(&split.test.input.batch(), 100)?));
        }
    }
    Ok(best.1)
}

struct Trained {
    test: Vec<f64>,
    validation: f64,
    best_epoch: u64,
    epochs: u64,
    users_per_second: f64,
}

fn train(split: &Split, options: &Options, seed: u64) -> Result<Trained> {
    let users = split.training.keys.len();
    let steps_per_epoch = users.div_ceil(options.batch) as u64;
    let mut model = FacetVae::new(Config {
        items: split.items,
        facets: 7,
        dimensions: 100,
        likelihood: options.likelihood,
        temperature: 0.1,
        prior_deviation: 0.075,
        dropout: 0.5,
        kl_weight: 0.2,
        kl_anneal_steps: 5 * steps_per_epoch,
        seed,
    })?;
    let mut adam = Adam::new(model.parameters())?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..users).collect();
    let mut best = Trained { test: Vec::new(), validation: -1.0, best_epoch: 0, epochs: 0, users_per_second: 0.0 };
    let (mut step, mut training_time) = (0, 0.0);
    for epoch in 1..=options.epochs {
        let started = Instant::now();
        order.shuffle(&mut random);
        for chunk in order.chunks(options.batch) {
            let rows = Rows::of(chunk.iter().map(|&user| (split.training.keys[user], split.training.row(user))));
            let loss = model.loss(&rows.batch(), step)?;
            loss.objective.f_mul_scalar(1.0 / loss.users as f64)?.f_backward()?;
            adam.step(model.parameters())?;
            step += 1;
        }
        training_time += started.elapsed().as_secs_f64();
        let validation = mean(&split.validation.of_model(&model)?);
        best.epochs = epoch;
        if validation > best.validation {
            best = Trained { test: split.test.of_model(&model)?, validation, best_epoch: epoch, ..best };
        } else if epoch - best.best_epoch >= options.patience {
            break;
        }
    }
    best.users_per_second = best.epochs as f64 * users as f64 / training_time;
    Ok(best)
}

/// Adam (Kingma and Ba 2015) with the usual coefficients.
struct Adam {
    rate: f64,
    steps: i32,
    moments: Vec<(Tensor, Tensor)>,
}

impl Adam {
    fn new(parameters: &[(String, Tensor)]) -> Result<Self> {
        let zeros = |(_, parameter): &(String, Tensor)| {
            let parameter = parameter.f_detach()?;
            Ok((parameter.f_zeros_like()?, parameter.f_zeros_like()?))
        };
        Ok(Self { rate: 1e-3, steps: 0, moments: parameters.iter().map(zeros).collect::<Result<_>>()? })
    }

    fn step(&mut self, parameters: &[(String, Tensor)]) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.steps += 1;
        let first_bias = 1.0 - 0.9_f64.powi(self.steps);
        let second_bias = 1.0 - 0.999_f64.powi(self.steps);
        for ((_, parameter), (first, second)) in parameters.iter().zip(&mut self.moments) {
            let mut gradient = parameter.f_grad()?;
            let _ = first.f_mul_scalar_(0.9)?.f_add_(&gradient.f_mul_scalar(0.1)?)?;
            let _ = second.f_mul_scalar_(0.999)?.f_add_(&gradient.f_square()?.f_mul_scalar(0.001)?)?;
            let scale = second.f_mul_scalar(1.0 / second_bias)?.f_sqrt()?.f_add_scalar(1e-8)?;
            let change = first.f_mul_scalar(self.rate / first_bias)?.f_div(&scale)?;
            let _ = parameter.shallow_clone().f_sub_(&change)?;
            let _ = gradient.f_zero_()?;
        }
        Ok(())
    }
}
