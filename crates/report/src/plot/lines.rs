//! Curves over numbered steps.

use maud::{Markup, html};

use super::WIDTH;
use super::key::{colour, place};
use super::scale::Scale;

/// A curve: its values at 1, 2, and so on.
pub(crate) struct Series {
    /// Its name.
    pub(crate) name: String,
    /// Its values.
    pub(crate) values: Vec<f64>,
}

const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;
/// Patterns of lines, from the second on.
const DASHES: [&str; 4] = ["none", "6 3", "2 3", "8 3 2 3"];

/// A plot of curves over `across`, with a mark at one step.
pub(crate) fn lines(series: &[Series], across: &str, mark: Option<(usize, &str)>) -> Markup {
    let steps = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let horizontal = Scale::over([1.0, steps.max(2) as f64], LEFT, WIDTH - RIGHT);
    let vertical =
        Scale::over(series.iter().flat_map(|series| series.values.iter().copied()), HEIGHT - BOTTOM, TOP);
    let (across_ticks, up_ticks) = (horizontal.ticks(5), vertical.ticks(4));
    let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    let label = format!("{} over {across}", names.join(", "));
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            @for (tick, text) in &up_ticks {
                @let y = place(vertical.at(*tick));
                line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                text x=(LEFT - 5.0) y=(y) dy="0.35em" text-anchor="end" { (text) }
            }
            @for (tick, text) in &across_ticks {
                text x=(place(horizontal.at(*tick))) y=(HEIGHT - BOTTOM + 14.0) text-anchor="middle" { (text) }
            }
            text x=(WIDTH - RIGHT) y=(HEIGHT - 4.0) text-anchor="end" { (across) }
            @if let Some((step, text)) = mark {
                @let x = horizontal.at(step as f64);
                line x1=(place(x)) x2=(place(x)) y1=(TOP) y2=(HEIGHT - BOTTOM) stroke="var(--quiet)" stroke-dasharray="2 3" {}
                @let (anchor, shift) = if x > WIDTH / 2.0 { ("end", -4.0) } else { ("start", 4.0) };
                text x=(place(x + shift)) y=(TOP + 8.0) text-anchor=(anchor) { (text) }
            }
            @for (index, series) in series.iter().enumerate() {
                path.line d=(path(&series.values, &horizontal, &vertical)) stroke=(colour(index))
                    stroke-dasharray=(dash(index)) {}
            }
        }
        @if series.len() > 1 {
            div.key {
                @for (index, series) in series.iter().enumerate() {
                    span {
                        svg viewBox="0 0 26 12" aria-hidden="true" {
                            path.line d="M0 6H26" stroke=(colour(index)) stroke-dasharray=(dash(index)) {}
                        }
                        (series.name)
                    }
                }
            }
        }
    }
}

/// Colours come again after eight, with other dashes.
fn dash(index: usize) -> &'static str {
    DASHES[(index + index / super::COLOURS) % DASHES.len()]
}

/// The most points of a curve: more than there are pixels on a phone.
const POINTS: usize = 400;

/// Values that are no numbers break the curve. Of very many every so manieth is drawn, and the last.
fn path(values: &[f64], horizontal: &Scale, vertical: &Scale) -> String {
    let mut path = String::new();
    let mut is_drawn = false;
    let stride = values.len().div_ceil(POINTS).max(1);
    let drawn = |index: &usize| index.is_multiple_of(stride) || index + 1 == values.len();
    for (index, value) in values.iter().enumerate().filter(|(index, _)| drawn(index)) {
        if !value.is_finite() {
            is_drawn = false;
            continue;
        }
        path.push(if is_drawn { 'L' } else { 'M' });
        path.push_str(&format!("{} {}", place(horizontal.at((index + 1) as f64)), place(vertical.at(*value))));
        is_drawn = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_through_its_values_and_breaks_where_there_is_none() {
        let horizontal = Scale::over([1.0, 4.0], 0.0, 30.0);
        let vertical = Scale::over([0.0, 10.0], 100.0, 0.0);
        let path = path(&[0.0, 10.0, f64::NAN, 5.0], &horizontal, &vertical);
        assert_eq!(path, "M0 100L10 0M30 50");
    }
}
