//! Stands between an operator and the API server: counts what is written, holds a write fast so that the operator can be
//! killed right before it or right after it, and lets other things go wrong.

mod fault;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use self::fault::{Course, Weather, is_counted};
pub use self::fault::{Fault, Side};
use super::Cluster;

/// Larger than any object.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// A proxy of one operator. It goes with the runtime that it was started on.
pub struct Proxy {
    address: SocketAddr,
    way: Arc<Way>,
}

/// The way to the API server.
struct Way {
    server: String,
    client: reqwest::Client,
    weather: Mutex<Weather>,
    /// Lets go of what has been held since everything began.
    released: Mutex<Arc<Notify>>,
    /// What the API server answered to writes that were held.
    late: Mutex<Vec<StatusCode>>,
    /// What each list was answered, until that is answered again.
    lists: Mutex<HashMap<String, (HeaderMap, Bytes)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Starts a proxy of a cluster's API server. Nothing goes wrong yet.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let config = cluster.json(&["config", "view", "--raw", "--minify"])?;
        let server = config["clusters"][0]["cluster"]["server"].as_str().context("the cluster has no server")?;
        // The cluster is this machine's own.
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build()?;
        let way = Arc::new(Way {
            server: server.to_owned(),
            client,
            weather: Mutex::new(Weather::new(None, 0)),
            released: Mutex::default(),
            late: Mutex::default(),
            lists: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(pass).with_state(Arc::clone(&way));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Proxy { address, way })
    }

    /// Where the operator finds the API server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Counts writes anew, and lets something go wrong, by this seed, or everything be well. What is held never comes.
    pub fn begin(&self, fault: Option<Fault>, seed: u64) {
        *lock(&self.way.weather) = Weather::new(fault, seed);
        *lock(&self.way.released) = Arc::default();
        lock(&self.way.late).clear();
        lock(&self.way.lists).clear();
    }

    /// Lets go of everything that is held, which thus comes late to the API server.
    pub fn release(&self) {
        let held = Arc::clone(&lock(&self.way.released));
        self.begin(None, 0);
        held.notify_waiters();
    }

    /// What the API server answered to the writes that came late.
    pub fn late_answers(&self) -> Vec<StatusCode> {
        lock(&self.way.late).clone()
    }

    /// Whether everything is held.
    pub fn holds(&self) -> bool {
        lock(&self.way.weather).held
    }

    /// Method and path of each write so far.
    pub fn writes(&self) -> Vec<String> {
        lock(&self.way.weather).writes.clone()
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Made before anything is decided, so that a release in between isn't missed.
    let released = Arc::clone(&lock(&way.released)).notified_owned();
    let course = lock(&way.weather).meet(&parts);
    let answer = match course {
        Course::Pass => way.forward(parts, body).await,
        Course::Hold(Side::Before) => {
            let writes = is_counted(&parts);
            let body = match to_bytes(body, LARGEST_BODY).await {
                Ok(body) => Body::from(body),
                Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
            };
            // By itself: whoever has sent it may not wait for an answer any more, and what was sent comes all the same.
            let late = tokio::spawn(async move {
                released.await;
                let answer = way.forward(parts, body).await;
                if let (true, Ok(answer)) = (writes, &answer) {
                    lock(&way.late).push(answer.status());
                }
                answer
            });
            late.await.map_err(anyhow::Error::from).flatten()
        }
        Course::Hold(Side::After) => {
            let answer = way.forward(parts, body).await;
            lock(&way.weather).held = true;
            released.await;
            answer
        }
        Course::Refuse(code, reason) => Ok(refusal(code, reason)),
        Course::Lose => way.forward(parts, body).await.map(|_| refusal(504, "Timeout")),
        Course::Wait(time) => {
            sleep(time).await;
            way.forward(parts, body).await
        }
        Course::End(time) => way.forward(parts, body).await.map(|answer| ending(answer, time)),
        Course::Lag(time) => way.forward(parts, body).await.map(|answer| lagging(answer, time)),
        Course::Repeat => way.repeat(parts, body).await,
    };
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response())
}

impl Way {
    async fn forward(&self, parts: Parts, body: Body) -> Result<Response> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers;
        for own in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(own);
        }
        let body = to_bytes(body, LARGEST_BODY).await?;
        let request = self.client.request(parts.method, format!("{}{path}", self.server)).headers(headers);
        let answer = request.body(body).send().await?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(TRANSFER_ENCODING);
        Ok((status, headers, Body::from_stream(answer.bytes_stream())).into_response())
    }

    /// Answers with what the same request was answered before, once, and otherwise as the API server does.
    async fn repeat(&self, parts: Parts, body: Body) -> Result<Response> {
        let uri = parts.uri.to_string();
        if let Some((headers, body)) = lock(&self.lists).remove(&uri) {
            return Ok((headers, body).into_response());
        }
        let (parts, body) = self.forward(parts, body).await?.into_parts();
        let body = to_bytes(body, LARGEST_BODY).await?;
        if parts.status.is_success() {
            lock(&self.lists).insert(uri, (parts.headers.clone(), body.clone()));
        }
        Ok((parts.status, parts.headers, body).into_response())
    }
}

/// What the API server says when it refuses.
fn refusal(code: u16, reason: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("the test's proxy says {reason}"),
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    (code, axum::Json(status)).into_response()
}

fn with_stream(answer: Response, change: impl FnOnce(axum::body::BodyDataStream) -> Body) -> Response {
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, change(body.into_data_stream()))
}

fn ending(answer: Response, time: Duration) -> Response {
    with_stream(answer, |stream| Body::from_stream(stream.take_until(Box::pin(sleep(time)))))
}

fn lagging(answer: Response, time: Duration) -> Response {
    with_stream(answer, |stream| Body::from_stream(late(stream, time)))
}

/// The same, each part of it later by `time`.
fn late<T: Send + 'static>(
    mut stream: impl Stream<Item = T> + Send + Unpin + 'static,
    time: Duration,
) -> impl Stream<Item = T> + Send {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(part) = stream.next().await {
            if sender.send((Instant::now() + time, part)).is_err() {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        let (due, part) = receiver.recv().await?;
        sleep_until(due).await;
        Some((part, receiver))
    })
}
