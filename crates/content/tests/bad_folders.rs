//! Folders that hold no usable encoder are refused by file, and by tensor or field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use rstest::rstest;
use safetensors::tensor::{SafeTensors, TensorView, serialize};
use serde_json::{Value, json};
use tch::Device;
use teasel_content::{ContentError, Options, Pooling, Precision, TextEncoder, Transformer};
use tempfile::TempDir;

/// A copy of a good folder, in which something was changed.
fn changed(family: &str, change: impl FnOnce(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(Path::new("tests/models").join(family)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    change(folder.path());
    folder
}

fn refusal(folder: &Path) -> String {
    TextEncoder::open(folder, Device::Cpu, Options::new(Pooling::Mean)).unwrap_err().to_string()
}

fn edit(folder: &Path, field: &str, value: Value) {
    edit_file(folder, "config.json", |config| config[field] = value);
}

fn edit_file(folder: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let file = folder.join(name);
    let mut values: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut values);
    std::fs::write(file, values.to_string()).unwrap();
}

#[rstest]
#[case("config.json")]
#[case("model.safetensors")]
#[case("tokenizer.json")]
fn a_missing_file_is_named(#[case] file: &str) {
    let folder = changed("bert", |folder| std::fs::remove_file(folder.join(file)).unwrap());
    let message = refusal(folder.path());
    assert!(message.contains(&format!("/{file}: ")), "{message}");
}

#[test]
fn a_missing_shard_is_named() {
    let shard = "model-00002-of-00004.safetensors";
    let folder = changed("llama", |folder| std::fs::remove_file(folder.join(shard)).unwrap());
    assert!(refusal(folder.path()).contains(shard));
}

#[test]
fn a_checkpoint_is_refused_wherever_it_is_cut_off() {
    let whole = std::fs::read("tests/models/bert/model.safetensors").unwrap();
    for length in [0, 7, 8, 300, whole.len() / 2, whole.len() - 1] {
        let folder =
            changed("bert", |folder| std::fs::write(folder.join("model.safetensors"), &whole[..length]).unwrap());
        let message = refusal(folder.path());
        assert!(message.contains("model.safetensors: "), "{length} bytes: {message}");
    }
}

#[rstest]
#[case("hidden_size", json!(32), "embeddings.word_embeddings.weight` has shape [40, 16], by config.json it is [40, 32]")]
#[case("num_hidden_layers", json!(3), "encoder.layer.2.attention.self.query.weight")]
#[case("num_attention_heads", json!(3), "can't be shared by 3 heads")]
#[case("num_attention_heads", json!(0), "can't be shared by 0 heads")]
#[case("hidden_act", json!("sine"), "`hidden_act` sine")]
#[case("vocab_size", json!(-1), "`vocab_size` is -1")]
#[case("intermediate_size", json!(null), "`intermediate_size` is missing")]
#[case("position_embedding_type", json!("relative_key"), "position_embedding_type")]
#[case("model_type", json!("t5"), "model_type `t5` isn't supported; supported are bert, roberta,")]
fn a_config_that_does_not_fit_is_refused_by_field_or_tensor(
    #[case] field: &str,
    #[case] value: Value,
    #[case] named: &str,
) {
    let folder = changed("bert", |folder| edit(folder, field, value));
    let message = refusal(folder.path());
    assert!(message.contains(named), "{message}");
}

#[test]
fn a_kind_of_rotary_positions_that_is_not_known_is_refused() {
    let folder = changed("llama", |folder| edit(folder, "rope_parameters", json!({"rope_type": "yarn"})));
    assert!(refusal(folder.path()).contains("of type yarn isn't supported"));
}

#[test]
fn an_encoder_of_images_reads_no_text() {
    assert!(refusal(Path::new("tests/models/vit")).contains("reads images, not text"));
}

#[rstest]
#[case(&[3], "there is no layer 3; the encoder has 1 to 2")]
#[case(&[0], "there is no layer 0")]
#[case(&[], "`layers` is empty")]
fn a_layer_that_is_not_there_is_refused(#[case] layers: &[u32], #[case] named: &str) {
    let folder = Path::new("tests/models/bert");
    let refused =
        TextEncoder::open(folder, Device::Cpu, Options { layers: Some(layers), ..Options::new(Pooling::Mean) })
            .unwrap_err();
    assert!(refused.to_string().contains(named), "{refused}");
}

/// The fixture's tensors under other names.
fn rename(folder: &Path, name: impl Fn(&str) -> String) {
    let file = folder.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let renamed: Vec<(String, TensorView)> =
        tensors.tensors().into_iter().map(|(old, view)| (name(&old), view)).collect();
    std::fs::write(file, serialize(renamed, None).unwrap()).unwrap();
}

#[test]
fn norms_of_early_checkpoints_are_read_by_their_names() {
    let early = changed("bert", |folder| {
        let old = |name: &str| match name.contains("LayerNorm") {
            true => name.replace(".weight", ".gamma").replace(".bias", ".beta"),
            false => name.to_owned(),
        };
        rename(folder, old);
    });
    let read = |folder: &Path| {
        let encoder = TextEncoder::open(folder, Device::Cpu, Options::new(Pooling::Mean)).unwrap();
        encoder.encode(&["a film of war"]).unwrap()
    };
    assert_eq!(read(early.path()), read(Path::new("tests/models/bert")));
}

#[test]
fn a_token_that_the_transformer_does_not_know_is_named() {
    let folder = changed("bert", |folder| {
        edit_file(folder, "tokenizer.json", |tokenizer| tokenizer["model"]["vocab"]["zither"] = json!(999));
    });
    let encoder = TextEncoder::open(folder.path(), Device::Cpu, Options::new(Pooling::Mean)).unwrap();
    let _ = encoder.encode(&["a film of war"]).unwrap();
    let message = encoder.encode(&["love", "zither"]).unwrap_err().to_string();
    assert!(
        message.contains("tokenizer.json: token `zither` has number 999, the transformer knows 40"),
        "{message}"
    );
}

#[rstest]
#[case("llama", json!({"max_position_embeddings": 7, "rope_parameters": null}))]
#[case("llama", json!({"max_position_embeddings": 3, "rope_parameters": {"rope_type": "linear", "factor": 2.4}}))]
#[case("mistral", json!({"sliding_window": 7}))]
#[case("qwen3", json!({"use_sliding_window": true, "sliding_window": 7}))]
fn a_text_is_cut_off_where_positions_or_windows_end(#[case] family: &str, #[case] fields: Value) {
    let folder = changed(family, |folder| {
        fields.as_object().unwrap().iter().for_each(|(field, value)| edit(folder, field, value.clone()));
        std::fs::copy("tests/models/bert/tokenizer.json", folder.join("tokenizer.json")).unwrap();
    });
    let encoder = TextEncoder::open(folder.path(), Device::Cpu, Options::new(Pooling::Mean)).unwrap();
    let read = |text: &str| encoder.encode(&[text]).unwrap();
    // The tokenizer adds two.
    assert_eq!(read("the night of the stars in space"), read("the night of the stars and of war"));
    assert_ne!(read("the night of the stars"), read("the night of the war"));
}

#[rstest]
#[case(1, false)]
#[case(2, false)]
#[case(3, true)]
fn a_limit_without_room_for_a_text_is_refused(#[case] limit: u32, #[case] is_good: bool) {
    let folder = changed("bert", |folder| {
        let limits = json!({"max_seq_length": limit}).to_string();
        std::fs::write(folder.join("sentence_bert_config.json"), limits).unwrap();
    });
    match TextEncoder::open(folder.path(), Device::Cpu, Options::new(Pooling::Mean)) {
        Ok(encoder) => assert!(is_good && encoder.encode(&["love"]).is_ok()),
        Err(error) => assert!(!is_good && error.to_string().contains("have no room beside the 2"), "{error}"),
    }
}

#[rstest]
#[case("clip", "vision_config", json!(3), "config.json: ")]
#[case("vit", "image_size", json!(1_u64 << 39), "the most are 8192")]
#[case("vit", "num_channels", json!(4), "4 colours")]
#[case("roberta", "max_position_embeddings", json!(1), "no room for a token")]
fn absurd_sizes_are_refused(#[case] family: &str, #[case] field: &str, #[case] value: Value, #[case] named: &str) {
    let folder = changed(family, |folder| {
        if field == "vision_config" {
            edit(folder, "model_type", json!("clip"));
        }
        edit(folder, field, value);
    });
    let message = Transformer::open(folder.path(), Device::Cpu, Precision::Float32).unwrap_err().to_string();
    assert!(message.contains(named), "{message}");
}

#[test]
fn a_text_without_a_token_is_named() {
    let folder = changed("bert", |folder| {
        // Nothing is put around texts.
        edit_file(folder, "tokenizer.json", |tokenizer| tokenizer["post_processor"] = Value::Null);
    });
    let encoder = TextEncoder::open(folder.path(), Device::Cpu, Options::new(Pooling::Mean)).unwrap();
    match encoder.encode(&["love", "  "]).unwrap_err() {
        ContentError::Item { item: 1, reason } => assert!(reason.contains("no token"), "{reason}"),
        other => panic!("{other}"),
    }
}
