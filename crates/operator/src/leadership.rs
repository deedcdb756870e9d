//! Whether this process still leads. The lease's renewal tells of a lease that somebody else holds, but says nothing as
//! long as the API server can't be asked; meanwhile the lease runs out, and another process may take it.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};

/// Name of the lease whose holder reconciles.
pub(crate) const LEASE: &str = "teasel-operator";
/// How long a lease lasts that isn't renewed, in seconds.
pub(crate) const LEASE_SECONDS: u64 = 15;
/// How long before its end it is renewed, in seconds.
pub(crate) const LEASE_GRACE: u64 = 5;

const PAUSE: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(LEASE_GRACE);

/// Returns as soon as the lease isn't ours, or has run out as far as is known.
pub(crate) async fn lost(client: Client, namespace: &str, identity: &str) {
    let leases = Api::<Lease>::namespaced(client, namespace);
    let mut until = Instant::now() + Duration::from_secs(LEASE_SECONDS);
    loop {
        tokio::time::sleep(PAUSE).await;
        let holds = match tokio::time::timeout(ANSWER, leases.get(LEASE)).await {
            Ok(Ok(lease)) => Some(standing(&lease, identity, Timestamp::now())),
            Ok(Err(_)) | Err(_) => None,
        };
        match holds {
            Some(Standing::Ours(left)) => until = Instant::now() + left,
            Some(Standing::Theirs) => return,
            Some(Standing::Expired) | None => {}
        }
        if until <= Instant::now() {
            return;
        }
    }
}

/// How a lease stands to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// For so long.
    Ours(Duration),
    Theirs,
    Expired,
}

fn standing(lease: &Lease, identity: &str, now: Timestamp) -> Standing {
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
    if holder.is_some_and(|holder| holder != identity) {
        return Standing::Theirs;
    }
    let renewed = spec.and_then(|spec| Some(spec.renew_time.as_ref()?.0));
    let lasts = SignedDuration::from_secs(i64::try_from(LEASE_SECONDS).unwrap_or(i64::MAX));
    let left = renewed.filter(|_| holder.is_some()).map(|renewed| (renewed + lasts).duration_since(now));
    match left.map(Duration::try_from) {
        Some(Ok(left)) if !left.is_zero() => Standing::Ours(left),
        _ => Standing::Expired,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::just_renewed(json!({"holderIdentity": "me", "renewTime": "2030-01-01T00:00:00.000000Z"}), Standing::Ours(Duration::from_secs(14)))]
    #[case::run_out(json!({"holderIdentity": "me", "renewTime": "2029-12-31T23:59:46.000000Z"}), Standing::Expired)]
    #[case::another(json!({"holderIdentity": "you", "renewTime": "2030-01-01T00:00:00.000000Z"}), Standing::Theirs)]
    #[case::nobody(json!({}), Standing::Expired)]
    fn a_lease_is_ours_while_it_lasts(#[case] spec: serde_json::Value, #[case] expected: Standing) {
        let lease: Lease = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let now = "2030-01-01T00:00:01Z".parse().unwrap();
        assert_eq!(standing(&lease, "me", now), expected);
    }
}
