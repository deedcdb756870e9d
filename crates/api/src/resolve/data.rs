//! Resolves what to learn from.

use super::checks;
use crate::load::check_pod_template;
use crate::resolved::{
    Data, InteractionColumns, Interactions, ItemColumns, Items, MinimumInteractions, OnBadRows, ProvidedPair,
    Split, Weighting,
};
use crate::spec::{
    DataSpec, InteractionColumnsSpec, InteractionsSpec, ItemsSpec, ProvidedPairSpec, ProvidedSpec, SplitSpec,
    SplitType, StrongGeneralizationSpec,
};
use crate::violation::{Path, Violations};

pub(super) fn resolve(spec: &DataSpec, path: &Path, found: &mut Violations) -> Data {
    if let Some(template) = &spec.template {
        check_pod_template(&template.0, &path.field("template"), found);
    }
    let minimum = spec.minimum_interactions.clone().unwrap_or_default();
    Data {
        interactions: interactions(&spec.interactions, &path.field("interactions"), found),
        items: spec.items.as_ref().map(|spec| items(spec, &path.field("items"), found)),
        minimum_interactions: MinimumInteractions {
            user: minimum.user.unwrap_or(5),
            item: minimum.item.unwrap_or(5),
        },
        split: split(spec, &path.field("split"), found),
    }
}

fn interactions(spec: &InteractionsSpec, path: &Path, found: &mut Violations) -> Interactions {
    checks::location(&spec.location, &path.field("location"), found);
    let columns = columns(&spec.columns, &path.field("columns"), found);
    let events = spec.events.clone().unwrap_or_default();
    if !events.is_empty() && columns.event.is_none() {
        let hint = "name it in columns.event".to_owned();
        found.add_with_hint(&path.field("events"), "needs a column that says the kind of behaviour", Some(hint));
    }
    for (event, weight) in &events {
        if !(weight.is_finite() && *weight > 0.0) {
            let hint = "an event that isn't listed is dropped".to_owned();
            let message = format!("must be above 0, not {weight}");
            found.add_with_hint(&path.field("events").field(event), message, Some(hint));
        }
    }
    if spec.minimum_rating.is_some() && columns.rating.is_none() {
        let hint = "name it in columns.rating".to_owned();
        found.add_with_hint(&path.field("minimumRating"), "needs a column of ratings", Some(hint));
    }
    let on_bad_rows = spec.on_bad_rows.unwrap_or(OnBadRows::Fail);
    if spec.maximum_bad_rows.is_some() && on_bad_rows == OnBadRows::Fail {
        found.add(&path.field("maximumBadRows"), "goes with onBadRows Skip");
    }
    Interactions {
        location: spec.location.clone(),
        format: spec.format,
        columns,
        events,
        minimum_rating: spec.minimum_rating,
        weighting: spec.weighting.unwrap_or(Weighting::Binary),
        on_bad_rows,
        maximum_bad_rows: match on_bad_rows {
            OnBadRows::Fail => 0,
            OnBadRows::Skip => spec.maximum_bad_rows.unwrap_or(1000),
        },
    }
}

fn columns(spec: &InteractionColumnsSpec, path: &Path, found: &mut Violations) -> InteractionColumns {
    let named = [
        ("user", Some(&spec.user)),
        ("item", Some(&spec.item)),
        ("event", spec.event.as_ref()),
        ("rating", spec.rating.as_ref()),
        ("timestamp", spec.timestamp.as_ref()),
        ("tenant", spec.tenant.as_ref()),
    ];
    for (index, (field, name)) in named.iter().enumerate() {
        let earlier = named.iter().take(index).find(|(_, other)| name.is_some() && other == name);
        if let Some((other, _)) = earlier {
            found.add(&path.field(field), format!("must not be the same column as {other}"));
        }
    }
    InteractionColumns {
        user: spec.user.clone(),
        item: spec.item.clone(),
        event: spec.event.clone(),
        rating: spec.rating.clone(),
        timestamp: spec.timestamp.clone(),
        tenant: spec.tenant.clone(),
    }
}

