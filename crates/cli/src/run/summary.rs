//! What a run comes to: a table for people, or one JSON document.

use std::collections::BTreeMap;
use std::path::Path;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use serde_json::json;
use teasel_api::outcome::{ExitCode, Outcome};

use super::stages::TenantResult;
use crate::failure::Failure;

/// The JSON document of a run; `tenants` is empty where a gate keeps it from being published. Beside the report lies
/// `metrics.json`, with all that was measured.
pub(super) fn to_json(
    run: &str,
    metrics: &BTreeMap<String, f64>,
    tenants: &[TenantResult],
    report: Option<&str>,
) -> Result<String, Failure> {
    let tenants: Vec<_> = tenants
        .iter()
        .map(|tenant| json!({"name": tenant.name, "users": tenant.users, "uri": tenant.uri}))
        .collect();
    let document = json!({"run": run, "metrics": metrics, "tenants": tenants, "report": report});
    serde_json::to_string_pretty(&document).map_err(|error| Failure::new(ExitCode::Bug, error.to_string()))
}

/// The result of a run, for the table.
pub(super) struct Summary<'a> {
    pub(super) run: &'a str,
    pub(super) worked: bool,
    pub(super) job_file: &'a Path,
    pub(super) prepared: &'a Outcome,
    pub(super) metrics: &'a BTreeMap<String, f64>,
    pub(super) tenants: &'a [TenantResult],
    /// Where the report is.
    pub(super) report: Option<String>,
}

impl Summary<'_> {
    /// The table.
    pub(super) fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["run", self.run, ""]);
        for (name, value) in &self.prepared.metrics {
            let label = name.strip_prefix("data/").unwrap_or(name);
            table.add_row([Cell::new("data"), Cell::new(label), number(&format!("{value:.0}"))]);
        }
        for (name, value) in self.metrics {
            table.add_row([Cell::new("test"), Cell::new(name), number(&format!("{value:.4}"))]);
        }
        for tenant in self.tenants {
            table.add_row([
                Cell::new("tenant"),
                Cell::new(format!("{} ({})\n{}", tenant.name, tenant.reason, tenant.uri)),
                number(&format!("{} users", tenant.users)),
            ]);
        }
        let report = self.report.as_ref().map(|uri| format!("\nreport: {uri}")).unwrap_or_default();
        let done = if self.worked {
            String::new()
        } else {
            format!(
                "\nnothing to do: run {} is finished. For a new run: teasel run {} --fresh",
                self.run,
                self.job_file.display()
            )
        };
        format!("{table}{report}{done}")
    }
}

fn number(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Says what isn't published and why. Nothing of it is a failure.
pub(super) fn unpublished(tenants: &[TenantResult], job_file: &Path) {
    for tenant in tenants.iter().filter(|tenant| tenant.reason != "Published") {
        let hint = match tenant.reason.as_str() {
            "AwaitingApproval" | "Scored" => {
                format!(". Publish with: teasel publish {} --tenant {}", job_file.display(), tenant.name)
            }
            _ => String::new(),
        };
        eprintln!("tenant {}: {}{hint}", tenant.name, tenant.message);
    }
}
