//! A real Kubernetes cluster for tests.
//!
//! [`Cluster::start`] runs `tests/cluster/cluster`, which goes when this process does, however it ends. The tests of
//! one binary share a cluster ([`shared()`]); with `TEASEL_TEST_KUBECONFIG` it is the one that this names, and nothing
//! is started.

mod client;
mod command;
mod image;
mod namespace;
mod nodes;
mod object_store;
mod operator;
mod outside;
mod proxy;
mod shared;
mod supervisor;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tempfile::TempDir;

pub use self::client::{wait_for, wait_within};
pub use self::command::script;
pub use self::image::{Image, POD_IMAGE};
pub use self::namespace::Namespace;
pub use self::nodes::Node;
pub use self::object_store::ObjectStore;
use self::operator::Installation;
pub use self::operator::{OPERATOR_NAMESPACE, Release};
pub use self::outside::OutsideOperator;
pub use self::proxy::{Fault, Proxy, Side};
pub use self::shared::{Alone, Shared, Vacant, alone_with_real_nodes, shared, shared_with_real_nodes, vacant};
use self::supervisor::Supervisor;

/// Names a cluster to test on, instead of one that is started.
pub const GIVEN: &str = "TEASEL_TEST_KUBECONFIG";

/// What pods run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Nothing: pods stay pending.
    None,
    /// So many nodes, `fake1` and so on, that only say that they run pods. A pod ends as its annotations
    /// `teasel.test/exit` and `teasel.test/message` tell it to.
    Fake(usize),
    /// So many nodes, `node1` and so on, that run pods. Needs root, and the machine for itself.
    Real(usize),
}

/// How fast silence of a node counts, in seconds: much sooner than usual, for tests that wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// How often a node tells of itself.
    pub heartbeat: u32,
    /// After how long a silent node is lost.
    pub grace: u32,
    /// How long pods stay on a lost node.
    pub toleration: u32,
}

impl Default for Timings {
    fn default() -> Self {
        Timings { heartbeat: 2, grace: 8, toleration: 5 }
    }
}

/// What cluster to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// What pods run on.
    pub nodes: Nodes,
    /// Archives of images that real nodes have from the beginning, beside [`POD_IMAGE`].
    pub images: Vec<PathBuf>,
    /// How fast silence counts.
    pub timings: Timings,
}

impl Options {
    /// A cluster with these nodes. Fake ones aren't lost, however late a machine under load lets them tell of themselves.
    pub fn with(nodes: Nodes) -> Self {
        let timings = match nodes {
            Nodes::Real(_) => Timings::default(),
            Nodes::None | Nodes::Fake(_) => Timings { heartbeat: 10, grace: 300, toleration: 300 },
        };
        Options { nodes, images: Vec::new(), timings }
    }
}

/// A cluster. One that was started goes with this.
pub struct Cluster {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    nodes: Nodes,
    provided: Mutex<HashSet<String>>,
    /// How the operator was installed.
    operator: Mutex<Option<Installation>>,
    /// Where kubectl and helm keep what they remember: the next cluster may have the same address.
    caches: TempDir,
    supervisor: Option<Supervisor>,
}

impl Cluster {
    /// Starts a cluster, after its programs are built: that takes ten minutes on the first time.
    ///
    /// # Errors
    /// Where it doesn't start; standard error says why.
    pub fn start(options: &Options) -> Result<Self> {
        let supervisor = Supervisor::start(options)?;
        Self::at(supervisor.kubeconfig(), options.nodes, Some(supervisor))
    }

    /// The cluster that [`GIVEN`] names.
    ///
    /// # Errors
    /// Where it doesn't answer.
    pub fn given() -> Option<Result<Self>> {
        let kubeconfig = std::env::var_os(GIVEN)?;
        let cluster = Self::at(kubeconfig.into(), Nodes::None, None);
        Some(cluster.and_then(|cluster| cluster.kubectl(&["version"]).map(|_| cluster)))
    }

    fn at(kubeconfig: PathBuf, nodes: Nodes, supervisor: Option<Supervisor>) -> Result<Self> {
        Ok(Cluster {
            kubeconfig,
            kubectl: PathBuf::from(script("scripts/kube", &[] as &[&str])?).join("kubectl"),
            nodes,
            provided: Mutex::default(),
            operator: Mutex::default(),
            caches: tempfile::tempdir()?,
            supervisor,
        })
    }

    /// The file by which clients reach the cluster as its administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where a cluster that was started keeps its state and its logs.
    pub fn directory(&self) -> Option<&Path> {
        self.supervisor.as_ref().map(Supervisor::directory)
    }

    /// The process whose end is the cluster's.
    pub fn supervisor(&self) -> Option<u32> {
        self.supervisor.as_ref().map(Supervisor::id)
    }

    /// The address at which pods of real nodes reach programs of this machine.
    pub fn host(&self) -> Option<&'static str> {
        matches!(self.nodes, Nodes::Real(_)).then_some("10.231.0.1")
    }

    /// Kills the API server, starts it anew, and waits until it answers.
    ///
    /// # Errors
    /// Where it isn't ours, or doesn't answer again.
    pub fn restart_api_server(&self) -> Result<()> {
        let supervisor = self.supervisor.as_ref().context("this cluster was started by somebody else")?;
        let process = supervisor.directory().join("pid/kube-apiserver");
        let before = std::fs::read_to_string(&process)?;
        supervisor.tell("restart kube-apiserver")?;
        wait_for("the API server to be another", || {
            Ok((std::fs::read_to_string(&process)? != before).then_some(()))
        })?;
        wait_for("the API server to answer", || self.kubectl(&["get", "--raw", "/readyz"]).map(Some))?;
        Ok(())
    }

    /// Makes a namespace of its own, in which the strictest pod security is enforced.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn namespace(&self) -> Result<Namespace<'_>> {
        Namespace::make(self)
    }

    /// Adds an image to all real nodes, unless it was added before.
    ///
    /// # Errors
    /// Where it can't be made, or there are no real nodes of ours.
    pub fn provide(&self, image: &Image) -> Result<()> {
        let mut provided = self.provided.lock().unwrap_or_else(PoisonError::into_inner);
        if provided.contains(&image.name) {
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("image.tar");
        image.build(&archive)?;
        self.import(&archive)?;
        provided.insert(image.name.clone());
        Ok(())
    }
}
