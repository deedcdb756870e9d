//! Checks a schedule.

use super::{checks, resolve_spec};
use crate::load::check_metadata;
use crate::spec::ScheduledRecommenderJob;
use crate::violation::{Path, Violation, Violations};

/// Longest name of a schedule: its children's names add the tick's minute.
pub(crate) const MAXIMUM_SCHEDULE_NAME: usize = 31;

const NICKNAMES: [&str; 7] = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];

/// Checks a schedule and the job that it creates.
pub(crate) fn resolve_schedule(schedule: &ScheduledRecommenderJob) -> Result<(), Vec<Violation>> {
    let mut found = Violations::default();
    let name = schedule.metadata.name.clone().unwrap_or_default();
    checks::object_name(&name, MAXIMUM_SCHEDULE_NAME, &Path::root().fields("metadata.name"), &mut found);
    let spec = Path::root().field("spec");
    cron(&schedule.spec.schedule, &spec.field("schedule"), &mut found);
    let template = spec.field("jobTemplate");
    if let Some(metadata) = &schedule.spec.job_template.metadata {
        check_metadata(&metadata.0, &template.field("metadata"), &mut found);
    }
    let namespace = schedule.metadata.namespace.clone().unwrap_or_default();
    let job = &schedule.spec.job_template.spec;
    resolve_spec(name, namespace, job, &template.field("spec"), &mut found);
    if found.is_empty() { Ok(()) } else { Err(found.into_vec()) }
}

fn cron(schedule: &str, path: &Path, found: &mut Violations) {
    if schedule.starts_with('@') {
        if !NICKNAMES.contains(&schedule) {
            let hint = crate::violation::nearest(schedule, NICKNAMES);
            found.add_with_hint(path, format!("must be one of {}", NICKNAMES.join(", ")), hint);
        }
        return;
    }
    let fields = schedule.split_whitespace().count();
    if fields != 5 {
        let message =
            format!("must have five fields (minute, hour, day of month, month, day of week), not {fields}");
        found.add(path, message);
    }
}
