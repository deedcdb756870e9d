use std::ops::Range;

use rstest::rstest;

use super::*;
use crate::config::ContentConfig;

const GAUSSIAN: Likelihood = Likelihood::Gaussian { variance_floor: 0.01 };
const STEP: u64 = 3;

fn config(likelihood: Likelihood) -> Config {
    Config {
        items: 13,
        facets: 3,
        dimensions: 4,
        likelihood,
        temperature: 0.3,
        prior_deviation: 0.4,
        dropout: 0.3,
        kl_weight: 0.2,
        kl_anneal_steps: 10,
        seed: 11,
        content: None,
    }
}

/// Two sources, each of which lacks some items, and an item that has none.
const CONTENT: ContentConfig = ContentConfig { sources: 2, temperature: 0.5, drift: 0.4, context: 0.3 };

fn placement() -> ContentPlacement {
    let numbers = |count: i64| Tensor::arange(count, (Kind::Double, Device::Cpu));
    let known = numbers(26).f_remainder(3.0).unwrap().f_gt(0.5).unwrap().to_kind(Kind::Double).view([2, 13]);
    let cosines = (numbers(78) * 0.9).sin().view([2, 3, 13]) * known.unsqueeze(1);
    ContentPlacement::of(cosines, known, (numbers(39) * 0.7).cos().view([3, 13]))
}

fn model(likelihood: Likelihood) -> FacetVae {
    model_with(likelihood, false)
}

/// Biases of real size, so that no gradient hides behind a value near 0.
fn model_with(likelihood: Likelihood, content: bool) -> FacetVae {
    let config = Config { content: content.then_some(CONTENT), ..config(likelihood) };
    let mut model = FacetVae::in_place(config, Place::cpu(Kind::Double)).unwrap();
    if content {
        model.place_by_content(&placement()).unwrap();
    }
    let _guard = tch::no_grad_guard();
    for (name, parameter) in model.parameters() {
        if name.ends_with("bias") && !name.contains("variance") {
            let _ = parameter.shallow_clone().f_mul_scalar_(200.0).unwrap();
        }
    }
    model
}

/// Five users; the fourth has no items.
struct Users {
    offsets: Vec<i64>,
    items: Vec<i64>,
    weights: Vec<f32>,
    keys: Vec<u64>,
}

fn users() -> Users {
    Users {
        offsets: vec![0, 4, 6, 11, 11, 14],
        items: vec![0, 3, 5, 12, 1, 2, 4, 6, 7, 8, 9, 10, 11, 12],
        weights: vec![1.0, 0.5, 2.0, 1.0, 1.0, 3.0, 1.0, 0.25, 1.0, 1.5, 1.0, 1.0, 0.5, 1.0],
        keys: vec![7, 1 << 40, 9, 10, 11],
    }
}

impl Users {
    fn batch(&self, weighted: bool) -> BatchInput<'_> {
        BatchInput {
            offsets: &self.offsets,
            items: &self.items,
            weights: weighted.then_some(&self.weights[..]),
            user_keys: &self.keys,
        }
    }

    fn part(&self, users: Range<usize>) -> Self {
        let entries = self.offsets[users.start] as usize..self.offsets[users.end] as usize;
        Self {
            offsets: self.offsets[users.start..=users.end].iter().map(|end| end - entries.start as i64).collect(),
            items: self.items[entries.clone()].to_vec(),
            weights: self.weights[entries].to_vec(),
            keys: self.keys[users].to_vec(),
        }
    }
}

fn value(model: &mut FacetVae, batch: &BatchInput<'_>) -> f64 {
    model.loss(batch, STEP).unwrap().objective.double_value(&[])
}

