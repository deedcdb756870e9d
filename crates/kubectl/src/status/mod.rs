//! `kubectl teasel status`: how jobs and schedules are.

mod job;
mod list;
mod live;
mod progress;
mod schedule;
mod tenants;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod text;

use std::io::IsTerminal;

use jiff::Timestamp;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use teasel_api::outcome::ExitCode;
use teasel_api::spec::{Phase, RecommenderJob, ScheduledRecommenderJob};

use crate::arguments::{Output, StatusArguments};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::reference::{Kind, Reference};
use crate::target::{Serves, find, typed};

/// Width where there is no terminal to tell one.
const WIDTH: usize = 100;

/// What is shown.
enum Subject {
    Job(Box<RecommenderJob>),
    Schedule(Box<ScheduledRecommenderJob>),
}

impl Subject {
    fn read(kind: Kind, object: &DynamicObject) -> Result<Self, Failure> {
        Ok(match kind {
            Kind::Job => Subject::Job(Box::new(typed(object)?)),
            Kind::Schedule => Subject::Schedule(Box::new(typed(object)?)),
        })
    }

    fn render(&self, now: Timestamp, width: usize) -> String {
        match self {
            Subject::Job(job) => job::render(now, job, width),
            Subject::Schedule(schedule) => schedule::render(now, schedule, width),
        }
    }

    /// Whether nothing happens any more by itself.
    fn has_ended(&self) -> bool {
        match self {
            Subject::Job(job) => {
                let phase = job.status.as_ref().and_then(|status| status.phase);
                matches!(phase, Some(Phase::Succeeded | Phase::Failed))
            }
            Subject::Schedule(_) => false,
        }
    }
}

/// Shows it.
pub(crate) async fn run(cluster: &Cluster, arguments: &StatusArguments) -> Result<(), Failure> {
    let reference = reference(arguments)?;
    match reference {
        Some(reference) if !arguments.all_namespaces => one(cluster, &reference, arguments).await,
        reference => many(cluster, reference.as_ref(), arguments).await,
    }
}

fn reference(arguments: &StatusArguments) -> Result<Option<Reference>, Failure> {
    let Some(mut reference) = arguments.name.clone() else { return Ok(None) };
    if arguments.schedule {
        if reference.kind == Some(Kind::Job) {
            return Err(Failure::usage(format!("recjob/{} is no schedule", reference.name)));
        }
        reference.kind = Some(Kind::Schedule);
    }
    Ok(Some(reference))
}

async fn one(cluster: &Cluster, reference: &Reference, arguments: &StatusArguments) -> Result<(), Failure> {
    let target = find(cluster, reference, Serves::Both).await?;
    if arguments.output == Some(Output::Json) {
        return output::line(pretty(&status(&target.object))?);
    }
    let subject = Subject::read(target.kind, &target.object)?;
    if arguments.once || subject.has_ended() || !std::io::stdout().is_terminal() {
        return output::line(subject.render(Timestamp::now(), width()));
    }
    live::watch(&target, subject).await
}

/// All jobs and schedules, or those of one name in all namespaces.
async fn many(
    cluster: &Cluster,
    reference: Option<&Reference>,
    arguments: &StatusArguments,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    for kind in [Kind::Job, Kind::Schedule] {
        let asked = reference.and_then(|reference| reference.kind);
        let is_asked = asked.is_none_or(|asked| asked == kind) && !(arguments.schedule && kind == Kind::Job);
        if !is_asked {
            continue;
        }
        let api = match arguments.all_namespaces {
            true => Api::all_with(cluster.client.clone(), &kind.resource()),
            false => cluster.objects(kind),
        };
        let named = reference.map(|reference| format!("metadata.name={}", reference.name));
        let parameters = ListParams { field_selector: named, ..ListParams::default() };
        let objects = api.list(&parameters).await?.items;
        found.extend(objects.into_iter().map(|object| (kind, object)));
    }
    let place = match arguments.all_namespaces {
        true => "the cluster".to_owned(),
        false => format!("namespace {}", cluster.namespace),
    };
    if arguments.output == Some(Output::Json) {
        let items: Vec<Value> = found.iter().map(|(kind, object)| item(*kind, object)).collect();
        return output::line(pretty(&Value::Array(items))?);
    }
    if found.is_empty() {
        return match reference {
            None => output::line(format!("{place} has no jobs and no schedules")),
            Some(reference) => {
                let message = format!("{place} has no job and no schedule {}", reference.name);
                Err(Failure::new(ExitCode::InputMissing, message))
            }
        };
    }
    let subjects =
        found.iter().map(|(kind, object)| Subject::read(*kind, object)).collect::<Result<Vec<_>, _>>()?;
    output::line(list::render(Timestamp::now(), &subjects, arguments.all_namespaces, width()))
}

fn status(object: &DynamicObject) -> Value {
    object.data.get("status").cloned().unwrap_or_else(|| json!({}))
}

fn item(kind: Kind, object: &DynamicObject) -> Value {
    json!({
        "namespace": object.namespace(), "kind": kind.to_string(), "name": object.name_any(), "status": status(object),
    })
}

fn pretty(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::new(ExitCode::Bug, error.to_string()))
}

/// The terminal's width.
fn width() -> usize {
    comfy_table::Table::new().width().map_or(WIDTH, usize::from)
}
