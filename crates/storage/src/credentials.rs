//! Credentials of a place.

use std::collections::BTreeMap;
use std::fmt;

/// What reaches a place, by object_store's own environment names in lower case (`aws_access_key_id`).
///
/// None at all means ambient identity: the process's own environment, or the machine's role.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, String>);

impl Credentials {
    /// Ambient identity.
    pub fn none() -> Self {
        Credentials::default()
    }

    /// The variables of this process's environment that begin with `prefix`, such as `TEASEL_STORAGE_`.
    pub fn from_environment(prefix: &str) -> Self {
        Self::from_pairs(
            std::env::vars().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value))),
        )
    }

    /// Credentials from names and values.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Credentials(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Credentials {
    /// Names only: values are secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_values_are_never_printed() {
        let credentials = Credentials::from_pairs([("AWS_SECRET_ACCESS_KEY".into(), "hunter2".into())]);
        let text = format!("{credentials:?}");
        assert!(text.contains("aws_secret_access_key") && !text.contains("hunter2"), "{text}");
    }
}
