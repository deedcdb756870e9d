//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use teasel_api::task::TaskKind;

use crate::reference::Reference;

/// Heading of the options that say where.
const CLUSTER: &str = "Cluster";

/// Watches, mends and publishes recommender jobs in a cluster.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-teasel",
    bin_name = "kubectl teasel",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  kubectl teasel status films                    Watch a job until it ends
  kubectl teasel logs films -f                   Follow what its workers say
  kubectl teasel suspend films                   Make a checkpoint and free everything
  kubectl teasel retrain nightly                 Train a schedule's job now
  kubectl teasel rollback films --tenant city    Go back to the run published before

NAME is a RecommenderJob, or where there is none a ScheduledRecommenderJob; recjob/NAME and srecjob/NAME say which.

Exit codes: 0 done, 1 refused, 64 wrong command line, 66 not found, 69 cluster unavailable,
75 no answer in time, 77 no permission, 78 bad configuration, 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster, and where in it; defaults as kubectl's.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectionArguments {
    /// Namespace; the context's by default
    #[arg(short, long, global = true, value_name = "NAMESPACE", help_heading = CLUSTER)]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig file; its current one by default
    #[arg(long, global = true, value_name = "NAME", help_heading = CLUSTER)]
    pub(crate) context: Option<String>,
    /// Kubeconfig file; $KUBECONFIG or ~/.kube/config by default
    #[arg(long, global = true, value_name = "FILE", help_heading = CLUSTER)]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how a job or schedule is, live on a terminal until it ends
    #[command(after_help = "\
Examples:
  kubectl teasel status films                    Live, until the job ends or Ctrl-C
  kubectl teasel status films --once             Once
  kubectl teasel status films -o json            The status as the operator wrote it
  kubectl teasel status srecjob/nightly          A schedule
  kubectl teasel status -A                       All jobs and schedules of the cluster, one line each")]
    Status(StatusArguments),
    /// Show what the pods of a job's newest attempt say
    #[command(after_help = "\
Examples:
  kubectl teasel logs films                      The newest attempt of the newest task
  kubectl teasel logs films -f                   ... and what comes
  kubectl teasel logs films --task train --attempt 2 --worker 0
  kubectl teasel logs films --task score --tenant city")]
    Logs(LogsArguments),
    /// Show the events of a job, its Jobs and its pods, in the order of time
    #[command(after_help = "Examples:\n  kubectl teasel events films\n  kubectl teasel events srecjob/nightly -f")]
    Events(EventsArguments),
    /// Stop a job after a checkpoint and free all that it holds; of a schedule, stop new ticks
    #[command(after_help = "Examples:\n  kubectl teasel suspend films\n  kubectl teasel suspend srecjob/nightly")]
    Suspend(NameArguments),
    /// Let a suspended job or schedule go on
    #[command(after_help = "Example:\n  kubectl teasel resume films")]
    Resume(NameArguments),
    /// Try again what has failed for good
    #[command(after_help = "Example:\n  kubectl teasel retry films")]
    Retry(RetryArguments),
    /// Start a job of a schedule now
    #[command(after_help = "Example:\n  kubectl teasel retrain nightly")]
    Retrain(RetrainArguments),
    /// Publish a job's lists: for jobs with `publish: {mode: Manual}`, or after a hold has ended
    #[command(after_help = "\
Examples:
  kubectl teasel publish films                   Approve a Manual job: every tenant
  kubectl teasel publish films --tenant city     One tenant
  kubectl teasel publish films --take-over       ... even where another job's lists are published")]
    Publish(PublishArguments),
    /// Point tenants back to a former run
    #[command(after_help = "\
Examples:
  kubectl teasel rollback srecjob/nightly        Every tenant, to the run published before
  kubectl teasel rollback films --to films-old --tenant city
  kubectl teasel rollback films --to 0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d --hold")]
    Rollback(RollbackArguments),
    /// End a hold: the published run stays, and the next one may publish
    #[command(after_help = "Example:\n  kubectl teasel release srecjob/nightly --tenant city")]
    Release(ReleaseArguments),
}

/// See [`Command::Status`].
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Job or schedule; all of the namespace by default
    pub(crate) name: Option<Reference>,
    /// NAME is a schedule
    #[arg(long)]
    pub(crate) schedule: bool,
    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// Show it once, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Form of the output
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Output>,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The status as JSON.
    Json,
}

