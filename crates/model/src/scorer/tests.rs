use rstest::rstest;

use super::*;
use crate::vae::FacetVae;

const ITEMS: usize = 37;
const BATCH: BatchInput<'static> =
    BatchInput { offsets: &[0, 3, 4, 4], items: &[30, 2, 17, 9], weights: None, user_keys: &[1, 2, 3] };

fn model(likelihood: Likelihood) -> FacetVae {
    FacetVae::new(Config {
        items: ITEMS,
        facets: 3,
        dimensions: 5,
        likelihood,
        temperature: 0.2,
        prior_deviation: 0.1,
        dropout: 0.5,
        kl_weight: 0.2,
        kl_anneal_steps: 0,
        seed: 4,
        content: None,
    })
    .unwrap()
}

/// Everything scored and sorted at once: per user, `(item, score, facet)` by the formulas as they are written.
fn dense(model: &FacetVae, batch: &BatchInput<'_>) -> Vec<Vec<(u32, f32, u32)>> {
    let _guard = tch::no_grad_guard();
    let parameter = |name: &str| &model.parameters().iter().find(|(own, _)| own == name).unwrap().1;
    let items = normalise(parameter("item.directions")).unwrap();
    let prototypes = normalise(parameter("facet.prototypes")).unwrap();
    let shares = (prototypes.matmul(&items.transpose(0, 1)) / 0.2).softmax(0, None);
    let mut seen = vec![0.0_f32; batch.users() * ITEMS];
    for user in 0..batch.users() {
        for &item in batch.items_of(user) {
            seen[user * ITEMS + item as usize] = 1.0;
        }
    }
    let input = Tensor::from_slice(&seen).view([-1, 1, ITEMS as i64]) * shares.unsqueeze(0);
    let input = normalise(&input).unwrap();
    let hidden = input.matmul(parameter("encoder.input.weight")) + parameter("encoder.input.bias");
    let output = hidden.tanh().matmul(&parameter("encoder.output.weight").transpose(0, 1));
    let mean = (output + parameter("encoder.output.bias")).narrow(2, 0, 5);
    let (parts, scores) = match model.config().likelihood {
        Likelihood::Multinomial => {
            let cosines = normalise(&mean).unwrap().matmul(&items.transpose(0, 1));
            let parts = (cosines / 0.2).exp() * shares.unsqueeze(0);
            let scores = parts.sum_dim_intlist(1, false, None).log();
            (parts, scores)
        }
        Likelihood::Gaussian { .. } => {
            let parts = mean.matmul(&parameter("decoder.mean.weight").transpose(0, 1)) * shares.unsqueeze(0);
            let scores = parts.sum_dim_intlist(1, false, None) + parameter("decoder.mean.bias");
            (parts, scores)
        }
    };
    let facets = parts.argmax(1, false);
    (0..batch.users() as i64)
        .map(|user| {
            let scores: Vec<f32> = Vec::try_from(scores.get(user)).unwrap();
            let facets: Vec<i64> = Vec::try_from(facets.get(user)).unwrap();
            let mut list: Vec<(u32, f32, u32)> =
                (0..).zip(scores).zip(facets).map(|((item, score), facet)| (item, score, facet as u32)).collect();
            list.sort_by(|left, right| right.1.total_cmp(&left.1));
            list
        })
        .collect()
}

#[rstest]
fn lists_equal_the_head_of_a_full_sort(
    #[values(Likelihood::Multinomial, Likelihood::Gaussian { variance_floor: 0.01 })] likelihood: Likelihood,
    #[values(1, 7, 37, 100)] block: usize,
    #[values(1, 10, 50)] top_k: usize,
    #[values(false, true)] exclude_seen: bool,
    #[values(None, Some(&[36_i64, 2, 9, 11, 12, 13, 2][..]))] allowed: Option<&[i64]>,
) {
    let model = model(likelihood);
    let mut scorer = model.scorer(allowed).unwrap();
    scorer.block = Some(block);
    let lists = scorer.recommend(&BATCH, top_k, exclude_seen).unwrap();
    for (user, (list, mut expected)) in lists.iter().zip(dense(&model, &BATCH)).enumerate() {
        expected.retain(|&(item, ..)| {
            let item = i64::from(item);
            allowed.is_none_or(|allowed| allowed.contains(&item))
                && !(exclude_seen && BATCH.items_of(user).contains(&item))
        });
        expected.truncate(top_k);
        assert_eq!(list.len(), expected.len());
        for (actual, (item, score, facet)) in list.iter().zip(expected) {
            assert_eq!((actual.item, actual.facet), (item, facet));
            assert!((actual.score - score).abs() < 1e-4, "{} {score}", actual.score);
        }
    }
}

