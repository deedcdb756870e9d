//! The table of a job's tenants.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use jiff::Timestamp;
use teasel_api::spec::{TenantPhase, TenantStatus};

use super::text::ago;

/// Up to so many tenants are all shown.
const ALL: usize = 12;
/// So many are shown of those that need somebody, where there are more.
const FIRST: usize = 10;
/// Phases in the order in which people must know of them.
const ORDER: [TenantPhase; 7] = [
    TenantPhase::Failed,
    TenantPhase::NotPublished,
    TenantPhase::Scoring,
    TenantPhase::Preparing,
    TenantPhase::Pending,
    TenantPhase::Scored,
    TenantPhase::Published,
];

/// All tenants, or of many those that failed or aren't published. Empty where there are none.
pub(super) fn table(now: Timestamp, tenants: &[TenantStatus], width: usize) -> String {
    let mut ordered: Vec<&TenantStatus> = tenants.iter().collect();
    if tenants.len() > ALL {
        ordered.retain(|tenant| matches!(tenant.phase, TenantPhase::Failed | TenantPhase::NotPublished));
        ordered.sort_by_key(|tenant| rank(tenant.phase));
        ordered.truncate(FIRST);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(["tenant", "phase", "users", "published", "message"]);
    for tenant in &ordered {
        let users = tenant.users.map_or_else(String::new, |users| users.to_string());
        table.add_row([
            Cell::new(&tenant.name),
            Cell::new(format!("{:?}", tenant.phase)),
            Cell::new(users).set_alignment(CellAlignment::Right),
            Cell::new(tenant.published_at.map_or_else(String::new, |at| ago(now, at))),
            Cell::new(message(tenant)),
        ]);
    }
    if ordered.is_empty() { String::new() } else { table.to_string() }
}

fn message(tenant: &TenantStatus) -> String {
    let parts = [&tenant.outcome, &tenant.message].map(|part| part.as_deref().unwrap_or_default());
    match (tenant.phase, parts) {
        // Its phase says the same.
        (TenantPhase::Published, [_, message]) => message.to_owned(),
        (_, ["", message]) => message.to_owned(),
        (_, [outcome, ""]) => outcome.to_owned(),
        (_, [outcome, message]) => format!("{outcome}: {message}"),
    }
}

/// How many there are in each phase.
pub(super) fn summary(tenants: &[TenantStatus]) -> Option<String> {
    let counts = ORDER.iter().filter_map(|phase| {
        let count = tenants.iter().filter(|tenant| tenant.phase == *phase).count();
        (count > 0).then(|| format!("{count} {phase:?}"))
    });
    let counts: Vec<_> = counts.collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

fn rank(phase: TenantPhase) -> usize {
    ORDER.iter().position(|other| *other == phase).unwrap_or(ORDER.len())
}
