//! How interactions are spread over time.

use serde::{Deserialize, Serialize};

use crate::rules::NO_TIME;

/// Parts of a timeline.
const PARTS: usize = 60;

/// Interactions over time, in parts of the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The first one's time, in microseconds since 1970.
    pub first: i64,
    /// The last one's.
    pub last: i64,
    /// Interactions of each part, from the first time to the last.
    pub counts: Vec<u64>,
    /// Interactions whose time isn't known.
    pub unknown: u64,
}

/// The first and the last of some times, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span(Option<(i64, i64)>);

impl Span {
    pub(crate) fn add(&mut self, time: i64) {
        if time != NO_TIME {
            let (first, last) = self.0.unwrap_or((time, time));
            self.0 = Some((first.min(time), last.max(time)));
        }
    }
}

impl Timeline {
    /// Nothing yet, over the times of `span`; `None` where it has none.
    pub(crate) fn over(Span(span): Span) -> Option<Self> {
        let (first, last) = span?;
        Some(Timeline { first, last, counts: vec![0; PARTS], unknown: 0 })
    }

    pub(crate) fn add(&mut self, time: i64) {
        if time == NO_TIME {
            self.unknown += 1;
            return;
        }
        // Wider than the numbers, which any file may hold.
        let (length, place) =
            (i128::from(self.last) - i128::from(self.first) + 1, i128::from(time) - i128::from(self.first));
        let part = (place * PARTS as i128 / length).clamp(0, PARTS as i128 - 1);
        self.counts[part as usize] += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_parts_from_the_first_to_the_last() {
        let times = [100, 159, NO_TIME, 130, 159, 100];
        let mut span = Span::default();
        times.iter().for_each(|time| span.add(*time));
        let mut timeline = Timeline::over(span).unwrap();
        times.iter().for_each(|time| timeline.add(*time));
        assert_eq!((timeline.first, timeline.last, timeline.unknown), (100, 159, 1));
        assert_eq!((timeline.counts[0], timeline.counts[30], timeline.counts[59]), (2, 1, 2));
    }

    #[test]
    fn any_times_have_a_part() {
        assert!(Timeline::over(Span::default()).is_none());
        let mut span = Span::default();
        [i64::MIN + 1, i64::MAX].iter().for_each(|time| span.add(*time));
        let mut timeline = Timeline::over(span).unwrap();
        [i64::MIN + 1, 0, i64::MAX].iter().for_each(|time| timeline.add(*time));
        assert_eq!(
            (
                timeline.counts[0],
                timeline.counts[PARTS / 2 - 1] + timeline.counts[PARTS / 2],
                timeline.counts[PARTS - 1]
            ),
            (1, 1, 1)
        );
    }
}
