//! Resolves how to learn.

use super::checks;
use crate::load::check_pod_template;
use crate::resolved::{
    Checkpoint, DEFAULT_SCHEDULING_TIMEOUT_SECONDS, Device, EarlyStopping, FailurePolicy, Training,
};
use crate::spec::{Duration, TrainingSpec};
use crate::violation::{Path, Violations};

pub(super) fn resolve(spec: &TrainingSpec, path: &Path, found: &mut Violations) -> Training {
    if let Some(template) = &spec.template {
        check_pod_template(&template.0, &path.field("template"), found);
    }
    let early_stopping = spec.early_stopping.clone().unwrap_or_default();
    let metric = early_stopping.metric.unwrap_or_else(|| "ndcg@100".into());
    checks::metric(&metric, &path.fields("earlyStopping.metric"), found);
    let checkpoint = spec.checkpoint.clone().unwrap_or_default();
    let failure_policy = spec.failure_policy.clone().unwrap_or_default();
    Training {
        workers: spec.workers.unwrap_or(1),
        processes_per_worker: spec.processes_per_worker.unwrap_or(1),
        device: spec.device.unwrap_or(Device::Cpu),
        epochs: spec.epochs,
        batch_size: spec.batch_size,
        learning_rate: spec.learning_rate.unwrap_or(1e-3),
        seed: spec.seed.unwrap_or(1),
        early_stopping: EarlyStopping { metric, patience: early_stopping.patience },
        checkpoint: Checkpoint {
            interval_seconds: seconds(checkpoint.interval, 300, &path.fields("checkpoint.interval"), found),
            keep: checkpoint.keep.unwrap_or(3),
        },
        resume_from: spec.resume_from.as_ref().map(|from| from.run.clone()),
        scheduling_timeout_seconds: seconds(
            spec.scheduling_timeout,
            DEFAULT_SCHEDULING_TIMEOUT_SECONDS,
            &path.field("schedulingTimeout"),
            found,
        ),
        failure_policy: FailurePolicy {
            max_failures: failure_policy.max_failures.unwrap_or(3),
            max_out_of_memory: failure_policy.max_out_of_memory.unwrap_or(1),
        },
    }
}

/// A duration of at least a second.
fn seconds(duration: Option<Duration>, default: u64, path: &Path, found: &mut Violations) -> u64 {
    let seconds = duration.map_or(default, Duration::seconds);
    if seconds == 0 {
        found.add(path, "must be at least 1s");
    }
    seconds
}
