//! Real nodes, and what befalls them.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::command::script;
use super::{Cluster, Nodes, wait_for};

/// A real node of a cluster that was started.
pub struct Node<'a> {
    cluster: &'a Cluster,
    directory: String,
    name: String,
}

impl Cluster {
    /// The real nodes.
    ///
    /// # Errors
    /// Where there are none that were started.
    pub fn nodes(&self) -> Result<Vec<Node<'_>>> {
        let (Nodes::Real(count), Some(directory)) = (self.nodes, self.directory()) else {
            bail!("this cluster has no real nodes that were started");
        };
        let directory = directory.display().to_string();
        let node = |number| Node { cluster: self, directory: directory.clone(), name: format!("node{number}") };
        Ok((1..=count).map(node).collect())
    }

    /// The real node of this name, as a pod's `nodeName` says it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn node(&self, name: &str) -> Result<Node<'_>> {
        let found = self.nodes()?.into_iter().find(|node| node.name == name);
        found.with_context(|| format!("there is no node {name}"))
    }

    /// Adds the images of an archive to all real nodes.
    ///
    /// # Errors
    /// Where it can't be read, or there are no real nodes.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let archive = archive.display().to_string();
        let nodes = self.nodes()?;
        std::thread::scope(|scope| {
            let import = |node: &Node<'_>| node.act("import", &[&archive]).map(drop);
            let imports: Vec<_> = nodes.iter().map(|node| scope.spawn(move || import(node))).collect();
            imports.into_iter().try_for_each(|import| import.join().expect("an import doesn't panic"))
        })
    }
}

impl Node<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn act(&self, action: &str, arguments: &[&str]) -> Result<String> {
        script("tests/cluster/node", &[&[&self.directory, &self.name, action], arguments].concat())
    }

    /// Ends the node at once, with all its containers.
    ///
    /// # Errors
    /// Where it doesn't end.
    pub fn power_off(&self) -> Result<()> {
        self.act("power-off", &[]).map(drop)
    }

    /// Boots it after [`Node::power_off`], and waits until it is ready.
    ///
    /// # Errors
    /// Where it doesn't become ready.
    pub fn power_on(&self) -> Result<()> {
        self.act("power-on", &[]).map(drop)
    }

    /// Boots it anew, without a warning to what runs on it.
    ///
    /// # Errors
    /// Where it doesn't become ready.
    pub fn reboot(&self) -> Result<()> {
        self.power_off()?;
        self.power_on()
    }

    /// Cuts it off from the others, the control plane and this machine. What runs on it runs on.
    ///
    /// # Errors
    /// Where there is no such link.
    pub fn cut(&self) -> Result<()> {
        self.act("cut", &[]).map(drop)
    }

    /// Connects it again.
    ///
    /// # Errors
    /// Where there is no such link.
    pub fn heal(&self) -> Result<()> {
        self.act("heal", &[]).map(drop)
    }

    /// Lets its kubelet find that it has too little memory, and evict one pod after another until [`Node::relieve`].
    ///
    /// # Errors
    /// Where the kubelet doesn't run.
    pub fn press(&self) -> Result<()> {
        self.act("pressure", &[]).map(drop)
    }

    /// Lets its kubelet find that it has memory enough.
    ///
    /// # Errors
    /// Where the kubelet doesn't run.
    pub fn relieve(&self) -> Result<()> {
        self.act("relief", &[]).map(drop)
    }

    /// Runs a command in the node, as its root, and returns what it prints.
    ///
    /// # Errors
    /// Where it fails, with what it says on standard error.
    pub fn run(&self, command: &[&str]) -> Result<String> {
        self.act("run", command)
    }

    /// The status of its condition `Ready`: `True`, `False`, or `Unknown` when it is silent.
    ///
    /// # Errors
    /// Where the API server has no such node.
    fn ready(&self) -> Result<String> {
        let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        self.cluster.kubectl(&["get", "node", &self.name, "--output", path])
    }

    /// Waits until its condition `Ready` has this status.
    ///
    /// # Errors
    /// Where it doesn't come to have it.
    pub fn wait_until_ready_is(&self, status: &str) -> Result<()> {
        let description = format!("{} to have Ready={status}", self.name);
        wait_for(&description, || Ok((self.ready()? == status).then_some(())))
    }
}
