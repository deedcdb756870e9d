//! What a run shows: its report in a browser, its learning curves in TensorBoard, the reasons in its lists, and what
//! measures it again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};
use teasel_tests::browser::{Screen, Shown, show};
use teasel_tests::cluster::script;
use teasel_tests::lists::published;
use teasel_tests::project::Project;

/// A finished run that shows all there is.
struct Finished {
    project: Project,
    result: Value,
}

/// Everything below looks at the same run.
static FINISHED: LazyLock<Finished> = LazyLock::new(|| {
    let project = Project::generate(600, 80, 12_000);
    let job = project.job("job", |spec| {
        spec["data"]["items"]["columns"]["facet"] = json!("facet");
        spec["training"] = json!({"epochs": 6, "batchSize": 50, "workers": 2});
        spec["scoring"]["explanations"] = json!(true);
        spec["scoring"]["tenants"][0]["report"] = json!({"people": 2});
        spec["scoring"]["tenants"][1]["explanations"] = json!(false);
    });
    let result = project.run(&job);
    Finished { project, result }
});

impl Finished {
    fn run(&self) -> &str {
        self.result["run"].as_str().unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.project.path(&format!("job-storage/runs/{}", self.run()))
    }

    /// A file of the report.
    fn report(&self, name: &str) -> PathBuf {
        let folders: Vec<_> = std::fs::read_dir(self.folder().join("report")).unwrap().flatten().collect();
        assert_eq!(folders.len(), 1);
        folders[0].path().join(name)
    }
}

fn expect_readable(shown: &Shown, screen: Screen) {
    assert_eq!(shown.console, [] as [String; 0], "{screen:?}");
    assert!(shown.content_width <= u64::from(screen.width), "{} wide on {screen:?}", shown.content_width);
    for (image, colours) in shown.images.iter().zip(&shown.colours) {
        let [_, _, width, height] = *image;
        assert!(width > 200 && height > 50, "an image of {width} x {height} on {screen:?}");
        // Paper, lines, texts and marks, and what lies between them.
        assert!(*colours > 10, "an image of {colours} colours at {image:?} on {screen:?}");
    }
}

#[test]
fn a_report_can_be_read_on_a_phone_and_a_desktop_in_light_and_dark() {
    let page = std::fs::read_to_string(FINISHED.report("report.html")).unwrap();
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    // Nothing of it comes from elsewhere.
    for reference in ["http:", "https:", "//cdn", "@import", "url(", "<script"] {
        assert!(!page.contains(reference), "{reference}");
    }
    let mut inks = Vec::new();
    for screen in [Screen { width: 360, dark: true }, Screen { width: 1200, dark: false }] {
        let shown = show(&page, screen).unwrap();
        expect_readable(&shown, screen);
        assert!(shown.images.len() >= 12, "{} images", shown.images.len());
        for text in [
            "How good the lists are",
            "tenant tenant-2",
            "given 4 items",
            "prepare",
            "Against EASE",
            "Learning curves",
            "Independence",
            "Completeness",
            "Consistency",
            "Known facets",
            "Facet 2",
            "Map of the items",
            "Long tail",
            "Interactions over time",
            "evaluate",
        ] {
            assert!(shown.text.contains(text), "{text} isn't in: {}", shown.text);
        }
        inks.push(shown.ink);
    }
    assert_ne!(inks[0], inks[1], "dark has another ink");
}

/// The numbers of the page's table row that begins so.
fn row(text: &str, name: &str) -> Vec<f64> {
    let row = text.lines().find(|line| line.split('\t').next() == Some(name));
    let row = row.unwrap_or_else(|| panic!("no row {name} in {text}"));
    row.split('\t').skip(1).map(|cell| cell.trim().parse().unwrap_or(f64::NAN)).collect()
}

