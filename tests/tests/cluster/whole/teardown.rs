//! A cluster goes with whoever started it, however that ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use teasel_tests::cluster::{Cluster, Nodes, Options, vacant, wait_for};

/// The tests need not wait for a second node.
fn nodes() -> Nodes {
    if geteuid().is_root() { Nodes::Real(1) } else { Nodes::Fake(1) }
}

/// Stands in for a test that is killed: starts a cluster, says where it is, and then nothing more.
#[test]
#[ignore = "the other tests run it"]
fn starts_a_cluster_and_waits() {
    let cluster = Cluster::start(&Options::with(nodes())).unwrap();
    println!("\nstarted {} {}", cluster.supervisor().unwrap(), cluster.directory().unwrap().display());
    loop {
        std::thread::park();
    }
}

/// A process that has a cluster.
struct Starter {
    process: Child,
    supervisor: Pid,
    directory: PathBuf,
}

impl Starter {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "whole::teardown::starts_a_cluster_and_waits", "--ignored", "--nocapture"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line =
            lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("started "))).unwrap().unwrap();
        let [_, supervisor, directory] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let supervisor = Pid::from_raw(supervisor.parse().unwrap());
        Starter { process, supervisor, directory: directory.into() }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What there is of a cluster on the machine.
fn left_of(directory: &Path) -> Vec<String> {
    let mut left: Vec<String> = directory.exists().then(|| directory.display().to_string()).into_iter().collect();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let at = std::fs::read_link(process.path().join("cwd")).unwrap_or_default();
        if at.starts_with(directory) {
            let command = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
            left.push(command.replace('\0', " "));
        }
    }
    if geteuid().is_root() {
        let groups = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|root| root.path());
        for folder in groups.chain(["/run/netns".into(), "/sys/class/net".into()]) {
            let names = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let ours = names.filter(|path| path.file_name().is_some_and(|name| is_ours(&name.to_string_lossy())));
            left.extend(ours.map(|path| path.display().to_string()));
        }
    }
    left
}

fn is_ours(name: &str) -> bool {
    name == "teasel0" || name == "teasel-switch" || name.starts_with("teasel-node")
}

#[test]
fn a_killed_test_leaves_nothing() {
    let Some(_vacant) = vacant() else { return };
    let starter = Starter::start();
    let directory = starter.directory.clone();
    let there = left_of(&directory);
    assert!(there.iter().any(|what| what.contains("kube-apiserver")), "{there:?}");
    assert!(!geteuid().is_root() || there.contains(&"/run/netns/teasel-node1".to_owned()), "{there:?}");
    starter.kill();
    wait_for("the cluster to go", || Ok(left_of(&directory).is_empty().then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {:?}", left_of(&directory)));
}

#[test]
fn what_a_killed_supervisor_leaves_goes_at_the_next_start() {
    let Some(_vacant) = vacant() else { return };
    let starter = Starter::start();
    let directory = starter.directory.clone();
    kill(starter.supervisor, Signal::SIGKILL).unwrap();
    starter.kill();
    let programs =
        || left_of(&directory).into_iter().filter(|what| what.contains("--kubeconfig")).collect::<Vec<_>>();
    wait_for("the programs to end", || Ok(programs().is_empty().then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {:?}", programs()));
    assert!(left_of(&directory).contains(&directory.display().to_string()), "nobody could remove the files yet");
    drop(Cluster::start(&Options::with(nodes())).unwrap());
    assert_eq!(left_of(&directory), Vec::<String>::new());
}

#[test]
fn a_cluster_that_starts_leaves_others_alone() {
    let first = Cluster::start(&Options::with(Nodes::None)).unwrap();
    let second = Cluster::start(&Options::with(Nodes::None)).unwrap();
    for cluster in [&first, &second] {
        cluster.kubectl(&["get", "namespaces"]).unwrap();
    }
    assert_ne!(first.directory(), second.directory());
}
