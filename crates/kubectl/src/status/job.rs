//! One job.

use jiff::Timestamp;
use kube::ResourceExt;
use teasel_api::request::SCHEDULE_LABEL;
use teasel_api::spec::{
    AttemptOutcome, AttemptStatus, Condition, DisruptionsStatus, Phase, RecommenderJob, RecommenderJobStatus,
};

use super::progress::{deciding, stages, training};
use super::tenants;
use super::text::{Page, ago, clock, counted, length};

/// How many running attempts are named.
const ATTEMPTS: usize = 3;

/// How a job is, as text of this width.
pub(super) fn render(now: Timestamp, job: &RecommenderJob, width: usize) -> String {
    let mut page = Page::new(width);
    let Some(status) = job.status.as_ref().filter(|status| status.phase.is_some()) else {
        page.add("job", job.name_any());
        let made =
            job.creation_timestamp().map_or_else(String::new, |made| format!(" It was made {}.", ago(now, made.0)));
        page.add("phase", format!("none: the operator hasn't seen it.{made} Is the operator running?"));
        return page.into_text();
    };
    head(&mut page, now, job, status);
    page.add("stages", stages(status));
    if let Some(workers) = status.workers.as_ref().filter(|workers| workers.desired > 0) {
        page.add("workers", format!("{} of {} ready", workers.ready, workers.desired));
    }
    training(&mut page, now, status);
    let checkpoint = status.checkpoint.as_ref();
    page.add_some(
        "checkpoint",
        checkpoint.map(|checkpoint| format!("step {}, {}", checkpoint.step, ago(now, checkpoint.time))),
    );
    attempts(&mut page, now, status);
    let metrics = status.metrics.iter().map(|metric| format!("{} {:.4}", metric.name, metric.value));
    let metrics: Vec<_> = metrics.collect();
    page.add_some("metrics", (!metrics.is_empty()).then(|| metrics.join(", ")));
    if let Some(request) = &status.publish_request {
        let tenant = request.tenant.as_deref().map_or_else(String::new, |tenant| format!("tenant {tenant}: "));
        let outcome = request.outcome.as_deref().unwrap_or("being worked on");
        let message = request.message.as_deref().map_or_else(String::new, |message| format!(": {message}"));
        page.add("request", format!("{tenant}{outcome}{message}"));
    }
    page.add_some("tenants", tenants::summary(&status.tenants));
    page.add_lines(&tenants::table(now, &status.tenants, page.width()));
    page.into_text()
}

fn head(page: &mut Page, now: Timestamp, job: &RecommenderJob, status: &RecommenderJobStatus) {
    let schedule = job.labels().get(SCHEDULE_LABEL);
    page.add(
        "job",
        job.name_any() + &schedule.map_or_else(String::new, |schedule| format!(", of srecjob/{schedule}")),
    );
    page.add_some("run", status.run.as_ref());
    let phase = status.phase.map_or_else(String::new, |phase| format!("{phase:?}"));
    let times = match (status.start_time, status.completion_time) {
        (Some(start), Some(end)) => {
            format!(", ended {} after {} ({})", ago(now, end), length(end.duration_since(start)), clock(end))
        }
        (Some(start), None) => format!(", begun {}", ago(now, start)),
        _ => String::new(),
    };
    let wanted = match (job.spec.suspend, status.phase) {
        (Some(true), Some(phase)) if !matches!(phase, Phase::Suspended | Phase::Succeeded | Phase::Failed) => {
            ", to be suspended"
        }
        _ => "",
    };
    page.add("phase", format!("{phase}{times}{wanted}"));
    let decided = deciding(status);
    match (decided, &status.reason) {
        (Some(condition), _) => page.add("reason", said(condition)),
        (None, reason) => page.add_some("reason", reason.as_ref()),
    }
    for condition in &status.conditions {
        let matters = matches!(
            (condition.kind.as_str(), condition.status.as_str()),
            ("Validated", "False") | ("Restarting", "True")
        );
        if matters && decided.is_none_or(|decided| decided.message != condition.message) {
            page.add(if condition.kind == "Restarting" { "restarting" } else { "note" }, said(condition));
        }
    }
}

fn said(condition: &Condition) -> String {
    format!("{}: {}", condition.reason, condition.message)
}

/// What runs, what failed last, and how often anything did.
fn attempts(page: &mut Page, now: Timestamp, status: &RecommenderJobStatus) {
    let running: Vec<_> = status.attempts.iter().filter(|attempt| attempt.outcome.is_none()).collect();
    let mut named: Vec<_> = running
        .iter()
        .take(ATTEMPTS)
        .map(|attempt| format!("{}, since {}", name(attempt), length(now.duration_since(attempt.start_time))))
        .collect();
    if running.len() > ATTEMPTS {
        named.push(format!("and {} more", running.len() - ATTEMPTS));
    }
    page.add_some("running", (!named.is_empty()).then(|| named.join("; ")));
    let restarts = status.restarts.clone().unwrap_or_default();
    let disruptions = status.disruptions.clone().unwrap_or_default();
    if restarts.failures + restarts.out_of_memory + disruptions.total > 0 {
        let failures = counted(restarts.failures.into(), "failure", "failures");
        page.add(
            "restarts",
            format!("{failures}, {} out of memory, {}", restarts.out_of_memory, disrupted(&disruptions)),
        );
    }
    let failed = status.attempts.iter().filter(|attempt| {
        !matches!(attempt.outcome, None | Some(AttemptOutcome::Succeeded | AttemptOutcome::Suspended))
    });
    if let Some(last) = failed.max_by_key(|attempt| attempt.end_time) {
        let when = last.end_time.map_or_else(String::new, |end| format!(" {}", ago(now, end)));
        let reason = last.reason.as_deref().unwrap_or("unknown");
        let message = last.message.as_deref().unwrap_or_default();
        page.add("last failure", format!("{}{when}: {reason}: {message}", name(last)));
    }
}

fn name(attempt: &AttemptStatus) -> String {
    let tenant = attempt.tenant.as_deref().map_or_else(String::new, |tenant| format!(" of {tenant}"));
    format!("{}{tenant} {}", attempt.task.as_str(), attempt.number)
}

fn disrupted(disruptions: &DisruptionsStatus) -> String {
    let total = counted(disruptions.total.into(), "disruption", "disruptions");
    let causes = [
        (disruptions.node_failure, "by nodes"),
        (disruptions.eviction, "by eviction"),
        (disruptions.preemption, "by preemption"),
        (disruptions.unschedulable, "unschedulable"),
    ];
    let causes = causes.iter().filter(|(count, _)| *count > 0).map(|(count, cause)| format!("{count} {cause}"));
    match causes.collect::<Vec<_>>().as_slice() {
        [] => total,
        causes => format!("{total} ({})", causes.join(", ")),
    }
}
