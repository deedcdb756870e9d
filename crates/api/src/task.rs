//! Task files: what one worker process is asked to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::location::Location;
use crate::resolved::{Data, Evaluation, Gate, History, Job, Tenant};

/// Version of the task file that this release writes and reads.
pub const TASK_VERSION: &str = "teasel.dev/task/v1";

/// A task file. Credentials never stand in it: they come by environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskFile {
    /// [`TASK_VERSION`].
    pub version: String,
    /// Number of this attempt, counted as the log that it writes demands.
    pub attempt: u32,
    /// The life of this attempt: the Job's UID, or locally a random one per `teasel run`.
    pub incarnation: String,
    /// Generation of the object that the task was made from; 0 locally.
    pub generation: i64,
    /// Compute threads of each process.
    pub threads_per_process: u32,
    /// What to do.
    pub task: Task,
}

/// The tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "type")]
#[allow(clippy::large_enum_variant)]
pub enum Task {
    /// Reads an outcome from where it is durable and emits it again.
    Inspect(InspectTask),
    /// Prepares the dataset and the tenants' users.
    Prepare(PrepareTask),
    /// Trains a run.
    Train(TrainTask),
    /// Measures a trained run, decides its gates and writes its model.
    Evaluate(EvaluateTask),
    /// Scores one tenant's users.
    Score(ScoreTask),
    /// Moves one tenant's pointer.
    Publish(PublishTask),
    /// Collects former runs.
    Collect(CollectTask),
    /// Measures finished models again, for people. Nothing durable comes of it.
    Measure(MeasureTask),
}

/// A task's name, as on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum TaskKind {
    Inspect,
    Prepare,
    Train,
    Evaluate,
    Score,
    Publish,
    Collect,
    #[schemars(skip)]
    Measure,
}

impl TaskKind {
    /// The name, as in labels and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskKind::Inspect => "inspect",
            TaskKind::Prepare => "prepare",
            TaskKind::Train => "train",
            TaskKind::Evaluate => "evaluate",
            TaskKind::Score => "score",
            TaskKind::Publish => "publish",
            TaskKind::Collect => "collect",
            TaskKind::Measure => "measure",
        }
    }
}

impl Task {
    /// The task's name.
    pub fn kind(&self) -> TaskKind {
        match self {
            Task::Inspect(_) => TaskKind::Inspect,
            Task::Prepare(_) => TaskKind::Prepare,
            Task::Train(_) => TaskKind::Train,
            Task::Evaluate(_) => TaskKind::Evaluate,
            Task::Score(_) => TaskKind::Score,
            Task::Publish(_) => TaskKind::Publish,
            Task::Collect(_) => TaskKind::Collect,
            Task::Measure(_) => TaskKind::Measure,
        }
    }

    /// The task that this one is about: an inspection has the outcome and the identity of what it asks about.
    pub fn subject(&self) -> TaskKind {
        match self {
            Task::Inspect(InspectTask::Prepare { .. }) => TaskKind::Prepare,
            Task::Inspect(InspectTask::Run { task, .. }) => *task,
            Task::Inspect(InspectTask::Score { .. }) => TaskKind::Score,
            Task::Inspect(InspectTask::Publish { .. }) => TaskKind::Publish,
            task => task.kind(),
        }
    }
}

/// Who a run belongs to, and its place in the order of that owner's runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ownership {
    /// `namespace/name` of the schedule or job.
    pub owner: String,
    /// The tick's or the job's creation time in milliseconds since 1970: a publish never goes back.
    pub sequence: i64,
}

/// See [`Task::Inspect`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "of")]
#[allow(clippy::large_enum_variant)]
pub enum InspectTask {
    /// Prepare: the dataset manifest.
    #[serde(rename_all = "camelCase")]
    Prepare {
        /// Where the dataset is.
        storage: Location,
        /// What was prepared.
        data: Data,
    },
    /// Train, evaluate or collect: the run log.
    #[serde(rename_all = "camelCase")]
    Run {
        /// The job's storage.
        storage: Location,
        /// The run.
        run: String,
        /// Whose outcome.
        task: TaskKind,
    },
    /// Score: the tenant's manifest.
    #[serde(rename_all = "camelCase")]
    Score {
        /// The task.
        score: ScoreTask,
    },
    /// Publish: the tenant's output log.
    #[serde(rename_all = "camelCase")]
    Publish {
        /// The task.
        publish: PublishTask,
    },
}

