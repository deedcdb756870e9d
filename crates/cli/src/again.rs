//! `teasel evaluate` and `teasel compare`: finished runs, measured again.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use teasel_api::comparison::{Compared, Comparison, Interval};
use teasel_api::outcome::ExitCode;
use teasel_api::resolved::Place;
use teasel_api::task::{MeasureTask, Task};

use crate::arguments::{CompareArguments, EvaluateArguments, RunReferenceArguments};
use crate::failure::Failure;
use crate::reference::{Reference, find};
use crate::run::{Display, Interrupt, LocalWorkers, command_line};

/// Measures one run.
pub(crate) async fn evaluate(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let reference = find(&arguments.reference).await?;
    let runs = vec![reference.record.run.clone()];
    let found = measure(&reference, runs, &arguments.noise, arguments.seeds).await?;
    show(&found, arguments.json)
}

/// Measures runs beside each other.
pub(crate) async fn compare(arguments: &CompareArguments) -> Result<(), Failure> {
    let mut references: Vec<Reference> = Vec::new();
    for run in &arguments.runs {
        let named = RunReferenceArguments { run: run.clone(), secrets: arguments.secrets.clone() };
        references.push(find(&named).await?);
    }
    let (first, others) = references.split_first().ok_or_else(|| Failure::new(ExitCode::Bug, "no runs"))?;
    for (other, named) in others.iter().zip(&arguments.runs[1..]) {
        let is_elsewhere =
            other.storage.uri() != first.storage.uri() || other.storage.endpoint() != first.storage.endpoint();
        if is_elsewhere {
            let message = format!(
                "{named} is in {}, and {} in {}: runs that are compared have the same storage",
                other.storage.uri(),
                arguments.runs[0],
                first.storage.uri()
            );
            return Err(Failure::new(ExitCode::Usage, message));
        }
    }
    let runs = references.iter().map(|reference| reference.record.run.clone()).collect();
    show(&measure(first, runs, &[], 1).await?, arguments.json)
}

async fn measure(
    reference: &Reference,
    runs: Vec<String>,
    noise: &[f64],
    seeds: u32,
) -> Result<Comparison, Failure> {
    let mut local = LocalWorkers::new(command_line(), Interrupt::listen()?)?;
    let result = local.scratch().join("comparison.json");
    let place = Place { field: "storage", location: &reference.location };
    let environment = reference.secrets.environment([place]);
    let task = MeasureTask {
        storage: reference.location.clone(),
        runs,
        noise: noise.to_vec(),
        seeds,
        result: result.display().to_string(),
    };
    let mut display = Display::new("measure");
    let outcome = local.task(Task::Measure(task), 1, &environment, &mut display).await?;
    display.end(&outcome.message);
    let bytes = std::fs::read(&result).map_err(|error| Failure::local("can't read what was measured", error))?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::new(ExitCode::Bug, error.to_string()))
}

fn show(found: &Comparison, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(found);
        println!("{}", text.map_err(|error| Failure::new(ExitCode::Bug, error.to_string()))?);
        return Ok(());
    }
    println!("{}", table(found));
    if found.users < found.test_users {
        println!("on {} users that all runs keep for testing; the first has {}", found.users, found.test_users);
    }
    Ok(())
}

fn table(found: &Comparison) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["metric", "run", "mean (95 %)", "difference from the first (95 %)"]);
    let has_noise = found.rows.iter().any(|row| row.noise > 0.0);
    let name = |row: &Compared| match has_noise {
        true => format!("{}, noise {}", row.run, row.noise),
        false => row.run.clone(),
    };
    let metrics = found.rows.first().into_iter().flat_map(|row| row.metrics.keys());
    for metric in metrics {
        for (index, row) in found.rows.iter().enumerate() {
            let Some(value) = row.metrics.get(metric) else { continue };
            let first = if index == 0 { metric.as_str() } else { "" };
            let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(first),
                Cell::new(name(row)),
                number(interval(&value.mean, false)),
                number(value.difference.map(|difference| interval(&difference, true)).unwrap_or_default()),
            ]);
        }
    }
    table
}

fn interval(found: &Interval, signed: bool) -> String {
    let Interval { value, low, high } = found;
    match signed {
        true => format!("{value:+.4} ({low:+.4} to {high:+.4})"),
        false => format!("{value:.4} ({low:.4} to {high:.4})"),
    }
}

#[cfg(test)]
mod tests {
    use teasel_api::comparison::ComparedMetric;

    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_metric_and_run() {
        let interval = |value| Interval { value, low: value - 0.01, high: value + 0.01 };
        let row = |noise, value, difference: Option<f64>| Compared {
            run: "a-1".into(),
            noise,
            metrics: [(
                "ndcg@100".to_owned(),
                ComparedMetric { mean: interval(value), difference: difference.map(interval) },
            )]
            .into(),
        };
        let rows = vec![row(0.0, 0.4, None), row(0.3, 0.35, Some(-0.05))];
        let text = table(&Comparison { users: 10, test_users: 10, rows }).to_string();
        assert!(text.contains("a-1, noise 0.3"), "{text}");
        assert!(text.contains("0.4000 (0.3900 to 0.4100)"), "{text}");
        assert!(text.contains("-0.0500 (-0.0600 to -0.0400)"), "{text}");
    }
}
