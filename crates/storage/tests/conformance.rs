//! One suite for every kind of store: local files, and a real S3 server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use support::{claim, commit, own};
use teasel_api::location::Location;
use teasel_api::task::Ownership;
use teasel_storage::output::{OutputLog, PublishOutcome, PublishRequest, ScoreIdentity, Scores, Version, current};
use teasel_storage::run_log::{Event, LogError, RunLog};
use teasel_storage::testing::SeaweedFs;
use teasel_storage::{Created, Credentials, StorageError, Store, checkpoint, manifest};

fn place(uri: impl Into<String>) -> Location {
    Location { uri: uri.into(), secret_ref: None }
}

#[tokio::test]
async fn local_files_conform() {
    let folder = tempfile::tempdir().unwrap();
    // Characters that URLs and object paths spell differently.
    let root = folder.path().join("a b~#é");
    std::fs::create_dir(&root).unwrap();
    let store = Store::open(&place(root.to_str().unwrap()), &Credentials::none()).unwrap();
    conforms(&store).await;
    let names: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.contains(&"put".into()), "files lie in the folder itself: {names:?}");
    let url = url::Url::from_file_path(&root).unwrap();
    let same = Store::open(&place(url.as_str()), &Credentials::none()).unwrap();
    assert_eq!(same.get("put").await.unwrap(), "second");
}

#[tokio::test]
async fn a_real_s3_server_conforms() {
    let server = SeaweedFs::start().await.unwrap();
    let store = Store::open(&server.location("some/prefix"), &server.credentials()).unwrap();
    conforms(&store).await;
    let denied = Store::open(&server.location("some/prefix"), &server.wrong_credentials()).unwrap();
    assert!(matches!(denied.get("put").await, Err(StorageError::PermissionDenied { .. })));
    assert!(matches!(denied.put("put", "x".into()).await, Err(StorageError::PermissionDenied { .. })));
    assert!(matches!(denied.create("new", "x".into()).await, Err(StorageError::PermissionDenied { .. })));
    assert!(matches!(denied.list("").await, Err(StorageError::PermissionDenied { .. })));
}

async fn conforms(store: &Store) {
    objects(store).await;
    creates(store).await;
    listings(store).await;
    files(store).await;
    folders_retire(store).await;
    publishing(&store.sub("tenant")).await;
    checkpoints(&store.sub("job")).await;
}

/// The run log: claims, fencing, checkpoints and their collection.
async fn checkpoints(storage: &Store) {
    let mut old = own(storage, "run", claim(1, "a", 0)).await;
    for step in [10, 20, 30] {
        commit(&mut old, step, &step.to_string()).await.unwrap();
    }
    let entry = commit(&mut old, 40, "40").await.unwrap();
    old.append(Event::Best { entry }).await.unwrap();
    commit(&mut old, 50, "50").await.unwrap();
    checkpoint::collect(&mut old, 1).await.unwrap();
    let steps = |log: &RunLog| log.state().checkpoints().map(|(_, found)| found.step).collect::<Vec<_>>();
    assert_eq!(steps(old.log()), [40, 50], "the newest and the best stay");
    assert_eq!(storage.list("runs/run/checkpoints").await.unwrap().len(), 4);

    let mut new = own(storage, "run", claim(2, "b", 0)).await;
    assert!(matches!(commit(&mut old, 60, "60").await, Err(LogError::Fenced { by, .. }) if by.attempt == 2));
    let newest = checkpoint::load_newest(new.log()).await.unwrap().unwrap();
    assert_eq!((newest.checkpoint.step, &newest.files["state.json"][..]), (50, &b"state.json 50"[..]));
    let damaged = newest.checkpoint.files[0].name.clone();
    new.log().folder().put(&damaged, "cut".into()).await.unwrap();
    let before = checkpoint::load_newest(new.log()).await.unwrap().unwrap();
    assert_eq!((before.checkpoint.step, before.damaged.len()), (40, 1));
    commit(&mut new, 60, "new").await.unwrap();
    let read = RunLog::open(storage, "run").await.unwrap();
    assert_eq!(read.entries(), new.log().entries());
}

