//! The `train` task: agents, ranks, and the loop that all ranks run together.

mod agent;
mod checkpointing;
mod claim;
mod consumers;
mod curves;
mod early_stopping;
mod optimizer_state;
mod position;
mod rank;
mod rendezvous;
mod session;
mod supervision;
mod tuner;
mod validation;

pub(crate) use agent::run as agent;
pub(crate) use claim::claim_of;
pub(crate) use position::Position;
pub(crate) use rank::main as rank_main;

/// File of a checkpoint: the parameters.
pub(crate) const MODEL_FILE: &str = "model.safetensors";
/// File of a checkpoint: the parameters of the best epoch so far.
pub(crate) const BEST_FILE: &str = "best.safetensors";
/// File of a checkpoint: the optimizer's state.
pub(crate) const OPTIMIZER_FILE: &str = "optimizer.safetensors";
/// File of a checkpoint: what is adapted of encoders, and its optimizer's state.
pub(crate) const TUNING_FILE: &str = "tuning.safetensors";
/// File of a checkpoint: the [`Position`], as JSON.
pub(crate) const STATE_FILE: &str = "state.json";

/// File that a rank makes once it trains, beside that of its outcome.
fn started_file(outcome: &std::path::Path) -> std::path::PathBuf {
    outcome.with_extension("started")
}
