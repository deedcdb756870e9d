//! Whole attempts, so that no change of what is made goes unseen.

use insta::assert_yaml_snapshot;

use super::*;
use crate::job::build::{TASK_KEY, network_policy, service, task_config_map};

/// All that an attempt is made of, in the order in which it is created. The task file is shown as what it says.
fn objects(job: &RecommenderJob, kind: TaskKind) -> Vec<Value> {
    let configuration = configuration(|_| {});
    let start = attempt(job, &configuration, kind);
    let template = pod_template(job, &start, &configuration).unwrap();
    let mut task = serde_json::to_value(task_config_map(job, &start, &template).unwrap()).unwrap();
    let file = &mut task["data"][TASK_KEY];
    *file = serde_json::from_str(file.as_str().unwrap()).unwrap();
    let mut objects = vec![serde_json::to_value(network_policy(job, &configuration.network_policy)).unwrap(), task];
    if kind == TaskKind::Train {
        objects.push(serde_json::to_value(service(job, &start)).unwrap());
    }
    objects.push(job_object(job, &configuration, &start));
    objects
}

#[test]
fn training_on_cpus_is_made_of() {
    assert_yaml_snapshot!(objects(&films(|_| {}), TaskKind::Train));
}

#[test]
fn training_on_gpus_is_made_of() {
    assert_yaml_snapshot!(objects(&films_on_gpus(), TaskKind::Train));
}

#[test]
fn scoring_is_made_of() {
    assert_yaml_snapshot!(objects(&films(|_| {}), TaskKind::Score));
}

#[test]
fn publishing_is_made_of() {
    assert_yaml_snapshot!(objects(&films(|_| {}), TaskKind::Publish));
}
