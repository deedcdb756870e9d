//! A run's report: one self-contained page of HTML, made of what `evaluate` measured; and a smaller one of some people's
//! lists, for their tenant.
//!
//! The page needs no network and no script. Its plots are SVG whose colours are variables of the page's style, so they
//! follow light and dark; libraries for plots write colours into what they draw, or need a script to draw it. Texts of
//! items come from people's data and are escaped like everything else.

mod measured;
mod number;
mod page;
mod people;
mod plot;
mod portrait;
mod sections;

pub use measured::{
    Agreement, Baseline, Completeness, Conditions, Consistency, Facets, Gate, Group, Independence, Interval, Lists,
    Measured, Recovery, Shuffled,
};
pub use people::{Listed, People, Person, render_people};
pub use portrait::{CategoryShare, Facet, FacetItem, HeatMap, MapItem, Phase, Portrait, TailPoint};

/// The report as HTML.
pub fn render(measured: &Measured, portrait: &Portrait) -> String {
    page::page(measured, portrait).into_string()
}
