//! Every order of a few actors' steps on one log.
//!
//! Each request to the store is a step: it yields once before it is done. An execution is a sequence of choices of who
//! goes next; all sequences are tried, by running again and again with the next choice in the order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use support::claim;
use teasel_storage::Store;
use teasel_storage::run_log::{Checkpoint, Claim, Claimed, Event, LogError, RunLog};
use teasel_storage::testing::store_over;

/// A store whose every request takes one step; the writes of the numbers in `lost` are done, but their answers lost.
#[derive(Debug)]
struct Stepped {
    inner: Arc<InMemory>,
    writes: AtomicUsize,
    fault: Option<(usize, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    LostAnswer,
    NotWritten,
    Conflict,
}

impl fmt::Display for Stepped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stepped")
    }
}

#[async_trait]
impl ObjectStore for Stepped {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        tokio::task::yield_now().await;
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let generic = || object_store::Error::Generic { store: "Stepped", source: "reset".into() };
        match self.fault.filter(|(write, _)| *write == number).map(|(_, kind)| kind) {
            None => self.inner.put_opts(location, payload, options).await,
            Some(Kind::LostAnswer) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(generic())
            }
            Some(Kind::NotWritten) => Err(generic()),
            Some(Kind::Conflict) => {
                Err(object_store::Error::AlreadyExists { path: location.to_string(), source: "409".into() })
            }
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(object_store::Error::NotImplemented { operation: "multipart".into(), implementer: "Stepped".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        tokio::task::yield_now().await;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// What an actor saw: the indexes of the entries that it believes to have written.
#[derive(Debug, Default)]
struct Seen {
    term: Option<u64>,
    appended: Vec<u64>,
    fenced: bool,
}

/// Claims the run and appends twice.
async fn act(storage: Store, claim: Claim, appends: u64) -> Seen {
    let mut seen = Seen::default();
    let log = RunLog::open(&storage, "run").await.unwrap();
    let mut writer = match log.claim(claim).await {
        Ok(Claimed::Writer(writer)) => writer,
        Err(LogError::Fenced { .. }) => return Seen { fenced: true, ..seen },
        other => panic!("{other:?}"),
    };
    seen.term = Some(writer.term());
    for step in 0..appends {
        let event = Event::Checkpoint(Checkpoint { step, epoch: 0, files: vec![], metrics: Default::default() });
        match writer.append(event).await {
            Ok(index) => seen.appended.push(index),
            Err(LogError::Fenced { .. }) => {
                seen.fenced = true;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    seen
}

/// Runs the actors, letting `choices` say who goes next and extending it by the first who can. Leaves in `choices`
/// how many could have gone at each point.
fn execute(
    claims: &[Claim],
    appends: u64,
    fault: Option<(usize, Kind)>,
    choices: &mut Vec<(usize, usize)>,
) -> usize {
    let memory = Arc::new(InMemory::new());
    let stepped = Arc::new(Stepped { inner: Arc::clone(&memory), writes: AtomicUsize::new(0), fault });
    let storage = store_over(Arc::clone(&stepped) as Arc<dyn ObjectStore>);
    type Actor = Pin<Box<dyn Future<Output = Seen>>>;
    let mut actors: Vec<Option<Actor>> =
        claims.iter().map(|claim| Some(Box::pin(act(storage.clone(), claim.clone(), appends)) as Actor)).collect();
    let mut seen: Vec<Option<Seen>> = claims.iter().map(|_| None).collect();
    let mut context = Context::from_waker(Waker::noop());
    for point in 0.. {
        let runnable: Vec<usize> = (0..actors.len()).filter(|actor| actors[*actor].is_some()).collect();
        if runnable.is_empty() {
            break;
        }
        if point == choices.len() {
            choices.push((0, runnable.len()));
        }
        choices[point].1 = runnable.len();
        let actor = runnable[choices[point].0];
        if let Poll::Ready(result) = actors[actor].as_mut().unwrap().as_mut().poll(&mut context) {
            seen[actor] = Some(result);
            actors[actor] = None;
        }
    }
    choices.iter().for_each(|(choice, of)| assert!(choice < of));
    let seen: Vec<Seen> = seen.into_iter().map(Option::unwrap).collect();
    judge(claims, &seen, &memory);
    stepped.writes.load(Ordering::Relaxed)
}

/// What must hold after any execution.
fn judge(claims: &[Claim], seen: &[Seen], memory: &Arc<InMemory>) {
    let store = store_over(Arc::clone(memory) as Arc<dyn ObjectStore>);
    let log = futures::executor::block_on(RunLog::open(&store, "run")).unwrap();
    let entries = log.entries();
    // Whatever an actor believes to have written stands there under its term, and nothing else does.
    let mut believed = 0;
    for (claim, seen) in claims.iter().zip(seen) {
        if let Some(term) = seen.term {
            believed += 1;
            assert!(matches!(&entries[term as usize].event, Event::Claimed(found) if found == claim));
        }
        for index in &seen.appended {
            believed += 1;
            assert_eq!(entries[*index as usize].term, seen.term);
        }
        assert!(seen.fenced || seen.term.is_some());
    }
    assert_eq!(entries.len(), believed, "{seen:?} {entries:#?}");
    // The owner changes only by a claim, and only to a later attempt: nobody writes after a successor's claim.
    let mut owner = None;
    let mut highest = (0, 0);
    for (index, entry) in entries.iter().enumerate() {
        match &entry.event {
            Event::Claimed(claim) => {
                assert!((claim.attempt, claim.generation + 1) > highest, "{entries:#?}");
                highest = (claim.attempt, claim.generation + 1);
                owner = Some(index as u64);
            }
            _ => assert_eq!(entry.term, owner, "{entries:#?}"),
        }
    }
    // Somebody gets on: the highest attempt is never fenced out, unless by another life of itself.
    let top = claims.iter().map(|claim| claim.attempt).max().unwrap();
    let of_top = || claims.iter().zip(seen).filter(|(claim, _)| claim.attempt == top);
    assert!(of_top().any(|(_, seen)| !seen.fenced), "{seen:?}");
}

/// Every execution of these claims, without and with one fault at each write. Returns how many there were.
fn explore(claims: &[Claim], appends: u64, kinds: &[Kind]) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let mut executions = 0;
    let mut faults = vec![None];
    let writes = execute(claims, appends, None, &mut Vec::new());
    faults.extend((0..writes).flat_map(|write| kinds.iter().map(move |kind| Some((write, *kind)))));
    for fault in faults {
        let mut choices: Vec<(usize, usize)> = Vec::new();
        loop {
            execute(claims, appends, fault, &mut choices);
            executions += 1;
            // The next sequence in the order: the last choice that has an alternative takes it.
            while choices.last().is_some_and(|(choice, of)| choice + 1 == *of) {
                choices.pop();
            }
            match choices.last_mut() {
                Some((choice, _)) => *choice += 1,
                None => break,
            }
        }
    }
    executions
}

#[test]
fn two_attempts_never_both_own_the_run() {
    let executions = explore(&[claim(1, "a", 0), claim(2, "b", 0)], 1, &[Kind::LostAnswer, Kind::Conflict]);
    assert!(executions > 1000, "{executions}");
}

#[test]
fn two_lives_of_one_attempt_never_both_own_the_run() {
    let executions = explore(&[claim(1, "a", 0), claim(1, "b", 0)], 1, &[Kind::LostAnswer, Kind::NotWritten]);
    assert!(executions > 500, "{executions}");
}

#[test]
fn a_group_that_forms_again_shuts_its_former_self_out() {
    let executions = explore(&[claim(1, "a", 0), claim(1, "a", 1)], 1, &[Kind::Conflict]);
    assert!(executions > 500, "{executions}");
}
