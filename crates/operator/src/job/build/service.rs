//! The headless Service of a training attempt, by which its workers find worker 0.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use teasel_api::spec::RecommenderJob;

use super::{RENDEZVOUS_PORT, attempt_labels, metadata};
use crate::job::decide::Start;

/// The Service of an attempt.
pub fn service(owner: &RecommenderJob, start: &Start) -> Service {
    let labels = attempt_labels(owner, start);
    Service {
        metadata: metadata(owner, &start.name, labels.clone()),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            selector: Some(labels),
            // Workers meet while they start, before any of them is ready.
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![ServicePort {
                name: Some("rendezvous".into()),
                port: RENDEZVOUS_PORT,
                target_port: Some(IntOrString::Int(RENDEZVOUS_PORT)),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
