//! A model learns planted interests from small data.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rstest::rstest;
use tch::{Kind, Tensor};
use teasel_model::baselines::Popularity;
use teasel_model::metrics::{Metric, mean};
use teasel_model::{BatchInput, Config, FacetVae, Likelihood};

const GROUPS: usize = 4;
const ITEMS_OF_GROUP: usize = 30;
const ITEMS: usize = GROUPS * ITEMS_OF_GROUP;

#[derive(Default)]
struct Rows {
    offsets: Vec<i64>,
    items: Vec<i64>,
    keys: Vec<u64>,
}

impl Rows {
    fn push(&mut self, items: &[i64]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.items.extend(items);
        self.offsets.push(self.items.len() as i64);
        self.keys.push(self.keys.len() as u64);
    }

    fn batch(&self) -> BatchInput<'_> {
        BatchInput { offsets: &self.offsets, items: &self.items, weights: None, user_keys: &self.keys }
    }
}

/// A person with one or two interests takes items of these groups, early ones more often.
fn person(random: &mut StdRng) -> Vec<i64> {
    let mut groups: Vec<usize> = (0..GROUPS).collect();
    groups.shuffle(random);
    groups.truncate(random.random_range(1..=2));
    let mut items = Vec::new();
    while items.len() < 12 {
        let group = groups[random.random_range(0..groups.len())];
        let place = random.random_range(0..ITEMS_OF_GROUP).min(random.random_range(0..ITEMS_OF_GROUP));
        let item = (group * ITEMS_OF_GROUP + place) as i64;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items
}

fn descend(model: &FacetVae, moments: &mut [Tensor], rate: f64) {
    let _guard = tch::no_grad_guard();
    for ((_, parameter), moment) in model.parameters().iter().zip(moments) {
        let mut gradient = parameter.grad();
        let _ = moment.f_mul_scalar_(0.95).unwrap().f_add_(&(gradient.square() * 0.05)).unwrap();
        let change = &gradient / (moment.sqrt() + 1e-8) * rate;
        let _ = parameter.shallow_clone().f_sub_(&change).unwrap();
        let _ = gradient.zero_();
    }
}

#[rstest]
#[case(Likelihood::Multinomial)]
#[case(Likelihood::Gaussian { variance_floor: 0.01 })]
fn it_finds_planted_interests_that_popularity_can_not(#[case] likelihood: Likelihood) {
    let mut random = StdRng::seed_from_u64(1);
    let mut training = Rows::default();
    for _ in 0..300 {
        training.push(&person(&mut random));
    }
    let (mut known, mut hidden) = (Rows::default(), Vec::new());
    for _ in 0..60 {
        let items = person(&mut random);
        let mut held: Vec<u32> = items[8..].iter().map(|&item| item as u32).collect();
        held.sort_unstable();
        known.push(&items[..8]);
        hidden.push(held);
    }
    let metric: Metric = "ndcg@20".parse().unwrap();
    let value = |lists: Vec<Vec<u32>>| {
        mean(&lists.iter().zip(&hidden).map(|(list, held)| metric.of_user(list, held)).collect::<Vec<_>>())
    };
    let popularity =
        value(Popularity::fit(ITEMS, &training.batch()).unwrap().recommend(&known.batch(), 20).unwrap());

    let mut model = FacetVae::new(Config {
        items: ITEMS,
        facets: 4,
        dimensions: 16,
        likelihood,
        temperature: 0.1,
        prior_deviation: 0.075,
        dropout: 0.5,
        kl_weight: 0.2,
        kl_anneal_steps: 40,
        seed: 1,
        content: None,
    })
    .unwrap();
    let mut moments: Vec<Tensor> = model
        .parameters()
        .iter()
        .map(|(_, parameter)| Tensor::zeros(parameter.size(), (Kind::Float, tch::Device::Cpu)))
        .collect();
    for step in 0..120 {
        let loss = model.loss(&training.batch(), step).unwrap();
        (loss.objective / loss.users as f64).backward();
        descend(&model, &mut moments, 0.005);
    }
    let lists = model.scorer(None).unwrap().recommend(&known.batch(), 20, true).unwrap();
    let learned = value(lists.iter().map(|list| list.iter().map(|one| one.item).collect()).collect());
    assert!(learned > 1.5 * popularity, "{learned} of the model, {popularity} of popularity");
}
