//! What the README tells to copy works, with a reader that knows nothing of this project.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use serde_json::json;
use teasel_storage::testing::workspace;
use teasel_tests::lists::published;
use teasel_tests::project::Project;

/// The README's block of Python.
fn python() -> String {
    let readme = std::fs::read_to_string(workspace().unwrap().join("README.md")).unwrap();
    let block = readme.split("```python\n").nth(1).expect("the README has a block of Python");
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn duckdb_reads_published_lists_by_the_readmes_lines() {
    let installed = Command::new(workspace().unwrap().join("scripts/duckdb")).output().unwrap();
    assert!(installed.status.success(), "{installed:?}");
    let project = Project::generate(200, 60, 4000);
    project.run(&project.job("job", |spec| spec["scoring"]["shards"] = json!(2)));
    let lists = published(&project.path("job-lists/tenant-1"));
    let (user, rows) = lists.users.first_key_value().unwrap();
    let example = "examples/movielens-100k/recommendations/campus/";
    let code = python();
    assert!(code.contains(example) && code.contains("'13'"), "{code}");
    let code = code.replace(example, "job-lists/tenant-1/").replace("'13'", &format!("'{user}'"));
    let ran = Command::new("python3")
        .args(["-c", &code])
        .env("PYTHONPATH", String::from_utf8_lossy(&installed.stdout).trim())
        .current_dir(project.path("."))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(rows.iter().all(|row| shown.contains(&row.item)), "{rows:?}\n{shown}");
}
