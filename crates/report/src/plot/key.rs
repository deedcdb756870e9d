//! What tells series and facets apart: a colour and a shape together, for more of them than there are colours and for
//! those who don't see these.

use maud::{Markup, html};

/// Colours of the page's style.
pub(crate) const COLOURS: usize = 8;

/// The variable of the `index`th colour.
pub(crate) fn colour(index: usize) -> String {
    format!("var(--c{})", index % COLOURS)
}

/// A mark's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
}

const SHAPES: [Shape; 5] = [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond, Shape::Cross];

/// The shape of the `index`th mark. Five shapes and eight colours come together again after forty.
pub(crate) fn shape_of(index: usize) -> Shape {
    SHAPES[index % SHAPES.len()]
}

impl Shape {
    /// The mark around a place, `size` from the middle to the edge.
    pub(crate) fn mark(self, x: f64, y: f64, size: f64, colour: &str, title: Option<&str>) -> Markup {
        let (left, right, top, bottom) = (x - size, x + size, y - size, y + size);
        let path = match self {
            Shape::Circle => {
                return html! {
                    circle cx=(place(x)) cy=(place(y)) r=(place(size)) fill=(colour) {
                        @if let Some(title) = title { title { (title) } }
                    }
                };
            }
            Shape::Square => {
                format!("M{} {}H{}V{}H{}Z", place(left), place(top), place(right), place(bottom), place(left))
            }
            Shape::Triangle => {
                format!("M{} {}L{} {}H{}Z", place(x), place(top), place(right), place(bottom), place(left))
            }
            Shape::Diamond => format!(
                "M{} {}L{} {}L{} {}L{} {}Z",
                place(x),
                place(top),
                place(right),
                place(y),
                place(x),
                place(bottom),
                place(left),
                place(y)
            ),
            Shape::Cross => {
                let path = format!(
                    "M{} {}L{} {}M{} {}L{} {}",
                    place(left),
                    place(top),
                    place(right),
                    place(bottom),
                    place(left),
                    place(bottom),
                    place(right),
                    place(top)
                );
                return html! {
                    path d=(path) stroke=(colour) stroke-width="1.5" fill="none" {
                        @if let Some(title) = title { title { (title) } }
                    }
                };
            }
        };
        html! { path d=(path) fill=(colour) { @if let Some(title) = title { title { (title) } } } }
    }
}

/// A place in a plot: a tenth of a unit is less than anybody sees.
pub(crate) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
