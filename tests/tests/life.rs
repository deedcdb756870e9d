//! A job from its first run to its last, as a person on the command line sees it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use teasel_tests::lists::published;
use teasel_tests::project::Project;
use teasel_tests::runs;

fn small() -> Project {
    Project::generate(200, 60, 4000)
}

/// Items of each user in the generated interactions, and the users of each tenant.
fn interactions(project: &Project) -> (BTreeMap<String, BTreeSet<String>>, BTreeMap<String, BTreeSet<String>>) {
    let text = std::fs::read_to_string(project.path("interactions.csv")).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let (user, item, tenant) = (column("user_id"), column("item_id"), column("tenant"));
    let (mut items, mut tenants) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        items.entry(fields[user].into()).or_insert_with(BTreeSet::new).insert(fields[item].to_owned());
        tenants.entry(fields[tenant].into()).or_insert_with(BTreeSet::new).insert(fields[user].to_owned());
    }
    (items, tenants)
}

#[test]
fn a_job_runs_from_raw_files_to_every_users_list() {
    let project = small();
    let job = project.job("job", |spec| spec["training"]["workers"] = json!(2));
    let result = project.run(&job);
    let metrics: Vec<&String> = result["metrics"].as_object().unwrap().keys().collect();
    // Completeness isn't defined for so few test users.
    let measured = [
        "calibration@20",
        "cold/ndcg@100",
        "coverage@20",
        "ease/ndcg@100",
        "facets/agreement",
        "facets/consistency",
        "facets/effective",
        "facets/independence",
        "facets/likeness",
        "facets/lost-when-shuffled",
        "map@100",
        "ndcg@100",
        "novelty@20",
        "popularity-bias@20",
        "popularity/ndcg@100",
        "recall@20",
        "recall@50",
        "tenants/tenant-1/ndcg@100",
        "tenants/tenant-2/ndcg@100",
    ];
    assert_eq!(metrics, measured);
    let (items, tenants) = interactions(&project);
    for (tenant, told) in tenants.iter().zip(result["tenants"].as_array().unwrap()) {
        let (name, users) = tenant;
        let output = project.path(&format!("job-lists/{name}"));
        assert_eq!(told["name"], **name);
        assert_eq!(told["users"], users.len());
        assert_eq!(told["uri"], format!("file://{}", output.display()));
        let lists = published(&output);
        assert_eq!(lists.run, result["run"]);
        assert_eq!(lists.metadata["teasel.run"], lists.run);
        assert!(lists.metadata.contains_key("teasel.model") && lists.metadata.contains_key("teasel.schema"));
        assert_eq!(lists.users.keys().collect::<BTreeSet<_>>(), users.iter().collect(), "every user has a list");
        for (user, rows) in &lists.users {
            assert_eq!(rows.iter().map(|row| row.rank).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
            assert!(rows.is_sorted_by(|left, right| left.score >= right.score), "{user}: {rows:?}");
            assert!(rows.iter().all(|row| !items[user].contains(&row.item)), "{user} has seen {rows:?}");
            assert!(rows.iter().all(|row| row.facet.is_some_and(|facet| facet < 3)), "{user}: {rows:?}");
        }
    }
    let trained = runs::log(&runs::only_run(&project.path("job-storage")));
    assert_eq!(trained[0]["event"]["world"], 2);
}

#[test]
fn a_finished_run_has_nothing_to_do_and_changes_do_what_is_needed() {
    let project = small();
    let job = |change: fn(&mut Value)| project.job("job", change);
    let file = job(|_| {});
    let first = project.run(&file)["run"].as_str().unwrap().to_owned();
    let storage = project.path("job-storage");
    let log = runs::log(&runs::only_run(&storage));

    let again = project.teasel(&["run", "job.yaml"]).good();
    assert!(again.contains("nothing to do") && again.contains(&first), "{again}");
    assert_eq!(runs::log(&runs::only_run(&storage)), log, "nothing was written");

    let scored = project.run(&job(|spec| spec["scoring"]["topK"] = json!(7)));
    assert_eq!(scored["run"], first, "other scoring settings train nothing");
    assert_eq!(runs::log(&runs::only_run(&storage)), log);
    assert!(published(&project.path("job-lists/tenant-1")).users.values().all(|rows| rows.len() == 7));

    project.run(&job(|_| {}));
    assert!(published(&project.path("job-lists/tenant-1")).users.values().all(|rows| rows.len() == 5), "and back");

    let other = project.run(&job(|spec| spec["model"]["dimensions"] = json!(4)));
    assert_ne!(other["run"], first, "another model is another run");
    let fresh = project.teasel(&["run", "job.yaml", "--json", "--fresh"]).json();
    assert_eq!(fresh["run"].as_str().unwrap().replace("-2", "-1"), other["run"].as_str().unwrap());

    let rows = std::fs::read_to_string(project.path("interactions.csv")).unwrap();
    std::fs::write(project.path("interactions.csv"), rows.trim_end().rsplit_once('\n').unwrap().0).unwrap();
    let newer = project.run(&project.path("job.yaml"));
    assert!(![&fresh, &other].iter().any(|before| before["run"] == newer["run"]), "new data is a new run");

    let listed = project.teasel(&["runs", "job.yaml"]).good();
    for run in [&first, newer["run"].as_str().unwrap(), fresh["run"].as_str().unwrap()] {
        assert!(listed.contains(run), "{listed}");
    }
}

#[test]
fn the_same_seed_and_ranks_give_the_same_bits() {
    let project = small();
    let job = project.job("job", |spec| spec["training"]["workers"] = json!(2));
    let arguments = ["run", "--json", "--fresh", job.to_str().unwrap()];
    let [first, second] = [(); 2].map(|()| project.teasel(&arguments).json());
    assert_ne!(first["run"], second["run"]);
    assert_eq!(first["metrics"], second["metrics"]);
    let model = |result: &Value| runs::model(&project.path("job-storage"), result["run"].as_str().unwrap());
    assert!(model(&first) == model(&second));
}

#[test]
fn former_runs_go_beyond_what_history_keeps() {
    let project = small();
    let job = project.job("job", |spec| spec["history"] = json!({"runs": 1}));
    let arguments = ["run", "--json", "--fresh", job.to_str().unwrap()];
    let ids = [(); 3].map(|()| project.teasel(&arguments).json()["run"].as_str().unwrap().to_owned());
    let storage = project.path("job-storage");
    let there = |run: &str| storage.join("runs").join(run).join("run.json").exists();
    assert_eq!(ids.each_ref().map(|run| there(run)), [false, true, true]);
    assert!(!storage.join("models").join(&ids[0]).exists());
    let lists = project.path("job-lists/tenant-1/runs");
    assert_eq!(ids.each_ref().map(|run| lists.join(run).exists()), [false, true, true]);
    let fourth = project.teasel(&arguments).json();
    assert!(fourth["run"].as_str().unwrap().ends_with("-4"), "a collected run's name isn't used again");
}

#[test]
fn one_persons_list_is_shown_as_a_table() {
    let project = small();
    let job = project.job("job", |_| {});
    let run = project.run(&job)["run"].as_str().unwrap().to_owned();
    let user = published(&project.path("job-lists/tenant-2")).users.keys().next().unwrap().clone();
    let show = |named: &str| {
        project.teasel(&["recommend", named, "--tenant", "tenant-2", "--user", &user, "--top", "3"]).good()
    };
    let shown = show("job.yaml");
    let expected = &published(&project.path("job-lists/tenant-2")).users[&user];
    assert!(expected[..3].iter().all(|row| shown.contains(&row.item)), "{shown}");
    assert!(!shown.contains(&expected[3].item), "{shown}");
    assert_eq!(show(&format!("job.yaml@{run}")), shown);
    assert_eq!(show(&format!("job-storage/runs/{run}")), shown);

    let nobody = project.teasel(&["recommend", "job.yaml", "--tenant", "tenant-2", "--user", "nobody"]);
    assert_eq!(nobody.code(), 66, "{nobody:?}");
    let no_tenant = project.teasel(&["recommend", "job.yaml", "--tenant", "x", "--user", "y"]);
    assert_eq!(no_tenant.code(), 64, "{no_tenant:?}");
    assert!(no_tenant.err.contains("tenant-1, tenant-2"), "{no_tenant:?}");
}

#[test]
fn bad_jobs_and_bad_data_are_told_with_field_file_and_row() {
    let project = small();
    project.job("bad", |spec| {
        spec["model"]["facetz"] = json!(3);
        spec["training"]["workers"] = json!(0);
        spec["training"]["device"] = json!("cuda");
    });
    let validated = project.teasel(&["validate", "bad.yaml"]);
    assert_eq!(validated.code(), 78);
    let said = format!("{}{}", validated.out, validated.err);
    for part in ["spec.model.facetz", "facets", "spec.training.workers", "spec.training.device", "line "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(project.teasel(&["run", "bad.yaml"]).code(), 78);
    assert_eq!(project.teasel(&["run", "absent.yaml"]).code(), 66);
    assert_eq!(project.teasel(&["run"]).code(), 64);

    std::fs::write(project.path("items.csv"), "item_id,title,text,categories\na,b\n").unwrap();
    let job = project.job("job", |_| {});
    let ended = project.teasel(&["run", job.to_str().unwrap()]);
    assert_eq!(ended.code(), 65, "{ended:?}");
    assert!(ended.err.contains("items.csv") && ended.err.contains("row 1"), "{ended:?}");

    let rows = "user_id,item_id,timestamp,tenant\nu,i,soon,tenant-1\n";
    std::fs::write(project.path("interactions.csv"), rows).unwrap();
    let ended = project.teasel(&["run", job.to_str().unwrap()]);
    assert_eq!(ended.code(), 65, "{ended:?}");
    for part in ["interactions.csv", "row 1", "`timestamp`", "\"soon\""] {
        assert!(ended.err.contains(part), "{part}: {ended:?}");
    }

    std::fs::remove_file(project.path("items.csv")).unwrap();
    let ended = project.teasel(&["run", job.to_str().unwrap()]);
    assert_eq!(ended.code(), 66, "{ended:?}");
    assert!(ended.err.contains("items.csv"), "{ended:?}");
    assert!(!project.path("job-lists").exists() && !project.path("job-storage/datasets").exists());
}

#[test]
fn a_tenant_without_users_is_refused_and_its_lists_stay() {
    let project = small();
    let job = |value: &'static str| {
        project.job("job", |spec| spec["scoring"]["tenants"][0]["value"] = json!(value));
    };
    job("tenant-1");
    project.run(&project.path("job.yaml"));
    let before = published(&project.path("job-lists/tenant-1"));
    let text = std::fs::read_to_string(project.path("interactions.csv")).unwrap();
    std::fs::write(project.path("interactions.csv"), text.replace(",tenant-1", ",tenant-one")).unwrap();
    let ended = project.teasel(&["run", "job.yaml"]);
    assert_eq!(ended.code(), 65, "{ended:?}");
    assert!(ended.err.contains("tenant-1 has no users"), "{ended:?}");
    assert_eq!(published(&project.path("job-lists/tenant-1")), before);
}

#[test]
fn one_failed_tenant_does_not_stop_the_others_within_the_limit() {
    let project = small();
    std::fs::write(project.path("unknown.csv"), "item\nnothing-known\n").unwrap();
    project.job("job", |spec| {
        spec["scoring"]["rollout"] = json!({"maxFailedTenants": 1});
        spec["scoring"]["tenants"][0]["catalog"] = json!({"location": {"uri": "unknown.csv"}});
    });
    let ended = project.teasel(&["run", "job.yaml"]);
    assert_eq!(ended.code(), 78, "{ended:?}");
    assert!(ended.err.contains("tenant tenant-1") && ended.err.contains("catalogue"), "{ended:?}");
    assert!(!published(&project.path("job-lists/tenant-2")).users.is_empty());
    let left: Vec<_> =
        std::fs::read_dir(project.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("score-")), "{left:?}");
}
