//! Whether a task that ended is tried again, and when.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use teasel_api::outcome::ExitCode;
use teasel_api::resolved::FailurePolicy;
use teasel_api::spec::{AttemptOutcome, AttemptStatus};
use teasel_api::task::TaskKind;

use super::verdict::{End, QUOTA_RECLAIMED, SECRET_MISSING, UNSCHEDULABLE};
use crate::configuration::Timing;

/// Attempts in a row that may end by disruption with no more done than before.
const FREE_WITHOUT_PROGRESS: u32 = 5;
/// Reasons of disruptions that aren't the task's fault however often: a full cluster, and a queue.
const FREE: [&str; 2] = [UNSCHEDULABLE, QUOTA_RECLAIMED];
/// Reasons of permanent ends that pass when somebody makes a bucket, grants access or creates a secret: no field of
/// the job changes then, so nothing else would tell.
const MAY_PASS: [&str; 5] = ["InputMissing", "PermissionDenied", SECRET_MISSING, "ImageUnavailable", "PodsRefused"];
/// Longest message that an attempt keeps, in bytes.
const MESSAGE_BYTES: usize = 1024;

/// What comes after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It hasn't ended.
    Running,
    /// The task is done.
    Done,
    /// Another attempt, at once.
    Again,
    /// Another attempt, then.
    AgainAt(Timestamp),
    /// No other attempt, unless something is changed.
    GiveUp,
}

/// A new attempt after `previous` at the same task.
pub fn begin(
    now: Timestamp,
    task: TaskKind,
    tenant: Option<&str>,
    number: u32,
    hash: &str,
    previous: Option<&AttemptStatus>,
) -> AttemptStatus {
    // Work that is durable stays so whoever did it; what was counted against a task ends when it is done or mended, and
    // is no concern of the next request to publish.
    let counts = |previous: &&AttemptStatus| {
        !previous.mended && previous.outcome != Some(AttemptOutcome::Succeeded) && previous.hash == hash
    };
    let counted = previous.filter(counts);
    let done = previous.and_then(|previous| previous.last_step);
    AttemptStatus {
        task,
        tenant: tenant.map(str::to_owned),
        number,
        job_uid: None,
        hash: hash.to_owned(),
        generation: None,
        start_time: now,
        end_time: None,
        first_step: done,
        last_step: done,
        outcome: None,
        reason: None,
        message: None,
        failures: counted.map_or(0, |previous| previous.failures),
        out_of_memory: counted.map_or(0, |previous| previous.out_of_memory),
        without_progress: counted.map_or(0, |previous| previous.without_progress),
        disruptions: counted.map_or(0, |previous| previous.disruptions),
        retrying_since: counted.and_then(|previous| previous.retrying_since),
        mended: false,
    }
}

/// Records how an attempt ended. `done` is how far its task is, in steps or shards, where that is known.
pub fn conclude(attempt: &mut AttemptStatus, now: Timestamp, end: &End, done: Option<u64>) {
    let done = end.report.as_ref().and_then(|report| report.last_step).max(done);
    attempt.last_step = attempt.last_step.max(done);
    attempt.end_time = Some(now);
    attempt.outcome = Some(end.outcome);
    attempt.reason = Some(end.reason.clone());
    attempt.message = Some(cut(&end.message, MESSAGE_BYTES));
    let advanced = attempt.last_step > attempt.first_step;
    match end.outcome {
        AttemptOutcome::Succeeded | AttemptOutcome::Suspended => {}
        _ if advanced => (attempt.without_progress, attempt.disruptions) = (0, 0),
        _ => attempt.without_progress += 1,
    }
    if end.outcome == AttemptOutcome::Disrupted && !advanced && !FREE.contains(&end.reason.as_str()) {
        attempt.disruptions += 1;
    }
    match end.outcome {
        AttemptOutcome::Failed => attempt.failures += 1,
        AttemptOutcome::OutOfMemory => attempt.out_of_memory += 1,
        _ => {}
    }
    attempt.retrying_since = match end.outcome {
        AttemptOutcome::PermanentFailure if may_pass(end) => {
            // A pod that couldn't start was tried all the time.
            let tried = end.report.is_none();
            attempt.retrying_since.or(Some(if tried { attempt.start_time } else { now }))
        }
        // What got on with its work had what it lacked before.
        AttemptOutcome::Disrupted | AttemptOutcome::Suspended if !advanced => attempt.retrying_since,
        _ => None,
    };
}

