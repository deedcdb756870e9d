//! Resolves what is read of items.

use super::checks;
use crate::resolved::{
    Content, ContentRouting, Encoder, EncoderMatrix, OnBadItems, Pooling, Precision, Tuning, TuningMethod,
};
use crate::spec::{ContentRoutingSpec, ContentSpec, EncoderSpec, ItemsSpec, TuningSpec, TuningType};
use crate::violation::{Path, Violations};

/// Below, softmaxes are steps, and nothing is left to learn.
const SMALLEST_TEMPERATURE: f64 = 0.001;

/// Resolves `spec`, of items that `items` describes.
pub(super) fn resolve(
    spec: &ContentSpec,
    items: Option<&ItemsSpec>,
    path: &Path,
    found: &mut Violations,
) -> Content {
    if spec.text.is_none() && spec.image.is_none() {
        found.add(path, "needs text, image or both");
    }
    let columns = items.map(|items| &items.columns);
    let texts = columns.and_then(|columns| columns.text.as_ref()).is_some_and(|columns| !columns.is_empty());
    let images = columns.is_some_and(|columns| columns.image.is_some());
    for (name, encoder, has_column) in [("text", &spec.text, texts), ("image", &spec.image, images)] {
        if encoder.is_some() && !has_column {
            let hint = format!("name it in data.items.columns.{name}");
            found.add_with_hint(&path.field(name), format!("needs a column of items' {name}s"), Some(hint));
        }
    }
    Content {
        text: spec.text.as_ref().map(|spec| encoder(spec, Pooling::Mean, &path.field("text"), found)),
        image: spec.image.as_ref().map(|spec| encoder(spec, Pooling::Cls, &path.field("image"), found)),
        routing: routing(&spec.routing.clone().unwrap_or_default(), &path.field("routing"), found),
        cold_items: spec.cold_items.unwrap_or_default(),
        on_bad_items: spec.on_bad_items.unwrap_or(OnBadItems::Fail),
    }
}

fn encoder(spec: &EncoderSpec, pooling: Pooling, path: &Path, found: &mut Violations) -> Encoder {
    checks::location(&spec.encoder.location, &path.fields("encoder.location"), found);
    if let Some(layers) = &spec.layers {
        for (index, layer) in layers.iter().enumerate() {
            let field = path.field("layers").index(index);
            if *layer == 0 {
                found.add(&field, "must be at least 1, the first block's");
            } else if layers[..index].contains(layer) {
                found.add(&field, format!("names layer {layer} again"));
            }
        }
    }
    let precision = spec.precision.unwrap_or_default();
    let tuning = spec.tuning.as_ref().and_then(|spec| tuning(spec, &path.field("tuning"), found));
    if precision == Precision::Int8 && tuning.is_some() {
        found.add(
            &path.field("precision"),
            "Int8 goes with tuning of type Frozen: nothing leads back through integers",
        );
    }
    Encoder {
        location: spec.encoder.location.clone(),
        layers: spec.layers.clone(),
        pooling: spec.pooling.unwrap_or(pooling),
        precision,
        tuning,
    }
}

fn tuning(spec: &TuningSpec, path: &Path, found: &mut Violations) -> Option<Tuning> {
    if spec.low_rank.is_some() && spec.kind != TuningType::LowRank {
        found.add(&path.field("lowRank"), "goes with type LowRank");
    }
    if spec.adapters.is_some() && spec.kind != TuningType::Adapters {
        found.add(&path.field("adapters"), "goes with type Adapters");
    }
    let (method, learning_rate) = match spec.kind {
        TuningType::Frozen => return None,
        TuningType::LowRank => {
            let own = spec.low_rank.clone().unwrap_or_default();
            let targets = own.targets.unwrap_or_else(|| vec![EncoderMatrix::Query, EncoderMatrix::Value]);
            for (index, target) in targets.iter().enumerate() {
                if targets[..index].contains(target) {
                    found.add(&path.fields("lowRank.targets").index(index), format!("names {target:?} again"));
                }
            }
            let (rank, alpha) = (own.rank.unwrap_or(8), own.alpha.unwrap_or(16.0));
            (TuningMethod::LowRank { rank, alpha, targets }, 1e-4)
        }
        TuningType::Adapters => {
            let width = spec.adapters.as_ref().and_then(|own| own.width).unwrap_or(64);
            (TuningMethod::Adapters { width }, 1e-4)
        }
        TuningType::Full => (TuningMethod::Full, 2e-5),
    };
    Some(Tuning {
        method,
        learning_rate: spec.learning_rate.unwrap_or(learning_rate),
        items_per_step: spec.items_per_step.unwrap_or(16),
    })
}

fn routing(spec: &ContentRoutingSpec, path: &Path, found: &mut Violations) -> ContentRouting {
    let temperature = spec.temperature.unwrap_or(0.1);
    if temperature < SMALLEST_TEMPERATURE {
        found
            .add(&path.field("temperature"), format!("must be at least {SMALLEST_TEMPERATURE}, not {temperature}"));
    }
    ContentRouting { temperature, drift: spec.drift.unwrap_or(0.0), context: spec.context.unwrap_or(0.4) }
}
