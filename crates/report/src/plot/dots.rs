//! Values beside each other, with their intervals.

use maud::{Markup, html};

use super::WIDTH;
use super::key::{colour, place, shape_of};
use super::scale::Scale;
use crate::number::short;

/// A value.
pub(crate) struct Dot {
    /// What it is of.
    pub(crate) name: String,
    /// The value; unset where there is only an interval.
    pub(crate) value: Option<f64>,
    /// Its interval.
    pub(crate) interval: Option<(f64, f64)>,
}

impl Dot {
    /// A value without an interval.
    pub(crate) fn new(name: impl Into<String>, value: f64) -> Self {
        Dot { name: name.into(), value: Some(value), interval: None }
    }

    fn text(&self) -> String {
        match (self.value, self.interval) {
            (Some(value), Some((low, high))) => format!("{} ({} to {})", short(value), short(low), short(high)),
            (None, Some((low, high))) => format!("{} to {}", short(low), short(high)),
            (value, None) => short(value.unwrap_or(f64::NAN)),
        }
    }
}

const ROW: f64 = 34.0;
const SIDE: f64 = 12.0;
const BOTTOM: f64 = 20.0;

/// A row for each value, along one scale that has `within` in it, with a line at `reference`.
pub(crate) fn dots(rows: &[Dot], within: &[f64], reference: Option<f64>) -> Markup {
    let ends = rows.iter().flat_map(|row| {
        let (low, high) = row.interval.unzip();
        [row.value, low, high].into_iter().flatten()
    });
    let scale = Scale::over(ends.chain(within.iter().copied()).chain(reference), SIDE, WIDTH - SIDE);
    let height = ROW * rows.len() as f64 + BOTTOM;
    let ticks = scale.ticks(5);
    let label = rows.iter().map(|row| format!("{}: {}", row.name, row.text())).collect::<Vec<_>>().join("; ");
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(label) {
            @for (tick, text) in &ticks {
                @let x = place(scale.at(*tick));
                line.axis x1=(x) x2=(x) y1="0" y2=(height - BOTTOM) {}
                text x=(x) y=(height - 5.0) text-anchor="middle" { (text) }
            }
            @if let Some(reference) = reference {
                @let x = place(scale.at(reference));
                line x1=(x) x2=(x) y1="0" y2=(height - BOTTOM) stroke="var(--ink)" stroke-dasharray="4 3" {}
            }
            @for (index, row) in rows.iter().enumerate() {
                @let y = ROW * index as f64;
                text x=(SIDE) y=(place(y + 12.0)) { (row.name) }
                text.value x=(WIDTH - SIDE) y=(place(y + 12.0)) text-anchor="end" { (row.text()) }
                @if let Some((low, high)) = row.interval {
                    line x1=(place(scale.at(low))) x2=(place(scale.at(high))) y1=(place(y + 23.0)) y2=(place(y + 23.0))
                        stroke=(colour(index)) stroke-width="3" stroke-linecap="round" opacity="0.55" {}
                }
                @if let Some(value) = row.value {
                    (shape_of(index).mark(scale.at(value), y + 23.0, 4.5, &colour(index), None))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_its_value_and_its_interval() {
        let row = Dot { name: "ndcg".into(), value: Some(0.917), interval: Some((0.89, 0.95)) };
        let drawn = dots(&[row, Dot::new("<b>", 1.0)], &[], Some(1.0)).into_string();
        assert!(drawn.contains("0.917 (0.890 to 0.950)"), "{drawn}");
        assert!(drawn.contains("&lt;b&gt;") && !drawn.contains("<b>"), "{drawn}");
        let only = Dot { name: "chance".into(), value: None, interval: Some((0.0, 0.1)) };
        assert_eq!(only.text(), "0.00 to 0.100");
    }
}
