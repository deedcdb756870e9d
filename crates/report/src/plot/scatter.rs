//! Things in a plane.

use maud::{Markup, html};

use super::WIDTH;
use super::key::{Shape, colour, shape_of};
use super::scale::Scale;

/// One of them.
pub(crate) struct Point<'a> {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// What it belongs to: its colour and its shape. Unset means to none that the key names.
    pub(crate) group: Option<usize>,
    pub(crate) title: &'a str,
}

const HEIGHT: f64 = 330.0;
const SIDE: f64 = 8.0;
/// From the middle of a mark to its edge.
const SIZE: f64 = 2.8;
/// Colour of what belongs to none that the key names.
const OTHERS: &str = "var(--quiet)";

/// A plane of points. Both axes have one scale, and mean nothing by themselves.
pub(crate) fn scatter(points: &[Point<'_>], label: &str) -> Markup {
    let horizontal = Scale::over(points.iter().map(|point| point.x), SIDE, WIDTH - SIDE);
    let vertical = Scale::over(points.iter().map(|point| point.y), HEIGHT - SIDE, SIDE);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            g opacity="0.8" {
                @for point in points {
                    @let (x, y) = (horizontal.at(point.x), vertical.at(point.y));
                    @match point.group {
                        Some(group) => (shape_of(group).mark(x, y, SIZE, &colour(group), Some(point.title))),
                        None => (Shape::Circle.mark(x, y, SIZE / 2.0, OTHERS, Some(point.title))),
                    }
                }
            }
        }
    }
}
