//! Every family reads small models that `transformers` saved (`models/generate.py`), and comes to the same vectors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};
use teasel_content::{Input, Options, Pooling, Precision, TextEncoder, Transformer};

const TOLERANCE: f64 = 1e-4;
const FAMILIES: [&str; 11] =
    ["bert", "roberta", "mpnet", "distilbert", "gpt2", "llama", "mistral", "qwen2", "qwen3", "vit", "clip"];
/// Blocks of each of the small models.
const DEPTH: usize = 2;

fn folder(family: &str) -> PathBuf {
    Path::new("tests/models").join(family)
}

/// What `transformers` was given and what it made of it.
struct Expected(Vec<u8>);

impl Expected {
    fn of(family: &str) -> Self {
        Self(std::fs::read(folder(family).join("expected.safetensors")).unwrap())
    }

    fn tensor(&self, name: &str) -> Option<Tensor> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let stored = file.tensor(name).ok()?;
        let shape: Vec<i64> = stored.shape().iter().map(|&size| size as i64).collect();
        let kind = if stored.dtype() == Dtype::I64 { Kind::Int64 } else { Kind::Float };
        Some(Tensor::from_data_size(stored.data(), &shape, kind))
    }

    /// Tokens of each text.
    fn lengths(&self) -> Vec<i64> {
        self.tensor("lengths").map(|lengths| lengths.try_into().unwrap()).unwrap_or_default()
    }
}

/// Vectors of all layers, of the tokens that aren't there to fill up.
fn differences(family: &str, found: &[Tensor], expected: &Expected) -> Vec<f64> {
    let lengths = expected.lengths();
    let compare = |(depth, found): (usize, &Tensor)| {
        let expected = expected.tensor(&format!("layer.{depth}")).unwrap();
        assert_eq!(found.size(), expected.size(), "{family}, layer {depth}");
        let difference = (found - expected).abs();
        match lengths.is_empty() {
            true => difference.max().double_value(&[]),
            false => {
                let rows = lengths.iter().zip(0..);
                rows.map(|(&length, row)| difference.get(row).narrow(0, 0, length).max().double_value(&[]))
                    .fold(0.0, f64::max)
            }
        }
    };
    found.iter().enumerate().map(compare).collect()
}

/// What `transformers` was given, as a transformer reads it, at a precision.
fn forward(family: &str, precision: Precision, layers: &[usize]) -> Vec<Tensor> {
    let transformer = Transformer::open(&folder(family), Device::Cpu, precision).unwrap();
    let expected = Expected::of(family);
    let (ids, images, lengths) = (expected.tensor("ids"), expected.tensor("images"), expected.lengths());
    let input = match (&ids, &images) {
        (Some(ids), _) => Input::Tokens { ids, lengths: &lengths },
        (None, Some(images)) => Input::Images(images),
        (None, None) => panic!("no input"),
    };
    transformer.forward(&input, layers).unwrap()
}

#[test]
fn every_family_comes_to_the_vectors_of_its_reference() {
    let far = FAMILIES.iter().filter_map(|family| {
        let layers: Vec<usize> = (0..=DEPTH).collect();
        let found = forward(family, Precision::Float32, &layers);
        let differences = differences(family, &found, &Expected::of(family));
        // A layer alone is the same, though what follows it isn't computed.
        let alone = forward(family, Precision::Float32, &[1]).remove(0);
        let is_good = differences.iter().all(|&difference| difference < TOLERANCE) && alone == found[1];
        (!is_good).then_some((family, differences))
    });
    let far: Vec<_> = far.collect();
    assert!(far.is_empty(), "{far:?}");
}

#[test]
fn every_family_comes_near_to_its_own_vectors_in_eight_bits() {
    let far = FAMILIES.iter().filter_map(|family| {
        let [floats, integers] =
            [Precision::Float32, Precision::Int8].map(|precision| forward(family, precision, &[DEPTH]).remove(0));
        let error = (&integers - &floats).norm().double_value(&[]) / floats.norm().double_value(&[]);
        (error == 0.0 || error > 0.05).then_some((family, error))
    });
    let far: Vec<_> = far.collect();
    assert!(far.is_empty(), "{far:?}");
}

#[test]
fn of_a_model_of_texts_and_images_the_half_that_sees_is_read() {
    let whole = tempfile::tempdir().unwrap();
    let vision = std::fs::read(folder("clip").join("config.json")).unwrap();
    let vision: serde_json::Value = serde_json::from_slice(&vision).unwrap();
    let config = serde_json::json!({"model_type": "clip", "text_config": {}, "vision_config": vision});
    std::fs::write(whole.path().join("config.json"), config.to_string()).unwrap();
    std::fs::copy(folder("clip").join("model.safetensors"), whole.path().join("model.safetensors")).unwrap();
    let images = Expected::of("clip").tensor("images").unwrap();
    let transformer = Transformer::open(whole.path(), Device::Cpu, Precision::Float32).unwrap();
    let found = transformer.forward(&Input::Images(&images), &[DEPTH]).unwrap();
    assert_eq!(found, forward("clip", Precision::Float32, &[DEPTH]));
}

#[test]
fn a_texts_vectors_do_not_depend_on_what_it_is_read_with() {
    let encoder = TextEncoder::open(
        &folder("bert"),
        Device::Cpu,
        Options { layers: Some(&[1, 2]), ..Options::new(Pooling::Mean) },
    )
    .unwrap();
    let texts = ["a film of war", "love", "the night of the stars in space and of the war", ""];
    let together = encoder.encode(&texts).unwrap();
    assert_eq!(together.size(), [4, 2, 16]);
    for (text, row) in texts.iter().zip(0..) {
        let alone = encoder.encode(&[text]).unwrap();
        let difference = (alone.get(0) - together.get(row)).abs().max().double_value(&[]);
        assert!(difference < 1e-6, "text {row}: {difference}");
    }
    // A longer text than the tokenizer's limit is cut off.
    let cut = encoder.encode(&["the night of the stars in space and of the war the film the film"]).unwrap();
    assert!((cut.get(0) - together.get(2)).abs().max().double_value(&[]) < 1e-6);
}

/// Sentence vectors of MiniLM, of length 1, and its reference's.
fn minilm(precision: Precision) -> (Tensor, Tensor) {
    let installed = Command::new("../../scripts/minilm").output().unwrap();
    assert!(installed.status.success(), "{installed:?}");
    let model = String::from_utf8(installed.stdout).unwrap();
    let options = Options { precision, ..Options::new(Pooling::Mean) };
    let encoder = TextEncoder::open(Path::new(model.trim()), Device::Cpu, options).unwrap();
    let texts: Vec<String> =
        serde_json::from_slice(&std::fs::read(folder("minilm").join("texts.json")).unwrap()).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = encoder.encode(&texts).unwrap().select(1, 0);
    let length = vectors.norm_scalaropt_dim(2.0, [1_i64], true);
    (vectors / length, Expected::of("minilm").tensor("vectors").unwrap())
}

#[test]
fn minilm_comes_to_the_sentence_vectors_of_its_reference() {
    let (vectors, expected) = minilm(Precision::Float32);
    let difference = (vectors - expected).abs().max().double_value(&[]);
    assert!(difference < TOLERANCE, "{difference}");
}

#[test]
fn minilm_in_eight_bits_is_near_its_reference() {
    let (vectors, expected) = minilm(Precision::Int8);
    let cosine = (vectors * expected).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float).min();
    assert!(cosine.double_value(&[]) > 0.98, "{cosine:?}");
}
