use std::ops::Range;

use rstest::rstest;

use super::*;
use crate::clusters::ContentVectors;
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
const CONTENT: ContentConfig =
    ContentConfig { sources: 2, temperature: 0.5, drift: 0.4, context: 0.3, cold_items: 0 };

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

/// Ten items that are trained with in two kinds, each of which has its own direction and content, and behind them one of each
/// kind and one without content.
fn with_cold_items(likelihood: Likelihood) -> FacetVae {
    let kinds: Vec<usize> = (0..13).map(|item| item % 2).collect();
    let rows = |count: usize| -> Tensor {
        let of = |kind: &usize| if *kind == 0 { [1.0_f32, 0.1, 0.0, 0.0] } else { [0.0, 0.0, 1.0, 0.1] };
        Tensor::from_slice(&kinds[..count].iter().flat_map(of).collect::<Vec<f32>>()).view([-1, 4])
    };
    let source = ContentVectors { vectors: rows(13), known: (0..13).map(|item| item < 12).collect() };
    let mut placement = ContentPlacement::cluster(&[source], 10, 2, 1).unwrap();
    placement.add_consumers(&rows(10), &[3; 10], 0.1).unwrap();
    let content = ContentConfig { sources: 1, temperature: 0.1, drift: 0.0, context: 0.0, cold_items: 3 };
    let config = Config { items: 10, facets: 2, content: Some(content), ..config(likelihood) };
    let mut model = FacetVae::new(config).unwrap();
    model.place_by_content(&placement).unwrap();
    let _guard = tch::no_grad_guard();
    for (name, parameter) in model.parameters() {
        if ["item.directions", "encoder.input.weight", "decoder.mean.weight"].contains(&name.as_str()) {
            parameter.shallow_clone().copy_(&rows(10));
        }
        if name == "encoder.output.weight" {
            parameter.narrow(0, 0, 4).copy_(&Tensor::eye(4, (Kind::Float, Device::Cpu)));
        }
    }
    model
}

#[rstest]
#[case(Likelihood::Multinomial)]
#[case(GAUSSIAN)]
fn items_that_nobody_has_are_recommended_by_their_contents(#[case] likelihood: Likelihood) {
    let model = with_cold_items(likelihood);
    let allowing = |allowed: &[i64]| {
        model.scorer_with(&ScorerOptions { allowed: Some(allowed), cold_items: true, ..ScorerOptions::default() })
    };
    let mut scorer = model.scorer_with(&ScorerOptions { cold_items: true, ..ScorerOptions::default() }).unwrap();
    assert_eq!(scorer.recommendable(), 12, "nothing is known of the last one");
    for (kind, alike) in [(0_i64, 10_u32), (1, 11)] {
        let own: Vec<i64> = (0..10).filter(|item| item % 2 == kind).collect();
        let batch = BatchInput { offsets: &[0, 5], items: &own, weights: None, user_keys: &[1] };
        let first = |lists: &[Vec<crate::Recommendation>]| lists[0][0].item;
        let lists = scorer.recommend(&batch, 3, true).unwrap();
        assert_eq!(first(&lists), alike, "{lists:?}");
        assert!(
            scorer.explain(&batch, &lists, 2).unwrap()[0][0]
                .iter()
                .all(|reason| own.contains(&i64::from(reason.item)))
        );
        // Whoever has it already gets another one.
        let seen: Vec<i64> = own.iter().copied().chain([i64::from(alike)]).collect();
        let seen = BatchInput { offsets: &[0, 6], items: &seen, ..batch };
        assert!(scorer.recommend_without(&batch, &seen, 12).unwrap()[0].iter().all(|other| other.item != alike));
        let mut alone = allowing(&[12, 11, 10]).unwrap();
        assert_eq!(alone.recommend(&batch, 9, true).unwrap()[0].len(), 2);
        let mut trained = model.scorer(None).unwrap();
        assert!(trained.recommend(&batch, 99, false).unwrap()[0].iter().all(|one| one.item < 10));
    }
    assert!(allowing(&[13]).is_err());
    assert!(model.scorer(Some(&[10])).is_err());
}

#[rstest]
#[case(Likelihood::Multinomial)]
#[case(GAUSSIAN)]
fn losses_have_gradients_by_where_contents_place_items(#[case] likelihood: Likelihood) {
    let mut model = model_with(likelihood, true);
    let users = users();
    let batch = users.batch(false);
    model.tune_contents().unwrap();
    model.loss(&batch, STEP).unwrap().objective.backward();
    let (sources, items) = (1..2, [3_i64, 8]);
    let found = model.take_placement_gradients(sources.clone(), &items).unwrap();
    assert_eq!(found.size(), [1, 3, 2]);
    let after = model.take_placement_gradients(sources.clone(), &items).unwrap();
    assert_eq!(after.abs().sum(Kind::Double).double_value(&[]), 0.0, "they are taken");
    let own = model.parameters.constant(Constant::Cosines).unwrap().detach().narrow(0, 1, 1);
    let own = own.index_select(2, &Tensor::from_slice(&items)).copy();
    let mut largest = 0.0_f64;
    for (facet, place) in (0..3).flat_map(|facet| (0..2).map(move |place| (facet, place))) {
        let mut at = |difference: f64| {
            let moved = own.copy();
            let _ = moved.get(0).get(facet).narrow(0, place, 1).f_add_scalar_(difference).unwrap();
            model.place_anew(sources.clone(), &items, &moved).unwrap();
            value(&mut model, &batch)
        };
        let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
        let found = found.double_value(&[0, facet, place]);
        largest = largest.max(found.abs());
        assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{found} instead of {expected}");
    }
    assert!(largest > 1e-3, "nothing depends on where these items belong");
    assert!(model.take_placement_gradients(2..3, &items).is_err());
}

#[test]
fn items_start_at_vectors_of_who_has_them() {
    let mut model = model(Likelihood::Multinomial);
    let before = Vec::<f32>::try_from(model.parameters()[0].1.select(1, 3).to_kind(Kind::Float)).unwrap();
    let vectors = (Tensor::arange(39, (Kind::Float, Device::Cpu)) * 0.7).sin().view([13, 3]);
    model.start_from(&vectors).unwrap();
    let expected = normalise(&vectors.to_kind(Kind::Double)).unwrap();
    for parameter in [&model.parameters()[0].1, &model.parameters()[2].1] {
        assert!((parameter.narrow(1, 0, 3) - &expected).abs().max().double_value(&[]) < 1e-6);
        assert!(parameter.requires_grad());
    }
    let after = Vec::<f32>::try_from(model.parameters()[0].1.select(1, 3).to_kind(Kind::Float)).unwrap();
    assert_eq!(after, before, "the fourth dimension has no vector");
    assert!(model.start_from(&vectors.narrow(0, 0, 12)).is_err());
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
