//! Plots as SVG. All are drawn 360 units wide, so that their texts can be read on a phone.

mod dots;
mod key;
mod lines;
mod scale;
mod scatter;

pub(crate) use dots::{Dot, dots};
pub(crate) use key::{COLOURS, facet_mark};
pub(crate) use lines::{Series, lines};
pub(crate) use scatter::{Point, scatter};

/// Width of every plot.
const WIDTH: f64 = 360.0;
