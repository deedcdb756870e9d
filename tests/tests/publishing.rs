//! What is published, and when: gates, approval, going back, holding.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;
use teasel_tests::lists::{current, published};
use teasel_tests::project::Project;

const TENANTS: [&str; 2] = ["tenant-1", "tenant-2"];

fn runs_published(project: &Project) -> [String; 2] {
    TENANTS.map(|tenant| published(&project.path(&format!("job-lists/{tenant}"))).run)
}

fn fresh(project: &Project) -> String {
    project.teasel(&["run", "job.yaml", "--json", "--fresh"]).json()["run"].as_str().unwrap().to_owned()
}

#[test]
fn a_gate_that_is_not_met_publishes_nothing_and_shows_both_numbers() {
    let project = Project::generate(200, 60, 4000);
    project.job("job", |_| {});
    let good = fresh(&project);
    let gates = json!([{"metric": "ndcg@100", "minimum": 0.999}, {"metric": "recall@20", "minimum": 0.001}]);
    project.job("job", |spec| spec["gates"] = gates);
    let ended = project.teasel(&["run", "job.yaml", "--json", "--fresh"]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.err.contains("0.9990") && ended.err.contains("ndcg@100 0."), "{ended:?}");
    assert_eq!(runs_published(&project), [good.clone(), good.clone()], "what was published stays");

    // The bound is a question to the finished run: asked another one, nothing is trained again.
    project.job("job", |spec| spec["gates"] = json!([{"metric": "ndcg@100", "minimum": 0.001}]));
    let passed = project.run(&project.path("job.yaml"))["run"].as_str().unwrap().to_owned();
    assert_ne!(passed, good);
    assert_eq!(runs_published(&project), [passed.clone(), passed]);
}

#[test]
fn a_relative_gate_compares_with_what_is_published_on_the_same_users() {
    let project = Project::generate(300, 60, 6000);
    project.job("job", |spec| spec["gates"] = json!([{"metric": "ndcg@100", "relativeToPublished": 0.9}]));
    let first = project.teasel(&["run", "job.yaml", "--fresh"]);
    assert!(first.err.contains("nothing is published yet"), "{first:?}");
    first.good();
    let equal = project.teasel(&["run", "job.yaml", "--fresh"]);
    assert!(equal.err.contains("ratio 1.000, 95 % between 1.000 and 1.000"), "{equal:?}");
    equal.good();

    // A model that has learnt nothing against one that has.
    let before = runs_published(&project);
    project.job("job", |spec| {
        spec["training"]["learningRate"] = json!(1e-9);
        spec["gates"] = json!([{"metric": "ndcg@100", "relativeToPublished": 1.5}]);
    });
    let worse = project.teasel(&["run", "job.yaml"]);
    assert_eq!(worse.code(), 1, "{worse:?}");
    assert!(worse.err.contains("is below the bound 1.500"), "{worse:?}");
    assert_eq!(runs_published(&project), before);

    // By another split the published model was trained on most of the users that the new one is tested on.
    project.job("job", |spec| {
        let shares = json!({"seed": 77, "validation": 0.1, "test": 0.4});
        spec["data"]["split"] = json!({"type": "StrongGeneralization", "strongGeneralization": shares});
        spec["gates"] = json!([{"metric": "ndcg@100", "relativeToPublished": 0.1}]);
    });
    let otherwise_split = project.teasel(&["run", "job.yaml"]);
    assert!(otherwise_split.err.contains(" users that both test: ratio"), "{otherwise_split:?}");
    otherwise_split.good();
}

#[test]
fn a_manual_job_waits_for_a_person() {
    let project = Project::generate(200, 60, 4000);
    project.job("job", |spec| spec["publish"] = json!({"mode": "Manual"}));
    let waiting = project.teasel(&["run", "job.yaml"]);
    assert!(waiting.err.contains("teasel publish job.yaml --tenant tenant-1"), "{waiting:?}");
    waiting.good();
    assert_eq!(TENANTS.map(|tenant| current(&project.path(&format!("job-lists/{tenant}")))), [None, None]);

    project.teasel(&["publish", "job.yaml", "--tenant", "tenant-2"]).good();
    assert!(current(&project.path("job-lists/tenant-1")).is_none());
    assert!(current(&project.path("job-lists/tenant-2")).is_some());
    project.teasel(&["publish", "job.yaml"]).good();
    let [first, second] = runs_published(&project);
    assert_eq!(first, second);
    project.teasel(&["run", "job.yaml"]).good();
    assert_eq!(runs_published(&project), [first, second]);
}

