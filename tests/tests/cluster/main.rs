//! What needs a Kubernetes cluster. `make test-cluster` runs these tests, on a cluster that they start, or on the one that
//! `TEASEL_TEST_KUBECONFIG` names.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apart;
mod bad_input;
mod clock;
mod crashes;
mod gangs;
mod images;
mod jobs;
mod life;
mod lives;
mod meddling;
mod memory;
mod mutants;
mod operator;
mod phases;
mod place;
mod plugin;
mod queue;
mod resources;
mod scale;
mod scene;
mod whole;
