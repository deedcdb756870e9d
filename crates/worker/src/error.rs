//! Why a task ended without doing what it was asked, sorted by how the worker ends.

use teasel_api::outcome::{ExitCode, NO_CUDA, NO_GPU, Outcome};
use teasel_api::task::TaskFile;
use teasel_data::DataError;
use teasel_model::ModelError;
use teasel_storage::StorageError;
use teasel_storage::run_log::LogError;

use crate::outcome;

/// An error of a task.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// The command line or task file is wrong.
    #[error("{0}")]
    Usage(String),
    /// The job can't work as it is.
    #[error("{0}")]
    Configuration(String),
    /// Something that should be there isn't.
    #[error("{0}")]
    Missing(String),
    /// An item's text or image can't be read.
    #[error("{0}")]
    Content(String),
    /// SIGTERM; the last step that is durable, where the task trains.
    #[error("stopped{}", .last_step.map(|step| format!(" after step {step}, which is checkpointed")).unwrap_or_default())]
    Stopped {
        /// The step.
        last_step: Option<u64>,
    },
    /// The machine: no disk, no processes.
    #[error("can't {action}: {source}")]
    Scratch {
        /// What was tried.
        action: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// A bug.
    #[error("bug: {0}")]
    Bug(String),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The run log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Data.
    #[error("{}", .0.without_values())]
    Data(#[from] DataError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The process group.
    #[error("{}{}", .0, what_gpus_need(.0))]
    Group(#[from] teasel_c10d::Error),
    /// libtorch.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] tch::TchError),
    /// Writing lists.
    #[error("writing lists: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Writing lists.
    #[error("writing lists: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl TaskError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        TaskError::Usage(message.into())
    }

    pub(crate) fn bug(message: impl Into<String>) -> Self {
        TaskError::Bug(message.into())
    }

    pub(crate) fn scratch(action: &'static str, source: std::io::Error) -> Self {
        TaskError::Scratch { action, source }
    }

    /// How the worker ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            TaskError::Usage(_) => ExitCode::Usage,
            TaskError::Configuration(_) => ExitCode::BadConfiguration,
            TaskError::Missing(_) => ExitCode::InputMissing,
            TaskError::Content(_) => ExitCode::BadData,
            TaskError::Scratch { .. } => ExitCode::TryAgain,
            TaskError::Stopped { .. } => ExitCode::Stopped,
            TaskError::Storage(error) => error.exit_code(),
            TaskError::Log(error) => error.exit_code(),
            TaskError::Data(error) => error.exit_code(),
            TaskError::Model(error) => match error {
                ModelError::Configuration(_) | ModelError::Diverged { .. } => ExitCode::BadConfiguration,
                ModelError::Input(_) | ModelError::Parameters(_) => ExitCode::BadData,
                ModelError::Torch(_) => ExitCode::Bug,
            },
            TaskError::Group(error) => match error {
                teasel_c10d::Error::PeerLost(_) | teasel_c10d::Error::Timeout(_) | teasel_c10d::Error::Store(_) => {
                    ExitCode::PeerLost
                }
                teasel_c10d::Error::Backend(_)
                | teasel_c10d::Error::NoCuda(_)
                | teasel_c10d::Error::NoGpu { .. } => ExitCode::BadConfiguration,
                teasel_c10d::Error::Other(_) => ExitCode::Bug,
            },
            TaskError::Bug(_) | TaskError::Torch(_) | TaskError::Arrow(_) | TaskError::Parquet(_) => ExitCode::Bug,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            TaskError::Data(error) => error.reason(),
            TaskError::Model(ModelError::Diverged { .. }) => "Diverged",
            TaskError::Group(teasel_c10d::Error::NoCuda(_)) => NO_CUDA,
            TaskError::Group(teasel_c10d::Error::NoGpu { .. }) => NO_GPU,
            _ => match self.exit_code() {
                ExitCode::Done => "Succeeded",
                ExitCode::Usage => "BadUsage",
                ExitCode::BadData => "BadData",
                ExitCode::InputMissing => "InputMissing",
                ExitCode::PeerLost => "PeerLost",
                ExitCode::StorageUnavailable => "StorageUnavailable",
                ExitCode::Bug => "Bug",
                ExitCode::TryAgain => "TryAgain",
                ExitCode::FencedOut => "FencedOut",
                ExitCode::PermissionDenied => "PermissionDenied",
                ExitCode::BadConfiguration => "BadConfiguration",
                ExitCode::Stopped => "Stopped",
            },
        }
    }

    /// The outcome of a task that ended by this error.
    pub(crate) fn outcome(&self, file: &TaskFile) -> Outcome {
        let mut outcome = outcome::ended(file, self.exit_code(), self.reason(), self.to_string());
        if let TaskError::Stopped { last_step } = self {
            outcome.last_step = *last_step;
        }
        outcome
    }
}

/// What to do about an error of GPUs; nothing of others.
fn what_gpus_need(error: &teasel_c10d::Error) -> &'static str {
    match error {
        teasel_c10d::Error::NoCuda(_) => "; training.device Cuda needs a worker image with CUDA (docs/gpus.md)",
        teasel_c10d::Error::NoGpu { .. } => {
            "; training.device Cuda needs one for each of a worker's training.processesPerWorker ranks: \
             the node has too few, or the pod requests too few (docs/gpus.md)"
        }
        _ => "",
    }
}

fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
