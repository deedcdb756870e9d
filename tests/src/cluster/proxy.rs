//! Stands between an operator and the API server, counts what is written, and holds a write fast so that the operator can
//! be killed right before it or right after it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Cluster;

/// Larger than any object.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// A side of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The API server hasn't heard of it.
    Before,
    /// The API server has carried it out, and the operator doesn't know.
    After,
}

/// A proxy of one operator. It goes with the runtime that it was started on.
pub struct Proxy {
    address: SocketAddr,
    course: Arc<Course>,
}

struct Course {
    server: String,
    client: reqwest::Client,
    writes: Mutex<Writes>,
}

#[derive(Default)]
struct Writes {
    /// Method and path of each, in order.
    made: Vec<String>,
    /// The write that is to be held fast, counted from 0.
    hold: Option<(usize, Side)>,
    /// Whether it is: from then on nothing is answered.
    held: bool,
}

impl Writes {
    /// Takes a request down, and says on which side of it everything stops, if it does.
    fn stops(&mut self, parts: &Parts) -> Option<Side> {
        if self.held {
            return Some(Side::Before);
        }
        if !is_write(parts) {
            return None;
        }
        let number = self.made.len();
        self.made.push(format!("{} {}", parts.method, parts.uri.path()));
        let (_, side) = self.hold.filter(|(wanted, _)| *wanted == number)?;
        self.held = side == Side::Before;
        Some(side)
    }
}

impl Course {
    fn writes(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Starts a proxy of a cluster's API server.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let config = cluster.json(&["config", "view", "--raw", "--minify"])?;
        let server = config["clusters"][0]["cluster"]["server"].as_str().context("the cluster has no server")?;
        // The cluster is this machine's own.
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build()?;
        let course = Arc::new(Course { server: server.to_owned(), client, writes: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(pass).with_state(Arc::clone(&course));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Proxy { address, course })
    }

    /// Where the operator finds the API server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Counts anew, and holds a write fast, counted from 0, where one is named.
    pub fn count_anew(&self, hold: Option<(usize, Side)>) {
        *self.course.writes() = Writes { hold, ..Writes::default() };
    }

    /// Whether the write is held fast.
    pub fn holds(&self) -> bool {
        self.course.writes().held
    }

    /// Method and path of each write so far.
    pub fn writes(&self) -> Vec<String> {
        self.course.writes().made.clone()
    }
}

/// Whether a request changes anything of a job. What is told to people, and who leads, isn't counted.
fn is_write(parts: &Parts) -> bool {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
    !reads && !["/leases", "/events"].iter().any(|other| parts.uri.path().contains(other))
}

async fn pass(State(course): State<Arc<Course>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let side = course.writes().stops(&parts);
    if side == Some(Side::Before) {
        return std::future::pending().await;
    }
    let answer = forward(&course, parts, body).await;
    if side == Some(Side::After) {
        course.writes().held = true;
        return std::future::pending().await;
    }
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response())
}

async fn forward(course: &Course, parts: Parts, body: Body) -> Result<Response> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    for own in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(own);
    }
    let body = to_bytes(body, LARGEST_BODY).await?;
    let request = course.client.request(parts.method, format!("{}{path}", course.server)).headers(headers);
    let answer = request.body(body).send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(TRANSFER_ENCODING);
    Ok((status, headers, Body::from_stream(answer.bytes_stream())).into_response())
}
