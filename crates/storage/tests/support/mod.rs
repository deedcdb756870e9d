//! What the tests of the protocols share.
#![allow(dead_code)]

use std::collections::BTreeMap;

use bytes::Bytes;
use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::task::TaskKind;
use teasel_storage::run_log::{Checkpoint, Claim, Claimed, Event, LogError, RunLog, Writer};
use teasel_storage::{Store, checkpoint};

/// A claim of a training attempt.
pub(crate) fn claim(attempt: u32, incarnation: &str, generation: u64) -> Claim {
    Claim {
        task: TaskKind::Train,
        attempt,
        incarnation: incarnation.into(),
        generation,
        nonce: format!("{attempt}/{incarnation}/{generation}"),
        world: 1,
        threads: 1,
        cpu: "AVX2".into(),
        build: "0.1.0".into(),
        subject: String::new(),
    }
}

/// How a task ended.
pub(crate) fn outcome(task: TaskKind, message: &str) -> Outcome {
    Outcome::new(task, 1, ExitCode::Done, "Succeeded", message)
}

/// Claims `run`, which must succeed.
pub(crate) async fn own(storage: &Store, run: &str, claim: Claim) -> Writer {
    match RunLog::open(storage, run).await.unwrap().claim(claim).await.unwrap() {
        Claimed::Writer(writer) => *writer,
        Claimed::AlreadyDone(outcome) => panic!("ended already: {outcome:?}"),
    }
}

/// Files of a checkpoint whose content tells where it comes from.
pub(crate) fn files(content: &str) -> Vec<(String, Bytes)> {
    ["model.safetensors", "state.json"].map(|name| (name.to_owned(), format!("{name} {content}").into())).into()
}

/// Uploads and commits a checkpoint.
pub(crate) async fn commit(writer: &mut Writer, step: u64, content: &str) -> Result<u64, LogError> {
    let files = checkpoint::upload(writer.log().folder().clone(), writer.term(), step, files(content)).await?;
    writer.append(Event::Checkpoint(Checkpoint { step, epoch: 0, files, metrics: BTreeMap::new() })).await
}
