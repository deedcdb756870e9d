//! How far a job is: its stages, and training's progress.

use jiff::Timestamp;
use teasel_api::spec::{Condition, Phase, ProgressStatus, RecommenderJobStatus};

use super::text::{Page, UNBROKEN, ahead, bar};

/// The stages of a job, by the conditions that say that they are over.
const STAGES: [&str; 5] = ["Prepared", "Trained", "GatesPassed", "Scored", "Published"];
/// Widest bar.
const WIDEST: usize = 40;

/// Each stage with a mark: ✓ over, ▸ at work, ✗ failed, · not begun or stopped.
pub(super) fn stages(status: &RecommenderJobStatus) -> String {
    // Only the first that isn't over can be at work, or be what failed.
    let current = STAGES.iter().position(|stage| !holds(status, stage));
    let shown = STAGES.iter().enumerate().map(|(index, stage)| {
        let mark = match status.phase {
            _ if holds(status, stage) => '✓',
            Some(Phase::Failed) if Some(index) == current => '✗',
            Some(phase) if Some(index) == current && is_active(phase) => '▸',
            _ => '·',
        };
        format!("{mark}{UNBROKEN}{stage}{UNBROKEN}")
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn holds(status: &RecommenderJobStatus, kind: &str) -> bool {
    status.conditions.iter().any(|condition| condition.kind == kind && condition.status == "True")
}

fn is_active(phase: Phase) -> bool {
    matches!(phase, Phase::Preparing | Phase::Training | Phase::Evaluating | Phase::Scoring)
}

/// The condition that decided the phase: of those with the status' reason, the phase's own or else the newest.
pub(super) fn deciding(status: &RecommenderJobStatus) -> Option<&Condition> {
    let reason = status.reason.as_deref()?;
    let own: &[&str] = match status.phase? {
        Phase::Failed => &["Failed"],
        Phase::Succeeded => &["Complete", "Published"],
        Phase::Suspended => &["Suspended"],
        Phase::Queued => &["QuotaReserved"],
        Phase::Pending | Phase::Preparing => &["Prepared"],
        Phase::Training => &["Trained"],
        Phase::Evaluating => &["GatesPassed"],
        Phase::Scoring => &["Scored"],
    };
    let with_reason = status.conditions.iter().filter(|condition| condition.reason == reason);
    with_reason.max_by_key(|condition| (own.contains(&condition.kind.as_str()), condition.last_transition_time))
}

/// Training's bar and numbers.
pub(super) fn training(page: &mut Page, now: Timestamp, status: &RecommenderJobStatus) {
    let Some(progress) = &status.progress else { return };
    let width = page.width().saturating_sub(40).clamp(10, WIDEST);
    let epochs = match progress.epochs {
        0 => String::new(),
        epochs => format!(", epoch {} of {epochs}", progress.epoch),
    };
    let bar = bar(progress.percent, width);
    page.add("training", format!("{bar} {} %{epochs}", progress.percent));
    let numbers = numbers(progress);
    page.add_some("", (!numbers.is_empty()).then_some(numbers));
    if status.phase == Some(Phase::Training) {
        page.add_some("", progress.estimated_completion.map(|at| format!("done {}", ahead(now, at))));
    }
}

fn numbers(progress: &ProgressStatus) -> String {
    let step = (progress.step > 0).then(|| format!("step {}", progress.step));
    let loss = progress.loss.map(|loss| format!("loss {loss:.4}"));
    let speed = progress.users_per_second.map(|speed| format!("{speed:.0} users/s"));
    [step, loss, speed].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
