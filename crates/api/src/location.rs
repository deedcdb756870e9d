//! Places that a job reads from and writes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in an object store, and the credentials to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Location {
    /// URL of a file or a prefix: `file:///…`, `s3://bucket/…`, `gs://bucket/…` or `az://container/…`.
    /// `teasel run` also takes a path relative to the job file.
    pub uri: String,
    /// Secret with the credentials of this place. Its keys are the environment names that object stores use
    /// (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, …). Unset means ambient identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Names a secret in the job's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the secret.
    pub name: String,
}

/// Prefix of the environment variables that carry the credentials of the place at `field_path`.
///
/// `data.items` gives `TEASEL_DATA_ITEMS_`, `model.content.text.encoder` gives
/// `TEASEL_MODEL_CONTENT_TEXT_ENCODER_`. Two places never share credentials by accident.
pub fn credential_prefix(field_path: &str) -> String {
    let mut prefix = String::from("TEASEL_");
    for character in field_path.chars() {
        match character {
            '.' => prefix.push('_'),
            upper if upper.is_ascii_uppercase() => {
                prefix.push('_');
                prefix.push(upper);
            }
            other => prefix.push(other.to_ascii_uppercase()),
        }
    }
    prefix.push('_');
    prefix
}

#[cfg(test)]
mod tests {
    use super::credential_prefix;

    #[test]
    fn a_field_path_becomes_an_environment_prefix() {
        assert_eq!(credential_prefix("storage"), "TEASEL_STORAGE_");
        assert_eq!(credential_prefix("data.interactions"), "TEASEL_DATA_INTERACTIONS_");
        assert_eq!(
            credential_prefix("data.split.provided.test.foldIn"),
            "TEASEL_DATA_SPLIT_PROVIDED_TEST_FOLD_IN_"
        );
    }
}
