//! The processes below a `teasel run`, as the kernel lists them.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a process below `teasel run` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A worker of any task; of training, an agent.
    Worker,
    /// A rank of training.
    Rank,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// What it is.
    pub role: Role,
    /// Its task: the first word of its command line.
    pub task: String,
}

/// The workers below process `id`, and their ranks.
pub fn below(id: u32) -> Vec<Process> {
    let all: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, parent_of(id)?)))
        .collect();
    let children = |of: u32| all.iter().filter(move |(_, parent)| *parent == of).map(|(id, _)| *id);
    let describe = |id: u32, role: Role| Some(Process { id, role, task: task_of(id)? });
    children(id)
        .flat_map(|worker| {
            let ranks = children(worker).filter_map(|rank| describe(rank, Role::Rank));
            describe(worker, Role::Worker).into_iter().chain(ranks).collect::<Vec<_>>()
        })
        .collect()
}

/// A process may end while it is looked at.
fn parent_of(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn task_of(id: u32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let word = line.split(|byte| *byte == 0).nth(1)?;
    Some(String::from_utf8_lossy(word).into_owned())
}

/// Sends a signal; to a process that has ended since, nothing.
pub fn signal(id: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(id as i32), signal);
}

/// Waits until `condition` holds.
///
/// # Panics
/// After `deadline`, with `what`.
pub fn wait_for<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < deadline, "waited {deadline:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
