//! `kubectl teasel events`: what happened to a job and to all that it made.

mod line;

use std::collections::HashMap;
use std::pin::pin;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};

use self::line::{Scope, count, line, time};
use crate::arguments::EventsArguments;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::target::{Serves, find};

/// How many events are read at once: a namespace may hold tens of thousands.
const PAGE: u32 = 500;

/// Prints events.
pub(crate) async fn run(cluster: &Cluster, arguments: &EventsArguments) -> Result<(), Failure> {
    let target = find(cluster, &arguments.name, Serves::Both).await?;
    let scope = Scope::of(&target);
    let events = cluster.core::<Event>();
    if arguments.follow {
        return follow(events, &scope).await;
    }
    let mut found = all(&events).await?;
    found.retain(|event| scope.holds(event));
    if found.is_empty() {
        eprintln!("{} has no events: Kubernetes keeps them for an hour", target.shown());
    }
    found.sort_by_key(time);
    found.iter().try_for_each(|event| output::line(line(event)))
}

async fn all(events: &Api<Event>) -> Result<Vec<Event>, Failure> {
    let mut found = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = events.list(&parameters).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(found),
        }
    }
}

async fn follow(events: Api<Event>, scope: &Scope) -> Result<(), Failure> {
    let mut watched = pin!(watcher(events, watcher::Config::default()).default_backoff());
    let mut first = Vec::new();
    // A watch that begins anew tells everything again.
    let mut told = HashMap::new();
    let mut tell = |event: &Event| {
        let uid = event.metadata.uid.clone().unwrap_or_default();
        let is_news = told.insert(uid, count(event)).is_none_or(|before| before != count(event));
        if is_news { output::line(line(event)) } else { Ok(()) }
    };
    while let Some(change) = watched.next().await {
        match change {
            Ok(watcher::Event::Init | watcher::Event::Delete(_)) => {}
            Ok(watcher::Event::InitApply(event)) if scope.holds(&event) => first.push(event),
            Ok(watcher::Event::InitDone) => {
                first.sort_by_key(time);
                first.drain(..).try_for_each(|event| tell(&event))?;
            }
            Ok(watcher::Event::Apply(event)) if scope.holds(&event) => tell(&event)?,
            Ok(_) => {}
            Err(error) => {
                let failure = Failure::from(error);
                if !failure.may_pass() {
                    return Err(failure);
                }
            }
        }
    }
    Ok(())
}
