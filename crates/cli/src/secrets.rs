//! Credentials: from the files that people name to the environment that a worker reads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use teasel_api::location::{Location, credential_prefix};
use teasel_api::outcome::ExitCode;
use teasel_api::resolved::{Job, Place};

use crate::failure::Failure;

/// One `--secret NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretFile {
    /// Name of the secret in the job.
    pub(crate) name: String,
    /// Where its values are.
    pub(crate) file: PathBuf,
}

impl FromStr for SecretFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(SecretFile { name: name.into(), file: file.into() })
            }
            _ => Err("expected NAME=FILE, such as films-storage=storage.env".into()),
        }
    }
}

/// Values of every secret that was given, by the secret's name.
#[derive(Clone, Default)]
pub(crate) struct Secrets(BTreeMap<String, BTreeMap<String, String>>);

/// Environment variables of a worker.
pub(crate) type Environment = BTreeMap<String, String>;

impl Secrets {
    /// Reads the files.
    pub(crate) fn read(files: &[SecretFile]) -> Result<Self, Failure> {
        let mut secrets = BTreeMap::new();
        for SecretFile { name, file } in files {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::new(
                    ExitCode::InputMissing,
                    format!("can't read secret {name}: {}: {error}", file.display()),
                )
            })?;
            let values = parse(&text).map_err(|line| {
                // The line itself may hold a password.
                let message = format!("secret {name}: line {line} of {} isn't NAME=VALUE", file.display());
                Failure::new(ExitCode::BadConfiguration, message)
            })?;
            secrets.insert(name.clone(), values);
        }
        Ok(Secrets(secrets))
    }

    /// Values for `location`: those of its secret, or none where it names none or the secret wasn't given.
    pub(crate) fn of(&self, location: &Location) -> BTreeMap<String, String> {
        location.secret_ref.as_ref().and_then(|secret| self.0.get(&secret.name)).cloned().unwrap_or_default()
    }

    /// The environment in which a worker reaches `places`.
    pub(crate) fn environment<'a>(&self, places: impl IntoIterator<Item = Place<'a>>) -> Environment {
        let mut environment = Environment::new();
        for place in places {
            let prefix = credential_prefix(place.field);
            environment
                .extend(self.of(place.location).into_iter().map(|(key, value)| (prefix.clone() + &key, value)));
        }
        environment
    }

    /// Refuses a job that names a secret which wasn't given, naming all of them.
    pub(crate) fn check(&self, job: &Job) -> Result<(), Failure> {
        let missing: std::collections::BTreeSet<&str> = job
            .all_places()
            .into_iter()
            .filter(|place| !is_in_environment(place.field))
            .filter_map(|place| place.location.secret_ref.as_ref())
            .map(|secret| secret.name.as_str())
            .filter(|name| !self.0.contains_key(*name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let flags: Vec<_> = missing.iter().map(|name| format!("--secret {name}=FILE")).collect();
        Err(Failure::new(
            ExitCode::BadConfiguration,
            format!("the job names secrets that weren't given: add {}", flags.join(" ")),
        ))
    }
}

/// Whether whoever started us has set this place's credentials already.
fn is_in_environment(field: &str) -> bool {
    let prefix = credential_prefix(field);
    std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with(&prefix))
}

/// Parses lines `NAME=VALUE`; the error is the number of the first other line.
///
/// Empty lines and lines that start with `#` are skipped; `export` before a name and quotes around a value are taken
/// off.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(index + 1)?;
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(index + 1);
        }
        let value = value.trim();
        let unquoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
        values.insert(name.to_owned(), unquoted.unwrap_or(value).to_owned());
    }
    Ok(values)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use teasel_api::location::SecretRef;

    use super::*;

    #[test]
    fn a_secrets_file_is_lines_of_name_and_value() {
        let text = "# keys\nAWS_ACCESS_KEY_ID=a=b\n\nexport AWS_ENDPOINT=\"http://h:1\"\n EMPTY = ''\n";
        let values = parse(text).unwrap();
        let expected = [("AWS_ACCESS_KEY_ID", "a=b"), ("AWS_ENDPOINT", "http://h:1"), ("EMPTY", "")];
        assert_eq!(values, expected.map(|(name, value)| (name.into(), value.into())).into());
    }

    #[rstest]
    #[case("A=1\nnonsense\n", 2)]
    #[case("=1", 1)]
    #[case("A B=1", 1)]
    fn a_line_of_another_form_is_named_by_its_number(#[case] text: &str, #[case] line: usize) {
        assert_eq!(parse(text), Err(line));
    }

    #[test]
    fn a_place_gets_its_own_secret_under_its_own_prefix() {
        let location = |secret: Option<&str>| Location {
            uri: "s3://a/b".into(),
            secret_ref: secret.map(|name| SecretRef { name: name.into() }),
        };
        let secrets = Secrets([("one".into(), [("AWS_ENDPOINT".into(), "e".into())].into())].into());
        let (with, without) = (location(Some("one")), location(None));
        let environment = secrets.environment([
            Place { field: "storage", location: &with },
            Place { field: "data.items", location: &without },
        ]);
        assert_eq!(environment, [("TEASEL_STORAGE_AWS_ENDPOINT".into(), "e".into())].into());
    }

    #[rstest]
    #[case("a=b", Some(("a", "b")))]
    #[case("a=b=c", Some(("a", "b=c")))]
    #[case("a=", None)]
    #[case("=b", None)]
    #[case("a", None)]
    fn a_secret_flag_names_a_secret_and_a_file(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let expected = expected.map(|(name, file)| SecretFile { name: name.into(), file: file.into() });
        assert_eq!(text.parse::<SecretFile>().ok(), expected);
    }
}
