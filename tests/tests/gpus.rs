//! Jobs that ask for GPUs, on a machine without: nothing of the path to a GPU but the GPU itself is missing here.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use rstest::rstest;
use serde_json::json;
use teasel_tests::project::{Ended, Project};
use teasel_tests::runs;

/// Runs a job with four ranks on GPUs, with `library` as the only folder that libraries are looked for in.
fn run_on_gpus(project: &Project, library: &Path) -> Ended {
    let job = project.job("job", |spec| {
        spec["training"] = json!({"device": "Cuda", "workers": 2, "processesPerWorker": 2, "epochs": 1});
    });
    project.teasel_with(&["run", job.to_str().unwrap()], |command| {
        command.env("LD_LIBRARY_PATH", library);
    })
}

/// A library by the name of libtorch's CUDA half that can be loaded and brings no device.
fn empty_cuda(folder: &Path) {
    let built = Command::new("c++")
        .args(["-shared", "-x", "c++", "/dev/null", "-o"])
        .arg(folder.join("libtorch_cuda.so"))
        .status();
    assert!(built.unwrap().success());
}

#[rstest]
#[case::an_image_without_cuda(false, "NoCuda", "needs a worker image with CUDA")]
#[case::a_node_without_gpus(true, "NoGpu", "no CUDA device is visible")]
fn training_on_gpus_without_any_ends_at_once_and_says_why(
    #[case] has_cuda: bool,
    #[case] reason: &str,
    #[case] what: &str,
) {
    let project = Project::generate(200, 60, 4000);
    let libraries = tempfile::tempdir().unwrap();
    if has_cuda {
        empty_cuda(libraries.path());
    }
    let ended = run_on_gpus(&project, libraries.path());
    assert_eq!(ended.code(), 78, "{ended:?}");
    for part in [reason, what, "docs/gpus.md"] {
        assert!(ended.err.contains(part), "{part}: {ended:?}");
    }
    assert!(!ended.err.contains("failure 1 of"), "a permanent end isn't tried again: {ended:?}");
    assert!(!project.path("job-lists").exists());

    // What was prepared stands, and training on CPUs uses it.
    let datasets = runs::folders(&project.path("job-storage/datasets"));
    let job = project.job("job", |_| {});
    project.run(&job);
    assert_eq!(runs::folders(&project.path("job-storage/datasets")), datasets);
}