#[test]
fn a_report_shows_the_numbers_that_were_measured_each_in_its_place() {
    let page = std::fs::read_to_string(FINISHED.report("report.html")).unwrap();
    let text = show(&page, Screen { width: 1200, dark: false }).unwrap().text;
    let measured: Value = serde_json::from_slice(&std::fs::read(FINISHED.report("metrics.json")).unwrap()).unwrap();
    let near = |shown: f64, measured: &Value| {
        let measured = measured.as_f64().unwrap();
        assert!((shown - measured).abs() <= 0.006 * measured.abs() + 1e-9, "{shown} is shown for {measured}");
    };
    for name in ["ndcg@100", "recall@20"] {
        let shown = row(&text, name);
        near(shown[0], &measured["metrics"][name]);
        near(shown[1], &measured["baselines"]["ease"]["metrics"][name]);
        near(shown[2], &measured["baselines"]["popularity"]["metrics"][name]);
    }
    let tenant = row(&text, "tenant tenant-2");
    near(tenant[0], &measured["tenants"]["tenant-2"]["users"]);
}

#[test]
fn a_page_that_is_too_wide_or_empty_or_complains_is_seen() {
    let page = "<body><svg role=img width=500 height=100></svg><script>console.error('lost')</script>";
    let shown = show(page, Screen { width: 360, dark: false }).unwrap();
    assert!(shown.content_width >= 500 && shown.colours == [1], "{shown:?}");
    assert!(shown.console.iter().any(|line| line.contains("lost")), "{shown:?}");
}

#[test]
fn the_result_of_a_run_says_where_its_report_is() {
    let uri = FINISHED.result["report"].as_str().unwrap();
    assert_eq!(
        Path::new(uri.strip_prefix("file://").unwrap()),
        FINISHED.report("report.html").canonicalize().unwrap()
    );
}

#[test]
fn planted_facets_are_compared_with_those_of_the_model() {
    let measured: Value = serde_json::from_slice(&std::fs::read(FINISHED.report("metrics.json")).unwrap()).unwrap();
    let recovery = &measured["facets"]["conditions"]["recovery"];
    let found = recovery["agreement"]["adjustedMutualInformation"].as_f64().unwrap();
    assert_eq!(FINISHED.result["metrics"]["facets/recovery"], found);
    let people = ["completeness", "disentanglement", "r2", "chanceR2"]
        .map(|name| recovery["people"][name].as_f64().unwrap());
    assert!(people.iter().all(|value| (0.0..=1.0).contains(value)), "{recovery}");
    assert!(people[2] > people[3], "facets tell more of their own people: {recovery}");
}

#[test]
fn some_peoples_lists_are_shown_beside_the_lists_of_the_tenant_that_asks_for_it() {
    let pages = |tenant: &str| -> Vec<PathBuf> {
        let run = FINISHED.project.path(&format!("job-lists/{tenant}/runs/{}", FINISHED.run()));
        let versions = std::fs::read_dir(run).unwrap().flatten().map(|version| version.path());
        let named = versions.filter_map(|version| {
            let manifest = std::fs::read(version.join("manifest.json")).unwrap();
            let manifest: Value = serde_json::from_slice(&manifest).unwrap();
            Some(version.join(manifest["people"]["name"].as_str()?))
        });
        named.collect()
    };
    assert_eq!(pages("tenant-2"), [] as [PathBuf; 0]);
    let page = std::fs::read_to_string(&pages("tenant-1")[0]).unwrap();
    let lists = published(&FINISHED.project.path("job-lists/tenant-1"));
    let screen = Screen { width: 360, dark: false };
    let shown = show(&page, screen).unwrap();
    expect_readable(&shown, screen);
    let of_tenant = lists.users.keys().filter(|user| shown.text.contains(&format!("User {user}\n"))).count();
    assert_eq!(of_tenant, 2, "{}", shown.text);
    assert!(shown.text.contains("because of"), "{}", shown.text);
    // Nobody who may only read the storage sees people.
    let report = std::fs::read_to_string(FINISHED.report("report.html")).unwrap();
    assert!(lists.users.keys().all(|user| !report.contains(&format!(">{user}<"))));
}

