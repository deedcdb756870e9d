//! `kubectl teasel suspend` and `resume`.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::reference::{Kind, Reference};
use crate::target::{Serves, Target, find};

/// Stops a job, or a schedule's ticks.
pub(crate) async fn suspend(cluster: &Cluster, name: &Reference) -> Result<(), Failure> {
    let target = find(cluster, name, Serves::Both).await?;
    let said = match (is_suspended(&target), ended(&target)) {
        (true, _) => "is suspended already",
        (false, true) => "has ended: nothing is left to suspend",
        (false, false) => {
            target.merge(json!({"spec": {"suspend": true}})).await?;
            match target.kind {
                Kind::Job => "makes a checkpoint and frees everything; `kubectl teasel resume` lets it go on",
                Kind::Schedule => "starts no jobs by the clock any more; those that run go on",
            }
        }
    };
    output::line(format!("{} {said}", target.shown()))
}

/// Lets it go on.
pub(crate) async fn resume(cluster: &Cluster, name: &Reference) -> Result<(), Failure> {
    let target = find(cluster, name, Serves::Both).await?;
    let said = if is_suspended(&target) {
        // Unset, as whoever never suspended it has it.
        target.merge(json!({"spec": {"suspend": null}})).await?;
        match target.kind {
            Kind::Job => "goes on from its newest checkpoint",
            Kind::Schedule => "starts jobs by the clock again",
        }
    } else {
        "isn't suspended"
    };
    output::line(format!("{} {said}", target.shown()))
}

fn is_suspended(target: &Target) -> bool {
    target.object.data.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or_default()
}

/// Whether it is a job that has ended.
fn ended(target: &Target) -> bool {
    let phase = target.object.data.pointer("/status/phase").and_then(Value::as_str);
    target.kind == Kind::Job && matches!(phase, Some("Succeeded" | "Failed"))
}
