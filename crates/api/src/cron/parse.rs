//! From text to bits.

use super::{Cron, CronError};
use crate::violation::nearest;

/// Schedules that have a name, and what they stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Most days that a month can have, from January on.
const LONGEST_MONTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// One of the five fields.
struct Field {
    name: &'static str,
    least: u64,
    most: u64,
    /// Names of the values from `least` on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field =
    Field { name: "day of week", least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// What a field says.
#[derive(Clone, Copy, Default)]
struct Values {
    bits: u64,
    star: bool,
}

impl std::str::FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Cron, CronError> {
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err(error("must not name a time zone").hint("use the field timeZone"));
        }
        if !text.starts_with('@') {
            return fields(text);
        }
        if text.starts_with("@every") {
            return Err(
                error("must not be @every").hint("write the minutes or hours as a step, such as */10 * * * *")
            );
        }
        match NICKNAMES.iter().find(|(name, _)| *name == text) {
            Some((_, fields_of)) => fields(fields_of),
            None => {
                let names = NICKNAMES.map(|(name, _)| name);
                let error = error(format!("must be one of {}", names.join(", ")));
                Err(CronError { hint: nearest(text, names), ..error })
            }
        }
    }
}

fn error(message: impl Into<String>) -> CronError {
    CronError { message: message.into(), hint: None }
}

impl CronError {
    fn hint(self, hint: impl Into<String>) -> CronError {
        CronError { hint: Some(hint.into()), ..self }
    }
}

fn fields(text: &str) -> Result<Cron, CronError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(error(format!(
            "must have five fields (minute, hour, day of month, month, day of week), not {}",
            fields.len()
        )));
    };
    let (minutes, hours) = (MINUTE.read(minute)?.bits, HOUR.read(hour)?.bits);
    let (day, month, weekday) = (DAY.read(day)?, MONTH.read(month)?, WEEKDAY.read(weekday)?);
    let cron = Cron {
        minutes,
        hours,
        days: day.bits,
        months: month.bits,
        weekdays: weekday.bits,
        both_days: day.star || weekday.star,
    };
    if cron.names_a_day() {
        Ok(cron)
    } else {
        Err(error("names only days that their months don't have").hint("such a schedule would never run"))
    }
}

impl Cron {
    /// Whether any month has one of the days.
    fn names_a_day(&self) -> bool {
        let first = self.days.trailing_zeros();
        let mut months = LONGEST_MONTHS.iter().zip(1..);
        !self.both_days || months.any(|(days, month)| self.months & (1 << month) != 0 && first <= *days)
    }
}

impl Field {
    /// Reads a list of ranges.
    fn read(&self, text: &str) -> Result<Values, CronError> {
        text.split(',').try_fold(Values::default(), |all, element| {
            let values = self.range(element)?;
            Ok(Values { bits: all.bits | values.bits, star: all.star || values.star })
        })
    }

    /// Reads `*`, `?`, `n`, `n-m`, each perhaps with `/step`.
    fn range(&self, text: &str) -> Result<Values, CronError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step, text)?)),
            None => (text, None),
        };
        let is_star = range == "*" || range == "?";
        let (first, last) = match range.split_once('-') {
            _ if is_star => (self.least, self.most),
            Some((first, last)) => (self.value(first, text)?, self.value(last, text)?),
            None => {
                let first = self.value(range, text)?;
                // `n/step` goes on to the end.
                (first, if step.is_some() { self.most } else { first })
            }
        };
        if first > last {
            let turned = format!("write {first}-{},{}-{last}", self.most, self.least);
            return Err(self.error(text, "has a range that ends before it begins").hint(turned));
        }
        let step = step.unwrap_or(1);
        let bits =
            (first..=last).filter(|value| (value - first) % step == 0).fold(0, |bits, value| bits | 1 << value);
        Ok(Values { bits, star: is_star && step == 1 })
    }

    fn step(&self, text: &str, whole: &str) -> Result<u64, CronError> {
        match number(text) {
            Some(step) if step > 0 => Ok(step),
            _ => Err(self.error(whole, "has a step that is no number from 1 on")),
        }
    }

    fn value(&self, text: &str, whole: &str) -> Result<u64, CronError> {
        let name = text.to_lowercase();
        if let Some((_, value)) = self.names.iter().zip(self.least..).find(|(known, _)| **known == name) {
            return Ok(value);
        }
        match number(text) {
            Some(value) if (self.least..=self.most).contains(&value) => Ok(value),
            found => {
                let error = self.error(whole, &format!("must be from {} to {}", self.least, self.most));
                let hint = match found {
                    Some(7) if self.name == WEEKDAY.name => Some("Sunday is 0".to_owned()),
                    Some(_) => None,
                    None => nearest(text, self.names.iter().copied()),
                };
                Err(CronError { hint, ..error })
            }
        }
    }

    fn error(&self, text: &str, problem: &str) -> CronError {
        error(format!("has the {} {text:?}, which {problem}", self.name))
    }
}

