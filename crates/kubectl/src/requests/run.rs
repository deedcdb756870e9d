//! The run that a rollback goes back to.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use teasel_api::outcome::ExitCode;
use teasel_api::request::SCHEDULE_LABEL;
use teasel_api::spec::{RecommenderJob, TenantPhase};

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::reference::{Kind, Reference, is_name};
use crate::target::{Serves, Target, find};

/// Why no run can be chosen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRun {
    /// Name one: nothing says which runs came before.
    #[error("{0}; name a run or its job with --to")]
    Unknown(String),
    /// Nothing: there is none.
    #[error("no earlier run of tenant {0} is published; name one with --to if there is one in storage")]
    None(String),
}

/// The run that `--to` names: itself, or the job that made it.
pub(super) async fn named(cluster: &Cluster, to: &str) -> Result<String, Failure> {
    if is_run(to) {
        return Ok(to.to_owned());
    }
    if !is_name(to) {
        return Err(Failure::usage(format!("--to {to:?} is neither a run nor the name of a job")));
    }
    let reference = Reference { kind: Some(Kind::Job), name: to.to_owned() };
    Ok(find(cluster, &reference, Serves::Jobs).await?.uid())
}

/// Runs are UIDs.
fn is_run(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Jobs of a schedule, and the run that counts now.
pub(super) struct Line {
    jobs: Vec<RecommenderJob>,
    current: String,
}

impl Line {
    /// The line that a job or schedule belongs to.
    pub(super) async fn of(cluster: &Cluster, target: &Target) -> Result<Self, Failure> {
        let shown = target.shown();
        let unknown = |why: String| Failure::usage(NoRun::Unknown(why).to_string());
        let (schedule, current) = match target.kind {
            Kind::Job => {
                let label = target.object.labels().get(SCHEDULE_LABEL).cloned();
                (label.ok_or_else(|| unknown(format!("{shown} is no schedule's")))?, target.uid())
            }
            Kind::Schedule => {
                let current = target.object.data.pointer("/status/lastPublishedRun").and_then(|run| run.as_str());
                let current = current.ok_or_else(|| unknown(format!("{shown} has published nothing")))?;
                (target.name(), current.to_owned())
            }
        };
        let parameters = ListParams::default().labels(&format!("{SCHEDULE_LABEL}={schedule}"));
        Ok(Line { jobs: cluster.jobs().list(&parameters).await?.items, current })
    }

    /// The newest run before the current one whose lists of the tenant were published.
    pub(super) fn before(&self, tenant: &str) -> Result<String, NoRun> {
        let current = self.jobs.iter().find(|job| job.uid().as_deref() == Some(&self.current));
        let current = current.ok_or_else(|| NoRun::Unknown(format!("the job of run {} is gone", self.current)))?;
        let earlier = self.jobs.iter().filter(|job| place(job) < place(current) && published(job, tenant));
        let newest = earlier.max_by_key(|job| place(job)).and_then(ResourceExt::uid);
        newest.ok_or_else(|| NoRun::None(tenant.to_owned()))
    }
}

impl From<NoRun> for Failure {
    fn from(error: NoRun) -> Self {
        let exit = match error {
            NoRun::Unknown(_) => ExitCode::Usage,
            NoRun::None(_) => ExitCode::InputMissing,
        };
        Failure::new(exit, error.to_string())
    }
}

/// Ticks' jobs are made in the ticks' order; within a second, their names tell.
fn place(job: &RecommenderJob) -> (Option<Timestamp>, String) {
    (job.creation_timestamp().map(|time| time.0), job.name_any())
}

fn published(job: &RecommenderJob, tenant: &str) -> bool {
    let tenants = job.status.iter().flat_map(|status| &status.tenants);
    tenants.clone().any(|status| status.name == tenant && status.phase == TenantPhase::Published)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn job(number: u32, phase: &str) -> RecommenderJob {
        serde_json::from_value(json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
            "metadata": {
                "name": format!("nightly-{number}"), "uid": format!("run-{number}"),
                "creationTimestamp": format!("2030-01-0{number}T03:00:00Z"),
            },
            "spec": {
                "storage": {"uri": "s3://a"}, "scoring": {"tenants": []},
                "data": {"interactions": {"location": {"uri": "s3://a"}, "columns": {"user": "u", "item": "i"}}},
            },
            "status": {"tenants": [{"name": "city", "phase": phase}, {"name": "campus", "phase": "Failed"}]},
        }))
        .unwrap()
    }

    #[rstest]
    #[case::the_last_but_one(&["Published", "Published", "Published"], 3, Ok(2))]
    #[case::not_one_that_was_left(&["Published", "NotPublished", "Published"], 3, Ok(1))]
    #[case::not_a_failed_one(&["Published", "Failed", "Published"], 3, Ok(1))]
    #[case::not_a_later_one(&["Published", "Published", "Published"], 2, Ok(1))]
    #[case::from_one_that_isnt_published_itself(&["Published", "NotPublished"], 2, Ok(1))]
    #[case::none_before(&["Published", "Published"], 1, Err(NoRun::None("city".into())))]
    #[case::its_job_is_gone(&["Published"], 9, Err(NoRun::Unknown("the job of run run-9 is gone".into())))]
    fn a_rollback_goes_to_the_newest_run_that_was_published_before(
        #[case] phases: &[&str],
        #[case] current: u32,
        #[case] expected: Result<u32, NoRun>,
    ) {
        // The API server lists in any order.
        let mut jobs: Vec<_> = phases.iter().zip(1..).map(|(phase, number)| job(number, phase)).collect();
        jobs.reverse();
        let line = Line { jobs, current: format!("run-{current}") };
        assert_eq!(line.before("city"), expected.map(|number| format!("run-{number}")));
    }

    #[test]
    fn each_tenant_has_its_own_runs() {
        let line = Line { jobs: vec![job(1, "Published"), job(2, "Published")], current: "run-2".into() };
        assert_eq!(line.before("campus"), Err(NoRun::None("campus".into())));
    }

    #[rstest]
    #[case("0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d", true)]
    #[case("nightly-29000000", false)]
    #[case("0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0x", false)]
    #[case("", false)]
    fn a_run_is_told_from_a_job_by_its_form(#[case] text: &str, #[case] run: bool) {
        assert_eq!(is_run(text), run);
    }
}
