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
    Ring,
    Plus,
    Wedge,
}

/// As many as colours: the first marks differ by shape alone, whatever colours somebody sees.
const SHAPES: [Shape; COLOURS] = [
    Shape::Circle,
    Shape::Square,
    Shape::Triangle,
    Shape::Diamond,
    Shape::Cross,
    Shape::Ring,
    Shape::Plus,
    Shape::Wedge,
];

/// The shape of the `index`th mark. Each round of colours begins with the next shape, so that the same colour and shape
/// come together again after all rounds.
pub(crate) fn shape_of(index: usize) -> Shape {
    SHAPES[(index + index / COLOURS) % SHAPES.len()]
}

impl Shape {
    /// The mark around a place, `size` from the middle to the edge.
    pub(crate) fn mark(self, x: f64, y: f64, size: f64, colour: &str, title: Option<&str>) -> Markup {
        let title = html! { @if let Some(title) = title { title { (title) } } };
        let [left, right, top, bottom] = [x - size, x + size, y - size, y + size].map(place);
        let (x, y) = (place(x), place(y));
        let path = match self {
            Shape::Circle => return html! { circle cx=(x) cy=(y) r=(place(size)) fill=(colour) { (title) } },
            Shape::Square => format!("M{left} {top}H{right}V{bottom}H{left}Z"),
            Shape::Triangle => format!("M{x} {top}L{right} {bottom}H{left}Z"),
            Shape::Wedge => format!("M{x} {bottom}L{right} {top}H{left}Z"),
            Shape::Diamond => format!("M{x} {top}L{right} {y}L{x} {bottom}L{left} {y}Z"),
            Shape::Cross => {
                let path = format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}");
                return html! { path d=(path) stroke=(colour) stroke-width="1.5" fill="none" { (title) } };
            }
            Shape::Plus => {
                let path = format!("M{x} {top}V{bottom}M{left} {y}H{right}");
                return html! { path d=(path) stroke=(colour) stroke-width="1.5" fill="none" { (title) } };
            }
            Shape::Ring => {
                let radius = place(size - 0.5);
                return html! { circle cx=(x) cy=(y) r=(radius) stroke=(colour) stroke-width="1.2" fill="none" { (title) } };
            }
        };
        html! { path d=(path) fill=(colour) { (title) } }
    }
}

/// The mark of a facet beside text: its colour and its shape wherever it is drawn.
pub(crate) fn facet_mark(facet: usize) -> Markup {
    html! {
        svg viewBox="0 0 26 12" aria-hidden="true" { (shape_of(facet).mark(13.0, 6.0, 4.5, &colour(facet), None)) }
    }
}

/// A place in a plot: a tenth of a unit is less than anybody sees.
pub(crate) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_first_marks_differ_by_shape_alone_and_many_by_shape_or_colour() {
        let shapes: HashSet<String> = (0..COLOURS).map(|index| format!("{:?}", shape_of(index))).collect();
        assert_eq!(shapes.len(), COLOURS);
        let marks: HashSet<String> =
            (0..COLOURS * COLOURS).map(|index| format!("{:?} {}", shape_of(index), colour(index))).collect();
        assert_eq!(marks.len(), COLOURS * COLOURS);
    }
}
