//! Checks a schedule.

use super::{check_form, checks, resolve_spec};
use crate::cron::{Cron, time_zone};
use crate::load::check_metadata;
use crate::resolved;
use crate::spec::ScheduledRecommenderJob;
use crate::violation::{Path, Violation};

/// Longest name of a schedule: its children's names add the tick's minute.
pub(crate) const MAXIMUM_SCHEDULE_NAME: usize = 31;

/// Checks a schedule, and fills in every default of the job that it creates; that has the schedule's name.
///
/// # Errors
/// Everything that is wrong with either.
pub fn resolve_schedule(schedule: &ScheduledRecommenderJob) -> Result<resolved::Job, Vec<Violation>> {
    let mut found = check_form(schedule);
    let name = schedule.metadata.name.clone().unwrap_or_default();
    checks::object_name(&name, MAXIMUM_SCHEDULE_NAME, &Path::root().fields("metadata.name"), &mut found);
    let spec = Path::root().field("spec");
    if let Err(error) = schedule.spec.schedule.parse::<Cron>() {
        found.add_with_hint(&spec.field("schedule"), error.message, error.hint);
    }
    if let Err(error) = time_zone(schedule.spec.time_zone.as_deref()) {
        found.add_with_hint(&spec.field("timeZone"), error.to_string(), error.hint);
    }
    let template = spec.field("jobTemplate");
    if let Some(metadata) = &schedule.spec.job_template.metadata {
        check_metadata(&metadata.0, &template.field("metadata"), &mut found);
    }
    let namespace = schedule.metadata.namespace.clone().unwrap_or_default();
    let job = &schedule.spec.job_template.spec;
    let resolved = resolve_spec(name, namespace, job, &template.field("spec"), &mut found);
    if found.is_empty() { Ok(resolved) } else { Err(found.into_vec()) }
}
