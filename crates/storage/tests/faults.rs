//! Stores that lose answers, fail and conflict; processes that are paused at the worst moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use rstest::rstest;
use support::{claim, commit, files, outcome, own};
use teasel_api::location::Location;
use teasel_api::outcome::ExitCode;
use teasel_api::resolved::History;
use teasel_api::task::{CollectTask, Ownership, TaskKind};
use teasel_storage::output::{
    OutputLog, PublishOutcome, PublishRequest, RollbackOutcome, ScoreIdentity, Scores, Version, current,
};
use teasel_storage::run_log::{Claim, Claimed, Event, LogError, RunLog};
use teasel_storage::testing::{Fault, FaultyStore, Operation, Pause, store_over};
use teasel_storage::{Created, StorageError, Store, checkpoint, collect, manifest};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A store, and another way to the same objects that misbehaves when told to.
fn stores() -> (Store, FaultyStore, Store) {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let faulty = FaultyStore::new(Arc::clone(&memory));
    (store_over(memory), faulty.clone(), store_over(Arc::new(faulty)))
}

#[rstest]
#[case::lost_answer(Fault::LostAnswer)]
#[case::server_error(Fault::ServerError)]
#[case::conflict(Fault::Conflict)]
#[tokio::test]
async fn a_create_gets_through_a_fault_and_knows_its_own_write(#[case] fault: Fault) {
    let (plain, faulty, store) = stores();
    faulty.inject(Operation::Put, "entry", fault.clone());
    faulty.inject(Operation::Put, "entry", fault.clone());
    assert_eq!(store.create("entry", "mine".into()).await.unwrap(), Created::Created);
    assert_eq!(plain.get("entry").await.unwrap(), "mine");

    plain.put("taken", "other".into()).await.unwrap();
    faulty.inject(Operation::Put, "taken", Fault::ServerError);
    assert_eq!(store.create("taken", "mine".into()).await.unwrap(), Created::Exists("other".into()));
}

#[tokio::test]
async fn a_store_that_keeps_failing_is_reported_as_unavailable() {
    let (_, faulty, store) = stores();
    for _ in 0..20 {
        faulty.inject(Operation::Put, "entry", Fault::ServerError);
    }
    let error = store.create("entry", "mine".into()).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::StorageUnavailable);
    assert!(error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn of_two_live_attempts_the_older_is_fenced_out_and_writes_nothing_more() {
    let (storage, ..) = stores();
    let mut old = own(&storage, "run", claim(1, "a", 0)).await;
    commit(&mut old, 10, "old").await.unwrap();
    let mut new = own(&storage, "run", claim(2, "b", 0)).await;
    let error = commit(&mut old, 20, "old").await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::FencedOut);
    commit(&mut new, 15, "new").await.unwrap();
    let loaded = checkpoint::load_newest(new.log()).await.unwrap().unwrap();
    assert_eq!((loaded.checkpoint.step, &loaded.files["state.json"][..]), (15, &b"state.json new"[..]));

    let late = RunLog::open(&storage, "run").await.unwrap().claim(claim(1, "a", 7)).await.unwrap_err();
    assert!(matches!(late, LogError::Fenced { by, .. } if by.attempt == 2));
    let twin = RunLog::open(&storage, "run").await.unwrap().claim(claim(2, "c", 0)).await.unwrap_err();
    assert!(matches!(twin, LogError::Fenced { by, .. } if by.incarnation == "b"));
    let mut reformed = own(&storage, "run", claim(2, "b", 1)).await;
    assert!(matches!(commit(&mut new, 30, "new").await, Err(LogError::Fenced { by, .. }) if by.generation == 1));
    commit(&mut reformed, 30, "reformed").await.unwrap();
}