/// Whether a permanent end may pass by something that is no field of the job.
fn may_pass(end: &End) -> bool {
    let codes = [ExitCode::InputMissing, ExitCode::PermissionDenied];
    end.report.as_ref().is_some_and(|report| codes.contains(&report.exit_code))
        || MAY_PASS.contains(&end.reason.as_str())
}

/// What comes after `attempt`.
pub fn next(now: Timestamp, attempt: &AttemptStatus, policy: &FailurePolicy, timing: &Timing, uid: &str) -> Next {
    let (Some(outcome), Some(ended)) = (attempt.outcome, attempt.end_time) else { return Next::Running };
    if attempt.mended || outcome == AttemptOutcome::Suspended {
        return Next::Again;
    }
    if outcome == AttemptOutcome::Succeeded {
        return Next::Done;
    }
    let unschedulable = attempt.reason.as_deref() == Some(UNSCHEDULABLE);
    let again = match outcome {
        AttemptOutcome::PermanentFailure => {
            attempt.retrying_since.is_some_and(|since| now < since + timing.retry_window)
        }
        AttemptOutcome::OutOfMemory => attempt.out_of_memory <= policy.max_out_of_memory,
        AttemptOutcome::Failed => attempt.failures <= policy.max_failures,
        _ => attempt.disruptions <= FREE_WITHOUT_PROGRESS,
    };
    // A first disruption, or one after which work went on, is made good at once.
    let at_once = outcome == AttemptOutcome::Disrupted && attempt.without_progress <= 1 && !unschedulable;
    match again {
        false => Next::GiveUp,
        true if at_once => Next::Again,
        true => match ended + pause(attempt, timing, uid) {
            until if until <= now => Next::Again,
            until => Next::AgainAt(until),
        },
    }
}

/// Exponential in the attempts without progress, within a fifth of it either way, so that jobs that failed together
/// don't come back together. The same attempt always waits as long, whoever computes it.
fn pause(attempt: &AttemptStatus, timing: &Timing, uid: &str) -> SignedDuration {
    let doublings = attempt.without_progress.saturating_sub(1).min(10);
    let full = (timing.backoff * 2i32.pow(doublings)).min(timing.longest_backoff);
    let subject = format!("{uid}/{:?}/{:?}/{}", attempt.task, attempt.tenant, attempt.number);
    let draw = f64::from(Sha256::digest(subject)[0]) / 255.0;
    full.mul_f64(0.8 + 0.4 * draw)
}

