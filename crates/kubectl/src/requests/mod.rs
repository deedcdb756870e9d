//! Requests to move a tenant's pointer: the annotation holds one at a time, and the status answers it.

mod answer;
pub(crate) mod publish;
pub(crate) mod rollback;
mod run;

use kube::ResourceExt;
use serde_json::{Value, json};
use teasel_api::outcome::ExitCode;
use teasel_api::request::{PUBLISH_REQUEST_ANNOTATION, PublishRequest, RequestAction};
use tokio::time::Instant;

use self::answer::{Answer, answer, pending, waits_for};
use crate::arguments::WaitArguments;
use crate::failure::Failure;
use crate::output;
use crate::reference::Kind;
use crate::target::{Target, fresh};
use crate::wait::until;

/// A request without its id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    tenant: String,
    action: RequestAction,
    run: Option<String>,
    hold: bool,
}

impl Wish {
    fn new(tenant: &str, action: RequestAction) -> Self {
        Wish { tenant: tenant.to_owned(), action, run: None, hold: false }
    }

    fn request(&self) -> PublishRequest {
        PublishRequest {
            id: fresh(),
            tenant: self.tenant.clone(),
            action: self.action,
            run: self.run.clone(),
            hold: self.hold,
        }
    }
}

/// Asks for one wish after the other, and says what came of each. Those that are refused don't stop the others.
async fn serve(target: &Target, wishes: &[Wish], wait: WaitArguments) -> Result<(), Failure> {
    if !wait.wait && wishes.len() > 1 {
        let message =
            "each tenant is a request of its own, after the former's answer: name one with --tenant, or wait";
        return Err(Failure::usage(message));
    }
    let mut refused = Vec::new();
    for wish in wishes {
        let tenant = &wish.tenant;
        match ask(target, wish, wait).await? {
            Answer::Granted(message) => output::line(format!("{tenant}: {message}"))?,
            Answer::Refused(message) => refused.push(format!("{tenant}: {message}")),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::Refused(refused.join("\n"))) }
}

async fn ask(target: &Target, wish: &Wish, wait: WaitArguments) -> Result<Answer, Failure> {
    let started = Instant::now();
    let left = || wait.timeout.saturating_sub(started.elapsed());
    let request = wish.request();
    let text = serde_json::to_string(&request).map_err(|error| Failure::new(ExitCode::Bug, error.to_string()))?;
    loop {
        let current = target.api.get(&target.name()).await?;
        if let Some(former) = pending(&current) {
            if !wait.wait {
                let message = format!("{}: request {} isn't answered yet", target.shown(), former.id);
                return Err(Failure::new(ExitCode::TryAgain, message));
            }
            let answered =
                until(target, left(), |object| pending(object).is_none_or(|now| now != former).then_some(()));
            let withdraw = format!(
                "nothing was asked for tenant {}. `kubectl annotate {} {PUBLISH_REQUEST_ANNOTATION}-` withdraws the former",
                wish.tenant,
                target.shown()
            );
            answered
                .await
                .map_err(|error| error.into_failure(target, &format!("request {}", former.id), &withdraw))?;
            continue;
        }
        // Somebody else may ask at the same moment: one of us reads again.
        let annotations = json!({PUBLISH_REQUEST_ANNOTATION: text});
        let patch =
            json!({"metadata": {"resourceVersion": current.resource_version(), "annotations": annotations}});
        match target.merge(patch).await {
            Err(Failure::Failed { exit: ExitCode::TryAgain, .. }) if !left().is_zero() => {}
            Err(failure) => return Err(failure),
            Ok(_) => break,
        }
    }
    if !wait.wait {
        return Ok(Answer::Granted(format!("asked for, as request {}", request.id)));
    }
    let error = match until(target, left(), |object| answer(object, &request)).await {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let current = target.api.get(&target.name()).await.ok();
    let reason = current.and_then(|object| waits_for(&object, &request)).map(|reason| format!("{reason}; "));
    let stays = format!("{}the request stays, unless the object is invalid", reason.unwrap_or_default());
    Err(error.into_failure(target, &format!("tenant {}", wish.tenant), &stays))
}

/// The tenants of a job or schedule: the one that is named, or all.
fn tenants(target: &Target, named: Option<&str>) -> Result<Vec<String>, Failure> {
    let path = match target.kind {
        Kind::Job => "/spec/scoring/tenants",
        Kind::Schedule => "/spec/jobTemplate/spec/scoring/tenants",
    };
    let all = target.object.data.pointer(path).and_then(Value::as_array);
    let all = all.into_iter().flatten().filter_map(|tenant| tenant["name"].as_str());
    let all: Vec<String> = all.map(str::to_owned).collect();
    match named {
        None => Ok(all),
        Some(named) if all.iter().any(|tenant| tenant == named) => Ok(vec![named.to_owned()]),
        Some(named) => {
            let message = format!("{} has no tenant {named}; it has {}", target.shown(), all.join(", "));
            Err(Failure::usage(message))
        }
    }
}