#[test]
fn reasons_are_items_of_the_history_and_stand_only_where_they_are_asked_for() {
    let histories = std::fs::read_to_string(FINISHED.project.path("interactions.csv")).unwrap();
    let has = |user: &str, item: &str| histories.contains(&format!("{user},{item},"));
    let lists = published(&FINISHED.project.path("job-lists/tenant-1"));
    let measured: Value = serde_json::from_slice(&std::fs::read(FINISHED.report("metrics.json")).unwrap()).unwrap();
    let names = measured["facetNames"].as_array().unwrap();
    let (mut explained, mut shared) = (0, 0);
    for (user, rows) in &lists.users {
        for row in rows {
            let reason = row.reason.as_ref().unwrap_or_else(|| panic!("{user}: {row:?}"));
            assert!(reason.len() <= 3 && reason.iter().all(|item| has(user, item)), "{user}: {row:?}");
            assert!(!reason.contains(&row.item));
            explained += usize::from(!reason.is_empty());
            shared += usize::from(row.shared.as_ref().is_some_and(|shared| !shared.is_empty()));
            let name = row.facet.and_then(|facet| names[facet as usize].as_str()).filter(|name| !name.is_empty());
            assert_eq!(row.facet_name.as_deref(), name, "{user}: {row:?}");
        }
    }
    assert!(shared > 0, "items of one planted facet have words in common");
    assert!(explained * 10 > lists.users.len() * 5 * 9, "{explained} of {}", lists.users.len() * 5);
    let without = published(&FINISHED.project.path("job-lists/tenant-2"));
    assert!(without.users.values().flatten().all(|row| row.reason.is_none() && row.shared.is_none()));

    let user = lists.users.keys().next().unwrap();
    let said = FINISHED.project.teasel(&["recommend", "job.yaml", "--tenant", "tenant-1", "--user", user]).good();
    assert!(said.contains("because of"), "{said}");
    let user = without.users.keys().next().unwrap();
    let said = FINISHED.project.teasel(&["recommend", "job.yaml", "--tenant", "tenant-2", "--user", user]).good();
    assert!(!said.contains("because of"), "{said}");
}

/// Prints what TensorBoard's own reader finds in a folder: scalars by step, and the last histogram.
const READ_EVENTS: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
scalars = {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in events.Tags()['scalars']}
histogram = events.Histograms('facets/items')[-1]
print(json.dumps({'scalars': scalars, 'step': histogram.step, 'bucket': list(histogram.histogram_value.bucket)}))
";

