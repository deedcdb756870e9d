//! A cell of a raw file.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;

/// A cell, as its file gives it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Null, an empty field, or a column that the file lacks.
    Missing,
    /// Text.
    Text(&'a str),
    /// Text that had to be made.
    Owned(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A point in time, in microseconds since 1970.
    Micros(i64),
    /// Texts.
    List(Vec<String>),
}

impl Value<'_> {
    /// As text: ids, kinds of events, names.
    pub(crate) fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Value::Text(text) => Some((*text).into()),
            Value::Owned(text) => Some(text.as_str().into()),
            Value::Integer(number) => Some(number.to_string().into()),
            Value::Number(number) => Some(number.to_string().into()),
            Value::Missing | Value::Micros(_) | Value::List(_) => None,
        }
    }
}

/// A number: `Ok(None)` where it is missing; the offending text where it is none, or isn't finite.
pub(crate) fn parse_number(value: &Value<'_>) -> Result<Option<f64>, String> {
    let number = match value {
        Value::Missing => return Ok(None),
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        Value::Text(text) => text.trim().parse().map_err(|_| (*text).to_owned())?,
        Value::Owned(text) => text.trim().parse().map_err(|_| text.clone())?,
        Value::Micros(_) | Value::List(_) => return Err("a value that is no number".to_owned()),
    };
    if number.is_finite() { Ok(Some(number)) } else { Err(number.to_string()) }
}

/// A time in microseconds since 1970: `Ok(None)` where it is missing; the offending text where it is none.
///
/// Numbers are seconds, milliseconds, microseconds or nanoseconds, told apart by their size: each unit reaches from
/// 1973 to the year 5138 before the next one's range begins.
pub(crate) fn parse_time(value: &Value<'_>) -> Result<Option<i64>, String> {
    match value {
        Value::Missing => Ok(None),
        Value::Micros(micros) => Ok(Some(*micros)),
        Value::Integer(number) => whole(*number).map(Some),
        Value::Number(number) => fractional(*number).map(Some),
        Value::Text(text) => textual(text).map(Some),
        Value::Owned(text) => textual(text).map(Some),
        Value::List(_) => Err("a list".to_owned()),
    }
}

const SECONDS_BELOW: u64 = 100_000_000_000;
const MILLISECONDS_BELOW: u64 = 100_000_000_000_000;
const MICROSECONDS_BELOW: u64 = 100_000_000_000_000_000;

fn whole(number: i64) -> Result<i64, String> {
    match number.unsigned_abs() {
        size if size < SECONDS_BELOW => Ok(number * 1_000_000),
        size if size < MILLISECONDS_BELOW => Ok(number * 1_000),
        size if size < MICROSECONDS_BELOW => Ok(number),
        // The smallest value stands for "no time" further on.
        _ if number == i64::MIN => Err(number.to_string()),
        _ => Ok(number / 1_000),
    }
}

fn fractional(number: f64) -> Result<i64, String> {
    if !number.is_finite() || number.abs() >= i64::MAX as f64 {
        return Err(number.to_string());
    }
    if number.abs() < SECONDS_BELOW as f64 {
        return Ok((number * 1e6).round() as i64);
    }
    whole(number.round() as i64)
}

fn textual(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    if let Ok(number) = trimmed.parse::<i64>() {
        return whole(number);
    }
    if let Ok(number) = trimmed.parse::<f64>() {
        return fractional(number);
    }
    string_to_timestamp_nanos(trimmed).map(|nanos| nanos.div_euclid(1_000)).map_err(|_| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Value::Integer(1_600_000_000), Ok(Some(1_600_000_000_000_000)))]
    #[case(Value::Integer(1_600_000_000_123), Ok(Some(1_600_000_000_123_000)))]
    #[case(Value::Integer(1_600_000_000_123_456), Ok(Some(1_600_000_000_123_456)))]
    #[case(Value::Integer(1_600_000_000_123_456_789), Ok(Some(1_600_000_000_123_456)))]
    #[case(Value::Integer(-5), Ok(Some(-5_000_000)))]
    #[case(Value::Integer(i64::MIN), Err(i64::MIN.to_string()))]
    #[case(Value::Number(1_600_000_000.5), Ok(Some(1_600_000_000_500_000)))]
    #[case(Value::Number(f64::NAN), Err("NaN".to_owned()))]
    #[case(Value::Text("2020-09-13T12:26:40Z"), Ok(Some(1_600_000_000_000_000)))]
    #[case(Value::Text("2020-09-13 14:26:40+02:00"), Ok(Some(1_600_000_000_000_000)))]
    #[case(Value::Text("874965758.0"), Ok(Some(874_965_758_000_000)))]
    #[case(Value::Text("yesterday"), Err("yesterday".to_owned()))]
    #[case(Value::Missing, Ok(None))]
    fn a_time_is_read_in_every_unit(#[case] value: Value<'_>, #[case] expected: Result<Option<i64>, String>) {
        assert_eq!(parse_time(&value), expected);
    }

    #[rstest]
    #[case(Value::Text(" 4.5 "), Ok(Some(4.5)))]
    #[case(Value::Text("four"), Err("four".to_owned()))]
    #[case(Value::Text("inf"), Err("inf".to_owned()))]
    #[case(Value::Number(f64::NAN), Err("NaN".to_owned()))]
    #[case(Value::Missing, Ok(None))]
    fn a_number_is_finite_or_refused(#[case] value: Value<'_>, #[case] expected: Result<Option<f64>, String>) {
        assert_eq!(parse_number(&value), expected);
    }
}
