//! The parts of the page.

pub(crate) mod conditions;
pub(crate) mod curves;
pub(crate) mod data;
pub(crate) mod facets;
pub(crate) mod metrics;
pub(crate) mod run;
