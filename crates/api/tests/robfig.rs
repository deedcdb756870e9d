//! Ticks against robfig/cron itself, which Go builds from `tests/cron`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cron;

use std::process::Command;

use cron::{Case, SCHEDULES, YEARS, ask, compare, folder};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use teasel_api::cron::Cron;

/// What robfig answers: ticks, or `None` where it refuses the schedule.
fn robfig(cases: &[Case]) -> Vec<Option<Vec<i64>>> {
    let mut command = Command::new("go");
    command.args(["run", "-mod=readonly", "."]).current_dir(folder());
    let missing = "missing: go. Install it with: a download from https://go.dev/dl, 1.26 or newer";
    let text = ask(&mut command, cases, missing);
    let answer = |line: &str| {
        (line != "invalid").then(|| line.split_whitespace().map(|tick| tick.parse().unwrap()).collect())
    };
    let answers: Vec<Option<Vec<i64>>> = text.split_terminator('\n').map(answer).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// With `TEASEL_WRITE_TICKS` set, writes the file instead.
#[test]
fn what_stands_in_ticks_txt_is_what_robfig_says() {
    let cases = Case::all();
    let answers = robfig(&cases);
    compare("robfig", cases.iter().zip(answers.iter().map(|answer| answer.clone().unwrap())));
    let text: String =
        cases.iter().zip(&answers).map(|(case, ticks)| case.digest(ticks.as_ref().unwrap())).collect();
    let file = folder().join("ticks.txt");
    if std::env::var_os("TEASEL_WRITE_TICKS").is_some() {
        std::fs::write(file, text).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
    }
}

/// A field whose values lie between two numbers.
fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    let number = least..=most;
    let range = (number.clone(), number.clone()).prop_map(|(one, other)| (one.min(other), one.max(other)));
    let element = prop_oneof![
        number.clone().prop_map(|value| value.to_string()),
        range.clone().prop_map(|(first, last)| format!("{first}-{last}")),
        (range, 1..most).prop_map(|((first, last), step)| format!("{first}-{last}/{step}")),
        (number, 1..most).prop_map(|(value, step)| format!("{value}/{step}")),
        (1..most).prop_map(|step| format!("*/{step}")),
    ];
    prop_oneof![
        4 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        6 => prop::collection::vec(element, 1..4).prop_map(|elements| elements.join(",")),
    ]
}

fn schedule() -> impl Strategy<Value = String> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

/// `number` values of a strategy, always the same.
fn samples<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, number: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..number).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn any_schedule_ticks_as_robfigs_does_from_any_second_on() {
    let years = 0..YEARS.len();
    let cases: Vec<Case> = samples((schedule(), years, 0i64..300 * 86400, 1i64..40), 1500)
        .into_iter()
        .filter(|(schedule, ..)| schedule.parse::<Cron>().is_ok())
        .map(|(schedule, year, after, days)| {
            let (zone, first, last) = YEARS[year];
            let (first, last): (Timestamp, Timestamp) = (first.parse().unwrap(), last.parse().unwrap());
            let first = first + SignedDuration::from_secs(after);
            Case {
                zone: zone.to_owned(),
                first,
                last: last.min(first + SignedDuration::from_hours(24 * days)),
                schedule,
            }
        })
        .collect();
    assert!(cases.len() > 1200);
    let answers = robfig(&cases);
    compare("robfig", cases.iter().zip(answers.into_iter().map(|answer| answer.expect("ours takes it"))));
}

/// Whether a text is one that robfig takes by accident, or that only ours refuses on purpose.
fn is_refused_on_purpose(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let elements = || fields.iter().flat_map(|field| field.split(','));
    text.starts_with("@every")
        || text.contains('+')
        || elements().any(|element| element.is_empty() || element.starts_with("*-") || element.starts_with("?-"))
        || text.parse::<Cron>().is_err_and(|error| error.message.starts_with("names only days"))
}

#[test]
fn what_is_no_schedule_for_robfig_is_none_here_and_hardly_more() {
    let mutation = (0..SCHEDULES.len(), any::<prop::sample::Index>(), "[0-9*/,?+a-z@-]{0,3}");
    let texts = samples(mutation, 3000).into_iter().map(|(schedule, at, text)| {
        let schedule = SCHEDULES[schedule];
        let at = at.index(schedule.len());
        format!("{}{text}{}", &schedule[..at], &schedule[at + 1..])
    });
    let at = Timestamp::UNIX_EPOCH;
    let case = |schedule| Case { zone: "UTC".to_owned(), first: at, last: at, schedule };
    let cases: Vec<Case> = texts.filter(|text| !text.contains("TZ=")).map(case).collect();
    for (case, answer) in cases.iter().zip(robfig(&cases)) {
        let ours = case.schedule.parse::<Cron>();
        match (&ours, &answer) {
            (Ok(_), None) => panic!("robfig refuses {:?}", case.schedule),
            (Err(error), Some(_)) => assert!(is_refused_on_purpose(&case.schedule), "{:?}: {error}", case.schedule),
            _ => {}
        }
    }
}
