//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::secrets::SecretFile;

/// Trains disentangled recommenders and publishes recommendations for every user of every tenant.
#[derive(Debug, Parser)]
#[command(
    name = "teasel",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  teasel generate --out demo            Write synthetic interactions and a job file that uses them
  teasel validate demo/job.yaml         Check a job file; every mistake at once
  teasel run demo/job.yaml              Prepare, train, evaluate, score and publish
  teasel recommend demo/job.yaml --tenant tenant-1 --user user-1

Exit codes: 0 done, 1 a gate isn't met, 64 wrong command line, 65 bad data, 66 missing input,
69 storage unavailable, 77 no permission, 78 bad job file, 130 interrupted, 143 terminated."
)]
pub(crate) struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prepare, train, evaluate, score and publish a job on this machine
    ///
    /// Running the same job again goes on with an unfinished run, and says so if there is nothing to do. New input
    /// data, another model or other training settings are a new run; changed scoring settings only score again.
    /// Ctrl-C writes a checkpoint first.
    #[command(after_help = "\
Examples:
  teasel run job.yaml
  teasel run job.yaml --json > result.json
  teasel run job.yaml --secret films-storage=storage.env

A secret's file holds lines NAME=VALUE, such as AWS_ACCESS_KEY_ID=..., AWS_SECRET_ACCESS_KEY=...,
AWS_ENDPOINT=... .")]
    Run(RunArguments),
    /// Check job files and show every mistake at once, with line and hint
    #[command(after_help = "Example:\n  teasel validate films.yaml books.yaml")]
    Validate(ValidateArguments),
    /// Write synthetic interactions with planted facets, and a job file that uses them
    #[command(after_help = "\
Examples:
  teasel generate --out demo
  teasel generate --users 100000 --items 5000 --facets 12 --interactions 5000000 --seed 7 --out large")]
    Generate(GenerateArguments),
    /// Show the recommendations of one user
    #[command(after_help = "\
Examples:
  teasel recommend job.yaml --tenant campus --user 42
  teasel recommend s3://teasel/films/runs/3f2a90c1d4-1 --tenant campus --user 42 --top 20")]
    Recommend(RecommendArguments),
    /// Publish a scored run: for jobs with `publish: {mode: Manual}`
    #[command(after_help = "\
Examples:
  teasel publish job.yaml                       Every tenant, the newest run
  teasel publish job.yaml@3f2a90c1d4-1 --tenant campus")]
    Publish(PublishArguments),
    /// Point tenants back to a former run, or end a hold
    #[command(after_help = "\
Examples:
  teasel rollback job.yaml                      Every tenant, to the run published before
  teasel rollback job.yaml --to 3f2a90c1d4-1 --hold --tenant campus
  teasel rollback job.yaml --release            Let the next run publish again")]
    Rollback(RollbackArguments),
    /// Measure a finished run again, also with noise in people's histories
    ///
    /// Random items are added to the test users' histories, so many as each level says as a share of their lengths. Each
    /// level has its differences from no noise, user by user, with 95 % intervals of the bootstrap over users.
    #[command(after_help = "\
Examples:
  teasel evaluate job.yaml
  teasel evaluate job.yaml@3f2a90c1d4-1 --noise 0.1,0.3 --seeds 5 --json")]
    Evaluate(EvaluateArguments),
    /// Compare finished runs with the first of them, on the same test users
    ///
    /// The runs must have the same storage. Where they were trained on different data, only users that all of them keep
    /// for testing count.
    #[command(after_help = "\
Examples:
  teasel compare job.yaml@3f2a90c1d4-1 job.yaml
  teasel compare films.yaml other.yaml --json")]
    Compare(CompareArguments),
    /// Make a finished run's report again: a page of its measures, its facets and its data
    #[command(after_help = "\
Examples:
  teasel report job.yaml
  teasel report s3://teasel/films/runs/3f2a90c1d4-1 --out films.html
  teasel report job.yaml --open                 Show it in a browser")]
    Report(ReportArguments),
    /// List the runs of a job: how far they came, their metrics, and where they are published
    #[command(after_help = "Examples:\n  teasel runs job.yaml\n  teasel runs s3://teasel/films/runs/3f2a90c1d4-1")]
    Runs(RunsArguments),
}

/// Credentials, for every command that reaches storage.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SecretArguments {
    /// File with the credentials of a secret that the job names (lines NAME=VALUE); may be given more than once
    #[arg(long = "secret", value_name = "NAME=FILE")]
    pub(crate) files: Vec<SecretFile>,
}

/// See [`Command::Run`].
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Job file
    #[arg(value_name = "JOB.yaml")]
    pub(crate) job: PathBuf,
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Start a new run even if this job has one already
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) secrets: SecretArguments,
}

/// See [`Command::Validate`].
#[derive(Debug, Args)]
pub(crate) struct ValidateArguments {
    /// Job files
    #[arg(value_name = "JOB.yaml", required = true)]
    pub(crate) jobs: Vec<PathBuf>,
}

