//! `models/<run>/`: what scoring reads of a run. It holds no person's data.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use teasel_api::resolved::Model;
use teasel_data::Catalogue;
use teasel_model::{Config, FacetVae};
use teasel_storage::manifest::{self, File};
use teasel_storage::{Store, nonce};

use crate::error::TaskError;

/// `models/<run>/manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ModelManifest {
    /// The run.
    pub(crate) run: String,
    /// Fingerprint of the dataset that it was trained on.
    pub(crate) dataset: String,
    /// The model's spec.
    pub(crate) model: Model,
    /// Items of the vocabulary.
    pub(crate) items: u64,
    /// Parameters of the best epoch, by its name in the model's folder.
    pub(crate) parameters: File,
    /// The items, in the order of their indices: the vocabulary, and behind it those that nobody trains with.
    pub(crate) catalogue: File,
    /// What to call the facets, by their numbers. An earlier release's have no names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) facet_names: Vec<String>,
    /// Test metrics of the run.
    pub(crate) metrics: BTreeMap<String, f64>,
    /// Of the writer.
    pub(crate) nonce: String,
}

impl ModelManifest {
    /// Identifies what decides scores: spec, parameters and items, whoever wrote them.
    pub(crate) fn model_id(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(serde_json::to_vec(&self.model).unwrap_or_default());
        hasher.update(&self.parameters.sha256);
        hasher.update(&self.catalogue.sha256);
        hex::encode(hasher.finalize())[..16].to_owned()
    }
}

/// Folder of a run's model.
pub(crate) fn folder(storage: &Store, run: &str) -> Store {
    storage.sub(&format!("models/{run}"))
}

/// What a model is made from.
pub(crate) struct NewModel<'a> {
    pub(crate) run: &'a str,
    pub(crate) dataset: &'a str,
    pub(crate) model: &'a Model,
    pub(crate) parameters: Bytes,
    /// Items of the vocabulary.
    pub(crate) items: usize,
    /// These, and behind them items that nobody trains with.
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) facet_names: Vec<String>,
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// Writes a run's model if it has none, and describes the manifest that is there in the end.
pub(crate) async fn write(storage: &Store, new: NewModel<'_>) -> Result<File, TaskError> {
    let (folder, nonce) = (folder(storage, new.run), nonce());
    let manifest = ModelManifest {
        run: new.run.to_owned(),
        dataset: new.dataset.to_owned(),
        model: new.model.clone(),
        items: new.items as u64,
        parameters: folder.put_described(&format!("{nonce}/model.safetensors"), new.parameters).await?,
        catalogue: folder.put_described(&format!("{nonce}/items.parquet"), new.catalogue.to_parquet()?).await?,
        facet_names: new.facet_names,
        metrics: new.metrics,
        nonce,
    };
    manifest::commit(&folder, "", manifest).await?;
    let bytes = folder.get(manifest::MANIFEST).await?;
    Ok(File::of(manifest::MANIFEST, &bytes))
}

/// A model that has been read.
pub(crate) struct StoredModel {
    pub(crate) manifest: ModelManifest,
    pub(crate) vae: FacetVae,
    /// The items, in the order of their indices: the vocabulary, and behind it those that nobody trains with.
    pub(crate) catalogue: Catalogue,
}

/// Reads the model of `run`.
///
/// # Errors
/// [`TaskError::Missing`] where the run has none.
pub(crate) async fn read(storage: &Store, run: &str) -> Result<StoredModel, TaskError> {
    let folder = folder(storage, run);
    let manifest: ModelManifest = manifest::load(&folder, "")
        .await?
        .ok_or_else(|| TaskError::Missing(format!("run {run} has no model: it isn't evaluated yet")))?;
    let parameters = folder.get_checked(&manifest.parameters).await?;
    let catalogue = folder.get_checked(&manifest.catalogue).await?;
    let catalogue = Catalogue::from_parquet(catalogue, &folder.uri_of(&manifest.catalogue.name))?;
    let items = usize::try_from(manifest.items).unwrap_or(usize::MAX).min(catalogue.len());
    let config = Config::from_spec(&manifest.model, items, 1, 0).with_cold_items(catalogue.len() - items);
    let mut vae = FacetVae::new(config)?;
    vae.load_safetensors(&parameters)?;
    Ok(StoredModel { manifest, vae, catalogue })
}
