//! One schedule.

use jiff::Timestamp;
use kube::ResourceExt;
use teasel_api::spec::ScheduledRecommenderJob;

use super::text::{Page, ago, ahead, clock};

/// How a schedule is, as text of this width.
pub(super) fn render(now: Timestamp, schedule: &ScheduledRecommenderJob, width: usize) -> String {
    let mut page = Page::new(width);
    let spec = &schedule.spec;
    page.add("schedule", schedule.name_any());
    let zone = spec.time_zone.as_deref().unwrap_or("Etc/UTC");
    let suspended = if spec.suspend == Some(true) { ", suspended" } else { "" };
    page.add("ticks", format!("{} in {zone}{suspended}", spec.schedule));
    let Some(status) = &schedule.status else {
        page.add("status", "none: the operator hasn't seen it. Is the operator running?");
        return page.into_text();
    };
    let next = match status.next_schedule_time {
        Some(next) => ahead(now, next),
        None if spec.suspend == Some(true) => "none while it is suspended".to_owned(),
        None => "none".to_owned(),
    };
    page.add("next", next);
    let then = |time: Timestamp| format!("{} ({})", ago(now, time), clock(time));
    page.add("last", status.last_schedule_time.map_or_else(|| "none yet".to_owned(), then));
    page.add_some("asked for", status.last_retrain_time.map(then));
    page.add_some("succeeded", status.last_successful_time.map(then));
    page.add("active", if status.active.is_empty() { "none".to_owned() } else { status.active.join(", ") });
    let published = status.last_published_run.as_ref().map(|run| {
        let tick = status.last_published_schedule_time;
        format!("run {run}{}", tick.map_or_else(String::new, |tick| format!(", of {}", clock(tick))))
    });
    page.add_some("published", published);
    for condition in &status.conditions {
        let label = if condition.status == "True" { "condition" } else { "problem" };
        page.add(
            label,
            format!("{}={} {}: {}", condition.kind, condition.status, condition.reason, condition.message),
        );
    }
    page.into_text()
}
