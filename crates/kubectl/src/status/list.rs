//! Many jobs and schedules, one line each.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use kube::ResourceExt;
use teasel_api::spec::{Phase, RecommenderJob, ScheduledRecommenderJob};

use super::Subject;
use super::text::{ago, ahead, length};

/// Jobs, and below them schedules.
pub(super) fn render(now: Timestamp, subjects: &[Subject], namespaces: bool, width: usize) -> String {
    let jobs = subjects.iter().filter_map(|subject| match subject {
        Subject::Job(job) => Some(with_namespace(namespaces, job.as_ref(), job_row(now, job))),
        Subject::Schedule(_) => None,
    });
    let schedules = subjects.iter().filter_map(|subject| match subject {
        Subject::Schedule(schedule) => {
            Some(with_namespace(namespaces, schedule.as_ref(), schedule_row(now, schedule)))
        }
        Subject::Job(_) => None,
    });
    let job_header = ["JOB", "PHASE", "TRAINING", "DONE", "PUBLISHED", "REASON", "AGE"];
    let schedule_header = ["SCHEDULE", "TICKS", "NEXT", "LAST", "ACTIVE"];
    let tables = [
        table(namespaces, &job_header, jobs.collect(), width),
        table(namespaces, &schedule_header, schedules.collect(), width),
    ];
    tables.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn with_namespace(namespaces: bool, object: &impl ResourceExt, mut row: Vec<String>) -> Vec<String> {
    if namespaces {
        row.insert(0, object.namespace().unwrap_or_default());
    }
    row
}

fn job_row(now: Timestamp, job: &RecommenderJob) -> Vec<String> {
    let status = job.status.clone().unwrap_or_default();
    let training = status.progress.as_ref().map(|progress| format!("{} %", progress.percent));
    // An estimate is of an attempt that trains.
    let estimated = status.progress.filter(|_| status.phase == Some(Phase::Training));
    let estimated = estimated.and_then(|progress| progress.estimated_completion);
    let done = match (status.completion_time, estimated) {
        (Some(completed), _) => ago(now, completed),
        (None, Some(estimated)) if estimated > now => format!("in {}", length(estimated.duration_since(now))),
        _ => String::new(),
    };
    let published = status.published_tenants.map(|count| format!("{count} of {}", status.tenants.len()));
    vec![
        job.name_any(),
        status.phase.map_or_else(|| "-".to_owned(), |phase| format!("{phase:?}")),
        training.unwrap_or_default(),
        done,
        published.unwrap_or_default(),
        status.reason.unwrap_or_default(),
        job.creation_timestamp().map_or_else(String::new, |made| length(now.duration_since(made.0))),
    ]
}

fn schedule_row(now: Timestamp, schedule: &ScheduledRecommenderJob) -> Vec<String> {
    let status = schedule.status.as_ref();
    let suspended = schedule.spec.suspend == Some(true);
    let next = status.and_then(|status| status.next_schedule_time).map(|next| ahead(now, next));
    let last = status.and_then(|status| status.last_schedule_time).map(|last| ago(now, last));
    vec![
        schedule.name_any(),
        schedule.spec.schedule.clone(),
        if suspended { "suspended".to_owned() } else { next.unwrap_or_default() },
        last.unwrap_or_default(),
        status.map_or_else(String::new, |status| status.active.join(", ")),
    ]
}

fn table(namespaces: bool, header: &[&str], rows: Vec<Vec<String>>, width: usize) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_width(u16::try_from(width).unwrap_or(u16::MAX));
    let namespace = namespaces.then_some("NAMESPACE");
    table.set_header(namespace.into_iter().chain(header.iter().copied()).collect::<Vec<_>>());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    Some(table.trim_fmt())
}
