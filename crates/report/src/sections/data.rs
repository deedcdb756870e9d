//! What the model was trained on.

use maud::{Markup, html};
use serde_json::Value;

use crate::number::{count, percent, short};
use crate::plot::{Series, lines};
use crate::portrait::Portrait;

/// Fields of the dataset's report that are shown, and how they are called.
const COUNTS: [(&str, &str); 8] = [
    ("rows", "rows read"),
    ("users", "users after the filters"),
    ("items", "items of the vocabulary"),
    ("interactions", "interactions after the filters"),
    ("trainingUsers", "users that train"),
    ("trainingInteractions", "interactions that train"),
    ("validationUsers", "validation users"),
    ("testUsers", "test users"),
];

pub(crate) fn section(portrait: &Portrait) -> Markup {
    let number = |name: &str| portrait.data.get(name).and_then(Value::as_u64);
    let dropped = portrait.data.get("dropped").and_then(Value::as_object);
    let dropped: Vec<(&String, u64)> = dropped
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.as_u64().filter(|count| *count > 0)?)))
        .collect();
    html! {
        section {
            h2 { "Data" }
            div.grid.pairs {
                div.card {
                    table {
                        tbody {
                            @for (name, label) in COUNTS {
                                @if let Some(value) = number(name) {
                                    tr { td { (label) } td.number { (count(value)) } }
                                }
                            }
                            @if let Some(density) = portrait.data.get("density").and_then(Value::as_f64) {
                                tr { td { "density" } td.number { (short(100.0 * density)) " %" } }
                            }
                        }
                    }
                }
                @if !dropped.is_empty() {
                    div.card {
                        h3 { "Left out" }
                        table {
                            tbody {
                                @for (name, value) in &dropped {
                                    tr { td { (words(name)) } td.number { (count(*value)) } }
                                }
                            }
                        }
                    }
                }
                @if portrait.tail.len() > 1 { (tail(portrait)) }
                (timeline(portrait))
            }
        }
    }
}

fn tail(portrait: &Portrait) -> Markup {
    let values = portrait.tail.iter().map(|point| 100.0 * point.interactions).collect();
    let fifth = portrait.tail.iter().find(|point| point.items >= 0.2).map_or(f64::NAN, |point| point.interactions);
    html! {
        figure.card {
            h3 { "Long tail" }
            (lines(&[Series { name: "share of the interactions in per cent".into(), values }], "per cent of the items, most popular first", None))
            figcaption { "The most popular fifth of the items has " (percent(fifth)) " of the interactions." }
        }
    }
}

fn timeline(portrait: &Portrait) -> Markup {
    let found = portrait.data.get("timeline").filter(|found| !found.is_null());
    let Some(found) = found else { return html! {} };
    let number = |name: &str| found.get(name).and_then(Value::as_i64);
    let counts = found.get("counts").and_then(Value::as_array).into_iter().flatten();
    let values: Vec<f64> = counts.filter_map(Value::as_f64).collect();
    let (Some(first), Some(last)) = (number("first").and_then(day), number("last").and_then(day)) else {
        return html! {};
    };
    let across = format!("{} equal parts of the time from {first} to {last}", values.len());
    html! {
        figure.card {
            h3 { "Interactions over time" }
            (lines(&[Series { name: "interactions".into(), values }], "part", None))
            figcaption { "In " (across) "." }
        }
    }
}

/// The day of a time in microseconds since 1970.
fn day(microseconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(microseconds).ok()?;
    Some(time.strftime("%Y-%m-%d").to_string())
}

/// `usersBelowMinimum` as words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_become_words() {
        assert_eq!(words("usersBelowMinimum"), "users below minimum");
    }
}
