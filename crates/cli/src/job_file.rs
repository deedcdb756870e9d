//! Job files: read, validated, resolved, with places made absolute.

use std::path::{Path, PathBuf};

use teasel_api::Violation;
use teasel_api::location::Location;
use teasel_api::outcome::ExitCode;
use teasel_api::resolved::{Job, Split};
use teasel_api::spec::RecommenderJobSpec;

use crate::failure::Failure;

/// Reads the one job of a file.
pub(crate) fn load(path: &Path) -> Result<Job, Failure> {
    let text = read(path)?;
    let refuse = |violations: Vec<Violation>| {
        let lines: Vec<_> = violations.iter().map(|violation| format!("{}: {violation}", path.display())).collect();
        Failure::new(ExitCode::BadConfiguration, lines.join("\n"))
    };
    let mut jobs = teasel_api::load_located(&text).map_err(refuse)?;
    if jobs.len() != 1 {
        let message = format!("{} holds {} recommender jobs; one is run at a time", path.display(), jobs.len());
        return Err(Failure::new(ExitCode::BadConfiguration, message));
    }
    let ignored = cluster_only(&jobs[0].job.spec);
    if !ignored.is_empty() {
        eprintln!("{}: only a cluster heeds {}", path.display(), ignored.join(", "));
    }
    let mut job = jobs.remove(0).resolve().map_err(refuse)?;
    let folder = folder_of(path)?;
    places(&mut job).into_iter().for_each(|place| place.uri = absolute(&place.uri, &folder));
    Ok(job)
}

/// Fields that are set and mean something in a cluster only.
fn cluster_only(spec: &RecommenderJobSpec) -> Vec<&'static str> {
    let training = spec.training.as_ref();
    let failures = training.and_then(|training| training.failure_policy.as_ref());
    let rollout = spec.scoring.rollout.as_ref();
    let fields = [
        (spec.suspend == Some(true), "spec.suspend"),
        (spec.active_deadline_seconds.is_some(), "spec.activeDeadlineSeconds"),
        (spec.ttl_seconds_after_finished.is_some(), "spec.ttlSecondsAfterFinished"),
        (spec.data.template.is_some(), "spec.data.template"),
        (training.is_some_and(|training| training.template.is_some()), "spec.training.template"),
        (training.is_some_and(|training| training.scheduling_timeout.is_some()), "spec.training.schedulingTimeout"),
        (
            failures.is_some_and(|failures| failures.max_out_of_memory.is_some()),
            "spec.training.failurePolicy.maxOutOfMemory",
        ),
        (
            rollout.is_some_and(|rollout| rollout.max_concurrent_tenants.is_some()),
            "spec.scoring.rollout.maxConcurrentTenants",
        ),
        (spec.scoring.template.is_some(), "spec.scoring.template"),
    ];
    fields.into_iter().filter(|(is_set, _)| *is_set).map(|(_, field)| field).collect()
}

/// Reads a job file's text.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(ExitCode::InputMissing, format!("can't read the job file {}: {error}", path.display()))
    })
}

fn folder_of(path: &Path) -> Result<PathBuf, Failure> {
    let path =
        std::path::absolute(path).map_err(|error| Failure::local("can't find the job file's folder", error))?;
    Ok(path.parent().map(Path::to_path_buf).unwrap_or(path))
}

fn places(job: &mut Job) -> Vec<&mut Location> {
    let mut places = vec![&mut job.storage, &mut job.data.interactions.location];
    places.extend(job.data.items.as_mut().map(|items| &mut items.location));
    if let Split::Provided { train, validation, test } = &mut job.data.split {
        places.push(train);
        places.extend([&mut validation.fold_in, &mut validation.held_out, &mut test.fold_in, &mut test.held_out]);
    }
    if let Some(content) = &mut job.model.content {
        let encoders = content.text.iter_mut().chain(&mut content.image);
        places.extend(encoders.map(|encoder| &mut encoder.location));
    }
    for tenant in &mut job.scoring.tenants {
        places.extend([&mut tenant.output, &mut tenant.storage]);
        places.extend(tenant.catalog.as_mut());
    }
    places
}

/// A path becomes a `file://` URL, a relative one relative to the job file's folder.
fn absolute(uri: &str, folder: &Path) -> String {
    if uri.contains("://") {
        return uri.to_owned();
    }
    let joined = folder.join(uri);
    url::Url::from_file_path(normal(&joined)).map_or_else(|()| uri.to_owned(), String::from)
}

/// The path without `.` and `..`, which object stores don't know.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("s3://bucket/x", "s3://bucket/x")]
    #[case("data/a.csv", "file:///jobs/films/data/a.csv")]
    #[case("./data/../a b.csv", "file:///jobs/films/a%20b.csv")]
    #[case("../shared", "file:///jobs/shared")]
    #[case("/data", "file:///data")]
    fn places_are_relative_to_the_job_file(#[case] uri: &str, #[case] expected: &str) {
        assert_eq!(absolute(uri, Path::new("/jobs/films")), expected);
    }
}