/// See [`Command::Logs`].
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// Job
    pub(crate) name: Reference,
    /// Task: prepare, train, evaluate, score, publish, collect or inspect; the newest by default
    #[arg(long, value_parser = task)]
    pub(crate) task: Option<TaskKind>,
    /// Tenant, of tasks that are for one
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Number of the attempt; the newest by default
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// Number of the worker or shard, from 0; all by default
    #[arg(long, value_name = "I")]
    pub(crate) worker: Option<u32>,
    /// Go on until the pods end
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// See [`Command::Events`].
#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// Job or schedule
    pub(crate) name: Reference,
    /// Go on until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// See [`Command::Suspend`].
#[derive(Debug, Args)]
pub(crate) struct NameArguments {
    /// Job or schedule
    pub(crate) name: Reference,
}

/// Whether to wait for the operator's answer.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitArguments {
    /// Wait for the operator's answer
    #[arg(long, default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true,
          action = ArgAction::Set)]
    pub(crate) wait: bool,
    /// How long to wait, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// See [`Command::Retry`].
#[derive(Debug, Args)]
pub(crate) struct RetryArguments {
    /// Job
    pub(crate) name: Reference,
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
}

/// See [`Command::Retrain`].
#[derive(Debug, Args)]
pub(crate) struct RetrainArguments {
    /// Schedule
    #[arg(value_name = "SCHEDULE")]
    pub(crate) name: Reference,
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
}

/// See [`Command::Publish`].
#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// Job
    pub(crate) name: Reference,
    /// Only this tenant; all of them by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Publish even where another job's lists are published
    #[arg(long)]
    pub(crate) take_over: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
}

/// See [`Command::Rollback`].
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// Job or schedule
    pub(crate) name: Reference,
    /// Run to go back to, or the job that made it; of a schedule's jobs, the one published before by default
    #[arg(long, value_name = "RUN")]
    pub(crate) to: Option<String>,
    /// Only this tenant; all of them by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Refuse later publishes until `release`
    #[arg(long)]
    pub(crate) hold: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
}

/// See [`Command::Release`].
#[derive(Debug, Args)]
pub(crate) struct ReleaseArguments {
    /// Job or schedule
    pub(crate) name: Reference,
    /// Only this tenant; all of them by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
}

fn task(text: &str) -> Result<TaskKind, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("there is no task {text}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| format!("{text} is no duration such as 30s or 5m"))?;
    Duration::try_from(signed).map_err(|_| "a duration can't be negative".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[rstest]
    #[case::a_job(&["status", "films"], true)]
    #[case::everything(&["status", "-A"], true)]
    #[case::a_namespace_after_the_command(&["status", "films", "-n", "prod"], true)]
    #[case::one_and_all_namespaces(&["status", "-A", "-n", "prod"], false)]
    #[case::another_form(&["status", "films", "-o", "yaml"], false)]
    #[case::a_bad_name(&["status", "Films?"], false)]
    #[case::logs(&["logs", "films", "--task", "train", "--attempt", "2", "--worker", "0", "-f"], true)]
    #[case::an_unknown_task(&["logs", "films", "--task", "dream"], false)]
    #[case::nobody_to_suspend(&["suspend"], false)]
    #[case::a_schedule(&["resume", "srecjob/nightly"], true)]
    #[case::no_waiting(&["retry", "films", "--wait=false"], true)]
    #[case::a_timeout(&["retrain", "nightly", "--timeout", "1m30s"], true)]
    #[case::a_negative_timeout(&["retrain", "nightly", "--timeout=-1m"], false)]
    #[case::take_over(&["publish", "films", "--take-over", "--tenant", "city"], true)]
    #[case::hold(&["rollback", "films", "--to", "old", "--hold"], true)]
    #[case::a_held_release(&["release", "films", "--hold"], false)]
    fn a_command_line_is_taken_or_refused(#[case] arguments: &[&str], #[case] taken: bool) {
        let parsed = Arguments::try_parse_from([&["kubectl-teasel"], arguments].concat());
        assert_eq!(parsed.is_ok(), taken, "{parsed:?}");
    }

    #[rstest]
    #[case(&[], true, 120)]
    #[case(&["--wait"], true, 120)]
    #[case(&["--wait=false", "--timeout", "90s"], false, 90)]
    fn a_request_waits_for_two_minutes_unless_told_otherwise(
        #[case] flags: &[&str],
        #[case] wait: bool,
        #[case] seconds: u64,
    ) {
        let parsed = Arguments::try_parse_from([&["kubectl-teasel", "retry", "films"], flags].concat()).unwrap();
        let Command::Retry(arguments) = parsed.command else { panic!("another command") };
        assert_eq!((arguments.wait.wait, arguments.wait.timeout.as_secs()), (wait, seconds));
    }
}
