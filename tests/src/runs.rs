//! What a run leaves in a job's storage.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;

/// Folder of the storage's only run.
///
/// # Panics
/// Where there are several, or none.
pub fn only_run(storage: &Path) -> PathBuf {
    let mut runs = folders(&storage.join("runs"));
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.remove(0)
}

/// Folders in a folder, in order; none where it isn't there.
pub fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Entries of a run's log.
pub fn log(run: &Path) -> Vec<Value> {
    (0..)
        .map(|index| run.join(format!("log/{index:08}.json")))
        .map_while(|path| std::fs::read(path).ok())
        .map(|bytes| serde_json::from_slice(&bytes).expect("an entry is whole"))
        .collect()
}

/// Those events of a run's log that are of this type.
pub fn events(run: &Path, kind: &str) -> Vec<Value> {
    log(run).into_iter().map(|entry| entry["event"].clone()).filter(|event| event["type"] == kind).collect()
}

/// Path of a file of the newest checkpoint.
pub fn newest_checkpoint(run: &Path, name: &str) -> Option<PathBuf> {
    let newest = events(run, "checkpoint").pop()?;
    let files = newest["files"].as_array()?;
    let file = files.iter().filter_map(|file| file["name"].as_str()).find(|file| file.ends_with(name))?;
    Some(run.join(file))
}

/// Bytes of the parameters that a run's model publishes.
pub fn model(storage: &Path, run: &str) -> Vec<u8> {
    let folder = storage.join("models").join(run);
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    std::fs::read(folder.join(manifest["parameters"]["name"].as_str().unwrap())).unwrap()
}

/// All parameters of a safetensors file one after the other, by name.
pub fn parameters(bytes: &[u8]) -> Vec<f32> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut names = file.names();
    names.sort();
    let data = names.into_iter().flat_map(|name| file.tensor(name).unwrap().data().to_vec()).collect::<Vec<u8>>();
    data.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
}

/// Norm of the difference of two vectors as a share of the norm of the second.
pub fn relative_difference(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let differences = &mut left.iter().zip(right).map(|(left, right)| f64::from(*left) - f64::from(*right));
    norm(differences) / norm(&mut right.iter().map(|value| f64::from(*value)))
}
