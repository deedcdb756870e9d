//! What is wrong with a job, and where.

use std::fmt;

/// One thing that is wrong with a job.
///
/// Displays as `line 7: spec.training.workers: must be at least 1 (hint)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `spec.scoring.tenants[2].name`; empty where the text isn't even YAML.
    pub path: String,
    /// Line of the field in the text it was read from, counted from 1.
    pub line: Option<u32>,
    /// What is wrong with it: a phrase that goes on from the path.
    pub message: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(formatter, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}

impl Violation {
    /// Everything that is wrong, in one line.
    pub fn list(violations: &[Violation]) -> String {
        violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// Path of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(String);

impl Path {
    /// The document itself.
    pub(crate) fn root() -> Path {
        Path(String::new())
    }

    /// A field of this one.
    pub(crate) fn field(&self, name: &str) -> Path {
        let plain = !name.is_empty()
            && name.chars().all(|character| character.is_alphanumeric() || "-_".contains(character));
        match (self.0.is_empty(), plain) {
            (true, true) => Path(name.to_owned()),
            (false, true) => Path(format!("{}.{name}", self.0)),
            (_, false) => Path(format!("{}[{name:?}]", self.0)),
        }
    }

    /// A field below this one, with dots between names.
    pub(crate) fn fields(&self, names: &str) -> Path {
        names.split('.').fold(self.clone(), |path, name| path.field(name))
    }

    /// An element of this list.
    pub(crate) fn index(&self, index: usize) -> Path {
        Path(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Collects violations, so that all are found at once.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    /// Adds one without a hint.
    pub(crate) fn add(&mut self, path: &Path, message: impl Into<String>) {
        self.add_with_hint(path, message, None);
    }

    /// Adds one.
    pub(crate) fn add_with_hint(&mut self, path: &Path, message: impl Into<String>, hint: Option<String>) {
        self.0.push(Violation { path: path.to_string(), line: None, message: message.into(), hint });
    }

    /// All of them, in the order in which they were found.
    pub(crate) fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all of another collection.
    pub(crate) fn extend(&mut self, others: impl IntoIterator<Item = Violation>) {
        self.0.extend(others);
    }
}

/// `did you mean x?` for the name that is nearest to `wrong`, if one is near.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = wrong.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| format!("did you mean {name}?"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_path_shows_fields_elements_and_odd_names() {
        let tenants = Path::root().fields("spec.scoring.tenants");
        assert_eq!(tenants.index(2).field("name").to_string(), "spec.scoring.tenants[2].name");
        assert_eq!(Path::root().field("spec").field("a.b").to_string(), r#"spec["a.b"]"#);
    }

    #[rstest]
    #[case("worker", Some("did you mean workers?"))]
    #[case("EPOCHS", Some("did you mean epochs?"))]
    #[case("batch_size", Some("did you mean batchSize?"))]
    #[case("zzz", None)]
    fn the_nearest_name_is_proposed_where_one_is_near(#[case] wrong: &str, #[case] hint: Option<&str>) {
        assert_eq!(nearest(wrong, ["workers", "epochs", "batchSize"]).as_deref(), hint);
    }

    #[test]
    fn a_violation_reads_as_a_sentence() {
        let mut violation = Violation {
            path: "spec.model.facets".into(),
            line: Some(7),
            message: "must be at least 1".into(),
            hint: Some("unset means 7".into()),
        };
        assert_eq!(violation.to_string(), "line 7: spec.model.facets: must be at least 1 (unset means 7)");
        violation.line = None;
        violation.hint = None;
        assert_eq!(violation.to_string(), "spec.model.facets: must be at least 1");
    }
}
