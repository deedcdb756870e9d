//! Schedules as CronJob reads them: parsing, the next tick, and time zones.
//!
//! CronJob's ticks are those of Go's robfig/cron v3, and so are these, tick for tick. No crate for Rust has its rules:
//! croner, the nearest, runs a fixed time of a skipped hour right after the gap, and a fixed time of a repeated hour
//! once. So the search here is robfig's own, step by step (`next`). What follows from it:
//!
//! - A day matches if the day of the month *and* the day of the week do, where one of the two has a star; else if
//!   either does. `*` and `?` are stars, also with `/1` and inside of a list; `*/2` is none.
//! - A time that a clock change skips isn't made up for; one that it repeats comes twice.
//! - Around a change that skips midnight, or that is no whole number of hours, robfig has quirks: where Sunday's
//!   midnight is skipped, `0 5 * * 6` comes on that Sunday too; on Lord Howe Island, where the clock turns by half an
//!   hour, that day has no `0 3 * * *`, and the next one no `0 0 * * *`. They are kept: a schedule that moves here from
//!   a CronJob must not change.
//! - Where a zone skips a whole day, as Samoa did in 2011, robfig searches for ever; here the search goes on after it.
//!
//! Parser and search stand together, and here rather than in the operator: whoever checks a schedule can say when it
//! would run. What robfig accepts by accident is refused: `*-5`, `+5`, empty elements of lists, days that no month
//! has. So are `@every`, which CronJob's documentation doesn't have, and `TZ=`, which `timeZone` replaces.

mod next;
mod parse;
mod zone;

pub use zone::{UnknownTimeZone, time_zone};

/// When a schedule ticks, in some zone's local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Bit n stands for minute n; likewise below.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is 0.
    weekdays: u64,
    /// Whether a day must match both as day of the month and as day of the week: one of the two has a star.
    both_days: bool,
}

/// Why a text is no schedule: a phrase that goes on from the field's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CronError {
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}