async fn objects(store: &Store) {
    assert!(matches!(store.get("put").await, Err(StorageError::NotFound { uri }) if uri == store.uri_of("put")));
    assert_eq!(store.get_optional("put").await.unwrap(), None);
    assert!(store.head("put").await.unwrap().is_none());
    store.put("put", "first".into()).await.unwrap();
    store.put("put", "second".into()).await.unwrap();
    assert_eq!(store.get("put").await.unwrap(), "second");
    assert_eq!(store.head("put").await.unwrap().unwrap().size, 6);
    store.put("gone", "x".into()).await.unwrap();
    store.delete("gone").await.unwrap();
    store.delete("gone").await.unwrap();
    assert_eq!(store.get_optional("gone").await.unwrap(), None);
    store.put("empty", Bytes::new()).await.unwrap();
    assert_eq!(store.get("empty").await.unwrap(), Bytes::new());
}

async fn creates(store: &Store) {
    assert_eq!(store.create("log/0", "mine".into()).await.unwrap(), Created::Created);
    assert_eq!(
        store.create("log/0", "mine".into()).await.unwrap(),
        Created::Created,
        "the same write again is ours"
    );
    assert_eq!(store.create("log/0", "other".into()).await.unwrap(), Created::Exists("mine".into()));
    for round in 0..10 {
        let racers = (0..8).map(|racer| {
            let store = store.clone();
            tokio::spawn(
                async move { store.create(&format!("race/{round}"), format!("racer {racer}").into()).await },
            )
        });
        let results = futures::future::join_all(racers).await;
        let won = results.iter().filter(|result| matches!(result, Ok(Ok(Created::Created)))).count();
        assert_eq!(won, 1, "round {round}: {results:?}");
    }
}

async fn listings(store: &Store) {
    for path in ["list/b/2", "list/a/1", "list/a/c/3"] {
        store.put(path, path.into()).await.unwrap();
    }
    let names = |found: Vec<(String, object_store::ObjectMeta)>| {
        found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(store.list("list").await.unwrap()), ["list/a/1", "list/a/c/3", "list/b/2"]);
    assert_eq!(names(store.sub("list").list("a").await.unwrap()), ["a/1", "a/c/3"]);
    assert_eq!(store.folders("list").await.unwrap(), ["a", "b"]);
    assert!(store.list("nothing").await.unwrap().is_empty());
    assert!(store.folders("nothing").await.unwrap().is_empty());
    store.delete_all("list/a").await.unwrap();
    assert_eq!(names(store.list("list").await.unwrap()), ["list/b/2"]);
    // An S3 server may keep an empty folder for a while.
    assert!(store.folders("list").await.unwrap().contains(&"b".to_owned()));
}

async fn files(store: &Store) {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("source"), scratch.path().join("target"));
    // Large enough to go in parts.
    let content: Vec<u8> = (0..25_000_000u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&source, &content).unwrap();
    let file = store.put_file("large/part", &source).await.unwrap();
    assert_eq!((file.name.as_str(), file.size), ("large/part", 25_000_000));
    store.get_file("large/part", &file, &target).await.unwrap();
    assert!(std::fs::read(&target).unwrap() == content);
    assert!(store.get_checked(&file).await.unwrap() == content);

    let mut flipped = content.clone();
    flipped[12_345_678] ^= 1;
    store.put("large/part", flipped.into()).await.unwrap();
    assert!(matches!(store.get_checked(&file).await, Err(StorageError::Corrupt { .. })));
    assert!(matches!(store.get_file("large/part", &file, &target).await, Err(StorageError::Corrupt { .. })));
    store.put("large/part", content[..1000].to_vec().into()).await.unwrap();
    assert!(matches!(store.get_checked(&file).await, Err(StorageError::Corrupt { .. })));
}

