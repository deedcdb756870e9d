//! Resolves what to learn.

use super::{checks, content};
use crate::resolved::{Kl, Likelihood, Model};
use crate::spec::{ConditionsSpec, ItemsSpec, LikelihoodType, ModelSpec};
use crate::violation::{Path, Violations};

/// Resolves `spec`, of items that `items` describes.
pub(super) fn resolve(spec: &ModelSpec, items: Option<&ItemsSpec>, path: &Path, found: &mut Violations) -> Model {
    if spec.gaussian.is_some() && spec.likelihood != Some(LikelihoodType::Gaussian) {
        found.add(&path.field("gaussian"), "goes with likelihood Gaussian");
    }
    later(spec, path, found);
    let kl = spec.kl.clone().unwrap_or_default();
    Model {
        facets: spec.facets.unwrap_or(7),
        dimensions: spec.dimensions.unwrap_or(100),
        likelihood: match spec.likelihood.unwrap_or(LikelihoodType::Multinomial) {
            LikelihoodType::Multinomial => Likelihood::Multinomial,
            LikelihoodType::Gaussian => Likelihood::Gaussian {
                variance_floor: spec.gaussian.as_ref().and_then(|gaussian| gaussian.variance_floor).unwrap_or(1e-2),
            },
        },
        temperature: spec.temperature.unwrap_or(0.1),
        kl: Kl { weight: kl.weight.unwrap_or(0.2), anneal_epochs: kl.anneal_epochs.unwrap_or(5) },
        dropout: spec.dropout.unwrap_or(0.5),
        prior_deviation: spec.prior_deviation.unwrap_or(0.075),
        content: spec.content.as_ref().map(|spec| content::resolve(spec, items, &path.field("content"), found)),
    }
}

/// Refuses what a later release brings.
fn later(spec: &ModelSpec, path: &Path, found: &mut Violations) {
    if spec.hybrid.is_some() {
        checks::not_supported_yet(&path.field("hybrid"), "hybrids are", found);
    }
    let ConditionsSpec { independence, completeness, consistency } = spec.conditions.clone().unwrap_or_default();
    let conditions = [("independence", independence), ("completeness", completeness), ("consistency", consistency)];
    for (name, weight) in conditions {
        if weight.is_some_and(|weight| weight > 0.0) {
            checks::not_supported_yet(&path.field("conditions").field(name), "trained conditions are", found);
        }
    }
}
