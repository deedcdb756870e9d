//! Resolves what is read of items.

use super::checks;
use crate::resolved::{Content, ContentRouting, Encoder, OnBadItems, Pooling};
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
    if let Some(TuningSpec { kind, low_rank }) = &spec.tuning {
        match kind {
            TuningType::Frozen if low_rank.is_some() => {
                found.add(&path.fields("tuning.lowRank"), "goes with type LowRank");
            }
            TuningType::Frozen => {}
            TuningType::LowRank => checks::not_supported_yet(&path.field("tuning"), "tuned encoders are", found),
        }
    }
    Encoder {
        location: spec.encoder.location.clone(),
        layers: spec.layers.clone(),
        pooling: spec.pooling.unwrap_or(pooling),
    }
}

fn routing(spec: &ContentRoutingSpec, path: &Path, found: &mut Violations) -> ContentRouting {
    let temperature = spec.temperature.unwrap_or(0.1);
    if temperature < SMALLEST_TEMPERATURE {
        found
            .add(&path.field("temperature"), format!("must be at least {SMALLEST_TEMPERATURE}, not {temperature}"));
    }
    ContentRouting { temperature, drift: spec.drift.unwrap_or(0.0), context: spec.context.unwrap_or(0.5) }
}
