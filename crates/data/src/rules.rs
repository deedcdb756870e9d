//! What becomes of a raw interaction: pure decisions.

use std::collections::BTreeMap;

use teasel_api::resolved::{Data, InteractionColumns, Interactions, Split};

use crate::DataError;
use crate::raw::{Kind, Value, Wanted, parse_number, parse_time};

/// Stands for an unknown time: it sorts before every known one.
pub(crate) const NO_TIME: i64 = i64::MIN;
/// Separates the tenant from the user in a person's sort key, so neither may hold it.
pub(crate) const SEPARATOR: char = '\0';

/// Bytes of the longest id: a longer one is text that slipped into the column, and would be kept in memory.
const LONGEST_ID: usize = 4096;

/// How rows are read.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    columns: InteractionColumns,
    events: BTreeMap<String, f64>,
    minimum_rating: Option<f64>,
    time_required: bool,
}

/// A row that can be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row<'a> {
    pub(crate) tenant: std::borrow::Cow<'a, str>,
    pub(crate) user: std::borrow::Cow<'a, str>,
    pub(crate) item: std::borrow::Cow<'a, str>,
    /// Microseconds since 1970, or [`NO_TIME`].
    pub(crate) time: i64,
    /// The event, where it is a listed one.
    pub(crate) event: Option<&'a str>,
    pub(crate) verdict: Verdict,
}

/// Whether a row counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// With this weight.
    Counts(f64),
    /// Its event isn't listed.
    UnlistedEvent,
    /// Its rating is missing or too small.
    LowRating,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) column: String,
    pub(crate) problem: &'static str,
    pub(crate) value: Option<String>,
}

impl Rules {
    /// The rules of `data`.
    ///
    /// # Errors
    /// [`DataError::Configuration`] where fields of `data` contradict each other.
    pub(crate) fn of(data: &Data) -> Result<Self, DataError> {
        let Interactions { columns, events, minimum_rating, .. } = &data.interactions;
        let wrong = |message: &str| Err(DataError::Configuration(format!("data.interactions: {message}")));
        if !events.is_empty() && columns.event.is_none() {
            return wrong("events need columns.event");
        }
        if events.values().any(|weight| !weight.is_finite()) {
            return wrong("an event's weight is NaN or infinite");
        }
        if minimum_rating.is_some() && columns.rating.is_none() {
            return wrong("minimumRating needs columns.rating");
        }
        let time_required = matches!(data.split, Split::LeaveLastOut);
        if time_required && columns.timestamp.is_none() {
            return wrong("the split LeaveLastOut needs columns.timestamp");
        }
        if let Split::StrongGeneralization { validation, test, held_out, cold_items, .. } = data.split {
            let share = |value: f64| (0.0..1.0).contains(&value);
            let training_left = share(validation) && share(test) && validation + test < 1.0 && share(cold_items);
            let is_part_hidden = held_out > 0.0 && held_out < 1.0;
            if !(training_left && is_part_hidden) {
                return Err(DataError::Configuration(
                    "data.split.strongGeneralization: validation, test, heldOut and coldItems are shares, and users \
                     and items must be left to train"
                        .into(),
                ));
            }
        }
        Ok(Rules {
            columns: columns.clone(),
            events: events.clone(),
            minimum_rating: *minimum_rating,
            time_required,
        })
    }

    /// The columns to read, in the order in which [`Rules::judge`] takes their values.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let required =
            |name: &String, kind, identifying| Wanted { name: name.clone(), kind, required: true, identifying };
        let optional = |name: &Option<String>, kind| match name {
            Some(name) => required(name, kind, false),
            None => Wanted { name: String::new(), kind, required: false, identifying: false },
        };
        vec![
            required(&self.columns.user, Kind::Text, true),
            required(&self.columns.item, Kind::Text, true),
            optional(&self.columns.event, Kind::Text),
            optional(&self.columns.rating, Kind::Number),
            optional(&self.columns.timestamp, Kind::Time),
            optional(&self.columns.tenant, Kind::Text),
        ]
    }

    /// Decides about a row's values. `Err` is a bad row.
    pub(crate) fn judge<'a>(&'a self, values: &'a [Value<'a>]) -> Result<Row<'a>, Problem> {
        let [user, item, event, rating, time, tenant] = values else {
            return Err(Problem { column: String::new(), problem: "incomplete", value: None });
        };
        let id = |value: &'a Value<'a>, column: &str| match value.text() {
            Some(text) if text.len() > LONGEST_ID => {
                Err(problem(column, "an id longer than 4096 bytes", Some(text.into_owned())))
            }
            Some(text) if !text.contains(SEPARATOR) => Ok(text),
            Some(text) => Err(problem(column, "an id with a null character", Some(text.into_owned()))),
            None => Err(problem(column, "empty", None)),
        };
        let named = |column: &Option<String>| column.clone().unwrap_or_default();
        let user = id(user, &self.columns.user)?;
        let item = id(item, &self.columns.item)?;
        let tenant = match tenant {
            Value::Missing => "".into(),
            tenant => id(tenant, &named(&self.columns.tenant))?,
        };
        let rating = parse_number(rating)
            .map_err(|value| problem(&named(&self.columns.rating), "not a finite number", Some(value)))?;
        let time = parse_time(time)
            .map_err(|value| problem(&named(&self.columns.timestamp), "not a time", Some(value)))?;
        if time.is_none() && self.time_required {
            return Err(problem(&named(&self.columns.timestamp), "empty, but the split goes by time", None));
        }
        let listed = event.text().and_then(|event| self.events.get_key_value(event.as_ref()));
        let weight = if self.events.is_empty() { Some(1.0) } else { listed.map(|(_, weight)| *weight) };
        let event = listed.map(|(name, _)| name.as_str());
        let verdict = match weight {
            None => Verdict::UnlistedEvent,
            Some(_) if self.minimum_rating.is_some_and(|minimum| rating.is_none_or(|rating| rating < minimum)) => {
                Verdict::LowRating
            }
            Some(weight) => Verdict::Counts(weight),
        };
        Ok(Row { tenant, user, item, time: time.unwrap_or(NO_TIME), event, verdict })
    }
}

