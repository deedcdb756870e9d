//! Names of what the operator makes. Pods' host names (`<name>-<index>`) stay within the 63 characters of a DNS label.

use sha2::{Digest, Sha256};

/// Resource of a GPU, and the key of the taint that keeps others off its node.
pub const GPU_RESOURCE: &str = "nvidia.com/gpu";
pub use teasel_api::request::{
    ATTEMPT_LABEL, JOB_LABEL, JOB_UID_LABEL, SCHEDULE_LABEL, TASK_LABEL, TENANT_LABEL, WORKER_CONTAINER,
    children_base as base,
};

use crate::task_key::TaskKey;

/// Label of a ConfigMap that holds frozen fields: of which stage.
pub const FROZEN_LABEL: &str = "teasel.dev/frozen";
/// Label by which Kueue takes charge of a Job.
pub const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";
/// Label that says who manages an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "teasel";
/// Annotation of a job that a schedule made: its tick.
pub const SCHEDULED_AT_ANNOTATION: &str = "teasel.dev/scheduled-at";

/// How many characters stand for a tenant in a name: all that a host name has room for. Of 500 tenants two have the
/// same once in 20 million jobs.
const TENANT_LENGTH: usize = 8;

/// Name of an attempt's objects.
pub fn attempt(name: &str, uid: &str, key: &TaskKey, number: u32) -> String {
    let base = base(name, uid);
    match &key.tenant {
        Some(tenant) => format!("{base}-{}-{}-{number}", key.kind.as_str(), tenant_part(tenant)),
        None => format!("{base}-{}-{number}", key.kind.as_str()),
    }
}

/// Name of the ConfigMap of frozen fields.
pub fn frozen(name: &str, uid: &str, stage: &str, tenant: Option<&str>, hash: &str) -> String {
    let base = base(name, uid);
    let hash: String = hash.chars().take(8).collect();
    match tenant {
        Some(tenant) => format!("{base}-frozen-{stage}-{}-{hash}", tenant_part(tenant)),
        None => format!("{base}-frozen-{stage}-{hash}"),
    }
}

/// What stands for a tenant in a name: its own may have 63 characters, which is all that there is. It is
/// written in base 36, since as many hexadecimal digits say far less.
fn tenant_part(tenant: &str) -> String {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(tenant).into();
    let mut number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let digits = std::iter::repeat_with(|| {
        let digit = (number % 36) as u32;
        number /= 36;
        char::from_digit(digit, 36)
    });
    digits.flatten().take(TENANT_LENGTH).collect()
}

/// The first `length` hexadecimal digits of a text's SHA-256.
pub fn short_hash(text: &str, length: usize) -> String {
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(length);
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use teasel_api::MAXIMUM_JOB_NAME;
    use teasel_api::task::TaskKind;

    use super::*;

    const MAXIMUM_TENANTS: usize = 500;
    const UID: &str = "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d";
    const KINDS: [TaskKind; 7] = [
        TaskKind::Inspect,
        TaskKind::Prepare,
        TaskKind::Train,
        TaskKind::Evaluate,
        TaskKind::Score,
        TaskKind::Publish,
        TaskKind::Collect,
    ];

    fn is_label(name: &str) -> bool {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
    }

    #[test]
    fn a_name_says_job_task_tenant_and_attempt() {
        let key = TaskKey::of_job(TaskKind::Train);
        assert_eq!(attempt("films", UID, &key, 3), "films-0b5a7c1e-train-3");
        let key = TaskKey::of_tenant(TaskKind::Score, "city");
        assert_eq!(attempt("films", UID, &key, 1), "films-0b5a7c1e-score-bzx19flm-1");
    }

    #[test]
    fn no_two_of_500_tenants_share_a_name_in_any_of_many_jobs() {
        for job in 0..1000 {
            let tenants = (0..MAXIMUM_TENANTS).map(|tenant| format!("site-{job}-{tenant}"));
            let keys = tenants.map(|tenant| TaskKey::of_tenant(TaskKind::Score, &tenant));
            let names: HashSet<String> = keys.map(|key| attempt("films", UID, &key, 1)).collect();
            assert_eq!(names.len(), MAXIMUM_TENANTS, "job {job}");
        }
    }

    #[test]
    fn frozen_fields_of_two_tenants_have_two_names() {
        let of = |tenant| frozen("films", UID, "tenant", Some(tenant), "0123456789abcdef");
        assert_ne!(of("city"), of("campus"));
    }

    proptest! {
        #[test]
        fn every_pods_host_name_is_a_dns_label(
            name in "[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
            tenant in proptest::option::of("[a-z0-9]{1,63}"),
            kind in 0..KINDS.len(),
            number in 1u32..=999,
            index in 0u32..1000,
        ) {
            prop_assume!(name.len() <= MAXIMUM_JOB_NAME);
            let key = TaskKey { kind: KINDS[kind], tenant };
            let host = format!("{}-{index}", attempt(&name, UID, &key, number));
            prop_assert!(is_label(&host), "{host}");
        }
    }
}
