//! How good the lists are, against baselines.

use maud::{Markup, html};

use crate::measured::{Baseline, Lists, Measured};
use crate::number::{count, percent, short};
use crate::plot::{Dot, dots};

pub(crate) fn section(measured: &Measured) -> Markup {
    let others: Vec<(&String, &Lists)> = measured
        .baselines
        .iter()
        .filter_map(|(name, baseline)| match baseline {
            Baseline::Measured { lists, .. } => Some((name, lists)),
            Baseline::Skipped { .. } => None,
        })
        .collect();
    html! {
        section {
            h2 { "How good the lists are" }
            (headline(measured))
            div.wide {
                table {
                    thead {
                        tr {
                            th { "measure" }
                            th.number { "this model" }
                            @for (name, _) in &others { th.number { (called(name)) } }
                        }
                    }
                    tbody {
                        @for (name, value) in rows(&measured.lists) {
                            tr {
                                td { (name) }
                                td.number { (short(value)) }
                                @for (_, lists) in &others {
                                    @let other = rows(lists).into_iter().find(|(other, _)| *other == name);
                                    td.number { (other.map_or("–".into(), |(_, value)| short(value))) }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(compared) = measured.compared_users.filter(|users| *users < measured.test_users) {
                @if !others.is_empty() {
                    p.note {
                        "Means of the baselines are over " (count(compared as u64)) " of the test users, those of this model over all; "
                        "the ratios below are of the same users."
                    }
                }
            }
            (groups(measured))
            (cold_items(measured))
            (compressed(measured))
            @for (name, baseline) in &measured.baselines {
                @if let Baseline::Skipped { skipped } = baseline {
                    p.note { (called(name)) " wasn't measured: " (skipped) "." }
                }
            }
            div.grid.pairs {
                @for (name, baseline) in &measured.baselines {
                    @if let Baseline::Measured { model_ratio, .. } = baseline {
                        figure.card {
                            h3 { "Against " (called(name)) }
                            (dots(&ratios(model_ratio), &[], Some(1.0)))
                            figcaption {
                                "This model's mean over that of " (called(name))
                                ", on the same users, with the 95 % interval of the paired bootstrap. Right of the dashed line the model is better."
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Tenants in the table: more of them are in `metrics.json`.
const TENANTS: usize = 20;

/// Test users apart.
fn groups(measured: &Measured) -> Markup {
    let cold = measured.cold.as_ref().map(|cold| {
        let items = cold.items.unwrap_or_default();
        (format!("everybody, given {items} items of the history at most"), cold)
    });
    let tenants = measured.tenants.iter().take(TENANTS).map(|(name, group)| (format!("tenant {name}"), group));
    let groups: Vec<_> = cold.into_iter().chain(tenants).collect();
    if groups.is_empty() {
        return html! {};
    }
    let names: Vec<String> = rows(&measured.lists).into_iter().map(|(name, _)| name).collect();
    html! {
        div.wide {
            table {
                thead {
                    tr { th { "test users apart" } th.number { "users" } @for name in &names { th.number { (name) } } }
                }
                tbody {
                    @for (name, group) in &groups {
                        @let found = rows(&group.lists);
                        tr {
                            td { (name) }
                            td.number { (count(group.users as u64)) }
                            @for name in &names {
                                @let value = found.iter().find(|(other, _)| other == name);
                                td.number { (value.map_or("–".into(), |(_, value)| short(*value))) }
                            }
                        }
                    }
                }
            }
        }
        @if measured.tenants.len() > TENANTS {
            p.note { "The other " (measured.tenants.len() - TENANTS) " tenants are in metrics.json." }
        }
    }
}

/// What scoring's compression costs.
fn compressed(measured: &Measured) -> Markup {
    let Some(compressed) = &measured.compressed else { return html! {} };
    let of = |name: &String, value: f64| {
        let exact = measured.lists.metrics.get(name)?;
        Some((name.clone(), short(value), (*exact > 0.0).then(|| signed(value / exact - 1.0))))
    };
    html! {
        p.note {
            "Compressed, as scoring makes them, lists come to"
            @for (name, value, change) in compressed.iter().filter_map(|(name, value)| of(name, *value)) {
                " " (name) " " (value) @if let Some(change) = change { " (" (change) ")" } ";"
            }
            " of the same users."
        }
    }
}

/// Items that nobody trains with.
fn cold_items(measured: &Measured) -> Markup {
    let Some(cold) = &measured.cold_items else { return html! {} };
    let all = cold.among_all.iter().map(|(name, found)| (format!("{name}, in lists of all items"), found));
    let alone =
        cold.among_cold.iter().map(|(name, found)| (format!("{name}, in lists of cold items alone"), found));
    html! {
        div.wide {
            table {
                thead { tr { th { "cold items" } th.number { "value" } th.number { "by chance" } th.number { "times" } } }
                tbody {
                    @for (name, found) in all.chain(alone) {
                        tr {
                            td { (name) }
                            td.number { (short(found.value)) }
                            td.number { (short(found.chance)) }
                            td.number { (if found.chance > 0.0 { short(found.value / found.chance) } else { "–".into() }) }
                        }
                    }
                }
            }
        }
        p.note {
            (count(cold.items as u64)) " items have no training user and are recommended by what an encoder reads of them: "
            "asked for are those that " (count(cold.users as u64)) " test users have. Of the first 20 places of all test users' "
            "lists, " (percent(cold.shown)) " go to them."
        }
    }
}

/// All measures of lists, by name.
fn rows(lists: &Lists) -> Vec<(String, f64)> {
    let mut rows: Vec<_> = lists.metrics.iter().map(|(name, value)| (name.clone(), *value)).collect();
    let length = lists.length;
    rows.push((format!("coverage@{length}"), lists.coverage));
    rows.push((format!("novelty@{length} (bits)"), lists.novelty));
    rows.push((format!("popularity bias@{length}"), lists.popularity_bias));
    rows.extend(lists.calibration.map(|value| (format!("miscalibration@{length} (nats)"), value)));
    rows
}

fn ratios(found: &std::collections::BTreeMap<String, crate::Interval>) -> Vec<Dot> {
    let dot = |(name, interval): (&String, &crate::Interval)| Dot {
        name: name.clone(),
        value: Some(interval.ratio),
        interval: Some((interval.low, interval.high)),
    };
    found.iter().map(dot).collect()
}

fn headline(measured: &Measured) -> Markup {
    let standard = "ndcg@100";
    html! {
        div.grid.small {
            @if let Some(value) = measured.lists.metrics.get(standard) {
                div.card { div.quiet { "NDCG@100" } div.figure { (short(*value)) } }
            }
            @for (name, baseline) in &measured.baselines {
                @if let Baseline::Measured { model_ratio, .. } = baseline {
                    @if let Some(interval) = model_ratio.get(standard) {
                        @let class = if interval.low > 1.0 { "good" } else if interval.high < 1.0 { "bad" } else { "" };
                        div.card {
                            div.quiet { "NDCG@100 against " (called(name)) }
                            div class=(format!("figure {class}")) { (signed(interval.ratio - 1.0)) }
                        }
                    }
                }
            }
            @for gate in &measured.gates {
                div.card {
                    div.quiet { "Gate" }
                    @if gate.passed { div.good { "met" } } @else { div.bad { "not met" } }
                    div.note { (gate.message) }
                }
            }
        }
    }
}

/// What people call a baseline.
fn called(name: &str) -> &str {
    match name {
        "ease" => "EASE",
        other => other,
    }
}

fn signed(share: f64) -> String {
    format!("{}{}", if share > 0.0 { "+" } else { "" }, percent(share))
}