#[rstest]
fn what_a_model_knows_of_items_and_users_is_what_it_scores_by(
    #[values(Likelihood::Multinomial, Likelihood::Gaussian { variance_floor: 0.01 })] likelihood: Likelihood,
) {
    let model = model(likelihood);
    let scorer = model.scorer(Some(&[3, 4])).unwrap();
    let parameter = |name: &str| &model.parameters().iter().find(|(own, _)| own == name).unwrap().1;
    let _guard = tch::no_grad_guard();
    let items = normalise(parameter("item.directions")).unwrap();
    let prototypes = normalise(parameter("facet.prototypes")).unwrap();
    let expected: Vec<f64> =
        Vec::try_from((items.matmul(&prototypes.transpose(0, 1)) / 0.2).softmax(1, None).reshape([-1])).unwrap();
    let shares = scorer.item_shares().unwrap();
    assert_eq!((shares.rows(), shares.columns()), (ITEMS, 3));
    for (item, expected) in expected.chunks(3).enumerate() {
        assert!(shares.row(item).iter().zip(expected).all(|(share, other)| (share - other).abs() < 1e-5));
    }
    let mean = scorer.mean_shares().unwrap();
    assert!(mean.iter().zip(shares.mean()).all(|(own, other)| (own - other).abs() < 1e-6));
    assert_eq!(scorer.facets_of(&[7, 0]).unwrap(), [shares.largest(7), shares.largest(0)]);
    assert!(scorer.facets_of(&[ITEMS as i64]).is_err());
    let latents = scorer.latents(&BATCH).unwrap();
    assert_eq!(latents.size(), [3, 3, 5]);
    if likelihood == Likelihood::Multinomial {
        let lengths = latents.square().sum_dim_intlist(2, false, None);
        assert!(f64::try_from((lengths - 1.0).abs().max()).unwrap() < 1e-5);
    }
    assert_eq!(latents, model.scorer(None).unwrap().latents(&BATCH).unwrap());
}

#[test]
fn a_plane_of_items_has_their_largest_differences() {
    let model = model(Likelihood::Gaussian { variance_floor: 0.01 });
    let weights = model.parameters().iter().find(|(name, _)| name == "decoder.mean.weight").unwrap().1.detach();
    let _guard = tch::no_grad_guard();
    let _ = weights.shallow_clone().zero_();
    // Items differ by their numbers along one direction, and a little by their parity along another.
    for item in 0..ITEMS as i64 {
        let _ = weights.get(item).get(3).fill_(item as f64);
        let _ = weights.get(item).get(1).fill_((item % 2) as f64);
    }
    let plane = model.scorer(None).unwrap().item_plane(20).unwrap();
    assert_eq!(plane.len(), 20);
    assert!(plane.windows(2).all(|pair| (pair[1].0 - pair[0].0 - 1.0).abs() < 0.1), "{plane:?}");
    assert!(plane.windows(2).all(|pair| ((pair[1].1 - pair[0].1).abs() - 1.0).abs() < 0.1), "{plane:?}");
}

#[test]
fn shuffled_facets_are_those_of_other_items() {
    let model = model(Likelihood::Multinomial);
    let rows = |scorer: &Scorer| -> Vec<String> {
        let shares = scorer.item_shares().unwrap();
        (0..ITEMS).map(|item| format!("{:.6?}", shares.row(item))).collect()
    };
    let (mut own, mut shuffled) =
        (rows(&model.scorer(None).unwrap()), rows(&model.scorer_with_shuffled_facets(7).unwrap()));
    assert_ne!(own, shuffled);
    own.sort_unstable();
    shuffled.sort_unstable();
    assert_eq!(own, shuffled);
}

