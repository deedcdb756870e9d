//! `kubectl teasel publish`: approves a Manual job, or asks for single tenants.

use serde_json::json;
use teasel_api::request::RequestAction;
use teasel_api::spec::{PublishMode, RecommenderJob, RecommenderJobStatus, TenantPhase, TenantStatus};

use super::{Wish, serve, tenants};
use crate::arguments::{PublishArguments, WaitArguments};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::reference::Kind;
use crate::target::{Serves, Target, find, typed};
use crate::wait::until;

/// What publishing a whole job comes to.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Approve it, which publishes these tenants at once and others when their lists are whole.
    Approve(Vec<String>),
    /// Ask for these tenants.
    Ask(Vec<String>),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// Publishes.
pub(crate) async fn run(cluster: &Cluster, arguments: &PublishArguments) -> Result<(), Failure> {
    let target = find(cluster, &arguments.name, Serves::Both).await?;
    let named = tenants(&target, arguments.tenant.as_deref())?;
    let action = if arguments.take_over { RequestAction::TakeOver } else { RequestAction::Publish };
    let single = arguments.tenant.is_some() || arguments.take_over || target.kind == Kind::Schedule;
    let asked = if single {
        named
    } else {
        match plan(&target.typed()?) {
            Plan::Approve(waiting) => return approve(&target, &waiting, arguments.wait).await,
            Plan::Nothing(why) => return output::line(format!("{}: {why}", target.shown())),
            Plan::Ask(tenants) => tenants,
        }
    };
    let wishes: Vec<_> = asked.iter().map(|tenant| Wish::new(tenant, action)).collect();
    serve(&target, &wishes, arguments.wait).await
}

fn plan(job: &RecommenderJob) -> Plan {
    let publish = job.spec.publish.clone().unwrap_or_default();
    let in_phase = |phase: TenantPhase| {
        let tenants = job.status.iter().flat_map(|status| &status.tenants);
        tenants.filter(|tenant| tenant.phase == phase).map(|tenant| tenant.name.clone()).collect::<Vec<_>>()
    };
    let published = in_phase(TenantPhase::Published).len();
    if publish.mode == Some(PublishMode::Manual) && publish.approved != Some(true) {
        return Plan::Approve(in_phase(TenantPhase::Scored));
    }
    match in_phase(TenantPhase::NotPublished) {
        kept_back if !kept_back.is_empty() => Plan::Ask(kept_back),
        _ if published > 0 && published == job.spec.scoring.tenants.len() => {
            Plan::Nothing("every tenant is published")
        }
        _ => Plan::Nothing("each tenant is published as soon as its lists are whole"),
    }
}

async fn approve(target: &Target, waiting: &[String], wait: WaitArguments) -> Result<(), Failure> {
    let approved = target.merge(json!({"spec": {"publish": {"approved": true}}})).await?;
    let generation = approved.metadata.generation.unwrap_or_default();
    if waiting.is_empty() {
        return output::line(format!(
            "{}: approved; lists are published as soon as they are whole",
            target.shown()
        ));
    }
    if !wait.wait {
        return output::line(format!("{}: approved", target.shown()));
    }
    let ended = until(target, wait.timeout, |object| {
        let job: RecommenderJob = typed(object).ok()?;
        came_of(job.status.as_ref()?, generation, waiting)
    });
    let ended = ended.await.map_err(|error| error.into_failure(target, "publishing", "it stays approved"))?;
    let mut refused = Vec::new();
    for tenant in ended {
        let published = tenant.phase == TenantPhase::Published;
        let line = format!("{}: {}", tenant.name, sentence(&tenant));
        if published { output::line(line)? } else { refused.push(line) }
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::Refused(refused.join("\n"))) }
}

/// How tenants that waited for approval have ended, once all have.
fn came_of(status: &RecommenderJobStatus, generation: i64, waiting: &[String]) -> Option<Vec<TenantStatus>> {
    let seen = status.observed_generation.is_some_and(|observed| observed >= generation);
    let tenants: Vec<_> = status.tenants.iter().filter(|tenant| waiting.contains(&tenant.name)).cloned().collect();
    (seen && tenants.iter().all(|tenant| tenant.phase != TenantPhase::Scored)).then_some(tenants)
}

fn sentence(tenant: &TenantStatus) -> String {
    match (&tenant.message, &tenant.outcome) {
        (Some(message), Some(outcome)) if tenant.phase != TenantPhase::Published => format!("{outcome}: {message}"),
        (Some(message), _) => message.clone(),
        (None, Some(outcome)) => outcome.clone(),
        (None, None) => format!("{:?}", tenant.phase),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn job(publish: Value, phases: &[&str]) -> RecommenderJob {
        let name = |index: usize| format!("t{index}");
        let of_spec = phases.iter().enumerate();
        let of_spec = of_spec.map(|(index, _)| json!({"name": name(index), "output": {"uri": "s3://a"}}));
        let of_status = phases.iter().enumerate();
        let of_status = of_status.map(|(index, phase)| json!({"name": name(index), "phase": phase}));
        serde_json::from_value(json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob", "metadata": {"name": "films"},
            "spec": {
                "storage": {"uri": "s3://a"}, "publish": publish,
                "scoring": {"tenants": of_spec.collect::<Vec<_>>()},
                "data": {"interactions": {"location": {"uri": "s3://a"}, "columns": {"user": "u", "item": "i"}}},
            },
            "status": {"observedGeneration": 4, "tenants": of_status.collect::<Vec<_>>()},
        }))
        .unwrap()
    }

    const WHEN_WHOLE: &str = "each tenant is published as soon as its lists are whole";

    #[rstest]
    #[case::waits_for_approval(json!({"mode": "Manual"}), &["Scored", "Scoring"], Plan::Approve(vec!["t0".into()]))]
    #[case::approved_before_there_are_lists(json!({"mode": "Manual"}), &["Pending"], Plan::Approve(vec![]))]
    #[case::was_approved(json!({"mode": "Manual", "approved": true}), &["Scoring"], Plan::Nothing(WHEN_WHOLE))]
    #[case::publishes_by_itself(json!({}), &["Published", "Scored"], Plan::Nothing(WHEN_WHOLE))]
    #[case::all_done(json!({}), &["Published"], Plan::Nothing("every tenant is published"))]
    #[case::kept_back_by_a_hold(json!({}), &["Published", "NotPublished"], Plan::Ask(vec!["t1".into()]))]
    fn what_publishing_a_job_comes_to_depends_on_its_mode(
        #[case] publish: Value,
        #[case] phases: &[&str],
        #[case] expected: Plan,
    ) {
        assert_eq!(plan(&job(publish, phases)), expected);
    }

    #[rstest]
    #[case::unseen(5, &["Published", "Published"], None)]
    #[case::still_at_work(4, &["Published", "Scored"], None)]
    #[case::all_have_ended(4, &["Published", "NotPublished"], Some(2))]
    fn approval_is_answered_once_no_tenant_waits(
        #[case] generation: i64,
        #[case] phases: &[&str],
        #[case] ended: Option<usize>,
    ) {
        let status = job(json!({}), phases).status.unwrap();
        let waiting = ["t0".to_owned(), "t1".to_owned()];
        assert_eq!(came_of(&status, generation, &waiting).map(|tenants| tenants.len()), ended);
    }
}