/// See [`Command::Generate`].
#[derive(Debug, Args)]
pub(crate) struct GenerateArguments {
    /// Number of users
    #[arg(long, default_value_t = 2000)]
    pub(crate) users: u64,
    /// Number of items
    #[arg(long, default_value_t = 500)]
    pub(crate) items: u64,
    /// Number of planted facets
    #[arg(long, default_value_t = 5)]
    pub(crate) facets: u32,
    /// Number of interactions, over all users
    #[arg(long, default_value_t = 60_000)]
    pub(crate) interactions: u64,
    /// The same seed and sizes give the same files
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Folder to write to; made if it isn't there
    #[arg(long, value_name = "DIR", default_value = "synthetic")]
    pub(crate) out: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Names a run.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunReferenceArguments {
    /// The run: JOB.yaml (its newest), JOB.yaml@ID, or STORAGE_URI/runs/ID
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) secrets: SecretArguments,
}

/// See [`Command::Recommend`].
#[derive(Debug, Args)]
pub(crate) struct RecommendArguments {
    #[command(flatten)]
    pub(crate) reference: RunReferenceArguments,
    /// Name of the tenant
    #[arg(long)]
    pub(crate) tenant: String,
    /// The user's own id, as it stands in the data
    #[arg(long)]
    pub(crate) user: String,
    /// How many recommendations to show
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) top: u32,
}

/// See [`Command::Publish`].
#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    #[command(flatten)]
    pub(crate) reference: RunReferenceArguments,
    /// Only this tenant; all of them by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Publish even where another job's lists are published
    #[arg(long)]
    pub(crate) take_over: bool,
}

/// See [`Command::Rollback`].
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("kind").args(["hold", "release"])))]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    pub(crate) reference: RunReferenceArguments,
    /// Only this tenant; all of them by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Run to go back to; the one published before by default
    #[arg(long, value_name = "ID", conflicts_with = "release")]
    pub(crate) to: Option<String>,
    /// Refuse later publishes until `--release`
    #[arg(long)]
    pub(crate) hold: bool,
    /// Only end a hold: the published run stays, and the next one may publish
    #[arg(long)]
    pub(crate) release: bool,
}

/// See [`Command::Evaluate`].
#[derive(Debug, Args)]
pub(crate) struct EvaluateArguments {
    #[command(flatten)]
    pub(crate) reference: RunReferenceArguments,
    /// Levels of noise: added items as shares of each history's length, above 0 and up to 10
    #[arg(long, value_name = "SHARE", value_delimiter = ',', value_parser = noise_level)]
    pub(crate) noise: Vec<f64>,
    /// How often noise is drawn for each level
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: u32,
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

fn noise_level(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(level) if level > 0.0 && level <= 10.0 => Ok(level),
        _ => Err("a level of noise is a number above 0, at most 10".into()),
    }
}

/// See [`Command::Compare`].
#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// The runs, the one to compare with first: JOB.yaml (its newest), JOB.yaml@ID, or STORAGE_URI/runs/ID
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    pub(crate) runs: Vec<String>,
    #[command(flatten)]
    pub(crate) secrets: SecretArguments,
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// See [`Command::Report`].
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    pub(crate) reference: RunReferenceArguments,
    /// File to write the page to; report-ID.html by default
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Open it in a browser
    #[arg(long)]
    pub(crate) open: bool,
}

/// See [`Command::Runs`].
#[derive(Debug, Args)]
pub(crate) struct RunsArguments {
    #[command(flatten)]
    pub(crate) reference: RunReferenceArguments,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[rstest]
    #[case::a_job(&["run", "job.yaml"], true)]
    #[case::all_flags(&["run", "job.yaml", "--json", "--fresh", "--secret", "a=x", "--secret", "b=y"], true)]
    #[case::no_job(&["run"], false)]
    #[case::a_secret_without_a_file(&["run", "job.yaml", "--secret", "a"], false)]
    #[case::several_jobs(&["validate", "a.yaml", "b.yaml"], true)]
    #[case::nothing_to_validate(&["validate"], false)]
    #[case::sizes(&["generate", "--users", "5", "--items", "6", "--facets", "2", "--interactions", "9"], true)]
    #[case::a_negative_size(&["generate", "--users=-5"], false)]
    #[case::a_user(&["recommend", "job.yaml@a-1", "--tenant", "t", "--user", "u"], true)]
    #[case::nobody(&["recommend", "job.yaml", "--tenant", "t"], false)]
    #[case::take_over(&["publish", "job.yaml", "--take-over"], true)]
    #[case::hold(&["rollback", "job.yaml", "--to", "a-1", "--hold"], true)]
    #[case::hold_and_release(&["rollback", "job.yaml", "--hold", "--release"], false)]
    #[case::release_to_a_run(&["rollback", "job.yaml", "--to", "a-1", "--release"], false)]
    #[case::runs(&["runs", "job.yaml"], true)]
    #[case::noise(&["evaluate", "job.yaml", "--noise", "0.1,0.3", "--seeds", "2"], true)]
    #[case::negative_noise(&["evaluate", "job.yaml", "--noise=-0.1"], false)]
    #[case::no_seeds(&["evaluate", "job.yaml", "--seeds", "0"], false)]
    #[case::two_runs(&["compare", "a.yaml", "a.yaml@b-1"], true)]
    #[case::one_run(&["compare", "a.yaml"], false)]
    #[case::report(&["report", "job.yaml", "--out", "a.html", "--open"], true)]
    fn commands_are_taken_or_refused(#[case] arguments: &[&str], #[case] taken: bool) {
        let parsed = Arguments::try_parse_from(std::iter::once(&"teasel").chain(arguments));
        assert_eq!(parsed.is_ok(), taken, "{parsed:?}");
    }
}
