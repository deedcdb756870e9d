//! `kubectl teasel retry`: takes up again what has failed for good.

use serde_json::Value;
use teasel_api::request::RETRY_ANNOTATION;

use crate::arguments::RetryArguments;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::target::{Serves, find, fresh};
use crate::wait::until;

/// Asks for it, and waits until the operator has acted on it.
pub(crate) async fn run(cluster: &Cluster, arguments: &RetryArguments) -> Result<(), Failure> {
    let target = find(cluster, &arguments.name, Serves::Jobs).await?;
    let request = fresh();
    target.annotate(RETRY_ANNOTATION, &request).await?;
    let shown = target.shown();
    if !arguments.wait.wait {
        return output::line(format!("{shown}: a retry is asked for"));
    }
    let answered = until(&target, arguments.wait.timeout, |object| answer(&object.data, &request)).await;
    let said = answered.map_err(|error| {
        error.into_failure(&target, "retry", "the request stays, unless the job is invalid (see its status)")
    })?;
    output::line(format!("{shown}: {said}"))
}

/// What became of the request, once the status says that it was acted on.
fn answer(object: &Value, request: &str) -> Option<String> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    (text("/status/retry") == Some(request)).then(|| match text("/status/phase") {
        Some("Succeeded") => "nothing had failed: it has succeeded".to_owned(),
        Some("Failed") => {
            format!("it has failed all the same: {}", text("/status/reason").unwrap_or("no reason is given"))
        }
        phase => format!("what had failed is tried again; it is {}", phase.unwrap_or("Pending")),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::not_seen_yet(json!({"phase": "Failed"}), None)]
    #[case::a_former_request(json!({"phase": "Failed", "retry": "1"}), None)]
    #[case::it_goes_on(json!({"phase": "Training", "retry": "2"}), Some("what had failed is tried again; it is Training"))]
    #[case::it_had_not_failed(
        json!({"phase": "Succeeded", "retry": "2"}),
        Some("nothing had failed: it has succeeded")
    )]
    #[case::it_failed_at_once(
        json!({"phase": "Failed", "reason": "InvalidSpec", "retry": "2"}),
        Some("it has failed all the same: InvalidSpec")
    )]
    fn a_retry_is_answered_by_its_own_value(#[case] status: Value, #[case] expected: Option<&str>) {
        assert_eq!(answer(&json!({"status": status}), "2").as_deref(), expected);
    }
}