fn events(folder: &Path) -> Value {
    let tensorboard = script("scripts/tensorboard", &[] as &[&str]).unwrap();
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", tensorboard).args(["-c", READ_EVENTS]).arg(folder);
    let read = command.output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

#[test]
fn tensorboard_and_json_lines_have_the_same_curves_as_the_report() {
    let measured: Value = serde_json::from_slice(&std::fs::read(FINISHED.report("metrics.json")).unwrap()).unwrap();
    let history = measured["history"].as_array().unwrap();
    assert_eq!(history.len(), 6);
    let curves = FINISHED.folder().join("curves");
    let events = events(&curves);
    let mut lines: Vec<Value> = Vec::new();
    for file in std::fs::read_dir(&curves).unwrap().flatten() {
        if file.path().extension().is_some_and(|extension| extension == "jsonl") {
            let text = std::fs::read_to_string(file.path()).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    lines.sort_by_key(|line| line["epoch"].as_u64());
    assert_eq!(lines.len(), history.len());
    for (line, epoch) in lines.iter().zip(history) {
        assert_eq!(line["epoch"], epoch["epoch"]);
        assert_eq!(line["validation/ndcg@100"], epoch["validation"]["ndcg@100"]);
        assert_eq!(line["loss/negative-log-likelihood"], epoch["negativeLogLikelihood"]);
        for tag in ["loss/total", "loss/kullback-leibler", "weight/learning-rate", "validation/ndcg@100"] {
            let step = line["epoch"].as_u64().unwrap();
            let found = events["scalars"][tag].as_array().unwrap().iter().find(|event| event[0] == step).unwrap();
            let (found, expected) = (found[1].as_f64().unwrap(), line[tag].as_f64().unwrap());
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{tag} {step}: {found} {expected}");
        }
    }
    assert_eq!(events["step"], 6);
    let items: f64 = events["bucket"].as_array().unwrap().iter().map(|count| count.as_f64().unwrap()).sum();
    assert!((items - 80.0).abs() < 1e-3, "every item is in some facet: {items}");
}

#[test]
fn a_finished_run_is_measured_again_with_noise_and_reported_again() {
    let Finished { project, result, .. } = &*FINISHED;
    let measured = project.teasel(&["evaluate", "job.yaml", "--noise", "0.5", "--seeds", "2", "--json"]).json();
    let rows = measured["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["noise"], &rows[1]["noise"]), (2, &json!(0.0), &json!(0.5)));
    let ndcg = |row: &Value| row["metrics"]["ndcg@100"].clone();
    assert_eq!(ndcg(&rows[0])["mean"]["value"], result["metrics"]["ndcg@100"], "the same as when it was evaluated");
    let difference = ndcg(&rows[1])["difference"].clone();
    let means = [&rows[1], &rows[0]].map(|row| ndcg(row)["mean"]["value"].as_f64().unwrap());
    assert!((difference["value"].as_f64().unwrap() - (means[0] - means[1])).abs() < 1e-12);
    assert!(difference["low"].as_f64() < difference["high"].as_f64());

    project.teasel(&["report", "job.yaml", "--out", "again.html"]).good();
    let again = std::fs::read_to_string(project.path("again.html")).unwrap();
    assert_eq!(again, std::fs::read_to_string(FINISHED.report("report.html")).unwrap());
}

#[test]
fn runs_are_compared_on_the_same_users_and_missing_ones_are_named() {
    let project = Project::generate(400, 60, 8_000);
    let job = |seed: u64, change: &dyn Fn(&mut Value)| {
        project.job("job", |spec| {
            spec["training"] = json!({"epochs": 2, "batchSize": 50, "seed": seed});
            spec["evaluation"] = json!({"baselines": false});
            change(spec);
        })
    };
    let first = project.run(&job(1, &|_| {}));
    assert!(first["metrics"]["ease/ndcg@100"].is_null(), "no baselines were asked for: {first}");
    let second = project.run(&job(2, &|_| {}));
    // Other data of the same people: not everybody whom it tests was left out by the first.
    let third = project.run(&job(1, &|spec| {
        spec["data"]["split"] =
            json!({"type": "StrongGeneralization", "strongGeneralization": {"seed": 7, "test": 0.4}});
    }));
    let name = |run: &Value| format!("job.yaml@{}", run["run"].as_str().unwrap());
    let compare =
        |one: &Value, other: &Value| project.teasel(&["compare", &name(one), &name(other), "--json"]).json();
    let same_data = compare(&first, &second);
    assert_eq!(same_data["users"], same_data["testUsers"]);
    assert_eq!(same_data["rows"][1]["metrics"]["ndcg@100"]["mean"]["value"], second["metrics"]["ndcg@100"]);
    let other_data = compare(&first, &third);
    assert!(other_data["users"].as_u64() < other_data["testUsers"].as_u64(), "{other_data}");
    let table = project.teasel(&["compare", &name(&first), &name(&third)]).good();
    assert!(table.contains("difference from the first") && table.contains("all runs keep for testing"), "{table}");

    // A split by which test users train too.
    let fourth = project.run(&job(1, &|spec| spec["data"]["split"] = json!({"type": "LeaveLastOut"})));
    let trained_on = project.teasel(&["compare", &name(&first), &name(&fourth)]);
    assert_eq!(trained_on.code(), 78, "{trained_on:?}");
    assert!(
        trained_on.err.contains("data.split") && trained_on.err.contains("StrongGeneralization"),
        "{trained_on:?}"
    );

    let missing = project.teasel(&["compare", &name(&first), "job.yaml@nothing-1"]);
    assert_eq!(missing.code(), 66, "{missing:?}");
    assert!(missing.err.contains("nothing-1"), "{missing:?}");
}
