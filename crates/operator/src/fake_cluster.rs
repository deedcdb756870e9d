//! An API server for tests: it keeps objects, refuses names that are taken and versions that are old, and remembers what
//! it was asked. Nothing acts on the objects.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::{Json, Router};
use kube::Client;
use serde_json::{Value, json};

/// A cluster without controllers.
#[derive(Clone, Default)]
pub(crate) struct FakeCluster(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Objects, by path.
    objects: BTreeMap<String, Value>,
    requests: Vec<Asked>,
}

/// What the API server was asked, in the words of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// API group; empty for the core.
    pub(crate) group: String,
    /// Resource, with its subresource.
    pub(crate) resource: String,
    /// What is to be done.
    pub(crate) verb: &'static str,
}

impl FakeCluster {
    /// A client of this cluster.
    pub(crate) fn client(&self) -> Client {
        Client::new(Router::new().fallback(answer).with_state(self.clone()), "default")
    }

    /// Everything that was asked so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.0.lock().unwrap().requests.clone()
    }

    /// Changes the object whose path ends like this.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.0.lock().unwrap();
        change(inner.objects.iter_mut().find(|(key, _)| key.ends_with(path)).unwrap().1);
    }

    /// The object whose path ends like this.
    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        let inner = self.0.lock().unwrap();
        inner.objects.iter().find(|(key, _)| key.ends_with(path)).map(|(_, object)| object.clone())
    }
}

async fn answer(State(cluster): State<FakeCluster>, request: Request) -> (StatusCode, Json<Value>) {
    let (parts, body) = request.into_parts();
    let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap_or_default();
    let mut inner = cluster.0.lock().unwrap();
    inner.requests.push(asked(&parts.method, parts.uri.path()));
    let (status, answer) = inner.answer(&parts.method, parts.uri.path(), body);
    (status, Json(answer))
}

/// The segments after `/api/v1` or `/apis/<group>/<version>`, and the group.
fn split(path: &str) -> (&str, Vec<&str>) {
    let mut segments = path.trim_matches('/').split('/');
    let group = if segments.next() == Some("apis") { segments.next().unwrap() } else { "" };
    (group, segments.skip(1).collect())
}

fn asked(method: &Method, path: &str) -> Asked {
    let (group, segments) = split(path);
    let ["namespaces", _, resource, rest @ ..] = segments.as_slice() else { panic!("{path}") };
    let verb = match (method.as_str(), rest) {
        ("GET", []) => "list",
        ("GET", _) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        _ => "delete",
    };
    let resource = rest.get(1).map_or_else(|| (*resource).to_owned(), |part| format!("{resource}/{part}"));
    Asked { group: group.to_owned(), resource, verb }
}

fn refusal(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason,
                        "reason": reason, "code": code.as_u16()});
    (code, status)
}

impl Inner {
    fn answer(&mut self, method: &Method, path: &str, body: Value) -> (StatusCode, Value) {
        let path = path.trim_end_matches("/status");
        match *method {
            Method::POST => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                self.create(format!("{path}/{name}"), body)
            }
            Method::GET if split(path).1.len() == 3 => {
                let below = self.objects.iter().filter(|(key, _)| key.starts_with(&format!("{path}/")));
                let items: Vec<_> = below.map(|(_, object)| object).collect();
                (StatusCode::OK, json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
            }
            Method::GET => match self.objects.get(path) {
                Some(found) => (StatusCode::OK, found.clone()),
                None => refusal(StatusCode::NOT_FOUND, "NotFound"),
            },
            Method::PUT => self.replace(path, body),
            _ => match self.objects.remove(path) {
                Some(found) => (StatusCode::OK, found),
                None => refusal(StatusCode::NOT_FOUND, "NotFound"),
            },
        }
    }

    fn create(&mut self, path: String, mut object: Value) -> (StatusCode, Value) {
        if self.objects.contains_key(&path) {
            return refusal(StatusCode::CONFLICT, "AlreadyExists");
        }
        object["metadata"]["resourceVersion"] = json!("1");
        object["metadata"]["uid"] = json!(format!("uid of {path}"));
        self.objects.insert(path, object.clone());
        (StatusCode::CREATED, object)
    }

    fn replace(&mut self, path: &str, mut object: Value) -> (StatusCode, Value) {
        let Some(found) = self.objects.get_mut(path) else { return refusal(StatusCode::NOT_FOUND, "NotFound") };
        let version = found["metadata"]["resourceVersion"].clone();
        if object["metadata"]["resourceVersion"] != version {
            return refusal(StatusCode::CONFLICT, "Conflict");
        }
        let next = version.as_str().unwrap().parse::<u64>().unwrap() + 1;
        object["metadata"]["resourceVersion"] = json!(next.to_string());
        found.clone_from(&object);
        (StatusCode::OK, object)
    }
}