fn compressed(model: &FacetVae, facets_per_item: Option<usize>, quantised: bool) -> Scorer {
    let compression = Compression { facets_per_item, quantised };
    model.scorer_with(&ScorerOptions { compression, ..ScorerOptions::default() }).unwrap()
}

#[rstest]
#[case(Likelihood::Multinomial)]
#[case(Likelihood::Gaussian { variance_floor: 0.01 })]
fn facets_that_are_all_kept_and_numbers_of_eight_bits_change_scores_little(#[case] likelihood: Likelihood) {
    let model = model(likelihood);
    let scores = |scorer: &mut Scorer, block: usize| -> Vec<Vec<(u32, f32)>> {
        scorer.block = Some(block);
        let lists = scorer.recommend(&BATCH, ITEMS, false).unwrap();
        let of = |list: Vec<Recommendation>| {
            let mut own: Vec<(u32, f32)> = list.iter().map(|one| (one.item, one.score)).collect();
            own.sort_by_key(|(item, _)| *item);
            own
        };
        lists.into_iter().map(of).collect()
    };
    let expected = scores(&mut model.scorer(None).unwrap(), 37);
    for (facets, quantised, block, bound) in
        [(Some(3), false, 37, 1e-5), (Some(3), false, 10, 1e-5), (None, true, 16, 0.1), (Some(9), true, 16, 0.1)]
    {
        let found = scores(&mut compressed(&model, facets, quantised), block);
        for ((item, score), (other, expected)) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert_eq!(item, other);
            assert!((score - expected).abs() < bound, "{facets:?} {quantised}: {score} instead of {expected}");
        }
    }
}

#[test]
fn an_item_of_one_facet_serves_it_alone() {
    let model = model(Likelihood::Multinomial);
    let mut scorer = compressed(&model, Some(1), false);
    let lists = scorer.recommend(&BATCH, 10, true).unwrap();
    let items: Vec<i64> = lists.iter().flatten().map(|one| i64::from(one.item)).collect();
    let served: Vec<usize> = lists.iter().flatten().map(|one| one.facet as usize).collect();
    assert_eq!(scorer.facets_of(&items).unwrap(), served);
    assert!(lists.iter().flatten().all(|one| one.score.is_finite()));
    assert_eq!(scorer.explain(&BATCH, &lists, 2).unwrap().len(), 3);
}

#[test]
fn a_scorer_keeps_the_parameters_it_was_made_with() {
    let model = model(Likelihood::Multinomial);
    let mut scorer = model.scorer(None).unwrap();
    let before = scorer.recommend(&BATCH, 5, true).unwrap();
    for (_, parameter) in model.parameters() {
        let _ = parameter.detach().fill_(0.5);
    }
    assert_eq!(scorer.recommend(&BATCH, 5, true).unwrap(), before);
}

#[test]
fn a_users_list_does_not_depend_on_its_neighbours() {
    let mut scorer = model(Likelihood::Multinomial).scorer(None).unwrap();
    let together = scorer.recommend(&BATCH, 5, true).unwrap();
    let alone = BatchInput { offsets: &[0, 1], items: &[9], weights: None, user_keys: &[77] };
    let list = &scorer.recommend(&alone, 5, true).unwrap()[0];
    let items = |list: &[Recommendation]| list.iter().map(|one| one.item).collect::<Vec<_>>();
    assert_eq!(items(list), items(&together[1]));
}

#[test]
fn no_users_and_no_places_are_no_failure() {
    let mut scorer = model(Likelihood::Multinomial).scorer(None).unwrap();
    let nobody = BatchInput { offsets: &[0], items: &[], weights: None, user_keys: &[] };
    assert!(scorer.recommend(&nobody, 5, true).unwrap().is_empty());
    assert_eq!(scorer.recommend(&BATCH, 0, true).unwrap(), vec![Vec::new(); 3]);
    let mut empty = model(Likelihood::Multinomial).scorer(Some(&[])).unwrap();
    assert_eq!(empty.recommend(&BATCH, 5, true).unwrap(), vec![Vec::new(); 3]);
}

#[rstest]
#[case(&[0, 37])]
#[case(&[-1, 3])]
fn an_allowed_item_outside_the_catalogue_is_refused(#[case] allowed: &[i64]) {
    assert!(matches!(model(Likelihood::Multinomial).scorer(Some(allowed)), Err(ModelError::Input(_))));
}