/// Gradients of all parameters after the backward passes of these batches.
fn gradients(model: &mut FacetVae, batches: &[BatchInput<'_>]) -> Vec<Vec<f64>> {
    for (_, parameter) in model.parameters() {
        let mut gradient = parameter.grad();
        if gradient.defined() {
            let _ = gradient.zero_();
        }
    }
    for batch in batches {
        model.loss(batch, STEP).unwrap().objective.backward();
    }
    let flat = |parameter: &Tensor| Vec::try_from(parameter.grad().reshape([-1])).unwrap();
    model.parameters().iter().map(|(_, parameter)| flat(parameter)).collect()
}

fn assert_close(left: &[Vec<f64>], right: &[Vec<f64>], tolerance: f64) {
    for (place, (left, right)) in left.iter().zip(right).enumerate() {
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let distance = norm(&mut left.iter().zip(right).map(|(left, right)| left - right));
        let size = norm(&mut left.iter().copied());
        assert!(size > 1e-6, "parameter {place} has no gradient to compare");
        assert!(distance <= tolerance * size, "parameter {place}: {distance} of {size}");
    }
}

#[rstest]
fn gradients_agree_with_finite_differences(
    #[values(Likelihood::Multinomial, GAUSSIAN)] likelihood: Likelihood,
    #[values(false, true)] weighted: bool,
    #[values(Strategy::Table, Strategy::PerFacet)] strategy: Strategy,
    #[values(false, true)] content: bool,
) {
    const STEP_SIZE: f64 = 1e-6;
    let mut model = model_with(likelihood, content);
    model.strategy = strategy;
    let users = users();
    let batch = users.batch(weighted);
    let exact = gradients(&mut model, &[batch]);
    let mut numeric = Vec::new();
    for place in 0..exact.len() {
        let parameter = model.parameters()[place].1.detach().view(-1);
        let slope = |entry: i64| {
            let shift = |by: f64| {
                let mut one = parameter.narrow(0, entry, 1);
                let _ = one.f_add_scalar_(by).unwrap();
            };
            let mut at = |by: f64| {
                shift(by);
                let value = value(&mut model, &batch);
                shift(-by);
                value
            };
            (at(STEP_SIZE) - at(-STEP_SIZE)) / (2.0 * STEP_SIZE)
        };
        numeric.push((0..parameter.numel() as i64).map(slope).collect());
    }
    assert_close(&exact, &numeric, 1e-6);
}

#[rstest]
fn a_split_batch_has_the_gradients_of_a_whole_one(
    #[values(Likelihood::Multinomial, GAUSSIAN)] likelihood: Likelihood,
    #[values(&[0, 3, 5][..], &[0, 1, 2, 3, 4, 5][..], &[0, 5, 5, 5][..], &[0, 0, 4, 5][..])] bounds: &[usize],
    #[values(false, true)] content: bool,
) {
    let mut model = model_with(likelihood, content);
    let users = users();
    let whole = gradients(&mut model, &[users.batch(true)]);
    let parts: Vec<Users> = bounds.windows(2).map(|pair| users.part(pair[0]..pair[1])).collect();
    let batches: Vec<BatchInput<'_>> = parts.iter().map(|part| part.batch(true)).collect();
    let split = gradients(&mut model, &batches);
    assert_close(&whole, &split, 1e-12);
}

#[rstest]
fn blocks_of_any_size_have_the_gradients_of_a_single_one(
    #[values(Likelihood::Multinomial, GAUSSIAN)] likelihood: Likelihood,
    #[values(1, 4, 12)] block: usize,
    #[values(true, false)] keeps: bool,
) {
    let users = users();
    let batch = users.batch(true);
    let run = |plan| {
        let mut model = model(likelihood);
        model.plan = Some(plan);
        (value(&mut model, &batch), gradients(&mut model, &[batch]))
    };
    let (single_value, single) = run(Plan { block: 13, keeps: true });
    let (blocked_value, blocked) = run(Plan { block, keeps });
    assert!((single_value - blocked_value).abs() < 1e-10);
    assert_close(&single, &blocked, 1e-12);
}

#[rstest]
fn a_batch_without_users_gives_every_parameter_a_gradient_of_zero(
    #[values(Likelihood::Multinomial, GAUSSIAN)] likelihood: Likelihood,
    #[values(false, true)] content: bool,
) {
    let mut model = model_with(likelihood, content);
    let empty = users().part(0..0);
    let loss = model.loss(&empty.batch(true), STEP).unwrap();
    assert_eq!(loss.objective.double_value(&[]), 0.0);
    loss.objective.backward();
    for (name, parameter) in model.parameters() {
        let gradient = parameter.grad();
        assert!(gradient.defined(), "{name}");
        assert_eq!(gradient.abs().sum(Kind::Double).double_value(&[]), 0.0, "{name}");
    }
}

/// Large enough for libtorch to use its threads.
#[rstest]
fn the_same_steps_give_the_same_bits(
    #[values(Likelihood::Multinomial, GAUSSIAN)] likelihood: Likelihood,
    #[values(Strategy::Table, Strategy::PerFacet)] strategy: Strategy,
) {
    let large = Config { items: 2_000, dimensions: 32, ..config(likelihood) };
    let keys: Vec<u64> = (0..64).collect();
    let offsets: Vec<i64> = (0..=64).map(|user| user * 20).collect();
    let items: Vec<i64> = (0..64 * 20).map(|entry| (entry % 20) * 97 + entry / 20).collect();
    let batch = BatchInput { offsets: &offsets, items: &items, weights: None, user_keys: &keys };
    let run = || {
        let mut model = FacetVae::new(large.clone()).unwrap();
        model.strategy = strategy;
        for step in 0..3 {
            model.loss(&batch, step).unwrap().objective.backward();
            let _guard = tch::no_grad_guard();
            for (_, parameter) in model.parameters() {
                let mut gradient = parameter.grad();
                let _ = parameter.shallow_clone().f_sub_(&gradient.f_mul_scalar(0.001).unwrap()).unwrap();
                let _ = gradient.zero_();
            }
        }
        model.to_safetensors().unwrap()
    };
    assert!(run() == run());
}

#[test]
fn the_objective_is_the_sum_of_its_terms() {
    let mut model = model(Likelihood::Multinomial);
    let users = users();
    let loss = model.loss(&users.batch(false), STEP).unwrap();
    let sum = loss.negative_log_likelihood + loss.divergence_weight * loss.divergence;
    assert!((loss.objective.double_value(&[]) - sum).abs() < 1e-9);
    assert!((loss.divergence_weight - 0.06).abs() < 1e-12);
    assert!(loss.divergence > 0.0);
    assert_eq!(loss.users, 5);
}

#[test]
fn contents_are_stored_with_the_parameters_and_come_back() {
    let likelihood = Likelihood::Multinomial;
    let stored = model_with(likelihood, true);
    let mut fresh = FacetVae::new(Config { content: Some(CONTENT), ..config(likelihood) }).unwrap();
    assert_eq!(stored.stored().count(), stored.parameters().len() + 3);
    fresh.load_safetensors(&stored.to_safetensors().unwrap()).unwrap();
    let shares = |model: &FacetVae| model.scorer(None).unwrap().item_shares().unwrap();
    let (one, other) = (shares(&stored), shares(&fresh));
    let near = (0..13).all(|item| one.row(item).iter().zip(other.row(item)).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(near, "{one:?} and {other:?}");
    let mut without = FacetVae::new(config(likelihood)).unwrap();
    assert!(without.load_safetensors(&stored.to_safetensors().unwrap()).is_err());
    assert!(without.place_by_content(&placement()).is_err());
}

#[test]
fn a_placement_of_other_items_is_refused_and_changes_nothing() {
    let mut model = model_with(Likelihood::Multinomial, true);
    let before = model.to_safetensors().unwrap();
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Double, Device::Cpu));
    let error = model
        .place_by_content(&ContentPlacement::of(zeros(&[2, 3, 14]), zeros(&[2, 14]), zeros(&[3, 14])))
        .unwrap_err();
    assert!(matches!(error, ModelError::Input(_)), "{error}");
    assert!(before == model.to_safetensors().unwrap());
}

#[test]
fn noise_changes_with_the_step() {
    let mut model = model(Likelihood::Multinomial);
    let users = users();
    let at = |model: &mut FacetVae, step| model.loss(&users.batch(false), step).unwrap().negative_log_likelihood;
    assert_ne!(at(&mut model, 100), at(&mut model, 101));
}

#[test]
fn a_loss_that_is_no_number_is_an_error_with_its_step() {
    let mut model = model(Likelihood::Multinomial);
    let _ = model.parameters()[2].1.detach().fill_(f64::NAN);
    let users = users();
    let error = model.loss(&users.batch(false), STEP).unwrap_err();
    assert!(matches!(error, ModelError::Diverged { step: STEP }), "{error}");
}

#[test]
fn large_shapes_touch_only_the_rows_of_the_batch() {
    let shape = |items| Strategy::for_shape(&Config { items, facets: 7, dimensions: 100, ..config(GAUSSIAN) });
    assert_eq!(shape(20_000), Strategy::Table);
    assert_eq!(shape(20_001), Strategy::PerFacet);
}
