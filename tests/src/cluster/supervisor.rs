//! The process that runs a cluster.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use teasel_storage::testing::workspace;

use super::{Nodes, Options};

/// A running `tests/cluster/cluster`. It takes the cluster down when its standard input ends: when this is dropped, or
/// when this process has ended, by whatever.
pub(super) struct Supervisor {
    child: Child,
    directory: PathBuf,
}

impl Supervisor {
    pub(super) fn start(options: &Options) -> Result<Self> {
        let mut command = Command::new(workspace()?.join("tests/cluster/cluster"));
        let mut option = |name: &str, value: String| {
            command.args([name, &value]);
        };
        match options.nodes {
            Nodes::None => {}
            Nodes::Fake(nodes) => option("--fake-nodes", nodes.to_string()),
            Nodes::Real(nodes) => option("--nodes", nodes.to_string()),
        }
        options.images.iter().for_each(|archive| option("--image", archive.display().to_string()));
        option("--heartbeat", options.timings.heartbeat.to_string());
        option("--grace", options.timings.grace.to_string());
        option("--toleration", options.timings.toleration.to_string());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the cluster can't start")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("the cluster has an output")?).read_line(&mut line)?;
        let Some(kubeconfig) = line.trim_end().strip_prefix("ready ") else {
            drop(child.stdin.take());
            bail!("the cluster hasn't started: {}; standard error says why", child.wait()?);
        };
        let directory = Path::new(kubeconfig).parent().context("the cluster has a directory")?.to_owned();
        Ok(Supervisor { child, directory })
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Has the supervisor do something.
    pub(super) fn tell(&self, command: &str) -> Result<()> {
        let mut input = self.child.stdin.as_ref().context("the cluster has an input")?;
        Ok(writeln!(input, "{command}")?)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // If it can't be waited for, there is nothing to take down either.
        let _ = self.child.wait();
    }
}
