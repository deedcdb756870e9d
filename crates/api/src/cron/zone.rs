//! Time zones by name.

use jiff::tz::{TimeZone, TimeZoneDatabase, db};

use crate::violation::nearest;

/// A name that is no time zone's: a phrase that goes on from the field's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IANA time zone, not {name:?}")]
pub struct UnknownTimeZone {
    /// The name.
    pub name: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}

/// The time zone of a name; Etc/UTC where there is none.
///
/// The system's database comes first, since whoever runs the system may keep it newer than this build; where it lacks
/// a zone, as in most container images, the one inside of this build has it.
///
/// # Errors
/// No zone has that name, letter by letter: CronJob has no others either.
pub fn time_zone(name: Option<&str>) -> Result<TimeZone, UnknownTimeZone> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    let bundled = TimeZoneDatabase::bundled();
    let found = db().get(name).or_else(|_| bundled.get(name)).ok();
    let unknown = |hint| UnknownTimeZone { name: name.to_owned(), hint };
    match found {
        Some(zone) if zone.iana_name() == Some(name) && name != "Etc/Unknown" => Ok(zone),
        Some(zone) => Err(unknown(zone.iana_name().map(|known| format!("did you mean {known}?")))),
        None => {
            let names: Vec<String> = bundled.available().map(|known| known.to_string()).collect();
            let near = nearest(name, names.iter().map(String::as_str));
            Err(unknown(near.or_else(|| Some("such as Europe/Berlin; unset means Etc/UTC".to_owned()))))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Etc/UTC")]
    #[case("UTC")]
    #[case("GMT")]
    #[case("Europe/Berlin")]
    #[case("America/Argentina/Buenos_Aires")]
    #[case("US/Pacific")]
    fn a_zone_is_found_by_its_name(#[case] name: &str) {
        assert_eq!(time_zone(Some(name)).unwrap().iana_name(), Some(name));
    }

    #[test]
    fn unset_is_utc() {
        assert_eq!(time_zone(None), Ok(TimeZone::UTC));
    }

    #[test]
    fn every_zone_is_inside_of_the_build() {
        assert!(TimeZoneDatabase::bundled().get("Australia/Lord_Howe").is_ok());
    }

    #[rstest]
    #[case("Europe/Berln", "did you mean Europe/Berlin?")]
    #[case("europe/berlin", "did you mean Europe/Berlin?")]
    #[case("Local", "such as Europe/Berlin; unset means Etc/UTC")]
    #[case("", "such as Europe/Berlin; unset means Etc/UTC")]
    #[case("+02:00", "such as Europe/Berlin; unset means Etc/UTC")]
    fn an_unknown_zone_is_refused_with_what_to_do(#[case] name: &str, #[case] hint: &str) {
        let error = time_zone(Some(name)).unwrap_err();
        assert_eq!(error.to_string(), format!("must be an IANA time zone, not {name:?}"));
        assert_eq!(error.hint.as_deref(), Some(hint));
    }
}
