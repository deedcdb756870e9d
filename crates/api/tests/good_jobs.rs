//! What a job resolves to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use teasel_api::{load, load_located, resolve, resolved, validate};

const MINIMAL: &str = include_str!("jobs/minimal.yaml");
const FULL: &str = include_str!("jobs/full.yaml");
const SCHEDULE: &str = include_str!("jobs/schedule.yaml");
const EXAMPLE_FOR_KUBERNETES: &str = include_str!("../../../examples/movielens-100k/kubernetes.yaml");
const EXAMPLE_WITH_CONTENT: &str = include_str!("../../../examples/movielens-100k/content.yaml");
const EXAMPLE: &str = include_str!("../../../examples/movielens-100k/job.yaml");

fn resolved(yaml: &str) -> resolved::Job {
    resolve(&load(yaml).unwrap().remove(0)).unwrap()
}

#[test]
fn a_minimal_job_gets_every_default() {
    insta::assert_yaml_snapshot!(resolved(MINIMAL));
}

#[test]
fn a_full_job_keeps_everything_it_says() {
    insta::assert_yaml_snapshot!(resolved(FULL));
}

/// With the places and secrets of a job replaced by those of another, both resolve to the same.
#[test]
fn the_example_for_kubernetes_is_the_same_but_for_places_and_secrets() {
    let (mut ours, local) = (resolved(EXAMPLE_FOR_KUBERNETES), resolved(EXAMPLE));
    assert!(ours.places().iter().all(|place| place.location.secret_ref.is_some()));
    ours.storage = local.storage.clone();
    ours.data.interactions.location = local.data.interactions.location.clone();
    if let (Some(ours), Some(local)) = (&mut ours.data.items, &local.data.items) {
        ours.location = local.location.clone();
    }
    for (ours, local) in ours.scoring.tenants.iter_mut().zip(&local.scoring.tenants) {
        ours.output = local.output.clone();
        ours.storage = local.storage.clone();
    }
    assert_eq!(ours, local);
}

#[test]
fn training_reaches_encoders_and_images_and_prepare_does_not() {
    fn fields(places: Vec<teasel_api::resolved::Place<'_>>) -> Vec<&str> {
        places.iter().map(|place| place.field).collect()
    }
    let mut job = resolved(FULL);
    assert_eq!(
        fields(job.training_places()),
        ["storage", "model.content.text.encoder", "model.content.image.encoder", "data.items"]
    );
    assert_eq!(fields(job.places()), ["storage", "data.interactions", "data.items"]);
    if let Some(content) = &mut job.model.content {
        content.image = None;
    }
    assert_eq!(fields(job.training_places()), ["storage", "model.content.text.encoder"]);
    job.model.content = None;
    assert_eq!(fields(job.training_places()), ["storage"]);
}

/// But for its name, what is read of the films, reasons and where lists go.
#[test]
fn the_example_with_content_is_the_same_but_for_that() {
    let (mut ours, other) = (resolved(EXAMPLE_WITH_CONTENT), resolved(EXAMPLE));
    let content = ours.model.content.take().unwrap();
    assert_eq!(content.sources(), 1);
    assert_eq!(content.text.unwrap().location.uri, "encoder");
    ours.name = other.name.clone();
    if let (Some(ours), Some(other)) = (&mut ours.data.items, &other.data.items) {
        ours.columns.text = other.columns.text.clone();
    }
    for (ours, other) in ours.scoring.tenants.iter_mut().zip(&other.scoring.tenants) {
        (ours.output, ours.explanations) = (other.output.clone(), other.explanations);
    }
    assert_eq!(ours, other);
}

#[test]
fn the_example_resolves() {
    let job = resolved(EXAMPLE);
    assert_eq!(job.name, "movielens-100k");
    assert_eq!(job.training.workers, 2);
    assert_eq!(job.training.epochs, None);
    assert_eq!(job.scoring.tenants.len(), 2);
}

#[test]
fn a_schedule_is_checked_and_gives_no_job() {
    assert_eq!(validate(SCHEDULE), []);
    assert!(load(SCHEDULE).unwrap().is_empty());
    assert_eq!(load(&format!("{SCHEDULE}---\n{FULL}")).unwrap().len(), 1);
}

#[test]
fn a_resolved_job_survives_its_record() {
    let job = resolved(FULL);
    let text = serde_json::to_string(&job).unwrap();
    assert_eq!(serde_json::from_str::<resolved::Job>(&text).unwrap(), job);
}

#[test]
fn a_spec_survives_writing_and_reading() {
    let job = load(FULL).unwrap().remove(0);
    let text = serde_json::to_string(&job).unwrap();
    assert_eq!(load(&text).unwrap().remove(0), job);
}

#[test]
fn a_provided_split_resolves_to_its_files() {
    let split = "  split:
      type: Provided
      provided:
        train: {uri: train.csv}
        validation: {foldIn: {uri: vf.csv}, heldOut: {uri: vh.csv}}
        test: {foldIn: {uri: tf.csv}, heldOut: {uri: th.csv}}";
    let job = resolved(&MINIMAL.replace("model: {}", split));
    let resolved::Split::Provided { train, validation, test } = job.data.split else {
        panic!("{:?}", job.data.split)
    };
    assert_eq!(train.uri, "train.csv");
    assert_eq!((validation.fold_in.uri.as_str(), validation.held_out.uri.as_str()), ("vf.csv", "vh.csv"));
    assert_eq!((test.fold_in.uri.as_str(), test.held_out.uri.as_str()), ("tf.csv", "th.csv"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Lines that are cut, doubled, swapped or garbled, in any number.
    #[test]
    fn a_mutated_job_never_panics(
        full in any::<bool>(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..5, "\\PC{0,12}"), 1..6),
    ) {
        let mut lines: Vec<String> = if full { FULL } else { MINIMAL }.lines().map(str::to_owned).collect();
        for (index, kind, text) in mutations {
            if lines.is_empty() {
                break;
            }
            let at = index.index(lines.len());
            match kind {
                0 => { lines.remove(at); }
                1 => { let line = lines[at].clone(); lines.insert(at, line); }
                2 => lines[at] = format!("{}{text}", lines[at]),
                3 => lines[at] = lines[at].replacen(':', &format!(": {text}"), 1),
                _ => lines[at] = text,
            }
        }
        let yaml = lines.join("\n");
        match load_located(&yaml) {
            Ok(jobs) => for job in jobs {
                if let Err(violations) = job.resolve() {
                    prop_assert!(!violations.is_empty());
                    prop_assert!(violations.iter().all(|violation| violation.line.is_some()), "{violations:?}");
                }
            },
            Err(violations) => prop_assert!(!violations.is_empty()),
        }
    }
}
