//! What is tuned of an encoder begins by changing nothing, learns, and is all that learns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use rstest::rstest;
use tch::{Device, Tensor};
use teasel_content::{Input, Matrix, Precision, Transformer, Tuning};

const LENGTHS: [i64; 2] = [4, 2];

fn open(family: &str) -> Transformer {
    Transformer::open(&Path::new("tests/models").join(family), Device::Cpu, Precision::Float32).unwrap()
}

fn ids() -> Tensor {
    Tensor::from_slice(&[5_i64, 9, 20, 31, 7, 8, 0, 0]).view([2, 4])
}

fn read(transformer: &Transformer) -> Tensor {
    let ids = ids();
    let input = Input::Tokens { ids: &ids, lengths: &LENGTHS };
    transformer.forward(&input, &[transformer.depth()]).unwrap().remove(0).narrow(1, 0, 2)
}

fn low_rank(targets: &[Matrix]) -> Tuning {
    Tuning::LowRank { rank: 2, alpha: 4.0, targets: targets.to_vec() }
}

#[rstest]
#[case::low_rank("bert", low_rank(&[Matrix::Query, Matrix::Value]), 2 * 2 * 2 * 2 * 16)]
#[case::low_rank_everywhere("qwen2", low_rank(&[Matrix::Key, Matrix::Output, Matrix::Up, Matrix::Gate, Matrix::Down]),
    2 * 2 * (16 + 8 + 2 * 16 + 3 * (16 + 24)))]
#[case::adapters("gpt2", Tuning::Adapters { width: 3 }, 2 * 2 * (2 * 3 * 16 + 3 + 16))]
fn additions_change_nothing_at_first_and_are_all_that_learns(
    #[case] family: &str,
    #[case] tuning: Tuning,
    #[case] count: usize,
) {
    let mut transformer = open(family);
    let frozen = read(&transformer);
    assert!(!frozen.requires_grad());
    transformer.tune(&tuning, 7).unwrap();
    let trained = transformer.trained();
    assert_eq!(trained.iter().map(|(_, tensor)| tensor.numel()).sum::<usize>(), count);
    assert_eq!(read(&transformer), frozen);

    let target = frozen.ones_like();
    let loss = |transformer: &Transformer| (read(transformer) - &target).square().mean(tch::Kind::Float);
    let first = loss(&transformer).double_value(&[]);
    for _ in 0..100 {
        loss(&transformer).backward();
        tch::no_grad(|| {
            for (_, tensor) in &trained {
                let mut tensor = tensor.shallow_clone();
                let step = tensor.grad() * 0.3;
                tensor -= step;
                tensor.zero_grad();
            }
        });
    }
    assert!(loss(&transformer).double_value(&[]) < 0.9 * first, "{family} learns nothing");
    transformer.tune(&Tuning::Frozen, 7).unwrap();
    assert_eq!(read(&transformer), frozen, "the checkpoint's own weights have changed");
    assert!(transformer.trained().is_empty());
}

#[test]
fn fresh_additions_are_a_function_of_the_seed() {
    let made = |seed| {
        let mut transformer = open("bert");
        transformer.tune(&low_rank(&[Matrix::Query]), seed).unwrap();
        transformer.trained()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1)[0].1, made(2)[0].1);
}

#[rstest]
fn all_weights_that_are_read_learn_when_all_are_trained(
    #[values("bert", "roberta", "mpnet", "distilbert", "gpt2", "llama", "mistral", "qwen2", "qwen3")] family: &str,
) {
    let mut transformer = open(family);
    transformer.tune(&Tuning::Full, 1).unwrap();
    read(&transformer).square().sum(tch::Kind::Float).backward();
    for (name, tensor) in transformer.trained() {
        assert!(
            tensor.grad().defined() && tensor.grad().abs().sum(tch::Kind::Float).double_value(&[]) > 0.0,
            "{name}"
        );
    }
}

#[rstest]
#[case(low_rank(&[]), "tuning.lowRank.targets` is empty")]
#[case(low_rank(&[Matrix::Gate]), "no gates")]
#[case(Tuning::LowRank { rank: 0, alpha: 1.0, targets: vec![Matrix::Key] }, "tuning.lowRank.rank")]
#[case(Tuning::Adapters { width: 0 }, "tuning.adapters.width")]
fn what_an_encoder_does_not_have_is_refused_by_field(#[case] tuning: Tuning, #[case] named: &str) {
    let message = open("bert").tune(&tuning, 1).unwrap_err().to_string();
    assert!(message.contains(named), "{message}");
}

#[test]
fn nothing_is_tuned_of_integers() {
    let mut transformer = Transformer::open(Path::new("tests/models/bert"), Device::Cpu, Precision::Int8).unwrap();
    transformer.tune(&Tuning::Frozen, 1).unwrap();
    let message = transformer.tune(&Tuning::Adapters { width: 4 }, 1).unwrap_err().to_string();
    assert!(message.contains("`precision: Int8`") && transformer.trained().is_empty(), "{message}");
}
