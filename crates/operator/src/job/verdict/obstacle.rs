//! What keeps pods from starting.

use crate::job::observed::{Child, Container};
use crate::names::GPU_RESOURCE;

/// Reasons by which the kubelet says that a container can't be made as it is described.
const CONFIGURATION_REASONS: [&str; 2] = ["CreateContainerConfigError", "CreateContainerError"];
/// Reasons by which the kubelet says that it can't get the image.
const IMAGE_REASONS: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];

/// Reason of pods that no node has room for.
pub(super) const UNSCHEDULABLE: &str = "Unschedulable";

/// What keeps an attempt that hasn't ended from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Why, in CamelCase.
    pub reason: &'static str,
    /// Why, in a sentence that says what to do.
    pub message: String,
}

/// What keeps a child's pods from starting: the worst of it.
pub fn obstacle(child: &Child) -> Option<Obstacle> {
    let waiting = |reasons: &[&str]| {
        child.pods.iter().find_map(|pod| match &pod.container {
            Container::Waiting { reason, message } if reasons.contains(&reason.as_str()) => {
                Some(format!("pod {}: {message}", pod.name))
            }
            _ => None,
        })
    };
    if let Some(message) = waiting(&CONFIGURATION_REASONS) {
        let reason = if lacks_secret(&message) { "SecretMissing" } else { "PodsNotStarted" };
        return Some(Obstacle { reason, message });
    }
    if let Some(message) = waiting(&IMAGE_REASONS) {
        return Some(Obstacle { reason: "ImageUnavailable", message });
    }
    if let Some(refusal) = &child.refusal {
        return Some(Obstacle { reason: "PodsRefused", message: refusal.clone() });
    }
    let unplaced = child.pods.iter().find(|pod| !pod.scheduled)?;
    let message = match &unplaced.unschedulable {
        Some(message) if message.contains(GPU_RESOURCE) => format!(
            "pod {}: {message} (training.device is Cuda, so each pod requests a GPU for each of its \
             training.processesPerWorker ranks: add nodes that offer {GPU_RESOURCE}; a new job may train on fewer GPUs, or on Cpu)",
            unplaced.name
        ),
        Some(message) => format!("pod {}: {message}", unplaced.name),
        None => format!("pod {} waits for the scheduler", unplaced.name),
    };
    Some(Obstacle { reason: UNSCHEDULABLE, message })
}

/// Whether the kubelet says that a secret, or a key in one, isn't there. Names of other things may contain the word.
fn lacks_secret(message: &str) -> bool {
    let names_secret = [": secret \"", ": secrets \""].iter().any(|start| message.contains(start));
    let lacks_key = message.contains(": couldn't find key ") && message.contains(" in Secret ");
    lacks_key || (names_secret && message.ends_with("\" not found"))
}
