//! What tests ask of a cluster: by kubectl and helm, as people do.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use teasel_storage::testing::workspace;

use super::Cluster;
use super::command::{good, script};
use crate::project::{Ended, program};

/// How long tests wait for what takes seconds on a machine that does nothing else, and minutes on one with too much to do.
const PATIENCE: Duration = Duration::from_secs(900);

/// Pauses between two looks at what is waited for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Cluster {
    /// Runs kubectl, and returns what it prints.
    ///
    /// # Errors
    /// Where it fails, with what it says on standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "")
    }

    /// The same, with `input` as its standard input.
    ///
    /// # Errors
    /// Where it fails, with what it says on standard error.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        self.run(&self.kubectl, arguments, input)
    }

    /// Runs `kubectl ... --output json`.
    ///
    /// # Errors
    /// Where it fails.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let out = self.kubectl(&[arguments, &["--output", "json"]].concat())?;
        serde_json::from_str(&out).with_context(|| format!("kubectl {}: {out}", arguments.join(" ")))
    }

    /// Applies manifests, in YAML or JSON, on the server's side.
    ///
    /// # Errors
    /// Where one of them is refused.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.kubectl_with(&["apply", "--server-side", "--filename", "-"], manifests)
    }

    /// Runs helm, and returns what it prints.
    ///
    /// # Errors
    /// Where it can't be installed or fails, with what it says on standard error.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.run(Path::new(&script("scripts/helm", &[] as &[&str])?), arguments, "")
    }

    /// Installs both custom resources of this project.
    ///
    /// # Errors
    /// Where one is refused or not served.
    pub fn install_resources(&self) -> Result<()> {
        let folder = workspace()?.join("crds").display().to_string();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "--filename", &folder])?;
        self.kubectl(&["wait", "--for", "condition=Established", "--timeout", "300s", "--filename", &folder])?;
        Ok(())
    }

    /// Runs `kubectl teasel` to its end, well or badly. kubectl finds the plugin by itself, as people's does.
    ///
    /// # Errors
    /// Where kubectl can't start.
    pub fn plugin(&self, arguments: &[&str]) -> Result<Ended> {
        let plugin = program("kubectl-teasel");
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = plugin.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&others));
        let mut command = self.command(&self.kubectl, &[&["teasel"], arguments].concat());
        command.env("PATH", std::env::join_paths(folders)?).stdin(Stdio::null());
        let output = command.output().context("kubectl can't start")?;
        Ok(Ended {
            status: output.status,
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        for name in ["KUBECACHEDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, self.caches.path().join(name));
        }
        command
    }

    fn run(&self, program: &Path, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = self.command(program, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{} can't start", program.display()))?;
        let mut stdin = child.stdin.take().context("the program has a standard input")?;
        let output = std::thread::scope(|scope| {
            // A program that fails needn't have read everything.
            scope.spawn(move || stdin.write_all(input.as_bytes()));
            child.wait_with_output()
        })?;
        good(program, arguments, output)
    }
}

/// Waits until `condition` holds, looking five times a second at first, and every second later.
///
/// # Errors
/// After a quarter of an hour, which is longer than anything takes that isn't wrong, with `description` and the last error of the condition.
pub fn wait_for<T>(description: &str, condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait_within(description, PATIENCE, condition)
}

/// Does as [`wait_for`] does, for something that takes longer than others.
///
/// # Errors
/// After `deadline`, with `description` and the last error of the condition.
pub fn wait_within<T>(
    description: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let failed = match condition() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() >= deadline {
            let waited = format!("waited {deadline:?} for {description}");
            return Err(failed.unwrap_or_else(|| anyhow::anyhow!("it isn't so yet")).context(waited));
        }
        // Each look is a process of kubectl, which costs more than what is waited for.
        std::thread::sleep((started.elapsed() / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
    }
}