fn problem(column: &str, problem: &'static str, value: Option<String>) -> Problem {
    Problem { column: column.to_owned(), problem, value: value.map(|value| crate::error::cut(&value, 40)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value as Json, json};

    use super::*;

    fn data(change: impl FnOnce(&mut Json)) -> Data {
        let mut data = json!({
            "interactions": {
                "location": {"uri": "file:///x.csv"}, "format": null,
                "columns": {"user": "u", "item": "i", "event": "e", "rating": "r", "timestamp": "t", "tenant": "s"},
                "events": {"view": 1.0, "buy": 8.0, "return": -8.0}, "minimumRating": 4.0, "weighting": "Weighted",
                "onBadRows": "Fail", "maximumBadRows": 0
            },
            "items": null, "minimumInteractions": {"user": 1, "item": 1}, "split": {"type": "leaveLastOut"}
        });
        change(&mut data);
        serde_json::from_value(data).unwrap()
    }

    fn judge(cells: [&str; 6]) -> Result<(i64, Verdict), (String, &'static str, Option<String>)> {
        let rules = Rules::of(&data(|_| {})).unwrap();
        let values: Vec<Value<'_>> =
            cells.iter().map(|cell| if cell.is_empty() { Value::Missing } else { Value::Text(cell) }).collect();
        let judged = rules.judge(&values).map(|row| (row.time, row.verdict));
        judged.map_err(|problem| (problem.column, problem.problem, problem.value))
    }

    #[rstest]
    #[case(["a", "b", "view", "5", "7", ""], Verdict::Counts(1.0))]
    #[case(["a", "b", "return", "4", "7", "x"], Verdict::Counts(-8.0))]
    #[case(["a", "b", "look", "5", "7", ""], Verdict::UnlistedEvent)]
    #[case(["a", "b", "", "5", "7", ""], Verdict::UnlistedEvent)]
    #[case(["a", "b", "view", "3.9", "7", ""], Verdict::LowRating)]
    #[case(["a", "b", "view", "", "7", ""], Verdict::LowRating)]
    fn a_readable_row_counts_or_is_dropped_for_a_reason(#[case] cells: [&str; 6], #[case] expected: Verdict) {
        assert_eq!(judge(cells), Ok((7_000_000, expected)));
    }

    #[rstest]
    #[case(["", "b", "view", "5", "7", ""], "u", "empty", None)]
    #[case(["a", "", "view", "5", "7", ""], "i", "empty", None)]
    #[case(["a\0b", "b", "view", "5", "7", ""], "u", "an id with a null character", Some("a\0b"))]
    #[case(["a", "b", "view", "NaN", "7", ""], "r", "not a finite number", Some("NaN"))]
    #[case(["a", "b", "view", "five", "7", ""], "r", "not a finite number", Some("five"))]
    #[case(["a", "b", "view", "5", "soon", ""], "t", "not a time", Some("soon"))]
    #[case(["a", "b", "view", "5", "", ""], "t", "empty, but the split goes by time", None)]
    fn a_bad_row_names_its_column(
        #[case] cells: [&str; 6],
        #[case] column: &str,
        #[case] problem: &'static str,
        #[case] value: Option<&str>,
    ) {
        assert_eq!(judge(cells), Err((column.to_owned(), problem, value.map(str::to_owned))));
    }

    #[test]
    fn an_id_is_refused_where_it_is_too_long() {
        let longest = "a".repeat(LONGEST_ID);
        assert!(judge([&longest, "b", "view", "5", "7", ""]).is_ok());
        let (column, problem, value) = judge(["a", &format!("{longest}a"), "view", "5", "7", ""]).unwrap_err();
        assert_eq!((column.as_str(), problem), ("i", "an id longer than 4096 bytes"));
        assert_eq!(value.unwrap().chars().count(), 41, "cut");
    }

    #[rstest]
    #[case("event", "events need columns.event")]
    #[case("rating", "minimumRating needs columns.rating")]
    #[case("timestamp", "LeaveLastOut needs columns.timestamp")]
    fn fields_that_need_a_column_say_so(#[case] column: &str, #[case] expected: &str) {
        let error = Rules::of(&data(|data| data["interactions"]["columns"][column] = Json::Null)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
