//! Checks that several parts of a job share.

use crate::location::{Location, SecretRef};
use crate::violation::{Path, Violations, nearest};

/// Schemes of locations.
const SCHEMES: [&str; 4] = ["file", "s3", "gs", "az"];

/// A place: a URL of a known scheme that names a bucket, or a path.
pub(super) fn location(location: &Location, path: &Path, found: &mut Violations) {
    uri(&location.uri, &path.field("uri"), found);
    if let Some(secret) = &location.secret_ref {
        secret_ref(secret, &path.field("secretRef"), found);
    }
}

fn uri(uri: &str, path: &Path, found: &mut Violations) {
    if uri.trim().is_empty() {
        found.add(path, "must not be empty");
        return;
    }
    let Some((scheme, rest)) = uri.split_once("://") else {
        return;
    };
    if !SCHEMES.contains(&scheme) {
        let message = format!("must start with {}://, not {scheme}://", SCHEMES.join("://, "));
        found.add_with_hint(path, message, nearest(scheme, SCHEMES));
        return;
    }
    let (authority, below) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        // The text isn't repeated: it may hold a password.
        let hint = "name a secret in secretRef".to_owned();
        found.add_with_hint(path, "must not hold credentials", Some(hint));
    } else if scheme == "file" && !authority.is_empty() {
        let hint = format!("did you mean file:///{rest}?");
        found.add_with_hint(path, "a file URL has three slashes before its path", Some(hint));
    } else if scheme != "file" && authority.is_empty() {
        found.add(path, format!("must name a bucket: {scheme}://bucket/path"));
    } else if below.contains(['?', '#']) {
        found.add(path, "must have no query and no fragment");
    }
}

/// A secret's name.
pub(super) fn secret_ref(secret: &SecretRef, path: &Path, found: &mut Violations) {
    let parts_are_labels = secret.name.split('.').all(is_dns_label);
    if secret.name.len() > 253 || !parts_are_labels {
        let message = "must be a DNS name: a-z, 0-9, - and ., with a letter or digit at both ends";
        found.add(&path.field("name"), message);
    }
}

/// An object's name.
pub(super) fn object_name(name: &str, maximum: usize, path: &Path, found: &mut Violations) {
    if name.is_empty() {
        found.add(path, "is required");
    } else if name.len() > maximum {
        found.add(path, format!("must have at most {maximum} characters, not {}", name.chars().count()));
    } else {
        dns_label(name, path, found);
    }
}

/// A DNS label (RFC 1123).
pub(super) fn dns_label(name: &str, path: &Path, found: &mut Violations) {
    if !is_dns_label(name) {
        let proposal = label_like(name);
        let hint = (!proposal.is_empty()).then(|| format!("for example {proposal}"));
        let message = "must be a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends";
        found.add_with_hint(path, message, hint);
    }
}

fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// The label that a name looks like.
fn label_like(name: &str) -> String {
    let replaced: String = name
        .to_lowercase()
        .chars()
        .map(|character| if character.is_ascii_lowercase() || character.is_ascii_digit() { character } else { '-' })
        .take(63)
        .collect();
    replaced.trim_matches('-').to_owned()
}

/// Names of metrics, each with a cutoff.
const METRICS: [&str; 3] = ["ndcg", "recall", "map"];

/// A metric: `ndcg@K`, `recall@K` or `map@K`.
pub(super) fn metric(metric: &str, path: &Path, found: &mut Violations) {
    let cutoff = metric.split_once('@').and_then(|(name, cutoff)| {
        let cutoff = cutoff.parse::<u32>().ok().filter(|number| number.to_string() == cutoff)?;
        METRICS.contains(&name).then_some(cutoff)
    });
    match cutoff {
        Some(1..=10_000) => {}
        Some(_) => found.add(path, format!("must have a cutoff between 1 and 10000, not {metric}")),
        None => {
            let name = metric.split('@').next().unwrap_or_default();
            let like = METRICS.into_iter().find(|known| nearest(name, [*known]).is_some());
            let hint = like.map(|known| format!("for example {known}@100"));
            found.add_with_hint(path, format!("must be ndcg@K, recall@K or map@K, not {metric:?}"), hint);
        }
    }
}

/// What a later release brings.
pub(super) fn not_supported_yet(path: &Path, what: &str, found: &mut Violations) {
    found.add_with_hint(path, format!("{what} not supported yet"), Some("leave it out".into()));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn messages(check: impl FnOnce(&Path, &mut Violations)) -> Vec<String> {
        let mut found = Violations::default();
        check(&Path::root().field("x"), &mut found);
        found.into_vec().iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case("s3://bucket/films")]
    #[case("s3://bucket")]
    #[case("gs://bucket/a b")]
    #[case("az://container/x/")]
    #[case("file:///data/x.csv")]
    #[case("data/interactions.inter")]
    #[case("/absolute/path")]
    fn a_place_is_a_known_url_or_a_path(#[case] text: &str) {
        assert_eq!(messages(|path, found| uri(text, path, found)), Vec::<String>::new());
    }

    #[rstest]
    #[case("", "x: must not be empty")]
    #[case("s4://bucket", "x: must start with file://, s3://, gs://, az://, not s4://")]
    #[case("S3://bucket", "x: must start with file://, s3://, gs://, az://, not S3:// (did you mean s3?)")]
    #[case("s3:///films", "x: must name a bucket: s3://bucket/path")]
    #[case("file://data/x", "x: a file URL has three slashes before its path (did you mean file:///data/x?)")]
    #[case("s3://key:secret@bucket/x", "x: must not hold credentials (name a secret in secretRef)")]
    #[case("s3://bucket/x?region=eu", "x: must have no query and no fragment")]
    fn another_place_is_refused(#[case] text: &str, #[case] message: &str) {
        assert_eq!(messages(|path, found| uri(text, path, found)), [message]);
    }

    #[rstest]
    #[case("ndcg@100", &[])]
    #[case("recall@20", &[])]
    #[case("map@10", &[])]
    #[case("NDCG@100", &["x: must be ndcg@K, recall@K or map@K, not \"NDCG@100\" (for example ndcg@100)"])]
    #[case("recal@5", &["x: must be ndcg@K, recall@K or map@K, not \"recal@5\" (for example recall@100)"])]
    #[case("auc", &["x: must be ndcg@K, recall@K or map@K, not \"auc\""])]
    #[case("ndcg@0", &["x: must have a cutoff between 1 and 10000, not ndcg@0"])]
    #[case("ndcg@+5", &["x: must be ndcg@K, recall@K or map@K, not \"ndcg@+5\" (for example ndcg@100)"])]
    fn a_metric_has_a_name_and_a_cutoff(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(messages(|path, found| metric(text, path, found)), expected);
    }

    proptest! {
        #[test]
        fn a_proposed_label_is_a_label(name in "\\PC{0,80}") {
            let proposal = label_like(&name);
            prop_assert!(proposal.is_empty() || is_dns_label(&proposal), "{proposal}");
        }
    }
}
