//! The NetworkPolicy of a job's pods: they reach each other, DNS and the object stores, and nothing else.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use teasel_api::spec::RecommenderJob;

use super::{TELEMETRY_PORT, job_labels, metadata};
use crate::configuration::NetworkPolicySettings;
use crate::names::{JOB_UID_LABEL, base};

/// The policy of all pods of a job.
pub fn network_policy(owner: &RecommenderJob, settings: &NetworkPolicySettings) -> NetworkPolicy {
    let name =
        base(owner.metadata.name.as_deref().unwrap_or_default(), owner.metadata.uid.as_deref().unwrap_or_default());
    let uid = owner.metadata.uid.clone().unwrap_or_default();
    let pods =
        LabelSelector { match_labels: Some([(JOB_UID_LABEL.to_owned(), uid)].into()), ..LabelSelector::default() };
    let peers = NetworkPolicyPeer { pod_selector: Some(pods.clone()), ..NetworkPolicyPeer::default() };

    // gloo and NCCL choose their ports.
    let mut ingress = vec![NetworkPolicyIngressRule { from: Some(vec![peers.clone()]), ports: None }];
    let readers: Vec<_> = settings.operator.iter().chain(&settings.monitoring).cloned().collect();
    // A rule without peers would let everybody in.
    if !readers.is_empty() {
        ingress
            .push(NetworkPolicyIngressRule { from: Some(readers), ports: Some(vec![port("TCP", TELEMETRY_PORT)]) });
    }
    let dns = NetworkPolicyEgressRule {
        to: (!settings.dns.is_empty()).then(|| settings.dns.clone()),
        ports: Some(vec![port("UDP", 53), port("TCP", 53)]),
    };
    let mut egress = vec![NetworkPolicyEgressRule { to: Some(vec![peers]), ports: None }, dns];
    egress.extend(settings.egress.iter().cloned());
    NetworkPolicy {
        metadata: metadata(owner, &name, job_labels(owner)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pods),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(ingress),
            egress: Some(egress),
        }),
    }
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(number)),
        ..NetworkPolicyPort::default()
    }
}
