//! Runs that are stopped, shut out or damaged, and go on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::json;
use teasel_tests::processes::{below, signal, wait_for};
use teasel_tests::project::{Project, Running};
use teasel_tests::runs;

const DEADLINE: Duration = Duration::from_secs(600);

/// A job that trains for some seconds with two workers and a checkpoint a second.
fn job(project: &Project, name: &str) -> PathBuf {
    project.job(name, |spec| {
        spec["training"] = json!({
            "workers": 2,
            "epochs": 150,
            "batchSize": 16,
            "earlyStopping": {"patience": 150},
            "checkpoint": {"interval": "1s"},
        });
    })
}

fn checkpoints(storage: &Path) -> usize {
    runs::folders(&storage.join("runs")).iter().map(|run| runs::events(run, "checkpoint").len()).sum()
}

fn wait_for_checkpoints(running: &mut Running, storage: &Path, count: usize) {
    wait_for("a checkpoint", DEADLINE, || {
        assert!(!running.has_ended(), "{}", running.err());
        (checkpoints(storage) >= count).then_some(())
    });
}

#[rstest]
#[case::ctrl_c(Signal::SIGINT, 130)]
#[case::sigterm(Signal::SIGTERM, 143)]
fn a_stop_makes_a_checkpoint_and_says_how_to_go_on(#[case] stop: Signal, #[case] code: i32) {
    let project = Project::generate(240, 50, 3600);
    let undisturbed = project.run(&job(&project, "undisturbed"));
    let file = job(&project, "stopped");
    let storage = project.path("stopped-storage");
    let mut running = project.start(&["run", "stopped.yaml"], |_| {});
    wait_for_checkpoints(&mut running, &storage, 1);
    signal(running.id(), stop);
    let ended = running.wait();
    assert_eq!(ended.code(), code, "{ended:?}");
    let run = runs::only_run(&storage);
    let step = runs::events(&run, "checkpoint").pop().unwrap()["step"].as_u64().unwrap();
    assert!(ended.err.contains(&format!("a checkpoint of step {step} is kept")), "{ended:?}");
    assert!(ended.err.contains("teasel run stopped.yaml"), "{ended:?}");

    let resumed = project.teasel(&["run", "--json", file.to_str().unwrap()]);
    assert!(resumed.err.contains(&format!("resuming from the checkpoint of step {step}")), "{resumed:?}");
    let resumed = resumed.json();
    assert_eq!(resumed["metrics"], undisturbed["metrics"]);
    let id = resumed["run"].as_str().unwrap();
    assert!(runs::model(&storage, id) == runs::model(&project.path("undisturbed-storage"), id));
}

#[rstest]
#[case::a_flipped_byte("model.safetensors", |bytes: &mut Vec<u8>| { let middle = bytes.len() / 2; bytes[middle] ^= 1; })]
#[case::a_cut_file("optimizer.safetensors", |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2))]
fn a_damaged_checkpoint_is_said_and_the_one_before_is_used(#[case] name: &str, #[case] damage: fn(&mut Vec<u8>)) {
    let project = Project::generate(240, 50, 3600);
    let undisturbed = project.run(&job(&project, "undisturbed"));
    job(&project, "damaged");
    let storage = project.path("damaged-storage");
    let mut running = project.start(&["run", "damaged.yaml"], |_| {});
    // The stop makes another one.
    wait_for_checkpoints(&mut running, &storage, 1);
    signal(running.id(), Signal::SIGTERM);
    running.wait();
    let run = runs::only_run(&storage);
    let steps: Vec<u64> =
        runs::events(&run, "checkpoint").iter().map(|event| event["step"].as_u64().unwrap()).collect();
    let [.., before, newest] = steps[..] else { panic!("{steps:?}") };
    let file = runs::newest_checkpoint(&run, name).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    damage(&mut bytes);
    std::fs::write(&file, bytes).unwrap();

    let resumed = project.teasel(&["run", "--json", "damaged.yaml"]);
    assert!(resumed.err.contains(&format!("the checkpoint of step {newest} can't be used")), "{resumed:?}");
    assert!(resumed.err.contains(&format!("resuming from the checkpoint of step {before}")), "{resumed:?}");
    assert_eq!(resumed.json()["metrics"], undisturbed["metrics"]);
    let id = undisturbed["run"].as_str().unwrap();
    assert!(runs::model(&storage, id) == runs::model(&project.path("undisturbed-storage"), id));
}

#[test]
fn of_two_lives_of_a_run_the_newer_wins_and_the_older_says_so() {
    let project = Project::generate(240, 50, 3600);
    let undisturbed = project.run(&job(&project, "undisturbed"));
    job(&project, "shared");
    let storage = project.path("shared-storage");
    let mut old = project.start(&["run", "shared.yaml"], |_| {});
    wait_for_checkpoints(&mut old, &storage, 1);
    let twin = project.teasel(&["run", "shared.yaml"]);
    assert_eq!(twin.code(), 75, "{twin:?}");
    assert!(twin.err.contains("already"), "{twin:?}");

    // Locks lie in the system's folder of temporary files: with another one, this is another machine.
    let stopped: Vec<u32> = below(old.id()).iter().map(|process| process.id).collect();
    stopped.iter().for_each(|id| signal(*id, Signal::SIGSTOP));
    let elsewhere = project.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let new = project.teasel_with(&["run", "--json", "shared.yaml"], |command| {
        command.env("TMPDIR", &elsewhere);
    });
    let new = new.json();
    let run = runs::only_run(&storage);
    let log = runs::log(&run);
    stopped.iter().for_each(|id| signal(*id, Signal::SIGCONT));
    let ended = old.wait();
    assert_eq!(ended.code(), 76, "{ended:?}");
    assert!(ended.err.contains("belongs to attempt"), "{ended:?}");

    assert_eq!(runs::log(&run), log, "the older life changed nothing");
    assert_eq!(new["metrics"], undisturbed["metrics"]);
    let id = undisturbed["run"].as_str().unwrap();
    assert!(runs::model(&storage, id) == runs::model(&project.path("undisturbed-storage"), id));
    assert!(project.teasel(&["run", "shared.yaml"]).good().contains("nothing to do"));
}

#[test]
fn a_full_disk_is_told_and_the_run_goes_on_when_there_is_room() {
    let project = Project::generate(240, 50, 3600);
    job(&project, "job");
    let storage = project.path("job-storage");
    std::fs::create_dir(&storage).unwrap();
    let mount = |options: &str| {
        let arguments = ["-t", "tmpfs", "-o", options, "tmpfs", storage.to_str().unwrap()];
        std::process::Command::new("mount").args(arguments).status().is_ok_and(|status| status.success())
    };
    if !mount("size=256k") {
        println!("left out: mounting a small file system needs root");
        return;
    }
    let _unmount = Unmount(&storage);
    let full = project.teasel(&["run", "job.yaml"]);
    assert_eq!(full.code(), 69, "{full:?}");
    assert!(full.err.contains("No space left on device"), "{full:?}");
    assert!(mount("remount,size=64m"));
    project.run(&project.path("job.yaml"));
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        // The temporary folder can't be removed before.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}
