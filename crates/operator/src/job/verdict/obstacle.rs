//! What keeps pods from starting.

use jiff::Timestamp;
use teasel_api::task::TaskKind;

use crate::job::observed::{Child, Container, Pod};
use crate::job::stages::template_field;
use crate::names::GPU_RESOURCE;

/// Reasons by which the kubelet says that a container can't be made as it is described.
const CONFIGURATION_REASONS: [&str; 2] = ["CreateContainerConfigError", "CreateContainerError"];
/// Reasons by which the kubelet says that it can't get the image.
const IMAGE_REASONS: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];

/// Reason of pods that need a secret which isn't there.
pub const SECRET_MISSING: &str = "SecretMissing";
/// Reason of pods that no node has room for.
pub const UNSCHEDULABLE: &str = "Unschedulable";

/// What keeps an attempt that hasn't ended from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Why, in CamelCase.
    pub reason: &'static str,
    /// Why, in a sentence that says what to do.
    pub message: String,
    /// Since when at the earliest, where that isn't since the Job is there.
    pub since: Option<Timestamp>,
}

/// What keeps a child's pods from starting: the worst of it.
pub fn obstacle(child: &Child) -> Option<Obstacle> {
    let template = template_field(child.key.kind);
    if let Some((pod, message)) = waiting(child, &CONFIGURATION_REASONS) {
        let message = format!("pod {}: {message}", pod.name);
        let (reason, advice) = if lacks_secret(&message) {
            let named = "create it, or name another in the place's secretRef";
            // Between these two the data lie where they were prepared.
            let movable = [TaskKind::Prepare, TaskKind::Score].contains(&child.key.kind);
            (SECRET_MISSING, if movable { named.to_owned() } else { "create it".to_owned() })
        } else {
            ("PodsNotStarted", format!("correct {template}, or what it names"))
        };
        return Some(Obstacle { reason, message: format!("{message} ({advice})"), since: pod.created });
    }
    if let Some((pod, message)) = waiting(child, &IMAGE_REASONS) {
        let message = format!(
            "pod {}: {message} (correct the image in {template}, or the operator's workerImage, or give the pods \
             imagePullSecrets)",
            pod.name
        );
        return Some(Obstacle { reason: "ImageUnavailable", message, since: pod.created });
    }
    if let Some(refusal) = &child.refusal {
        let message = format!("{} (change {template}, or what refuses its pods)", refusal.message);
        return Some(Obstacle { reason: "PodsRefused", message, since: refusal.since });
    }
    if let Some((pod, trouble)) = child.pods.iter().find_map(|pod| Some((pod, pod.trouble.as_ref()?))) {
        let message = format!("pod {}: {trouble}", pod.name);
        return Some(Obstacle { reason: "PodsNotStarted", message, since: pod.created });
    }
    let unplaced = child.pods.iter().filter(|pod| !pod.scheduled);
    let unplaced = unplaced.min_by_key(|pod| (pod.unschedulable.is_none(), pod.created))?;
    let message = match &unplaced.unschedulable {
        Some(message) if message.contains(GPU_RESOURCE) => format!(
            "pod {}: {message} (training.device is Cuda, so each pod requests a GPU for each of its \
             training.processesPerWorker ranks: add nodes that offer {GPU_RESOURCE}; a new job may train on fewer GPUs, or on Cpu)",
            unplaced.name
        ),
        Some(message) => {
            format!("pod {}: {message} (change what {template} asks for, or add nodes)", unplaced.name)
        }
        None => format!("pod {} waits for the scheduler", unplaced.name),
    };
    Some(Obstacle { reason: UNSCHEDULABLE, message, since: unplaced.created })
}

/// Whether a pod can't start since its task file is gone, which the Job was created after.
pub(super) fn lacks_task_file(child: &Child) -> bool {
    child
        .pods
        .iter()
        .filter_map(|pod| pod.trouble.as_ref())
        .any(|trouble| is_missing_task_file(trouble, &child.name))
}

/// Whether the kubelet says that the task file of the Job with this name isn't there.
pub fn is_missing_task_file(trouble: &str, job: &str) -> bool {
    trouble.contains(&format!("configmap \"{job}\" not found"))
}

/// A pod one of whose containers waits for one of these reasons, and the kubelet's message.
fn waiting<'a>(child: &'a Child, reasons: &[&str]) -> Option<(&'a Pod, &'a str)> {
    child.pods.iter().find_map(|pod| {
        std::iter::once(&pod.container).chain(&pod.others).find_map(|container| match container {
            Container::Waiting { reason, message } if reasons.contains(&reason.as_str()) => {
                Some((pod, message.as_str()))
            }
            _ => None,
        })
    })
}

/// Whether the kubelet says that a secret, or a key in one, isn't there. Names of other things may contain the word.
fn lacks_secret(message: &str) -> bool {
    let names_secret = [": secret \"", ": secrets \""].iter().any(|start| message.contains(start));
    let lacks_key = message.contains(": couldn't find key ") && message.contains(" in Secret ");
    lacks_key || (names_secret && message.ends_with("\" not found"))
}
