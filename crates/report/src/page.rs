//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::sections::{conditions, curves, data, facets, metrics, run};
use crate::{Measured, Portrait};

const STYLE: &str = include_str!("style.css");

pub(crate) fn page(measured: &Measured, portrait: &Portrait) -> Markup {
    let name = portrait.job.get("name").and_then(|name| name.as_str()).unwrap_or("recommender");
    let title = format!("{name} · run {}", measured.run);
    let body = html! {
        header {
            h1 { (name) }
            p.quiet {
                "Run " (measured.run) ", dataset " (measured.dataset) ". Measured on the model of epoch "
                (measured.best_epoch) ", with " (crate::number::count(measured.test_users as u64))
                " test users, of whom training never saw what is asked."
            }
        }
        (metrics::section(measured))
        (curves::section(measured, &portrait.drawn()))
        (conditions::section(&measured.facets))
        (facets::section(portrait))
        (data::section(portrait))
        (run::section(portrait))
    };
    document(&title, &body)
}

/// A whole page that needs nothing beside itself.
pub(crate) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Browsers ask for an icon otherwise, and a page on its own has nobody to ask.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
}
