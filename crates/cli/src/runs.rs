//! `teasel runs`: a job's runs, and how far each came.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use teasel_api::outcome::GATE_NOT_MET;
use teasel_api::task::TaskKind;
use teasel_storage::Patience;
use teasel_storage::output::OutputLog;
use teasel_storage::run_log::{RunLog, RunState};

use crate::arguments::RunsArguments;
use crate::failure::Failure;
use crate::reference::{find, open, runs_of};

/// Prints the table.
pub(crate) async fn run(arguments: &RunsArguments) -> Result<(), Failure> {
    let reference = find(&arguments.reference).await?;
    let mut current = Vec::new();
    for tenant in &reference.job.scoring.tenants {
        let log = OutputLog::open(&open(&tenant.output, "output", &reference.secrets, Patience::Moment)?).await?;
        if let Some((_, version)) = log.state().current() {
            let held = if log.state().is_held() { " (held)" } else { "" };
            current.push((version.run.clone(), format!("{}{held}", tenant.name)));
        }
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["run", "begun", "state", "step", "metrics", "published for"]);
    for record in runs_of(&reference.storage, &reference.record.ownership.owner).await? {
        let log = RunLog::open(&reference.storage, &record.run).await?;
        let begun = jiff::Timestamp::from_millisecond(record.ownership.sequence)
            .map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
        let step = log.state().checkpoints().next_back().map(|(_, checkpoint)| checkpoint.step.to_string());
        let published = current.iter().filter(|(run, _)| *run == record.run).map(|(_, tenant)| tenant.as_str());
        table.add_row([
            record.run.clone(),
            begun,
            state(log.state()).to_owned(),
            step.unwrap_or_default(),
            metrics(log.state()),
            published.collect::<Vec<_>>().join(", "),
        ]);
    }
    println!("{table}");
    Ok(())
}

fn state(log: &RunState) -> &'static str {
    let evaluated = log.newest_outcome_of(TaskKind::Evaluate);
    match (log.newest_outcome_of(TaskKind::Train), evaluated) {
        _ if log.newest_outcome_of(TaskKind::Collect).is_some() => "finished",
        (_, Some(outcome)) if outcome.reason == GATE_NOT_MET => "gate not met",
        (_, Some(_)) => "evaluated",
        (Some(_), None) => "trained",
        (None, None) => "unfinished",
    }
}

fn metrics(log: &RunState) -> String {
    let Some(outcome) = log.newest_outcome_of(TaskKind::Evaluate) else { return String::new() };
    let shown: Vec<_> = outcome.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    shown.join("\n")
}
