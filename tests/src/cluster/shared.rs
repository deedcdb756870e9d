//! The one cluster that the tests of a binary share: it takes seconds to start, and real nodes are one cluster's.

use std::io::Write;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Cluster, GIVEN, Nodes, Options};

const REAL_NODES: usize = 2;
const FAKE_NODES: usize = 2;

/// The cluster, or why there is none: nobody needs to wait for the same failure twice. Whoever reads shares the
/// cluster; whoever writes has it alone. At the process' end it isn't dropped, but goes all the same.
static SHARED: RwLock<Option<Result<Cluster, String>>> = RwLock::new(None);

/// A share in the cluster. A test that takes a second one may wait for itself.
pub struct Shared(RwLockReadGuard<'static, Option<Result<Cluster, String>>>);

impl Deref for Shared {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0.as_ref().and_then(|started| started.as_ref().ok()).expect("a share is given out for a cluster only")
    }
}

/// The cluster, without any other test on it. If this test fails, others get a new one.
pub struct Alone(RwLockWriteGuard<'static, Option<Result<Cluster, String>>>);

impl Deref for Alone {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0.as_ref().and_then(|started| started.as_ref().ok()).expect("it is given out for a cluster only")
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0 = None;
        }
    }
}

/// No cluster: real nodes are free to be another's while this lives.
pub struct Vacant(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'static, Option<Result<Cluster, String>>>);

/// A share in the cluster, which is started if need be: with two real nodes where this process may have them, else with
/// two fake ones; or the given one.
///
/// # Panics
/// Where there is none.
pub fn shared() -> Shared {
    loop {
        let guard = SHARED.read().unwrap_or_else(PoisonError::into_inner);
        match &*guard {
            Some(Ok(_)) => return Shared(guard),
            Some(Err(reason)) => panic!("{reason}"),
            None => {
                drop(guard);
                alone();
            }
        }
    }
}

/// The same for tests that need real nodes. Where this process can't have any, says that the test is left out.
///
/// # Panics
/// Where there should be real nodes, and there are none: as root nothing is left out.
pub fn shared_with_real_nodes() -> Option<Shared> {
    real_nodes_are_possible().then(shared)
}

/// The cluster with its real nodes for one test alone, which may do to them what it likes. It must leave them well.
///
/// # Panics
/// As [`shared_with_real_nodes`].
pub fn alone_with_real_nodes() -> Option<Alone> {
    real_nodes_are_possible().then(alone)
}

/// Takes the shared cluster down, for a test that starts one of its own; where tests are to run on a given cluster, says
/// that this one is left out.
pub fn vacant() -> Option<Vacant> {
    if std::env::var_os(GIVEN).is_some() {
        leave_out("a cluster of its own");
        return None;
    }
    let mut guard = SHARED.write().unwrap_or_else(PoisonError::into_inner);
    *guard = None;
    Some(Vacant(guard))
}

fn alone() -> Alone {
    let mut guard = SHARED.write().unwrap_or_else(PoisonError::into_inner);
    let started = guard.get_or_insert_with(|| {
        let nodes =
            if nix::unistd::geteuid().is_root() { Nodes::Real(REAL_NODES) } else { Nodes::Fake(FAKE_NODES) };
        let cluster = Cluster::given().unwrap_or_else(|| Cluster::start(&Options::with(nodes)));
        cluster.map_err(|error| format!("{error:#}"))
    });
    if let Err(reason) = started {
        panic!("{reason}");
    }
    Alone(guard)
}

fn real_nodes_are_possible() -> bool {
    if std::env::var_os(GIVEN).is_some() {
        leave_out("nodes that can be switched off");
        return false;
    }
    let root = nix::unistd::geteuid().is_root();
    if !root {
        leave_out("real nodes, and so root");
    }
    root
}

/// Not by eprintln: what a test that passes prints isn't shown.
fn leave_out(needs: &str) {
    let test = std::thread::current();
    let line = format!("left out: {} needs {needs}\n", test.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}
