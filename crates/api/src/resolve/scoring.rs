//! Resolves whom to recommend to.

use std::collections::BTreeMap;

use super::checks;
use crate::load::check_pod_template;
use crate::location::Location;
use crate::resolved::{Compression, ItemVectors, Rollout, Scoring, Tenant};
use crate::spec::{RecommenderJobSpec, ScoringSpec, TenantSpec};
use crate::violation::{Path, Violations};

pub(super) fn resolve(job: &RecommenderJobSpec, path: &Path, found: &mut Violations) -> Scoring {
    let spec = &job.scoring;
    if let Some(template) = &spec.template {
        check_pod_template(&template.0, &path.field("template"), found);
    }
    let tenants_path = path.field("tenants");
    let has_column = job.data.interactions.columns.tenant.is_some();
    let tenants: Vec<Tenant> = spec
        .tenants
        .iter()
        .enumerate()
        .map(|(index, tenant)| resolve_tenant(tenant, job, has_column, &tenants_path.index(index), found))
        .collect();
    let duplicates = [
        ("name", tenants.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>()),
        ("output.uri", tenants.iter().map(|tenant| tenant.output.uri.trim_end_matches('/')).collect()),
    ];
    for (field, values) in &duplicates {
        refuse_duplicates(field, values, &tenants_path, found);
    }
    if has_column {
        let values: Vec<&str> = tenants.iter().map(|tenant| tenant.value.as_str()).collect();
        refuse_duplicates("value", &values, &tenants_path, found);
    }
    let rollout = spec.rollout.clone().unwrap_or_default();
    Scoring {
        shards: spec.shards.unwrap_or(1),
        parallelism: spec.parallelism.unwrap_or(1),
        rollout: Rollout {
            max_concurrent_tenants: rollout.max_concurrent_tenants.unwrap_or(10),
            max_failed_tenants: rollout.max_failed_tenants.unwrap_or(0),
        },
        tenants,
    }
}

fn resolve_tenant(
    spec: &TenantSpec,
    job: &RecommenderJobSpec,
    has_column: bool,
    path: &Path,
    found: &mut Violations,
) -> Tenant {
    let ScoringSpec { top_k, exclude_seen, explanations, report, compression, .. } = &job.scoring;
    // An empty name is the schema's to refuse, and so is one that is too long.
    if (1..=63).contains(&spec.name.chars().count()) {
        checks::dns_label(&spec.name, &path.field("name"), found);
    }
    checks::location(&spec.output, &path.field("output"), found);
    if let Some(storage) = &spec.storage {
        checks::secret_ref(&storage.secret_ref, &path.fields("storage.secretRef"), found);
    }
    if let Some(catalog) = &spec.catalog {
        checks::location(&catalog.location, &path.fields("catalog.location"), found);
    }
    if spec.value.is_some() && !has_column {
        let hint = "name the column in data.interactions.columns.tenant".to_owned();
        found.add_with_hint(&path.field("value"), "needs a column that says whose user it is", Some(hint));
    }
    Tenant {
        name: spec.name.clone(),
        value: spec.value.clone().unwrap_or_else(|| spec.name.clone()),
        output: spec.output.clone(),
        storage: Location {
            uri: job.storage.uri.clone(),
            secret_ref: spec.storage.as_ref().map(|storage| storage.secret_ref.clone()),
        },
        catalog: spec.catalog.as_ref().map(|catalog| catalog.location.clone()),
        top_k: spec.top_k.or(*top_k).unwrap_or(100),
        exclude_seen: spec.exclude_seen.or(*exclude_seen).unwrap_or(true),
        report_people: spec.report.as_ref().or(report.as_ref()).map_or(0, |report| report.people.unwrap_or(5)),
        explanations: spec.explanations.or(*explanations).unwrap_or(false),
        compression: compression.as_ref().map(|compression| Compression {
            facets_per_item: compression.facets_per_item,
            item_vectors: compression.item_vectors.unwrap_or(ItemVectors::Float32),
        }),
    }
}

/// `values` are one field of each tenant.
fn refuse_duplicates(field: &str, values: &[&str], tenants: &Path, found: &mut Violations) {
    let mut seen = BTreeMap::new();
    for (index, value) in values.iter().enumerate() {
        if let Some(first) = seen.get(value) {
            let message = format!("must not be the same as {}", tenants.index(*first).fields(field));
            found.add(&tenants.index(index).fields(field), message);
        } else {
            seen.insert(value, index);
        }
    }
}
