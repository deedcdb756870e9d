//! What the end of a task changes for the job.

use teasel_api::outcome::{GATE_NOT_MET, Outcome};
use teasel_api::spec::{MetricStatus, TenantPhase};
use teasel_api::task::TaskKind;

use super::Plan;
use super::conditions::kind;
use crate::task_key::TaskKey;

impl Plan<'_> {
    /// Lets the outcome of a task that is done take effect.
    pub(super) fn take_effect(&mut self, key: &TaskKey, report: &Outcome) {
        match (key.kind, key.tenant.as_deref()) {
            (TaskKind::Prepare, _) => self.prepared(report),
            (TaskKind::Train, _) => {
                self.set(kind::TRAINED, true, "Trained", &report.message);
                if let Some(progress) = &mut self.decision.status.progress {
                    progress.percent = 100;
                    progress.estimated_completion = None;
                }
            }
            (TaskKind::Evaluate, _) => self.evaluated(report),
            (TaskKind::Score, Some(tenant)) => self.scored(tenant, report),
            (TaskKind::Publish, Some(tenant)) => self.published(tenant, report),
            _ => {}
        }
    }

    fn prepared(&mut self, report: &Outcome) {
        self.status().dataset = report.dataset.clone();
        for tenant in &mut self.status().tenants {
            if tenant.phase == TenantPhase::Preparing {
                tenant.phase = TenantPhase::Pending;
            }
        }
        self.set(kind::PREPARED, true, "Prepared", &report.message);
    }

    fn evaluated(&mut self, report: &Outcome) {
        let metric = |(name, value): (&String, &f64)| MetricStatus { name: name.clone(), value: *value };
        self.status().metrics = report.metrics.iter().map(metric).collect();
        let passed = report.reason != GATE_NOT_MET;
        self.set(kind::GATES_PASSED, passed, &report.reason, &report.message);
    }

    fn scored(&mut self, tenant: &str, report: &Outcome) {
        let now = self.now;
        let Some(status) = self.tenant_mut(tenant) else { return };
        status.users = report.users;
        status.score_hash = report.score_hash.clone();
        status.outcome = Some(report.reason.clone());
        status.message = None;
        status.phase = match (report.published, report.reason.as_str()) {
            (Some(true), _) => TenantPhase::Published,
            (_, "AwaitingApproval") => TenantPhase::Scored,
            _ => TenantPhase::NotPublished,
        };
        match status.phase {
            TenantPhase::Published => status.published_at = Some(now),
            TenantPhase::NotPublished => status.message = Some(tenant_message(&report.message)),
            _ => {}
        }
    }

    fn published(&mut self, tenant: &str, report: &Outcome) {
        let now = self.now;
        let Some(status) = self.tenant_mut(tenant) else { return };
        status.outcome = Some(report.reason.clone());
        match (report.reason.as_str(), report.published) {
            ("Published", Some(true)) => {
                status.phase = TenantPhase::Published;
                status.published_at.get_or_insert(now);
                status.rolled_back_to = None;
                status.message = None;
            }
            // Where a rollback leads, the request knows.
            ("RolledBack" | "AlreadyThere", _) => {}
            (_, Some(false)) => {
                status.phase = TenantPhase::NotPublished;
                status.message = Some(tenant_message(&report.message));
            }
            _ => {}
        }
    }
}

/// Longest message of a tenant, in bytes: 500 of them must fit into one object.
const TENANT_MESSAGE_BYTES: usize = 128;

/// A tenant's message.
pub(super) fn tenant_message(message: &str) -> String {
    super::restarts::cut(message, TENANT_MESSAGE_BYTES)
}
