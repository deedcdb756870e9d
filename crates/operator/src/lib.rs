//! The Kubernetes operator: it turns jobs into Kubernetes objects and status, and only decides. Workers do.

pub mod configuration;
pub mod context;
#[cfg(test)]
mod fake_cluster;
pub mod job;
mod leadership;
pub mod metrics;
pub mod names;
mod operator;
mod publish_request;
pub mod reading;
pub mod schedule;
pub mod server;
pub mod task_key;
pub mod unreadable;
pub mod watch_health;

pub use operator::main;
