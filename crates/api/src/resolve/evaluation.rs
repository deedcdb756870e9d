//! Resolves what is measured of a model, and what it must reach.

use super::checks;
use crate::resolved::{Bound, Evaluation, Gate};
use crate::spec::{EvaluationSpec, GateSpec};
use crate::violation::{Path, Violations};

pub(super) fn evaluation(spec: Option<&EvaluationSpec>) -> Evaluation {
    let default = Evaluation::default();
    Evaluation { baselines: spec.and_then(|spec| spec.baselines).unwrap_or(default.baselines) }
}

pub(super) fn gates(specs: &[GateSpec], path: &Path, found: &mut Violations) -> Vec<Gate> {
    specs.iter().enumerate().filter_map(|(index, spec)| gate(spec, &path.index(index), found)).collect()
}

fn gate(spec: &GateSpec, path: &Path, found: &mut Violations) -> Option<Gate> {
    checks::metric(&spec.metric, &path.field("metric"), found);
    let minimum = spec.minimum.map(|minimum| Bound::Minimum { minimum });
    let published = spec.relative_to_published.map(|ratio| Bound::RelativeToPublished { ratio });
    let named = spec
        .relative_to
        .as_ref()
        .map(|other| Bound::RelativeTo { ratio: other.ratio.unwrap_or(1.0), run: other.run.clone() });
    let mut bounds = [minimum, published, named].into_iter().flatten();
    match (bounds.next(), bounds.next()) {
        (Some(bound), None) => Some(Gate { metric: spec.metric.clone(), bound }),
        _ => {
            found.add(path, "must have exactly one of minimum, relativeToPublished and relativeTo");
            None
        }
    }
}
