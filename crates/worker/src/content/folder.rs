//! An encoder's folder, wherever it lies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use teasel_storage::Store;
use tempfile::TempDir;

use crate::error::TaskError;

/// Ends of the names of files that encoders are read from.
const READ: [&str; 2] = [".json", ".safetensors"];

/// All weights in one file, and what names the files of several.
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// What changes when a file does. On disks that is the time of its change, without the inode that stores add: a copy on
/// another node is the same.
pub(super) fn tag(store: &Store, e_tag: Option<String>, changed: &impl ToString) -> String {
    e_tag.filter(|_| store.local_folder().is_none()).unwrap_or_else(|| changed.to_string())
}

/// The files of an encoder, at one moment.
pub(super) struct EncoderFolder {
    /// Path of the job's field that names it.
    field: &'static str,
    store: Store,
    files: Vec<String>,
    /// Changes with any of the files.
    pub(super) version: String,
}

/// An encoder's folder on this machine's disk.
pub(super) struct LocalFolder {
    path: PathBuf,
    /// Deleted when the encoder has been read.
    _copied: Option<TempDir>,
}

impl LocalFolder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl EncoderFolder {
    /// Lists the folder that `field` names.
    ///
    /// # Errors
    /// [`TaskError::Missing`] where there is nothing to read.
    pub(super) async fn list(store: Store, field: &'static str) -> Result<Self, TaskError> {
        let mut hasher = Sha256::new();
        let mut files = Vec::new();
        for (name, object) in store.list("").await? {
            if !name.contains('/') && READ.iter().any(|end| name.ends_with(end)) {
                let tag = tag(&store, object.e_tag, &object.last_modified);
                hasher.update(format!("{name}\n{}\n{tag}\n", object.size));
                files.push(name);
            }
        }
        if files.is_empty() {
            let reason = "there is no folder with config.json and model.safetensors";
            return Err(TaskError::Missing(format!("{field}: {}: {reason}", store.uri())));
        }
        Ok(Self { field, store, files, version: hex::encode(hasher.finalize()) })
    }

    /// Brings the files here that are read, if they aren't: of weights those of `model.safetensors`, else the shards that
    /// its index names.
    pub(super) async fn fetch(&self) -> Result<LocalFolder, TaskError> {
        if let Some(path) = self.store.local_folder() {
            return Ok(LocalFolder { path, _copied: None });
        }
        let copied = tempfile::tempdir().map_err(|source| TaskError::scratch("copy an encoder", source))?;
        let is_json = |name: &&String| name.ends_with(".json");
        for name in self.files.iter().filter(is_json) {
            self.store.download(name, &copied.path().join(name)).await?;
        }
        let index = std::fs::read(copied.path().join(INDEX)).unwrap_or_default();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap_or_default();
        let is_whole = self.files.iter().any(|name| name == WHOLE);
        let shards: BTreeSet<&str> =
            index["weight_map"].as_object().into_iter().flatten().filter_map(|(_, shard)| shard.as_str()).collect();
        let is_read = |name: &&String| if is_whole { *name == WHOLE } else { shards.contains(name.as_str()) };
        for name in self.files.iter().filter(is_read) {
            self.store.download(name, &copied.path().join(name)).await?;
        }
        Ok(LocalFolder { path: copied.path().to_owned(), _copied: Some(copied) })
    }

    /// An encoder's error, by the field and by where its files really lie.
    pub(super) fn explain(&self, error: teasel_content::ContentError, here: &LocalFolder) -> TaskError {
        use teasel_content::ContentError::{Configuration, Encoder, Item, Torch};
        let there = |text: &str| text.replace(&*here.path.to_string_lossy(), &self.store.uri());
        match error {
            Encoder { file, reason } => {
                TaskError::Configuration(format!("{}: {}: {}", self.field, there(&file), there(&reason)))
            }
            Configuration(reason) => TaskError::Configuration(format!("{}: {}", self.field, there(&reason))),
            error @ Torch(_) => TaskError::bug(format!("{}: {error}", self.field)),
            Item { item, reason } => TaskError::bug(format!("content {item}: {reason}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use teasel_content::{Options, Pooling, TextEncoder};
    use teasel_storage::testing::store_over;

    use super::*;

    #[tokio::test]
    async fn what_decides_an_encoder_is_copied_and_versioned() {
        let store = store_over(Arc::new(InMemory::new()));
        let list = || EncoderFolder::list(store.clone(), "model.content.text.encoder");
        let missing = list().await.err().unwrap();
        assert!(missing.to_string().starts_with("model.content.text.encoder: "), "{missing}");
        for (name, bytes) in
            [("config.json", "{}"), ("model.safetensors", "x"), ("README.md", "y"), ("a/b.json", "z")]
        {
            store.put(name, bytes.into()).await.unwrap();
        }
        let listed = list().await.unwrap();
        let here = listed.fetch().await.unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["config.json", "model.safetensors"]);
        assert_eq!(list().await.unwrap().version, listed.version);
        store.put("model.safetensors", "other".into()).await.unwrap();
        assert_ne!(list().await.unwrap().version, listed.version);
    }

    #[tokio::test]
    async fn of_several_files_of_weights_those_are_copied_that_the_index_names() {
        let store = store_over(Arc::new(InMemory::new()));
        let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"}}"#;
        for (name, bytes) in [
            ("config.json", "{}"),
            (INDEX, index),
            ("one.safetensors", "x"),
            ("two.safetensors", "y"),
            ("unnamed.safetensors", "z"),
        ] {
            store.put(name, bytes.into()).await.unwrap();
        }
        let here = EncoderFolder::list(store, "model.content.text.encoder").await.unwrap().fetch().await.unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["config.json", INDEX, "one.safetensors", "two.safetensors"]);
    }

    #[tokio::test]
    async fn errors_name_the_field_and_the_encoders_own_place() {
        let store = store_over(Arc::new(InMemory::new()));
        store.put("config.json", "{}".into()).await.unwrap();
        let listed = EncoderFolder::list(store.clone(), "model.content.image.encoder").await.unwrap();
        let here = listed.fetch().await.unwrap();
        let error = TextEncoder::open(here.path(), tch::Device::Cpu, Options::new(Pooling::Mean)).unwrap_err();
        let message = listed.explain(error, &here).to_string();
        let expected = format!("model.content.image.encoder: {}", store.uri());
        assert!(message.starts_with(&expected), "{message}");
        assert!(!message.contains(&*here.path().to_string_lossy()), "{message}");
    }
}
