//! How people name jobs and schedules: NAME, recjob/NAME, srecjob/NAME.

use std::fmt;
use std::str::FromStr;

use kube::core::ApiResource;
use teasel_api::spec::{RecommenderJob, ScheduledRecommenderJob};

/// The kinds of objects that people name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A RecommenderJob.
    Job,
    /// A ScheduledRecommenderJob.
    Schedule,
}

impl Kind {
    /// How the API server calls it.
    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Kind::Job => ApiResource::erase::<RecommenderJob>(&()),
            Kind::Schedule => ApiResource::erase::<ScheduledRecommenderJob>(&()),
        }
    }

    fn of(word: &str) -> Option<Kind> {
        match word.trim_end_matches(".teasel.dev") {
            "recommenderjob" | "recommenderjobs" | "recjob" | "job" => Some(Kind::Job),
            "scheduledrecommenderjob" | "scheduledrecommenderjobs" | "srecjob" | "schedule" => Some(Kind::Schedule),
            _ => None,
        }
    }

    /// The prefix by which [`Reference`] knows it.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Kind::Job => "recjob",
            Kind::Schedule => "srecjob",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Job => "RecommenderJob",
            Kind::Schedule => "ScheduledRecommenderJob",
        })
    }
}

/// A job or schedule, as it stands on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Its kind, where it is said.
    pub(crate) kind: Option<Kind>,
    /// Its name.
    pub(crate) name: String,
}

/// Why a text names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReferenceError {
    /// Name another kind.
    #[error("{0} is no kind of Teasel's: there are recjob/NAME and srecjob/NAME")]
    UnknownKind(String),
    /// Name it as Kubernetes does.
    #[error("{0:?} can't be a name: names have lower-case letters, digits, - and .")]
    BadName(String),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (kind, name) = match text.split_once('/') {
            Some((word, name)) => {
                (Some(Kind::of(word).ok_or_else(|| ReferenceError::UnknownKind(word.to_owned()))?), name)
            }
            None => (None, text),
        };
        if !is_name(name) {
            return Err(ReferenceError::BadName(name.to_owned()));
        }
        Ok(Reference { kind, name: name.to_owned() })
    }
}

/// Whether an object may have this name.
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(inner) && !text.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("films", None)]
    #[case("recjob/films", Some(Kind::Job))]
    #[case("recommenderjob.teasel.dev/films", Some(Kind::Job))]
    #[case("srecjob/films", Some(Kind::Schedule))]
    #[case("schedule/films", Some(Kind::Schedule))]
    fn a_prefix_says_which_kind(#[case] text: &str, #[case] kind: Option<Kind>) {
        assert_eq!(text.parse(), Ok(Reference { kind, name: "films".into() }));
    }

    #[rstest]
    #[case("pod/films", ReferenceError::UnknownKind("pod".into()))]
    #[case("recjob/", ReferenceError::BadName(String::new()))]
    #[case("Films", ReferenceError::BadName("Films".into()))]
    #[case("films?watch", ReferenceError::BadName("films?watch".into()))]
    #[case("recjob/a/b", ReferenceError::BadName("a/b".into()))]
    fn what_can_be_no_name_is_refused(#[case] text: &str, #[case] error: ReferenceError) {
        assert_eq!(text.parse::<Reference>(), Err(error));
    }

    #[test]
    fn prefixes_are_understood() {
        for kind in [Kind::Job, Kind::Schedule] {
            assert_eq!(Kind::of(kind.prefix()), Some(kind));
        }
    }
}
