//! MovieLens-100k with texts that a pretrained encoder reads: what comes of facets, of items whose text is hidden, and what
//! that costs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tch::{Device, Kind, Tensor};
use teasel_api::location::Location;
use teasel_data::{Catalogue, Dataset, VIRTUAL_SHARDS};
use teasel_model::measures::{Agreement, Shares, agreement};
use teasel_model::{Config, FacetVae, read_numbers};
use teasel_storage::testing::workspace;
use teasel_storage::{Credentials, RunRecord, Store};

use crate::project::Project;
use crate::runs;

/// Share of the items whose text is hidden.
const HIDDEN: f64 = 0.3;
/// Training users that a hidden item must have to be looked at.
const FEWEST_CONSUMERS: u64 = 20;
const PERMUTATIONS: u32 = 200;
/// Singular vectors that behaviour is told by, and penalties of the regression on them, of which the best one counts.
const BEHAVIOUR: i64 = 100;
const PENALTIES: [f64; 3] = [1e-3, 1e-2, 1e-1];

/// The folder of a real sentence encoder (`scripts/minilm`).
///
/// # Errors
/// Where it can't be installed.
pub fn minilm() -> Result<String> {
    let output = Command::new(workspace()?.join("scripts/minilm")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Writes `<name>.yaml`: the example with its films' titles and genres read by `encoder`, where the text of those of
/// `hidden` isn't known.
///
/// # Errors
/// As [`Project::movielens`].
pub fn job(
    project: &Project,
    (name, encoder): (&str, &str),
    (split, seed): (u64, u64),
    hidden: &BTreeSet<String>,
) -> Result<std::path::PathBuf> {
    let model = format!("    content: {{text: {{encoder: {{location: {{uri: {encoder}}}}}}}}}\n");
    let file = project.movielens(name, split, seed, &model)?;
    let movies = format!("{name}.item");
    write_movies(&project.path(&movies), hidden)?;
    let text = std::fs::read_to_string(&file)?;
    let data = workspace()?.join("examples/movielens-100k/data/movies.item");
    let changed = text
        .replace(&format!("uri: {}", data.display()), &format!("uri: {movies}"))
        .replace("text: [movie_title, release_year]", "text: [text]");
    ensure!(changed.contains(&movies) && changed.contains("[text]"), "the example isn't what it was");
    std::fs::write(&file, changed)?;
    Ok(file)
}

/// Holds a tenth of the films of the job `file` out of training.
///
/// # Errors
/// Where the job can't be changed.
pub fn hold_films_out(file: &Path) -> Result<()> {
    let (job, last) = (std::fs::read_to_string(file)?, "heldOut: 0.2}");
    ensure!(job.contains(last), "the example isn't what it was");
    Ok(std::fs::write(file, job.replace(last, "heldOut: 0.2, coldItems: 0.1}"))?)
}

/// How films that nobody trains with are recommended: a metric's value and what it is by chance. `among` is `amongAll` or
/// `amongCold`.
///
/// # Errors
/// Where that isn't among what was `measured`.
pub fn cold_films(measured: &Value, among: &str, metric: &str) -> Result<(f64, f64)> {
    let found = &measured["coldItems"][among][metric];
    let number = |name: &str| found[name].as_f64().with_context(|| format!("{among} has no {name} of {metric}"));
    Ok((number("value")?, number("chance")?))
}

/// The films with a column of what is read of them.
fn write_movies(target: &Path, hidden: &BTreeSet<String>) -> Result<()> {
    let movies = std::fs::read_to_string(workspace()?.join("examples/movielens-100k/data/movies.item"))?;
    let mut lines = movies.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let mut written = lines.next().context("no films")?.join("\t") + "\ttext:token_seq\n";
    for columns in lines {
        let [id, title, _, genres] = columns[..] else { anyhow::bail!("a film has {} columns", columns.len()) };
        let text = if hidden.contains(id) { String::new() } else { format!("{title} {genres}") };
        written.push_str(&format!("{}\t{text}\n", columns.join("\t")));
    }
    Ok(std::fs::write(target, written)?)
}

/// A random 30 % of the films.
///
/// # Errors
/// Where the films aren't there.
pub fn some_films(seed: u64) -> Result<BTreeSet<String>> {
    let movies = std::fs::read_to_string(workspace()?.join("examples/movielens-100k/data/movies.item"))?;
    let mut random = StdRng::seed_from_u64(seed);
    let ids = movies.lines().skip(1).filter_map(|line| line.split('\t').next());
    Ok(ids.filter(|_| random.random_bool(HIDDEN)).map(str::to_owned).collect())
}

/// What facets make of items whose text is hidden.
#[derive(Clone, Copy, Debug)]
pub struct Hidden {
    /// Items that were looked at.
    pub items: usize,
    /// Of the model.
    pub model: Agreement,
    /// Of a logistic regression from behaviour onto the facets of the items with texts.
    pub regression: Agreement,
}

/// Looks at the hidden items of `run`, a result of `teasel run --json`, below the folder `storage`.
///
/// # Errors
/// Where the run can't be read.
pub async fn hidden(storage: &Path, result: &Value) -> Result<Hidden> {
    let uri = storage.canonicalize()?.display().to_string();
    let store = Store::open(&Location { uri, secret_ref: None }, &Credentials::none())?;
    let run = result["run"].as_str().context("the result names no run")?;
    let record = RunRecord::load(&store, run).await?.context("the run has no record")?;
    let dataset = Dataset::open(&store, &record.dataset).await?;
    let catalogue = dataset.catalogue().await?;
    let cold = dataset.cold_catalogue().await?.len();
    let config = Config::from_spec(&record.job.model, dataset.items(), 1, 0).with_cold_items(cold);
    let mut vae = FacetVae::new(config)?;
    vae.load_safetensors(&runs::model(storage, run))?;
    let placed = vae.placements()?.context("the run has no content")?;
    let looked: Vec<usize> = (0..catalogue.len())
        .filter(|item| !placed.known[*item] && catalogue.counts[*item] >= FEWEST_CONSUMERS)
        .collect();
    let rarest = rarest(&catalogue);
    let categories: Vec<Option<u32>> = looked.iter().map(|item| rarest[*item]).collect();
    let agree = |shares: &Shares| -> Result<Agreement> {
        Ok(agreement(&shares.pick(looked.clone())?, &categories, PERMUTATIONS, 1)?)
    };
    let training = dataset.training(0..VIRTUAL_SHARDS).await?;
    let users = training.interactions.offsets.len() - 1;
    let mut matrix = vec![0.0_f32; users * catalogue.len()];
    for user in 0..users {
        let row = training.interactions.row(user);
        for item in row {
            let own = 1.0 / ((row.len() as f32).sqrt() * (catalogue.counts[*item as usize] as f32 + 1.0).sqrt());
            matrix[user * catalogue.len() + *item as usize] = own;
        }
    }
    let matrix = Tensor::f_from_slice(&matrix)?.f_view([users as i64, catalogue.len() as i64])?;
    let (_, _, vectors) = matrix.f_svd(true, true)?;
    let features = vectors.f_narrow(1, 0, BEHAVIOUR)?;
    let length = features.f_square()?.f_sum_dim_intlist(1, true, Kind::Float)?.f_sqrt()?.f_clamp_min(1e-9)?;
    let features = features.f_div(&length)?.f_mul_scalar((BEHAVIOUR as f64).sqrt())?;
    let mut best: Option<Agreement> = None;
    for penalty in PENALTIES {
        let shares = regression(&features, &placed.content, &placed.known, penalty)?;
        let found = agree(&shares)?;
        if best.is_none_or(|best| found.adjusted_mutual_information > best.adjusted_mutual_information) {
            best = Some(found);
        }
    }
    Ok(Hidden {
        items: looked.len(),
        model: agree(&vae.scorer(None)?.item_shares()?)?,
        regression: best.context("no regression")?,
    })
}

/// Multinomial logistic regression from `features` onto the largest share of the known items; the shares that it gives all.
fn regression(features: &Tensor, shares: &Shares, known: &[bool], penalty: f64) -> Result<Shares> {
    let items: Vec<i64> = (0..known.len()).filter(|item| known[*item]).map(|item| item as i64).collect();
    let labels: Vec<i64> = items.iter().map(|item| shares.largest(*item as usize) as i64).collect();
    let (items, labels) = (Tensor::f_from_slice(&items)?, Tensor::f_from_slice(&labels)?);
    let inputs = features.f_index_select(0, &items)?;
    let (width, facets) = (features.size()[1], shares.columns() as i64);
    let options = (Kind::Float, Device::Cpu);
    let mut weights = Tensor::f_zeros([width, facets], options)?.f_set_requires_grad(true)?;
    let mut bias = Tensor::f_zeros([facets], options)?.f_set_requires_grad(true)?;
    for _ in 0..1500 {
        let logits = inputs.f_mm(&weights)?.f_add(&bias)?;
        let error = logits.f_cross_entropy_loss::<Tensor>(&labels, None, tch::Reduction::Mean, -100, 0.0)?;
        let loss = error.f_add(&weights.f_square()?.f_sum(Kind::Float)?.f_mul_scalar(penalty / 2.0)?)?;
        loss.f_backward()?;
        let _guard = tch::no_grad_guard();
        for parameter in [&mut weights, &mut bias] {
            let mut gradient = parameter.f_grad()?;
            let _ = parameter.f_sub_(&gradient.f_mul_scalar(0.05)?)?;
            let _ = gradient.f_zero_()?;
        }
    }
    let given = features.f_mm(&weights)?.f_add(&bias)?.f_softmax(1, Kind::Double)?.f_detach()?;
    Ok(Shares::new(shares.columns(), read_numbers(&given)?)?)
}

/// Each item's category of the fewest items.
fn rarest(catalogue: &Catalogue) -> Vec<Option<u32>> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for own in &catalogue.categories {
        for category in own.iter().collect::<BTreeSet<_>>() {
            *counts.entry(category).or_default() += 1;
        }
    }
    let number: BTreeMap<&String, u32> = counts.keys().copied().zip(0..).collect();
    let rarest = |own: &Vec<String>| {
        own.iter().map(|category| (counts[category], number[category])).min().map(|(_, category)| category)
    };
    catalogue.categories.iter().map(rarest).collect()
}
