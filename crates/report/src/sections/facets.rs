//! What each facet holds.

use maud::{Markup, html};

use crate::number::{percent, short};
use crate::plot::{Point, facet_mark, scatter};
use crate::portrait::{Facet, HeatMap, MapItem, Portrait};

pub(crate) fn section(portrait: &Portrait) -> Markup {
    let drawn = portrait.drawn();
    html! {
        section {
            h2 { "What the facets hold" }
            p.quiet { "Typical items are those with the largest shares of a facet, weighted by the logarithm of how many people have them." }
            @if drawn.len() < portrait.facets.len() {
                p.note { "Of " (portrait.facets.len()) " facets the " (drawn.len()) " with the largest shares are drawn." }
            }
            div.grid { @for facet in &drawn { (card(*facet, &portrait.facets[*facet])) } }
            div.grid.pairs {
                @if let Some(categories) = &portrait.categories { (heat(categories, &drawn)) }
                @if !portrait.map.is_empty() { (map(&portrait.map, &drawn)) }
            }
        }
    }
}

fn card(number: usize, facet: &Facet) -> Markup {
    html! {
        div.card {
            h3.key { span { (facet_mark(number)) "Facet " (number) } span { (percent(facet.share)) " of the items" } }
            @if !facet.name().is_empty() { p.name { (facet.name()) } }
            ol { @for item in &facet.items { li { (item.name) " " span.quiet { (percent(item.share)) } } } }
            @for category in &facet.categories {
                span.chip title=(format!("{} of the facet", percent(category.share))) {
                    (category.name) " × " (short(category.lift))
                }
            }
        }
    }
}

fn heat(map: &HeatMap, facets: &[usize]) -> Markup {
    html! {
        figure.card {
            h3 { "Categories and facets" }
            div.wide {
                table {
                    thead { tr { th { "category" } @for facet in facets { th.heat { (facet) } } } }
                    tbody {
                        @for (name, shares) in map.names.iter().zip(&map.shares) {
                            tr {
                                td { (name) }
                                @for share in facets.iter().filter_map(|facet| shares.get(*facet)) {
                                    td.heat style=(format!("--share:{share:.2}")) { (format!("{:.0}", 100.0 * share)) }
                                }
                            }
                        }
                    }
                }
            }
            figcaption { "How much of each category's items each facet has, in per cent." }
        }
    }
}

fn map(items: &[MapItem], facets: &[usize]) -> Markup {
    let group = |item: &MapItem| Some(item.facet).filter(|facet| facets.contains(facet));
    let points: Vec<Point<'_>> =
        items.iter().map(|item| Point { x: item.x, y: item.y, group: group(item), title: &item.name }).collect();
    let others = points.iter().filter(|point| point.group.is_none()).count();
    html! {
        figure.card {
            h3 { "Map of the items" }
            (scatter(&points, &format!("{} items in a plane, by facet", items.len())))
            div.key {
                @for facet in facets { span { (facet_mark(*facet)) "facet " (facet) } }
                @if others > 0 { span { "small and grey: " (others) " items of other facets" } }
            }
            figcaption {
                "The " (items.len()) " most popular items: the two main directions of the vectors that the model has learnt for them "
                "(principal components). Colour and shape are the facet that an item has most of."
            }
        }
    }
}