#[test]
fn a_rollback_goes_back_and_a_hold_keeps_it_there() {
    let project = Project::generate(200, 60, 4000);
    project.job("job", |_| {});
    let first = fresh(&project);
    let second = fresh(&project);
    project.teasel(&["rollback", "job.yaml", "--hold"]).good();
    assert_eq!(runs_published(&project), [first.clone(), first.clone()]);

    let finished = project.teasel(&["run", "job.yaml"]).good();
    assert!(finished.contains("nothing to do"), "{finished}");
    assert_eq!(runs_published(&project), [first.clone(), first.clone()], "running again doesn't undo a rollback");

    let held = project.teasel(&["run", "job.yaml", "--fresh"]);
    assert!(held.err.contains("a rollback holds"), "{held:?}");
    held.good();
    assert_eq!(runs_published(&project), [first.clone(), first.clone()]);

    project.teasel(&["rollback", "job.yaml", "--release", "--tenant", "tenant-1"]).good();
    project.run(&project.path("job.yaml"));
    let [released, still] = runs_published(&project);
    assert!(released != first && released != second, "the run that was held comes through");
    assert_eq!(still, first);

    project.teasel(&["rollback", "job.yaml", "--to", &second, "--tenant", "tenant-1"]).good();
    assert_eq!(runs_published(&project), [second, first]);
    let stranger = project.teasel(&["rollback", "job.yaml", "--to", "nothing-1"]);
    assert_eq!(stranger.code(), 78, "{stranger:?}");
}

#[test]
fn another_jobs_place_is_only_taken_over_on_purpose() {
    let project = Project::generate(200, 60, 4000);
    let theirs = project.job("job", |_| {});
    project.run(&theirs);
    let before = runs_published(&project);
    let text = std::fs::read_to_string(&theirs).unwrap();
    std::fs::write(project.path("mine.yaml"), text.replace("\"test\"", "\"mine\"")).unwrap();
    let refused = project.teasel(&["run", "mine.yaml"]);
    assert_eq!(refused.code(), 78, "{refused:?}");
    assert!(refused.err.contains("local/test") && refused.err.contains("--take-over"), "{refused:?}");
    assert_eq!(runs_published(&project), before);
    let manual = std::fs::read_to_string(project.path("mine.yaml")).unwrap();
    let manual = manual.replacen("\"spec\": {", "\"spec\": {\"publish\": {\"mode\": \"Manual\"},", 1);
    std::fs::write(project.path("mine.yaml"), manual).unwrap();
    project.teasel(&["run", "mine.yaml"]).good();
    assert_eq!(project.teasel(&["publish", "mine.yaml"]).code(), 78);
    project.teasel(&["publish", "mine.yaml", "--take-over"]).good();
    assert_ne!(runs_published(&project), before);
}

#[test]
fn a_catalogue_limits_what_is_recommended() {
    let project = Project::generate(200, 60, 4000);
    let text = std::fs::read_to_string(project.path("items.csv")).unwrap();
    let items: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    let allowed: Vec<&str> = items.iter().copied().step_by(3).collect();
    std::fs::write(project.path("allowed.csv"), format!("item\n{}\nunknown\n", allowed.join("\n"))).unwrap();
    let job = project.job("job", |spec| {
        spec["scoring"]["shards"] = json!(3);
        spec["scoring"]["tenants"][0]["catalog"] = json!({"location": {"uri": "allowed.csv"}});
        spec["scoring"]["tenants"][0]["excludeSeen"] = json!(false);
    });
    project.run(&job);
    let limited = published(&project.path("job-lists/tenant-1"));
    assert!(limited.users.values().flatten().all(|row| allowed.contains(&row.item.as_str())));
    assert!(limited.users.values().all(|rows| rows.len() == 5));
    let whole = published(&project.path("job-lists/tenant-2"));
    assert!(whole.users.values().flatten().any(|row| !allowed.contains(&row.item.as_str())));
}
