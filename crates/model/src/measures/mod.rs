//! What a model is like beyond how well it ranks: whether its facets keep the three conditions, whether they agree with
//! categories, and what its lists do to people and to the catalogue.
//!
//! Each is computed from plain shares and lists, and is `None` where it isn't defined: no measure calls a model good that
//! has nothing to measure.

mod agreement;
mod calibration;
mod completeness;
mod consistency;
mod exposure;
mod independence;
mod lasso;
mod permutation;
mod shares;

pub use agreement::{Agreement, agreement};
pub use calibration::Calibration;
pub use completeness::{Completeness, completeness};
pub use consistency::{Consistency, consistency};
pub use exposure::{Exposure, ExposureMeasures};
pub use independence::{Independence, independence};
pub use permutation::permutation;
pub use shares::Shares;
