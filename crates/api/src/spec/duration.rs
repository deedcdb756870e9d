//! Durations as Kubernetes writes them: `5m`, `90s`, `1h30m`.

use std::fmt::{self, Write};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most digits of a number of hours, minutes or seconds: a thousand years from now is still a date.
const DIGITS: usize = 7;

/// A length of time in whole seconds, written as hours, minutes and seconds: `5m`, `90s`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    seconds: u64,
}

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text has another form.
    #[error("must be hours, minutes and seconds, such as 5m, 90s or 1h30m")]
    Form,
    /// A number has too many digits.
    #[error("is too long: a number has at most {DIGITS} digits")]
    TooLong,
}

impl Duration {
    /// What a text that isn't empty must match: exactly what is read as a duration. Kubernetes' own format `duration`
    /// also takes `500ms`, `1.5h` and `5 minutes`.
    pub const PATTERN: &str = "^([0-9]{1,7}h)?([0-9]{1,7}m)?([0-9]{1,7}s)?$";

    /// The duration of this many seconds.
    pub const fn from_seconds(seconds: u64) -> Duration {
        Duration { seconds }
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> u64 {
        self.seconds
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    /// Units go from large to small, each at most once.
    fn from_str(text: &str) -> Result<Duration, DurationError> {
        let mut units = [('h', 3600), ('m', 60), ('s', 1)].into_iter();
        let mut seconds = 0_u64;
        let mut rest = text;
        if rest.is_empty() {
            return Err(DurationError::Form);
        }
        while !rest.is_empty() {
            let end = rest.find(|character: char| !character.is_ascii_digit()).ok_or(DurationError::Form)?;
            let (digits, unit) = rest.split_at(end);
            if digits.is_empty() {
                return Err(DurationError::Form);
            }
            let letter = unit.chars().next().ok_or(DurationError::Form)?;
            let (_, factor) = units.find(|(name, _)| *name == letter).ok_or(DurationError::Form)?;
            if digits.len() > DIGITS {
                return Err(DurationError::TooLong);
            }
            let number: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
            seconds += number * factor;
            rest = unit.get(letter.len_utf8()..).unwrap_or_default();
        }
        Ok(Duration { seconds })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60);
        if hours > 0 {
            write!(formatter, "{hours}h")?;
        }
        if minutes > 0 {
            write!(formatter, "{minutes}m")?;
        }
        if seconds > 0 || self.seconds == 0 {
            write!(formatter, "{seconds}")?;
            formatter.write_char('s')?;
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": Duration::PATTERN, "minLength": 1, "maxLength": 3 * (DIGITS + 1) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("5m", 300)]
    #[case("90s", 90)]
    #[case("1h30m", 5400)]
    #[case("0s", 0)]
    #[case("24h1s", 86_401)]
    #[case("007m", 420)]
    #[case("9999999h9999999m9999999s", 36_609_996_339)]
    fn a_duration_is_read(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(text.parse(), Ok(Duration::from_seconds(seconds)));
    }

    #[rstest]
    #[case("", DurationError::Form)]
    #[case("5", DurationError::Form)]
    #[case("m", DurationError::Form)]
    #[case("5 m", DurationError::Form)]
    #[case("5m1h", DurationError::Form)]
    #[case("5m5m", DurationError::Form)]
    #[case("-5m", DurationError::Form)]
    #[case("1.5h", DurationError::Form)]
    #[case("500ms", DurationError::Form)]
    #[case("5 minutes", DurationError::Form)]
    #[case("5m\n", DurationError::Form)]
    #[case("٥m", DurationError::Form)]
    #[case("5é", DurationError::Form)]
    #[case("99999999999999999999s", DurationError::TooLong)]
    #[case("10000000s", DurationError::TooLong)]
    #[case("00000001s", DurationError::TooLong)]
    fn another_text_is_refused(#[case] text: &str, #[case] error: DurationError) {
        assert_eq!(text.parse::<Duration>(), Err(error));
        assert!(text.is_empty() || !regex::Regex::new(Duration::PATTERN).unwrap().is_match(text));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0..36_000_000_000_u64) {
            let duration = Duration::from_seconds(seconds);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn the_pattern_takes_exactly_what_is_read(text in "([0-9]{1,8}[hms .]?){0,4}") {
            let matches = regex::Regex::new(Duration::PATTERN).unwrap().is_match(&text);
            prop_assert_eq!(matches && !text.is_empty(), text.parse::<Duration>().is_ok(), "{}", text);
        }
    }
}
