//! kill -9 of any rank, any agent and the whole run, at any moment: the model in the end is bitwise that of an
//! undisturbed run.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rstest::rstest;
use serde_json::json;
use teasel_storage::testing::workspace;
use teasel_tests::processes::{Process, Role, below, signal, wait_for};
use teasel_tests::project::{Project, Running};
use teasel_tests::runs;

/// Kills of each case: 4 x 9 in all.
const KILLS: usize = 9;
/// Kills come within this time after the ranks are there, or after they claimed the run. A checkpoint is made every
/// second.
const LONGEST_DELAY: u64 = 1200;
const DEADLINE: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
enum Victim {
    Rank,
    Agent,
    WholeRun,
}

fn job(project: &Project, name: &str, (workers, processes): (u32, u32), adapts: bool) -> PathBuf {
    project.job(name, |spec| {
        if adapts {
            let encoder = workspace().unwrap().join("crates/content/tests/models/bert");
            spec["model"]["content"] = json!({"text": {
                "encoder": {"location": {"uri": encoder}},
                "tuning": {"type": "LowRank", "itemsPerStep": 4},
            }});
        }
        spec["training"] = json!({
            "workers": workers,
            "processesPerWorker": processes,
            "epochs": 120,
            "batchSize": 16,
            "earlyStopping": {"patience": 120},
            "checkpoint": {"interval": "1s"},
            "failurePolicy": {"maxFailures": 1000},
        });
    })
}

/// Waits until all ranks of an attempt are there; `None` where the run has come to its end instead.
fn ranks(running: &mut Running, world: usize) -> Option<Vec<Process>> {
    wait_for("the ranks", DEADLINE, || {
        let found = below(running.id());
        let there = found.iter().filter(|process| process.role == Role::Rank).count() == world;
        (running.has_ended() || there).then(|| there.then_some(found))
    })
}

/// How many attempts have claimed a run of this storage.
fn claims(storage: &Path) -> usize {
    runs::folders(&storage.join("runs")).iter().map(|run| runs::events(run, "claimed").len()).sum()
}

#[rstest]
#[case::two_workers(2, 1, 1, false)]
#[case::three_workers(3, 1, 2, false)]
#[case::two_workers_of_two_ranks(2, 2, 3, false)]
#[case::two_workers_that_adapt_an_encoder(2, 1, 4, true)]
fn training_survives_any_kill_bit_by_bit(
    #[case] workers: u32,
    #[case] processes: u32,
    #[case] seed: u64,
    #[case] adapts: bool,
) {
    let project = Project::generate(240, 50, 3600);
    let undisturbed = project.run(&job(&project, "undisturbed", (workers, processes), adapts));
    let expected = runs::model(&project.path("undisturbed-storage"), undisturbed["run"].as_str().unwrap());
    let file = job(&project, "killed", (workers, processes), adapts);
    let storage = project.path("killed-storage");
    let mut random = StdRng::seed_from_u64(seed);
    println!("seed {seed}");

    let start = |fresh: bool| {
        let arguments = ["run", "--json", file.to_str().unwrap(), "--fresh"];
        project.start(&arguments[..if fresh { 4 } else { 3 }], |_| {})
    };
    let finish = |running: &mut Running, kills: &[(Victim, u64)]| {
        let result = running.wait().json();
        assert_eq!(result["metrics"], undisturbed["metrics"], "after {kills:?}");
        let model = runs::model(&storage, result["run"].as_str().unwrap());
        assert!(model == expected, "the models differ after {kills:?}");
    };
    let mut running = start(false);
    let mut kills = Vec::new();
    let mut claimed = 0;
    while kills.len() < KILLS {
        let Some(found) = ranks(&mut running, (workers * processes) as usize) else {
            // A fast machine is through before all kills have come: another run takes the rest.
            finish(&mut running, &kills);
            running = start(true);
            continue;
        };
        // However long the ranks take to start, every second kill finds them at work.
        if kills.len() % 2 == 0 {
            let next = || (running.has_ended() || claims(&storage) > claimed).then_some(());
            wait_for("the claim", DEADLINE, next);
            if running.has_ended() {
                continue;
            }
        }
        let delay = random.random_range(0..LONGEST_DELAY);
        std::thread::sleep(Duration::from_millis(delay));
        let victim = [Victim::Rank, Victim::Agent, Victim::WholeRun][random.random_range(0..3)];
        let of = |role: Role| found.iter().filter(|process| process.role == role).collect::<Vec<_>>();
        let choose = |from: Vec<&Process>, at: usize| from[at % from.len()].id;
        let at = random.random_range(0..100);
        match victim {
            Victim::Rank => signal(choose(of(Role::Rank), at), Signal::SIGKILL),
            Victim::Agent => signal(choose(of(Role::Worker), at), Signal::SIGKILL),
            Victim::WholeRun => {
                signal(running.id(), Signal::SIGKILL);
                running.wait();
                running = start(false);
            }
        }
        kills.push((victim, delay));
        claimed = claims(&storage);
        // The next attempt has other processes.
        let gone = || below(running.id()).iter().all(|process| !found.contains(process)).then_some(());
        wait_for("the attempt's end", DEADLINE, gone);
    }
    finish(&mut running, &kills);
    let claims = claims(&storage);
    println!("{kills:?}, {claims} claims");
    assert!(claims > KILLS / 2, "{claims} claims: half of the kills come after one");
}