fn items(spec: &ItemsSpec, path: &Path, found: &mut Violations) -> Items {
    checks::location(&spec.location, &path.field("location"), found);
    Items {
        location: spec.location.clone(),
        format: spec.format,
        columns: ItemColumns {
            item: spec.columns.item.clone(),
            text: spec.columns.text.clone().unwrap_or_default(),
            image: spec.columns.image.clone(),
            categories: spec.columns.categories.clone(),
            facet: spec.columns.facet.clone(),
        },
        category_separator: spec.category_separator.clone().unwrap_or_else(|| "|".into()),
    }
}

fn split(data: &DataSpec, path: &Path, found: &mut Violations) -> Split {
    let spec = data.split.clone().unwrap_or_default();
    let kind = spec.kind.unwrap_or(SplitType::StrongGeneralization);
    if spec.strong_generalization.is_some() && kind != SplitType::StrongGeneralization {
        found.add(&path.field("strongGeneralization"), "goes with type StrongGeneralization");
    }
    if spec.provided.is_some() && kind != SplitType::Provided {
        found.add(&path.field("provided"), "goes with type Provided");
    }
    match (kind, spec) {
        (SplitType::StrongGeneralization, SplitSpec { strong_generalization, .. }) => {
            let shares = strong_generalization.unwrap_or_default();
            strong_generalization_split(&shares, &path.field("strongGeneralization"), found)
        }
        (SplitType::Provided, SplitSpec { provided: Some(provided), .. }) => {
            provided_split(provided, &path.field("provided"), found)
        }
        (SplitType::Provided, SplitSpec { provided: None, .. }) => {
            found.add(&path.field("provided"), "is required with type Provided");
            Split::LeaveLastOut
        }
        (SplitType::LeaveLastOut, _) => {
            if data.interactions.columns.timestamp.is_none() {
                let hint = "name it in data.interactions.columns.timestamp".to_owned();
                found.add_with_hint(&path.field("type"), "LeaveLastOut needs a column of times", Some(hint));
            }
            Split::LeaveLastOut
        }
    }
}

fn strong_generalization_split(spec: &StrongGeneralizationSpec, path: &Path, found: &mut Violations) -> Split {
    let validation = spec.validation.unwrap_or(0.1);
    let test = spec.test.unwrap_or(0.1);
    let held_out = spec.held_out.unwrap_or(0.2);
    for (name, share) in [("validation", validation), ("test", test), ("heldOut", held_out)] {
        // What lies outside of [0, 1] is the schema's to refuse.
        if share == 0.0 || share == 1.0 {
            found.add(&path.field(name), format!("must be above 0 and below 1, not {share}"));
        }
    }
    let cold_items = spec.cold_items.unwrap_or(0.0);
    if cold_items == 1.0 {
        found.add(&path.field("coldItems"), "must be below 1, not 1");
    }
    let inside = |share: f64| share > 0.0 && share < 1.0;
    if inside(validation) && inside(test) && validation + test >= 1.0 {
        let message = format!("validation {validation} and test {test} leave no users to train on");
        found.add(path, message);
    }
    Split::StrongGeneralization { seed: spec.seed.unwrap_or(1), validation, test, held_out, cold_items }
}

fn provided_split(spec: ProvidedSpec, path: &Path, found: &mut Violations) -> Split {
    checks::location(&spec.train, &path.field("train"), found);
    let pair = |pair: ProvidedPairSpec, path: &Path, found: &mut Violations| {
        checks::location(&pair.fold_in, &path.field("foldIn"), found);
        checks::location(&pair.held_out, &path.field("heldOut"), found);
        ProvidedPair { fold_in: pair.fold_in, held_out: pair.held_out }
    };
    Split::Provided {
        validation: pair(spec.validation, &path.field("validation"), found),
        test: pair(spec.test, &path.field("test"), found),
        train: spec.train,
    }
}
