//! The lines of one pod, from its start on.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use teasel_api::outcome::ExitCode;
use teasel_api::request::WORKER_CONTAINER;

use super::choice::{PodChoice, has_started};
use crate::cluster::Cluster;
use crate::failure::Failure;

/// How often a pod that hasn't started is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// The lines of a pod. To follow is to wait for its start, and then for its end.
pub(super) fn lines(
    cluster: &Cluster,
    pod: &PodChoice,
    follow: bool,
) -> BoxStream<'static, Result<String, Failure>> {
    let (pods, name) = (cluster.core::<Pod>(), pod.name.clone());
    futures::stream::once(open(pods, name, follow)).try_flatten().boxed()
}

async fn open(
    pods: Api<Pod>,
    name: String,
    follow: bool,
) -> Result<BoxStream<'static, Result<String, Failure>>, Failure> {
    while follow && !has_started(&pods.get(&name).await?) {
        tokio::time::sleep(PAUSE).await;
    }
    let parameters = LogParams { container: Some(WORKER_CONTAINER.into()), follow, ..LogParams::default() };
    let log = pods.log_stream(&name, &parameters).await?;
    let broken = |error| Failure::new(ExitCode::StorageUnavailable, format!("the log breaks off: {error}"));
    // By bytes: what a library prints needn't be UTF-8.
    let lines = futures::stream::try_unfold(Box::pin(log), move |mut log| async move {
        let mut line = Vec::new();
        if log.read_until(b'\n', &mut line).await.map_err(broken)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        Ok(Some((text, log)))
    });
    Ok(lines.boxed())
}