/// See [`Task::Prepare`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrepareTask {
    /// Where the dataset goes.
    pub storage: Location,
    /// What to prepare.
    pub data: Data,
    /// Whose users to lay out for scoring.
    pub tenants: Vec<TenantSelector>,
    /// Memory that queries may use before they spill, in bytes.
    pub memory_bytes: u64,
    /// Folder for spilled data; unset means the system's temporary one.
    pub scratch: Option<String>,
}

/// Which raw users are a tenant's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantSelector {
    /// Name of the tenant.
    pub name: String,
    /// Value of the tenant column.
    pub value: String,
}

/// See [`Task::Train`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainTask {
    /// The run.
    pub run: String,
    /// Who it belongs to.
    pub ownership: Ownership,
    /// The whole job, for `run.json`.
    pub job: Job,
    /// Fingerprint of the prepared dataset.
    pub dataset: String,
}

/// See [`Task::Evaluate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluateTask {
    /// The job's storage.
    pub storage: Location,
    /// The run.
    pub run: String,
    /// What is measured. Left out where it is the default, as earlier releases did.
    #[serde(default, skip_serializing_if = "Evaluation::is_default")]
    pub evaluation: Evaluation,
    /// What the model must reach.
    pub gates: Vec<Gate>,
    /// The run that counts as published, for relative gates.
    pub published_run: Option<String>,
}

/// See [`Task::Score`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreTask {
    /// The run whose model scores.
    pub run: String,
    /// Who it belongs to.
    pub ownership: Ownership,
    /// Fingerprint of the dataset that holds the tenant's users.
    pub dataset: String,
    /// The tenant.
    pub tenant: Tenant,
    /// Number of shards.
    pub shards: u32,
    /// Whether whole lists are published at once.
    pub publish: bool,
    /// Whether to publish over another owner's lists.
    pub take_over: bool,
    /// Former runs of the output that stay when this one is published.
    pub history: History,
}

/// See [`Task::Publish`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishTask {
    /// Name of the tenant.
    pub tenant: String,
    /// Where its lists are.
    pub output: Location,
    /// Who asks.
    pub ownership: Ownership,
    /// What to do.
    pub action: PublishAction,
    /// Runs of the output that `history` keeps.
    pub history: History,
}

/// What a publish task does to a tenant's pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "type")]
pub enum PublishAction {
    /// Points to a scored run.
    #[serde(rename_all = "camelCase")]
    Publish {
        /// The run.
        run: String,
        /// Which of the run's lists.
        score_hash: String,
        /// Whether to publish over another owner's lists.
        take_over: bool,
    },
    /// Goes back to a former run; `hold` refuses later publishes until a release.
    #[serde(rename_all = "camelCase")]
    Rollback {
        /// The run.
        to: String,
        /// Whether to hold it.
        hold: bool,
    },
    /// Ends a hold.
    Release,
}

/// See [`Task::Collect`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectTask {
    /// The job's storage.
    pub storage: Location,
    /// The run at whose end this is done.
    pub run: String,
    /// Whose runs are counted.
    pub owner: String,
    /// What to keep.
    pub history: History,
    /// Runs that must stay: unfinished, published in any tenant, or held.
    pub keep: Vec<String>,
}

/// See [`Task::Measure`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeasureTask {
    /// Where the runs are.
    pub storage: Location,
    /// The runs, at least one. The others are compared with the first.
    pub runs: Vec<String>,
    /// Levels of noise: random items that are added to each history, as shares of its length. Each run is measured
    /// without any and with each.
    pub noise: Vec<f64>,
    /// How often random items are drawn for each level.
    pub seeds: u32,
    /// File to write the [`Comparison`](crate::comparison::Comparison) to, as JSON.
    pub result: String,
}

impl EvaluateTask {
    /// What decides an evaluation beside the run: asked something else, it is done again.
    pub fn subject(&self) -> String {
        // Types without maps of keys that aren't text always serialise.
        let evaluation = (!self.evaluation.is_default()).then_some(self.evaluation);
        let asked = match evaluation {
            // As earlier releases asked, whose answers stay good.
            None => serde_json::to_vec(&(&self.gates, &self.published_run)),
            Some(evaluation) => serde_json::to_vec(&(&self.gates, &self.published_run, evaluation)),
        }
        .unwrap_or_default();
        hex::encode(sha2::Sha256::digest(asked))[..16].to_owned()
    }
}