#[tokio::test]
async fn an_upload_that_lands_after_the_successors_commit_changes_nothing_and_is_cleaned_up() {
    let (storage, faulty, slow) = stores();
    let mut old = own(&slow, "run", claim(1, "a", 0)).await;
    commit(&mut old, 10, "first").await.unwrap();
    let pause = Pause::new();
    faulty.inject(Operation::Put, "model.safetensors", Fault::Pause(pause.clone()));
    let late = tokio::spawn(async move { commit(&mut old, 20, "late").await });
    pause.reached().await;

    let mut new = own(&storage, "run", claim(2, "b", 0)).await;
    commit(&mut new, 20, "successor").await.unwrap();
    checkpoint::collect(&mut new, 1).await.unwrap();
    pause.resume();
    assert!(matches!(late.await.unwrap(), Err(LogError::Fenced { .. })));

    let loaded = checkpoint::load_newest(new.log()).await.unwrap().unwrap();
    assert_eq!(loaded.files["model.safetensors"], "model.safetensors successor");
    let deleted = checkpoint::collect(&mut new, 1).await.unwrap();
    assert!(!deleted.is_empty(), "the late files were not found");
    let left = storage.list("runs/run/checkpoints").await.unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(checkpoint::load_newest(new.log()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lost_answer_neither_loses_nor_doubles_an_entry() {
    let (storage, faulty, flaky) = stores();
    for index in 0..3 {
        faulty.inject(Operation::Put, &format!("log/{index:08}.json"), Fault::LostAnswer);
    }
    let mut writer = own(&flaky, "run", claim(1, "a", 0)).await;
    assert_eq!(commit(&mut writer, 1, "one").await.unwrap(), 1);
    assert_eq!(commit(&mut writer, 2, "two").await.unwrap(), 2);
    assert_eq!(faulty.pending(), 0);
    assert_eq!(RunLog::open(&storage, "run").await.unwrap().entries().len(), 3);
}

#[rstest]
#[case::flipped_byte(|bytes: Bytes| { let mut bytes = bytes.to_vec(); bytes[3] ^= 1; Some(bytes) }, "checksum")]
#[case::truncated(|bytes: Bytes| Some(bytes[..bytes.len() - 1].to_vec()), "bytes instead of")]
#[case::gone(|_: Bytes| None, "isn't there")]
#[tokio::test]
async fn a_damaged_checkpoint_is_passed_over_and_named(
    #[case] damage: fn(Bytes) -> Option<Vec<u8>>,
    #[case] message: &str,
) {
    let (storage, ..) = stores();
    let mut writer = own(&storage, "run", claim(1, "a", 0)).await;
    assert!(checkpoint::load_newest(writer.log()).await.unwrap().is_none());
    let good = commit(&mut writer, 10, "good").await.unwrap();
    let bad = commit(&mut writer, 20, "bad").await.unwrap();
    let run = writer.log().folder().clone();
    let spoil = async |entry: u64| {
        let file = &writer.log().state().checkpoint(entry).unwrap().files[0];
        match damage(run.get(&file.name).await.unwrap()) {
            Some(bytes) => run.put(&file.name, bytes.into()).await.unwrap(),
            None => run.delete(&file.name).await.unwrap(),
        }
    };
    spoil(bad).await;
    let loaded = checkpoint::load_newest(writer.log()).await.unwrap().unwrap();
    assert_eq!((loaded.entry, loaded.damaged.len()), (good, 1));
    assert_eq!((loaded.damaged[0].entry, loaded.damaged[0].step), (bad, 20));
    assert!(loaded.damaged[0].message.contains(message), "{}", loaded.damaged[0].message);
    spoil(good).await;
    assert!(matches!(checkpoint::load_newest(writer.log()).await, Err(StorageError::Corrupt { .. })));
}

#[tokio::test]
async fn a_task_that_has_ended_answers_later_claims_with_its_outcome() {
    let (storage, ..) = stores();
    let mut writer = own(&storage, "run", claim(1, "a", 0)).await;
    writer.append(Event::Trained { outcome: outcome(TaskKind::Train, "trained") }).await.unwrap();
    let again = RunLog::open(&storage, "run").await.unwrap().claim(claim(2, "b", 0)).await.unwrap();
    assert!(matches!(again, Claimed::AlreadyDone(outcome) if outcome.message == "trained"));

    let evaluate = |attempt, gates: &str| Claim {
        task: TaskKind::Evaluate,
        subject: gates.into(),
        ..claim(attempt, "c", u64::from(attempt))
    };
    let mut writer = own(&storage, "run", evaluate(2, "strict")).await;
    assert!(matches!(commit(&mut writer, 1, "x").await, Err(LogError::Misplaced { .. })));
    let evaluated = |subject: &str| Event::Evaluated {
        report: vec![],
        subject: subject.into(),
        outcome: outcome(TaskKind::Evaluate, subject),
    };
    writer.append(evaluated("strict")).await.unwrap();
    let again = RunLog::open(&storage, "run").await.unwrap().claim(evaluate(3, "strict")).await.unwrap();
    assert!(matches!(again, Claimed::AlreadyDone(outcome) if outcome.message == "strict"));
    own(&storage, "run", evaluate(3, "mended")).await;
}

/// Writes lists of a run, whole.
async fn score(output: &Store, run: &str, sequence: i64) -> PublishRequest {
    let version = Version { run: run.into(), score_hash: "h".into() };
    let ownership = Ownership { owner: "me".into(), sequence };
    let part = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(part.path(), run).unwrap();
    let scores = Scores::new(output, &version);
    scores.commit_shard(0, part.path(), 1, 0, None).await.unwrap();
    let identity = ScoreIdentity { tenant: "t".into(), ownership: ownership.clone(), shards: 1 };
    scores.commit_manifest(&identity).await.unwrap().unwrap();
    PublishRequest { version, ownership, take_over: false }
}

async fn cached_run(output: &Store) -> String {
    let cached: teasel_storage::output::Current = output.get_json("current.json").await.unwrap().unwrap();
    cached.run
}

#[rstest]
#[case::before_the_log("log/", PublishOutcome::Superseded { by: Version { run: "new".into(), score_hash: "h".into() } })]
#[case::before_the_cache("current.json", PublishOutcome::Published)]
#[tokio::test]
async fn a_publisher_paused_before_a_write_cannot_set_the_pointer_back(
    #[case] at: &str,
    #[case] expected: PublishOutcome,
) {
    let (output, faulty, slow) = stores();
    let (old, new) = (score(&output, "old", 1).await, score(&output, "new", 2).await);
    let pause = Pause::new();
    faulty.inject(Operation::Put, at, Fault::Pause(pause.clone()));
    let paused = tokio::spawn(async move { OutputLog::open(&slow).await.unwrap().publish(&old).await.unwrap() });
    pause.reached().await;
    assert_eq!(OutputLog::open(&output).await.unwrap().publish(&new).await.unwrap(), PublishOutcome::Published);
    assert_eq!(cached_run(&output).await, "new");
    pause.resume();
    assert_eq!(paused.await.unwrap(), expected);
    assert_eq!(current(&output).await.unwrap().unwrap().run, "new");
    assert_eq!(cached_run(&output).await, "new");
}

#[tokio::test]
async fn a_rollback_holds_against_a_paused_publisher_until_its_release() {
    let (output, faulty, slow) = stores();
    let (one, two, three) =
        (score(&output, "1", 1).await, score(&output, "2", 2).await, score(&output, "3", 3).await);
    let mut log = OutputLog::open(&output).await.unwrap();
    log.publish(&one).await.unwrap();
    log.publish(&two).await.unwrap();
    let pause = Pause::new();
    faulty.inject(Operation::Put, "log/", Fault::Pause(pause.clone()));
    let request = three.clone();
    let paused =
        tokio::spawn(async move { OutputLog::open(&slow).await.unwrap().publish(&request).await.unwrap() });
    pause.reached().await;
    assert!(matches!(log.rollback("1", true).await.unwrap(), RollbackOutcome::RolledBack(_)));
    pause.resume();
    assert_eq!(paused.await.unwrap(), PublishOutcome::Held);
    assert_eq!(cached_run(&output).await, "1");
    log.release().await.unwrap();
    assert_eq!(cached_run(&output).await, "1", "a release leaves the pointer");
    assert_eq!(log.publish(&three).await.unwrap(), PublishOutcome::Published);
    assert_eq!(cached_run(&output).await, "3");
}

#[tokio::test]
async fn former_lists_are_removed_and_cannot_be_gone_back_to() {
    let (output, ..) = stores();
    let mut log = OutputLog::open(&output).await.unwrap();
    for sequence in 1..=4 {
        let request = score(&output, &format!("r{sequence}"), sequence * DAY).await;
        log.publish(&request).await.unwrap();
    }
    let removed = log.remove_former(&History { runs: 1, days: 90 }, 4 * DAY).await.unwrap();
    assert_eq!(removed.iter().map(|version| version.run.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);
    assert_eq!(output.folders("runs").await.unwrap(), ["r3", "r4"]);
    assert_eq!(log.rollback("r1", false).await.unwrap(), RollbackOutcome::Removed);
    assert!(matches!(log.rollback("r3", false).await.unwrap(), RollbackOutcome::RolledBack(_)));
    assert!(log.remove_former(&History { runs: 1, days: 90 }, 4 * DAY).await.unwrap().is_empty());
}

/// A finished run with a checkpoint, a model and a dataset.
async fn finished_run(storage: &Store, number: i64, dataset: &str) {
    let run = format!("r{number}");
    let record = serde_json::json!({
        "run": run, "ownership": {"owner": "me", "sequence": number * DAY}, "dataset": dataset, "job": {}, "nonce": ""
    });
    storage.put(&format!("runs/{run}/run.json"), record.to_string().into()).await.unwrap();
    storage.put(&format!("datasets/{dataset}/manifest.json"), "{}".into()).await.unwrap();
    storage.put(&format!("tenants/t/{dataset}/manifest.json"), "{}".into()).await.unwrap();
    storage.put(&format!("models/{run}/manifest.json"), "{}".into()).await.unwrap();
    let mut writer = own(storage, &run, claim(1, "a", 0)).await;
    commit(&mut writer, 10, &run).await.unwrap();
    commit(&mut writer, 20, &run).await.unwrap();
    let finish = Claim { task: TaskKind::Collect, ..claim(1, "a", 1) };
    let mut writer = own(storage, &run, finish).await;
    writer.append(Event::Finished { outcome: outcome(TaskKind::Collect, "") }).await.unwrap();
}

async fn collect_at_the_end_of(storage: &Store, run: &str, keep: &[&str]) -> Result<collect::Collected, LogError> {
    // Finished runs have their end already; this asks for another one.
    let claim = Claim { task: TaskKind::Collect, subject: "again".into(), ..claim(9, run, 0) };
    let mut writer = own(storage, run, claim).await;
    let task = CollectTask {
        storage: Location { uri: "memory:///".into(), secret_ref: None },
        run: run.into(),
        owner: "me".into(),
        history: History { runs: 1, days: 90 },
        keep: keep.iter().map(|run| run.to_string()).collect(),
    };
    let tomorrow = jiff::Timestamp::now().as_millisecond() + 2 * DAY;
    // Sequences count days from 1970, so that only the number of runs decides here.
    collect::collect(
        storage,
        &mut writer,
        &CollectTask { history: History { runs: 1, days: u32::MAX }, ..task },
        tomorrow,
    )
    .await
}

#[tokio::test]
async fn collection_removes_former_runs_and_what_was_prepared_for_none_but_them() {
    let (storage, ..) = stores();
    for (number, dataset) in [(1, "d1"), (2, "d2"), (3, "d3"), (4, "d4"), (5, "d1")] {
        finished_run(&storage, number, dataset).await;
    }
    let collected = collect_at_the_end_of(&storage, "r5", &["r2"]).await.unwrap();
    assert_eq!(collected.runs, ["r3", "r1"]);
    assert_eq!(collected.datasets, ["datasets/d3", "tenants/t/d3"]);
    for (run, expected) in [("r1", false), ("r2", true), ("r3", false), ("r4", true), ("r5", true)] {
        assert_eq!(storage.head(&format!("runs/{run}/run.json")).await.unwrap().is_some(), expected, "{run}");
        assert_eq!(
            storage.head(&format!("models/{run}/manifest.json")).await.unwrap().is_some(),
            expected,
            "{run}"
        );
        let log = RunLog::open(&storage, run).await.unwrap();
        assert_eq!(checkpoint::load_newest(&log).await.unwrap().is_some(), expected, "{run}");
    }
    assert_eq!(storage.list("runs/r5/checkpoints").await.unwrap().len(), 2, "its own older checkpoint goes");
    assert_eq!(manifest::live_folder(&storage, "datasets/d3").await.unwrap(), "datasets/d3.1");
    let error = RunLog::open(&storage, "r3").await.unwrap().claim(claim(5, "z", 0)).await.unwrap_err();
    assert!(matches!(error, LogError::Collected { .. }), "{error}");
}

#[tokio::test]
async fn a_run_that_has_not_ended_is_never_collected() {
    let (storage, ..) = stores();
    for number in [1, 3, 4] {
        finished_run(&storage, number, "d").await;
    }
    let record = serde_json::json!({
        "run": "r2", "ownership": {"owner": "me", "sequence": 2 * DAY}, "dataset": "d", "job": {}, "nonce": ""
    });
    storage.put("runs/r2/run.json", record.to_string().into()).await.unwrap();
    let mut stopped = own(&storage, "r2", claim(1, "a", 0)).await;
    commit(&mut stopped, 10, "stopped").await.unwrap();
    assert_eq!(collect_at_the_end_of(&storage, "r4", &[]).await.unwrap().runs, ["r1"]);
    own(&storage, "r2", claim(2, "b", 0)).await;
}

#[tokio::test]
async fn a_dataset_that_a_run_comes_to_name_while_the_collector_is_paused_stays_or_is_prepared_anew() {
    for (pause_at, stays) in
        [(Fault::Pause as fn(Pause) -> Fault, true), (Fault::PauseAfter as fn(Pause) -> Fault, true)]
    {
        let (storage, faulty, slow) = stores();
        finished_run(&storage, 5, "mine").await;
        storage.put("datasets/old/manifest.json", "{}".into()).await.unwrap();
        let pause = Pause::new();
        faulty.inject(Operation::Put, "datasets/old/Retired", pause_at(pause.clone()));
        let collector = tokio::spawn(async move { collect_at_the_end_of(&slow, "r5", &[]).await.unwrap() });
        pause.reached().await;
        let record = serde_json::json!({"run": "x", "ownership": {"owner": "o", "sequence": 1}, "dataset": "old"});
        storage.put("runs/x/run.json", record.to_string().into()).await.unwrap();
        pause.resume();
        assert!(collector.await.unwrap().datasets.is_empty());
        assert_eq!(storage.head("datasets/old/manifest.json").await.unwrap().is_some(), stays);
    }

    // The record comes after the collector's second look: the run finds the marker, and what it prepares is safe.
    let (storage, faulty, slow) = stores();
    finished_run(&storage, 5, "mine").await;
    storage.put("datasets/old/manifest.json", "{}".into()).await.unwrap();
    let pause = Pause::new();
    faulty.inject(Operation::Delete, "datasets/old/manifest.json", Fault::Pause(pause.clone()));
    let collector = tokio::spawn(async move { collect_at_the_end_of(&slow, "r5", &[]).await.unwrap() });
    pause.reached().await;
    let folder = manifest::live_folder(&storage, "datasets/old").await.unwrap();
    manifest::commit(&storage, &folder, "anew".to_owned()).await.unwrap();
    pause.resume();
    assert_eq!(collector.await.unwrap().datasets, ["datasets/old"]);
    let found: Option<String> = manifest::load(&storage, &folder).await.unwrap();
    assert_eq!(found.as_deref(), Some("anew"));
}

#[tokio::test]
async fn a_collector_that_wakes_after_an_attempt_has_claimed_the_run_leaves_it_alone() {
    let (storage, faulty, slow) = stores();
    for number in [1, 2, 3] {
        finished_run(&storage, number, "d").await;
    }
    let pause = Pause::new();
    faulty.inject(Operation::Put, "runs/r1/Retired", Fault::Pause(pause.clone()));
    let collector = tokio::spawn(async move { collect_at_the_end_of(&slow, "r3", &[]).await.unwrap() });
    pause.reached().await;
    let mut alive = own(&storage, "r1", claim(2, "mended", 0)).await;
    pause.resume();
    assert!(collector.await.unwrap().runs.is_empty());
    commit(&mut alive, 30, "alive").await.unwrap();
    own(&storage, "r1", claim(3, "next", 0)).await;
}

#[tokio::test]
async fn an_upload_is_whole_before_its_entry_or_there_is_no_entry() {
    let (storage, faulty, flaky) = stores();
    let mut writer = own(&flaky, "run", claim(1, "a", 0)).await;
    faulty.inject(Operation::Put, "model.safetensors", Fault::ServerError);
    let upload = checkpoint::upload(writer.log().folder().clone(), writer.term(), 1, files("x")).await;
    assert!(matches!(upload, Err(StorageError::Unavailable { .. })));
    assert_eq!(commit(&mut writer, 2, "y").await.unwrap(), 1);
    checkpoint::collect(&mut writer, 1).await.unwrap();
    assert_eq!(storage.list("runs/run/checkpoints").await.unwrap().len(), 2, "the half upload is gone");
}