/// Digits only: Rust, as Go, would take a sign too.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn bits(values: impl IntoIterator<Item = u32>) -> u64 {
        values.into_iter().fold(0, |bits, value| bits | 1 << value)
    }

    fn parse(text: &str) -> Result<Cron, String> {
        text.parse().map_err(|error: CronError| match error.hint {
            Some(hint) => format!("{} ({hint})", error.message),
            None => error.message,
        })
    }

    #[rstest]
    #[case::all("* * * * *", bits(0..60), bits(0..24), bits(1..32), bits(1..13), bits(0..7), true)]
    #[case::numbers("5 4 3 2 1", bits([5]), bits([4]), bits([3]), bits([2]), bits([1]), false)]
    #[case::lists_and_ranges("1,5-7,5 0-23/8 ? JAN,mar-May mon-FRI", bits([1, 5, 6, 7]), bits([0, 8, 16]), bits(1..32), bits([1, 3, 4, 5]), bits(1..6), true)]
    #[case::a_step_from_a_value_goes_on_to_the_end("50/4 20/2 28/2 11/1 5/1", bits([50, 54, 58]), bits([20, 22]), bits([28, 30]), bits([11, 12]), bits([5, 6]), false)]
    #[case::a_step_beyond_the_range("5/70 */24 1 * *", bits([5]), bits([0]), bits([1]), bits(1..13), bits(0..7), true)]
    #[case::a_star_with_a_step_of_one_is_a_star("0 0 */1 * 1", bits([0]), bits([0]), bits(1..32), bits(1..13), bits([1]), true)]
    #[case::a_star_with_a_longer_step_is_none("0 0 */2 * 1", bits([0]), bits([0]), bits((1..32).step_by(2)), bits(1..13), bits([1]), false)]
    #[case::a_star_inside_of_a_list_is_one("0 0 5,* * 1", bits([0]), bits([0]), bits(1..32), bits(1..13), bits([1]), true)]
    #[case::the_whole_range_is_no_star("0 0 1-31 * 1", bits([0]), bits([0]), bits(1..32), bits(1..13), bits([1]), false)]
    #[case::whitespace("  0\t0 1  1 * ", bits([0]), bits([0]), bits([1]), bits([1]), bits(0..7), true)]
    fn fields_are_read_as_bits(
        #[case] text: &str,
        #[case] minutes: u64,
        #[case] hours: u64,
        #[case] days: u64,
        #[case] months: u64,
        #[case] weekdays: u64,
        #[case] both_days: bool,
    ) {
        assert_eq!(parse(text), Ok(Cron { minutes, hours, days, months, weekdays, both_days }));
    }

    #[rstest]
    #[case("@hourly", "0 * * * *")]
    #[case("@daily", "0 0 * * *")]
    #[case("@midnight", "0 0 * * *")]
    #[case("@weekly", "0 0 * * 0")]
    #[case("@monthly", "0 0 1 * *")]
    #[case("@yearly", "0 0 1 1 *")]
    #[case("@annually", "0 0 1 1 *")]
    fn a_nickname_stands_for_five_fields(#[case] nickname: &str, #[case] text: &str) {
        assert_eq!(parse(nickname).unwrap(), parse(text).unwrap());
    }

    #[rstest]
    #[case("", "must have five fields (minute, hour, day of month, month, day of week), not 0")]
    #[case("* * * *", "must have five fields (minute, hour, day of month, month, day of week), not 4")]
    #[case("0 * * * * *", "must have five fields (minute, hour, day of month, month, day of week), not 6")]
    #[case(
        "@dayly",
        "must be one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually (did you mean @daily?)"
    )]
    #[case("@every 5m", "must not be @every (write the minutes or hours as a step, such as */10 * * * *)")]
    #[case("TZ=UTC 0 0 * * *", "must not name a time zone (use the field timeZone)")]
    #[case("CRON_TZ=Europe/Berlin 0 0 * * *", "must not name a time zone (use the field timeZone)")]
    #[case("60 * * * *", "has the minute \"60\", which must be from 0 to 59")]
    #[case("* 5-24 * * *", "has the hour \"5-24\", which must be from 0 to 23")]
    #[case("* * 0 * *", "has the day of month \"0\", which must be from 1 to 31")]
    #[case("* * * 13 *", "has the month \"13\", which must be from 1 to 12")]
    #[case("* * * march *", "has the month \"march\", which must be from 1 to 12 (did you mean mar?)")]
    #[case("* * * * 7", "has the day of week \"7\", which must be from 0 to 6 (Sunday is 0)")]
    #[case(
        "* * * * sat-mon",
        "has the day of week \"sat-mon\", which has a range that ends before it begins (write 6-6,0-1)"
    )]
    #[case("* 22-6 * * *", "has the hour \"22-6\", which has a range that ends before it begins (write 22-23,0-6)")]
    #[case("*/0 * * * *", "has the minute \"*/0\", which has a step that is no number from 1 on")]
    #[case("*/-2 * * * *", "has the minute \"*/-2\", which has a step that is no number from 1 on")]
    #[case("1/2/3 * * * *", "has the minute \"1/2/3\", which has a step that is no number from 1 on")]
    #[case("1-2-3 * * * *", "has the minute \"1-2-3\", which must be from 0 to 59")]
    #[case("*-5 * * * *", "has the minute \"*-5\", which must be from 0 to 59")]
    #[case("+5 * * * *", "has the minute \"+5\", which must be from 0 to 59")]
    #[case("1,,2 * * * *", "has the minute \"\", which must be from 0 to 59")]
    #[case("99999999999999999999 * * * *", "has the minute \"99999999999999999999\", which must be from 0 to 59")]
    #[case("59 23 31 2 *", "names only days that their months don't have (such a schedule would never run)")]
    #[case("0 0 31 4,6,9,11 *", "names only days that their months don't have (such a schedule would never run)")]
    fn a_bad_schedule_is_refused_with_its_reason(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(parse(text), Err(expected.to_owned()));
    }

    #[rstest]
    #[case::leap_days("0 0 29 2 *")]
    #[case::another_month_has_it("0 0 31 2,3 *")]
    #[case::the_weekday_comes_anyhow("0 0 31 2 1")]
    fn a_rare_day_is_no_error(#[case] text: &str) {
        assert!(parse(text).is_ok());
    }
}
