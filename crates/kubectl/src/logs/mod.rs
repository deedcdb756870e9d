//! `kubectl teasel logs`: what the pods of an attempt say.

mod choice;
mod stream;

use futures::StreamExt;
use futures::stream::select_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use teasel_api::outcome::ExitCode;
use teasel_api::request::JOB_UID_LABEL;

use self::choice::{Chosen, choose};
use crate::arguments::LogsArguments;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::target::{Serves, find};

/// How many pods are read at once: each holds a connection of the API server and one of a kubelet.
const AT_ONCE: usize = 50;

/// Prints logs.
pub(crate) async fn run(cluster: &Cluster, arguments: &LogsArguments) -> Result<(), Failure> {
    let target = find(cluster, &arguments.name, Serves::Jobs).await?;
    let pods = cluster.core::<Pod>();
    let of_job = ListParams::default().labels(&format!("{JOB_UID_LABEL}={}", target.uid()));
    let chosen = choose(&pods.list(&of_job).await?.items, arguments)
        .map_err(|error| Failure::new(ExitCode::InputMissing, format!("{}: {error}", target.shown())))?;
    eprintln!("{chosen}");
    if arguments.follow { follow(cluster, &chosen).await } else { print(cluster, &chosen).await }
}

async fn print(cluster: &Cluster, chosen: &Chosen) -> Result<(), Failure> {
    let mut failed = None;
    for pod in &chosen.pods {
        if !pod.started {
            eprintln!("pod {} hasn't started: {}", pod.name, pod.waits_for);
            continue;
        }
        let mut lines = stream::lines(cluster, pod, false);
        while let Some(said) = lines.next().await {
            match said {
                Ok(said) => output::line(prefixed(chosen, &pod.short, &said))?,
                Err(failure) => {
                    eprintln!("pod {}: {failure}", pod.name);
                    failed.get_or_insert(failure);
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn follow(cluster: &Cluster, chosen: &Chosen) -> Result<(), Failure> {
    if chosen.pods.len() > AT_ONCE {
        let message = format!("{} pods are too many to follow: name one with --worker", chosen.pods.len());
        return Err(Failure::usage(message));
    }
    let streams = chosen.pods.iter().map(|pod| {
        let short = pod.short.clone();
        stream::lines(cluster, pod, true).map(move |said| (short.clone(), said)).boxed()
    });
    let mut all = select_all(streams);
    let mut failed = None;
    while let Some((short, said)) = all.next().await {
        match said {
            Ok(said) => output::line(prefixed(chosen, &short, &said))?,
            Err(failure) => {
                eprintln!("pod {short}: {failure}");
                failed.get_or_insert(failure);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn prefixed(chosen: &Chosen, short: &str, line: &str) -> String {
    if chosen.pods.len() > 1 { format!("[{short}] {line}") } else { line.to_owned() }
}
