//! An object store that misbehaves where it is told to.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::Notify;

/// Kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Any write of a whole object.
    Put,
    /// A write of a part of an object.
    Part,
    /// A read, or a question about an object.
    Get,
    /// A deletion.
    Delete,
}

/// How a request goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is done, but its answer is lost.
    LostAnswer,
    /// It isn't done: a server error.
    ServerError,
    /// It isn't done: a conflict (409), though nothing is there.
    Conflict,
    /// It is done after the pause ends.
    Pause(Pause),
    /// It is done, the pause is waited for, and then it is answered.
    PauseAfter(Pause),
}

/// A point at which a request waits until the test says so.
#[derive(Clone, Debug, Default)]
pub struct Pause {
    reached: Arc<Notify>,
    go: Arc<Notify>,
}

impl Pause {
    /// A pause that nobody has reached.
    pub fn new() -> Self {
        Pause::default()
    }

    /// Waits until a request has come here.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the request go on.
    pub fn resume(&self) {
        self.go.notify_one();
    }

    async fn wait(&self) {
        self.reached.notify_one();
        self.go.notified().await;
    }
}

#[derive(Debug)]
struct Rule {
    operation: Operation,
    part: String,
    fault: Fault,
}

/// An object store that does what another does, except for requests that a rule names.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FaultyStore({})", self.inner)
    }
}

impl FaultyStore {
    /// Without any rule yet.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        FaultyStore { inner, rules: Arc::default() }
    }

    /// The next `operation` on an object whose path contains `part` goes wrong. Rules are used up in their order.
    pub fn inject(&self, operation: Operation, part: &str, fault: Fault) {
        let rule = Rule { operation, part: part.to_owned(), fault };
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// How many rules haven't been used.
    pub fn pending(&self) -> usize {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self, operation: Operation, location: &Path) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let place =
            rules.iter().position(|rule| rule.operation == operation && location.as_ref().contains(&rule.part))?;
        Some(rules.remove(place).fault)
    }

    async fn around<T>(
        &self,
        operation: Operation,
        location: &Path,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.take(operation, location) {
            None => work.await,
            Some(Fault::LostAnswer) => {
                work.await?;
                Err(generic("the connection was reset before the answer"))
            }
            Some(Fault::ServerError) => Err(generic("503 Service Unavailable")),
            Some(Fault::Conflict) => Err(object_store::Error::AlreadyExists {
                path: location.to_string(),
                source: "409 Conflict".into(),
            }),
            Some(Fault::Pause(pause)) => {
                pause.wait().await;
                work.await
            }
            Some(Fault::PauseAfter(pause)) => {
                let done = work.await;
                pause.wait().await;
                done
            }
        }
    }
}

fn generic(message: &str) -> object_store::Error {
    object_store::Error::Generic { store: "FaultyStore", source: message.into() }
}

/// An upload in parts.
#[derive(Debug)]
struct FaultyUpload {
    store: FaultyStore,
    location: Path,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let (store, location, part) = (self.store.clone(), self.location.clone(), self.upload.put_part(payload));
        async move { store.around(Operation::Part, &location, part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.around(Operation::Put, location, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(FaultyUpload { store: self.clone(), location: location.clone(), upload }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.around(Operation::Get, location, self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        use futures::StreamExt;
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let work = object_store::ObjectStoreExt::delete(&*store.inner, &location);
                    store.around(Operation::Delete, &location, work).await?;
                    Ok(location.clone())
                }
            })
            .boxed()
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
