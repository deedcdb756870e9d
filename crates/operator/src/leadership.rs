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

const PAUSE: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(3);

/// Returns as soon as the lease isn't ours, or isn't known to be for as long as it lasts.
pub(crate) async fn lost(client: Client, namespace: &str, identity: &str) {
    let leases = Api::<Lease>::namespaced(client, namespace);
    let mut known = Instant::now();
    loop {
        tokio::time::sleep(PAUSE).await;
        let asked = Instant::now();
        let holds = match tokio::time::timeout(ANSWER, leases.get(LEASE)).await {
            Ok(Ok(lease)) => Some(standing(&lease, identity, Timestamp::now())),
            Ok(Err(_)) | Err(_) => None,
        };
        match holds {
            Some(Standing::Ours) => known = asked,
            Some(Standing::Theirs) => return,
            Some(Standing::Expired) | None => {}
        }
        if known.elapsed() + PAUSE >= Duration::from_secs(LEASE_SECONDS) {
            return;
        }
    }
}

/// How a lease stands to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ours,
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
    match renewed {
        Some(renewed) if holder.is_some() && renewed + lasts > now => Standing::Ours,
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
    #[case::just_renewed(json!({"holderIdentity": "me", "renewTime": "2030-01-01T00:00:00.000000Z"}), Standing::Ours)]
    #[case::run_out(json!({"holderIdentity": "me", "renewTime": "2029-12-31T23:59:46.000000Z"}), Standing::Expired)]
    #[case::another(json!({"holderIdentity": "you", "renewTime": "2030-01-01T00:00:00.000000Z"}), Standing::Theirs)]
    #[case::nobody(json!({}), Standing::Expired)]
    fn a_lease_is_ours_while_it_lasts(#[case] spec: serde_json::Value, #[case] expected: Standing) {
        let lease: Lease = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let now = "2030-01-01T00:00:01Z".parse().unwrap();
        assert_eq!(standing(&lease, "me", now), expected);
    }
}
