//! Readers of a tenant's output see the old lists or the new ones, whole, whatever is killed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use teasel_tests::lists::{current, read};
use teasel_tests::processes::{below, signal};
use teasel_tests::project::Project;

const SEED: u64 = 5;
const KILLS: u32 = 12;

/// Reads an output again and again until told to stop: each time all users have lists of one length. Returns how often
/// it has read, and the lengths in the order in which they came.
fn watch(output: &Path, users: usize, stop: &AtomicBool, reads: &AtomicU64) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let lists = read(output, &current(output).expect("something was published before"));
        assert_eq!(lists.users.len(), users);
        let length = lists.users.values().next().unwrap().len();
        assert!(lists.users.values().all(|rows| rows.len() == length), "two settings in one set of lists");
        if lengths.last() != Some(&length) {
            lengths.push(length);
        }
        reads.fetch_add(1, Ordering::Relaxed);
    }
    lengths
}

#[test]
fn scoring_survives_kills_and_readers_never_see_a_part() {
    let project = Project::generate(4000, 300, 60_000);
    let job = |top_k: u32| {
        project.job("job", |spec| {
            spec["training"] = json!({"epochs": 1, "batchSize": 200});
            spec["scoring"]["topK"] = json!(top_k);
            spec["scoring"]["shards"] = json!(4);
        })
    };
    let first = project.run(&job(10));
    let users = first["tenants"][0]["users"].as_u64().unwrap() as usize;
    let output = project.path("job-lists/tenant-1");
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut random = StdRng::seed_from_u64(SEED);
    let lengths = std::thread::scope(|scope| {
        let reader = scope.spawn(|| watch(&output, users, &stop, &reads));
        let mut kills = 0;
        for top_k in [20, 30] {
            job(top_k);
            loop {
                let mut running = project.start(&["run", "job.yaml"], |_| {});
                std::thread::sleep(Duration::from_millis(random.random_range(100..2000)));
                if kills < KILLS * top_k / 30 && !running.has_ended() {
                    kills += 1;
                    let workers = below(running.id());
                    match workers.first() {
                        Some(worker) if random.random_bool(0.5) => signal(worker.id, Signal::SIGKILL),
                        _ => signal(running.id(), Signal::SIGKILL),
                    }
                    running.wait();
                    continue;
                }
                running.wait().good();
                break;
            }
        }
        println!("seed {SEED}: {kills} kills");
        // At least one more look at the end.
        let seen = reads.load(Ordering::Relaxed);
        while reads.load(Ordering::Relaxed) < seen + 2 && !reader.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert_eq!(lengths, [10, 20, 30], "lists change only forwards");
    assert!(reads.load(Ordering::Relaxed) > 20);
}
