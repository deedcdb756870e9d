//! The three conditions with their controls, and what facets are good for.

use maud::{Markup, html};

use crate::measured::{Conditions, Facets};
use crate::number::{count, percent, short};
use crate::plot::{Dot, dots};

pub(crate) fn section(facets: &Facets) -> Markup {
    let Facets { conditions, untrained, shuffled } = facets;
    html! {
        section {
            h2 { "Facets: independent, complete, consistent?" }
            p.quiet {
                "Measured on " (count(conditions.people as u64)) " test users. Every measure stands beside what it comes to where "
                "nothing was learnt. None of them makes a model good by itself: facets that say nothing are independent."
            }
            div.grid {
                (independence(conditions, untrained))
                (completeness(conditions, untrained))
                (consistency(conditions, untrained))
                (agreement(conditions, untrained))
                (recovery(conditions, untrained))
                figure.card {
                    h3 { "What facets are good for" }
                    (dots(&[
                        Dot::new("each item with its own facets", shuffled.own),
                        Dot::new("with those of another item", shuffled.shuffled),
                    ], &[0.0], None))
                    figcaption {
                        (shuffled.metric) ". Shuffling the facets over the items loses " (percent(shuffled.lost))
                        ": facets that don't matter cost nothing. The items use " (short(conditions.effective_facets)) " facets."
                    }
                }
            }
        }
    }
}

fn card(title: &str, rows: &[Dot], within: &[f64], caption: &Markup) -> Markup {
    html! {
        figure.card { h3 { (title) } (dots(rows, within, None)) figcaption { (caption) } }
    }
}

fn independence(own: &Conditions, untrained: &Conditions) -> Markup {
    let Some(found) = own.independence else { return html! {} };
    let mut rows =
        vec![Dot::new("this model", found.correlation), Dot::new("people shuffled: chance", found.floor)];
    rows.extend(untrained.independence.map(|other| Dot::new("untrained model", other.correlation)));
    let caption = html! {
        "Mean absolute correlation between dimensions of different facets. Beyond chance it is " (short(found.excess))
        "; 0 is best."
        @if let (Some(likeness), Some(floor)) = (found.likeness, found.likeness_floor) {
            " Whatever the dimensions stand for, facets are alike by " (short(likeness)) " (CKA), by chance " (short(floor))
            "; copies by 1."
        }
    };
    card("Independence", &rows, &[0.0], &caption)
}

fn completeness(own: &Conditions, untrained: &Conditions) -> Markup {
    let Some(found) = own.completeness else { return html! {} };
    let mut rows = vec![Dot::new("this model", found.completeness)];
    rows.extend(untrained.completeness.map(|other| Dot::new("untrained model", other.completeness)));
    rows.push(Dot::new("R² of this model's probes", found.r2));
    rows.push(Dot::new("R², people shuffled: chance", found.chance_r2));
    let caption = html! {
        "How much of each category's share of a history one facet tells alone; 1 is best. R² is how much all facets tell "
        "of it: where that is near 0, the rest is chance."
    };
    card("Completeness", &rows, &[0.0, 1.0], &caption)
}

fn consistency(own: &Conditions, untrained: &Conditions) -> Markup {
    let Some(found) = own.consistency else { return html! {} };
    let mut rows = vec![Dot::new("this model", found.ratio)];
    rows.extend(untrained.consistency.map(|other| Dot::new("untrained model", other.ratio)));
    rows.push(Dot::new("facets that tell nothing", 1.0));
    let caption = html! {
        "Jensen-Shannon divergence between the facets of two halves of one history, over that between different people's; "
        "0 is best. A person's own half is the nearer one in " (percent(found.identification)) " of the pairs (chance: 50 %)."
    };
    card("Consistency", &rows, &[0.0, 1.0], &caption)
}

fn recovery(own: &Conditions, untrained: &Conditions) -> Markup {
    let Some(found) = own.recovery else { return html! {} };
    let mut rows = vec![Dot::new("items: this model", found.agreement.adjusted_mutual_information)];
    rows.extend(
        untrained
            .recovery
            .map(|other| Dot::new("items: untrained model", other.agreement.adjusted_mutual_information)),
    );
    if let Some(people) = found.people {
        rows.push(Dot::new("people: disentanglement", people.disentanglement));
        rows.push(Dot::new("people: completeness", people.completeness));
        rows.push(Dot::new("people: informativeness (R²)", people.r2));
    }
    let caption = html! {
        "How far the facets that items are known to belong to were found again: adjusted mutual information for items, DCI "
        "for people's shares. 1 is best."
    };
    card("Known facets", &rows, &[0.0, 1.0], &caption)
}

fn agreement(own: &Conditions, untrained: &Conditions) -> Markup {
    let Some(found) = own.agreement else { return html! {} };
    let mut rows = vec![
        Dot::new("this model", found.adjusted_mutual_information),
        Dot {
            name: "categories shuffled: chance".into(),
            value: None,
            interval: Some((found.chance_low, found.chance_high)),
        },
    ];
    rows.extend(untrained.agreement.map(|other| Dot::new("untrained model", other.adjusted_mutual_information)));
    let caption = html! {
        "Adjusted mutual information of the items' facets and their rarest categories; 1 is best. An item's largest facet "
        "has " (percent(found.largest_share)) " of it, and " (short(found.effective_facets)) " facets are in use."
    };
    card("Agreement with categories", &rows, &[0.0], &caption)
}
