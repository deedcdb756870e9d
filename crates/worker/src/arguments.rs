//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Runs one task of a recommender job. `teasel run` and the operator start it; people rarely do.
#[derive(Debug, Parser)]
#[command(name = "teasel-worker", version)]
pub(crate) struct Arguments {
    /// The task.
    #[command(subcommand)]
    pub command: Command,
}

/// The tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read an outcome from where it is durable and emit it again
    Inspect(TaskArguments),
    /// Prepare the dataset and the tenants' users
    Prepare(TaskArguments),
    /// Train: the agent of one worker, which starts the worker's ranks
    Train(TrainArguments),
    /// Measure a trained run, decide its gates and write its model
    Evaluate(TaskArguments),
    /// Score one shard of a tenant's users
    Score(TaskArguments),
    /// Move a tenant's pointer
    Publish(TaskArguments),
    /// Collect former runs
    Collect(TaskArguments),
    /// Measure finished models again
    Measure(TaskArguments),
    /// One rank of a training worker; started by its agent
    #[command(hide = true)]
    Rank(RankArguments),
}

/// What every task takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct TaskArguments {
    /// Task file (JSON)
    #[arg(long, value_name = "FILE")]
    pub task: PathBuf,
    /// Index of this worker or shard
    #[arg(long, env = "JOB_COMPLETION_INDEX", default_value_t = 0, value_name = "I")]
    pub index: u32,
    /// Where the outcome is written at the end
    #[arg(long, default_value = "/dev/termination-log", value_name = "FILE")]
    pub outcome: PathBuf,
    /// Where progress, metrics and health are served
    #[arg(long, default_value = "0.0.0.0:9700", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// File to write the bound address to
    #[arg(long, value_name = "FILE")]
    pub address_file: Option<PathBuf>,
    /// File to write the last progress to, at the end
    #[arg(long, value_name = "FILE")]
    pub progress_file: Option<PathBuf>,
    /// File to write an error in full to, which may quote values of the data: for the eyes of whoever runs this
    #[arg(long, value_name = "FILE")]
    pub(crate) detail_file: Option<PathBuf>,
    /// End when standard input ends, that is, with the parent
    #[arg(long)]
    pub lifeline: bool,
}

/// What an agent takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: TaskArguments,
    /// Address of worker 0, where its agent hosts the rendezvous
    #[arg(long, env = "TEASEL_RENDEZVOUS", value_name = "HOST:PORT")]
    pub rendezvous: String,
}

/// What a rank takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct RankArguments {
    /// Task file (JSON)
    #[arg(long, value_name = "FILE")]
    pub task: PathBuf,
    /// Rank in the whole group
    #[arg(long)]
    pub rank: u32,
    /// Ranks of the whole group
    #[arg(long)]
    pub world: u32,
    /// Address of the rendezvous
    #[arg(long, value_name = "HOST:PORT")]
    pub rendezvous: String,
    /// Where the outcome is written at the end
    #[arg(long, value_name = "FILE")]
    pub outcome: PathBuf,
    /// File in which this rank keeps its progress, for the agent's server
    #[arg(long, value_name = "FILE")]
    pub progress: PathBuf,
}
