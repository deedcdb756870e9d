//! Folders that hold no usable encoder are refused by file, and by tensor or field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use tch::Device;
use teasel_content::{Pooling, TextEncoder};
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
    TextEncoder::open(folder, Device::Cpu, None, Pooling::Mean).unwrap_err().to_string()
}

fn edit(folder: &Path, field: &str, value: Value) {
    let file = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config[field] = value;
    std::fs::write(file, config.to_string()).unwrap();
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
    let refused = TextEncoder::open(folder, Device::Cpu, Some(layers), Pooling::Mean).unwrap_err();
    assert!(refused.to_string().contains(named), "{refused}");
}