/// At most `bytes` of a text, cut at a character.
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use teasel_api::outcome::{ExitCode, Outcome};

    use super::super::verdict::Disruption;
    use super::*;

    const POLICY: FailurePolicy = FailurePolicy { max_failures: 3, max_out_of_memory: 1 };

    fn end(outcome: AttemptOutcome, reason: &str, step: Option<u64>) -> End {
        let mut report = Outcome::new(TaskKind::Train, 1, ExitCode::Bug, reason, "m");
        report.last_step = step;
        End { outcome, reason: reason.into(), message: "m".into(), disruption: None, report: Some(report) }
    }

    /// Runs through attempts that end like this, `seconds` apart, and returns what comes after the last.
    fn after(ends: &[End], seconds: i64) -> Next {
        let mut previous: Option<AttemptStatus> = None;
        let mut now = Timestamp::UNIX_EPOCH;
        for (index, end) in ends.iter().enumerate() {
            let mut attempt = begin(now, TaskKind::Train, None, index as u32 + 1, "h", previous.as_ref());
            now += SignedDuration::from_secs(seconds);
            conclude(&mut attempt, now, end, None);
            previous = Some(attempt);
        }
        // Any pause is over.
        match next(now, previous.as_ref().unwrap(), &POLICY, &Timing::default(), "uid") {
            Next::AgainAt(_) => Next::Again,
            other => other,
        }
    }

    #[rstest]
    #[case::one_failure(AttemptOutcome::Failed, 1, Next::Again)]
    #[case::as_many_as_allowed(AttemptOutcome::Failed, 3, Next::Again)]
    #[case::one_more(AttemptOutcome::Failed, 4, Next::GiveUp)]
    #[case::memory(AttemptOutcome::OutOfMemory, 1, Next::Again)]
    #[case::memory_again(AttemptOutcome::OutOfMemory, 2, Next::GiveUp)]
    #[case::disruptions(AttemptOutcome::Disrupted, 5, Next::Again)]
    #[case::disruptions_that_never_end(AttemptOutcome::Disrupted, 6, Next::GiveUp)]
    #[case::suspensions(AttemptOutcome::Suspended, 50, Next::Again)]
    #[case::permanent(AttemptOutcome::PermanentFailure, 1, Next::GiveUp)]
    fn attempts_that_get_nowhere_are_counted(
        #[case] outcome: AttemptOutcome,
        #[case] times: usize,
        #[case] expected: Next,
    ) {
        assert_eq!(after(&vec![end(outcome, "X", None); times], 1), expected);
    }

    #[test]
    fn disruptions_are_free_while_work_advances() {
        let ends: Vec<_> = (1..50).map(|step| end(AttemptOutcome::Disrupted, "Evicted", Some(step))).collect();
        assert_eq!(after(&ends, 1), Next::Again);
    }

    #[test]
    fn a_full_cluster_never_fails_a_job() {
        let end = End::disrupted(Disruption::Unschedulable, "Unschedulable", "0/3 nodes are available");
        assert_eq!(after(&vec![end; 100], 600), Next::Again);
    }

    #[rstest]
    #[case("InputMissing", 29, Next::Again)]
    #[case("PermissionDenied", 29, Next::Again)]
    #[case("InputMissing", 31, Next::GiveUp)]
    #[case("BadRows", 1, Next::GiveUp)]
    fn what_somebody_may_provide_is_waited_for(
        #[case] reason: &str,
        #[case] minutes: usize,
        #[case] expected: Next,
    ) {
        let ends = vec![end(AttemptOutcome::PermanentFailure, reason, None); minutes + 1];
        assert_eq!(after(&ends, 60), expected);
    }

    #[test]
    fn mending_ends_the_count() {
        let now = Timestamp::UNIX_EPOCH;
        let mut failed = begin(now, TaskKind::Train, None, 4, "h", None);
        failed.failures = 3;
        conclude(&mut failed, now, &end(AttemptOutcome::Failed, "Bug", Some(7)), None);
        assert_eq!(next(now, &failed, &POLICY, &Timing::default(), "uid"), Next::GiveUp);
        failed.mended = true;
        assert_eq!(next(now, &failed, &POLICY, &Timing::default(), "uid"), Next::Again);
        let next = begin(now, TaskKind::Train, None, 5, "h2", Some(&failed));
        assert_eq!((next.failures, next.without_progress, next.first_step), (0, 0, Some(7)));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let timing = Timing::default();
        let pause_after = |without_progress| {
            let mut attempt = begin(Timestamp::UNIX_EPOCH, TaskKind::Train, None, 1, "h", None);
            attempt.without_progress = without_progress;
            pause(&attempt, &timing, "uid").as_secs_f64()
        };
        for (count, expected) in [(1, 10.0), (2, 20.0), (4, 80.0), (6, 300.0), (40, 300.0)] {
            let ratio = pause_after(count) / expected;
            assert!((0.8..=1.2).contains(&ratio), "{count}: {ratio}");
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(cut("short", 8), "short");
        assert_eq!(cut("éééééé", 8), "éé…");
    }
}
