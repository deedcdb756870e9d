//! How it was learnt.

use std::collections::BTreeSet;

use maud::{Markup, html};
use teasel_api::progress::EpochRecord;

use crate::measured::Measured;
use crate::plot::{Series, lines};

/// How it was learnt; of facets those that are `drawn`.
pub(crate) fn section(measured: &Measured, drawn: &[usize]) -> Markup {
    let history = &measured.history;
    if history.is_empty() {
        return html! {};
    }
    let series = |name: &str, value: &dyn Fn(&EpochRecord) -> f64| Series {
        name: name.to_owned(),
        values: history.iter().map(value).collect(),
    };
    let best = Some((measured.best_epoch as usize, "best epoch")).filter(|(epoch, _)| *epoch > 0);
    let names: BTreeSet<&String> = history.iter().flat_map(|record| record.validation.keys()).collect();
    let validation: Vec<Series> = names
        .into_iter()
        .map(|name| series(name, &|record| record.validation.get(name).copied().unwrap_or(f64::NAN)))
        .collect();
    let is_known = history.iter().any(|record| !record.facet_shares.is_empty());
    let shares: Vec<Series> = drawn
        .iter()
        .filter(|_| is_known)
        .map(|&facet| {
            let share = |record: &EpochRecord| record.facet_shares.get(facet).copied().unwrap_or(f64::NAN);
            series(&format!("facet {facet}"), &share)
        })
        .collect();
    html! {
        section {
            h2 { "Learning curves" }
            div.grid.pairs {
                figure.card {
                    h3 { "Loss" }
                    (lines(&[series("negative log-likelihood", &|record| record.negative_log_likelihood)], "epoch", best))
                    figcaption { "Mean negative log-likelihood of a training user." }
                }
                figure.card {
                    h3 { "Kullback-Leibler divergence" }
                    (lines(&[series("divergence", &|record| record.divergence)], "epoch", best))
                    figcaption { "From the prior, a training user's mean, before its weight." }
                }
                @if !validation.is_empty() {
                    figure.card {
                        h3 { "On the validation users" }
                        (lines(&validation, "epoch", best))
                        figcaption { "What chooses the epoch, and the other standard metrics." }
                    }
                }
                @if !shares.is_empty() {
                    figure.card {
                        h3 { "Use of the facets" }
                        (lines(&shares, "epoch", best))
                        figcaption { "Mean share of the items that each facet has." }
                    }
                }
            }
        }
    }
}