async fn folders_retire(store: &Store) {
    assert_eq!(manifest::live_folder(store, "datasets/f").await.unwrap(), "datasets/f");
    let first = manifest::commit(store, "datasets/f", "first".to_owned()).await.unwrap();
    let second = manifest::commit(store, "datasets/f", "second".to_owned()).await.unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("first", "first"), "the first manifest stays");
    store.put("datasets/f/Retired", "x".into()).await.unwrap();
    assert_eq!(manifest::live_folder(store, "datasets/f").await.unwrap(), "datasets/f.1");
}

async fn publishing(output: &Store) {
    let scratch = tempfile::tempdir().unwrap();
    let part = scratch.path().join("part");
    std::fs::write(&part, "lists").unwrap();
    for sequence in 1..=3 {
        let version = Version { run: format!("run-{sequence}"), score_hash: "h".into() };
        let ownership = Ownership { owner: "me".into(), sequence };
        let identity = ScoreIdentity { tenant: "t".into(), ownership: ownership.clone(), shards: 2 };
        let request = PublishRequest { version: version.clone(), ownership, take_over: false };
        let mut log = OutputLog::open(output).await.unwrap();
        let scores = Scores::new(output, &version);
        scores.commit_shard(1, &part, 5, 1, None).await.unwrap();
        assert_eq!(scores.commit_manifest(&identity).await.unwrap(), None);
        assert_eq!(log.publish(&request).await.unwrap(), PublishOutcome::NotScored);
        let shard = scores.commit_shard(0, &part, 3, 0, None).await.unwrap();
        assert_eq!(scores.commit_shard(0, &part, 3, 0, None).await.unwrap(), shard, "the first commit stays");
        let manifest = scores.commit_manifest(&identity).await.unwrap().unwrap();
        assert_eq!((manifest.users, manifest.cold, manifest.files.len()), (8, 1, 2));
        assert_eq!(log.publish(&request).await.unwrap(), PublishOutcome::Published);
        let again = log.publish(&request).await.unwrap();
        assert_eq!(again, PublishOutcome::AlreadyPublished { current: true });

        let by_log = current(output).await.unwrap().unwrap();
        assert_eq!(by_log.run, version.run);
        assert_eq!(by_log.entry + 1, sequence as u64);
        let cached = output.get_json(CURRENT).await.unwrap();
        assert_eq!(Some(&by_log), cached.as_ref());
        for file in by_log.files {
            assert_eq!(output.get(&file).await.unwrap(), "lists");
        }
    }
    output.put(CURRENT, "torn{".into()).await.unwrap();
    OutputLog::open(output).await.unwrap().repair().await.unwrap();
    assert_eq!(output.get_json(CURRENT).await.unwrap(), current(output).await.unwrap());
}

const CURRENT: &str = "current.json";

#[test]
fn an_unknown_or_missing_key_of_a_secret_is_named() {
    let s3 = place("s3://bucket/prefix");
    let open = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Store::open(&s3, &Credentials::from_pairs(pairs)).unwrap_err().to_string()
    };
    let unknown = open(&[("AWS_ACESS_KEY", "hunter2")]);
    assert!(unknown.contains("AWS_ACESS_KEY") && unknown.contains("s3://bucket/prefix"), "{unknown}");
    assert!(!unknown.contains("hunter2"), "{unknown}");
    let missing = open(&[("AWS_ACCESS_KEY_ID", "hunter2")]);
    assert!(missing.contains("AWS_SECRET_ACCESS_KEY") && !missing.contains("hunter2"), "{missing}");
    assert!(matches!(
        Store::open(&place("ftp://host/x"), &Credentials::none()),
        Err(StorageError::BadConfiguration(message)) if message.contains("ftp")
    ));
    assert!(matches!(
        Store::open(&place("relative/x"), &Credentials::none()),
        Err(StorageError::BadConfiguration(_))
    ));
}
