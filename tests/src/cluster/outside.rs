//! The operator as a process of this machine, with the rights of its ServiceAccount and no other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use teasel_storage::testing::workspace;

use super::{Cluster, OPERATOR_NAMESPACE, wait_for};
use crate::project::program;

/// Its kubeconfig for the API server, and for what stands before that.
const DIRECT: &str = "direct.kubeconfig";
const THROUGH: &str = "through.kubeconfig";
/// How much of its log a failed test shows.
const LAST_LINES: usize = 60;

/// An operator beside a cluster, for clusters without real nodes and for measuring it. Killed with this.
pub struct OutsideOperator {
    process: Child,
    /// Its configuration, kubeconfigs and log.
    folder: PathBuf,
}

impl Cluster {
    /// Installs the chart without pods of its own, and runs the operator here. `values` are the chart's.
    ///
    /// # Errors
    /// Where the chart can't be installed or the operator doesn't become ready.
    pub fn run_operator(&self, values: &serde_json::Value) -> Result<OutsideOperator> {
        self.run_operator_through(values, None)
    }

    /// The same, of which `url` is the API server, where that is named.
    ///
    /// # Errors
    /// As [`Cluster::run_operator`].
    pub fn run_operator_through(&self, values: &serde_json::Value, url: Option<&str>) -> Result<OutsideOperator> {
        let folder = self.caches.path();
        let file = folder.join("outside-values.json");
        std::fs::write(&file, values.to_string())?;
        let chart = workspace()?.join("charts/teasel").display().to_string();
        let values = file.display().to_string();
        let namespace = ["--namespace", OPERATOR_NAMESPACE, "--create-namespace", "--take-ownership"];
        let arguments = ["upgrade", "--install", "teasel", &chart, "--values", &values, "--set", "replicas=0"];
        self.helm(&[&arguments[..], &namespace].concat())?;

        let configuration = ["get", "configmap", "teasel-operator", "--output=jsonpath={.data.operator\\.yaml}"];
        let configuration = self.kubectl_for_operator(&configuration)?;
        std::fs::write(folder.join("operator.yaml"), configuration)?;
        let token = self.kubectl_for_operator(&["create", "token", "teasel-operator", "--duration=24h"])?;
        std::fs::write(folder.join(DIRECT), self.kubeconfig_with(token.trim(), None)?)?;
        std::fs::write(folder.join(THROUGH), self.kubeconfig_with(token.trim(), url)?)?;
        self.lead(folder.to_owned(), THROUGH)
    }

    /// Starts another operator after one that was killed, and doesn't let it wait for that one's lease to end.
    ///
    /// # Errors
    /// Where it doesn't become ready.
    pub fn replace_killed(&self, operator: &mut OutsideOperator) -> Result<()> {
        self.free_lease()?;
        *operator = self.lead(operator.folder.clone(), THROUGH)?;
        Ok(())
    }

    /// Starts the operator anew where it has lost its lease, as its Deployment would: a machine with too much to do may
    /// let it renew that too late.
    ///
    /// # Errors
    /// Where it has ended for another reason, or doesn't become ready.
    pub fn keep_leading(&self, operator: &mut OutsideOperator) -> Result<()> {
        let Some(ended) = operator.process.try_wait()? else { return Ok(()) };
        let log = operator.log()?;
        let mut last = log.lines().rev().take(LAST_LINES);
        anyhow::ensure!(last.any(|line| line.contains("the lease is")), "the operator ended: {ended}");
        self.replace_killed(operator)
    }

    /// Starts another operator beside one, which takes that one's lease from it and asks the API server itself.
    ///
    /// # Errors
    /// Where it doesn't become ready.
    pub fn overtake(&self, operator: &OutsideOperator) -> Result<OutsideOperator> {
        self.free_lease()?;
        self.lead(operator.folder.clone(), DIRECT)
    }

    fn lead(&self, folder: PathBuf, kubeconfig: &'static str) -> Result<OutsideOperator> {
        let operator = OutsideOperator { process: start(&folder, kubeconfig)?, folder };
        self.wait_until_it_leads(&operator)?;
        Ok(operator)
    }

    fn free_lease(&self) -> Result<()> {
        self.kubectl_for_operator(&["delete", "lease", "teasel-operator", "--ignore-not-found"]).map(drop)
    }

    /// Runs kubectl in the operator's namespace.
    fn kubectl_for_operator(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl(&[&["--namespace", OPERATOR_NAMESPACE], arguments].concat())
    }

    fn wait_until_it_leads(&self, operator: &OutsideOperator) -> Result<()> {
        let wanted = format!("teasel-operator-{}", operator.process.id());
        wait_for("the operator to hold its lease", || {
            let lease = ["get", "lease", "teasel-operator", "--output=jsonpath={.spec.holderIdentity}"];
            let holder = self.kubectl_for_operator(&lease)?;
            Ok((holder == wanted).then_some(()))
        })
    }

    /// The administrator's kubeconfig with another token instead of its certificate, and another server if one is named.
    fn kubeconfig_with(&self, token: &str, url: Option<&str>) -> Result<String> {
        let config = self.json(&["config", "view", "--raw", "--minify"])?;
        let cluster = match url {
            Some(url) => json!({"server": url}),
            None => config["clusters"][0]["cluster"].clone(),
        };
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "operator",
            "clusters": [{"name": "tested", "cluster": cluster}],
            "users": [{"name": "operator", "user": {"token": token}}],
            "contexts": [{"name": "operator", "context": {"cluster": "tested", "user": "operator"}}],
        });
        Ok(kubeconfig.to_string())
    }
}

impl OutsideOperator {
    /// Kills it at once, as `kill -9` does.
    ///
    /// # Errors
    /// Where the system doesn't let us.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// What it and those before it have logged.
    ///
    /// # Errors
    /// Where that can't be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.join("operator.log"))?)
    }

    /// Waits until it ends by itself, and returns how.
    ///
    /// # Errors
    /// Where it doesn't.
    pub fn wait_until_it_ends(&mut self) -> Result<ExitStatus> {
        wait_for("the operator to end", || Ok(self.process.try_wait()?))
    }

    /// Its processor time so far, and its peak resident memory in bytes.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn cost(&self) -> Result<(Duration, u64)> {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id()));
        let (stat, status) = (of("stat")?, of("status")?);
        // The program's name, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("no program's name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
        let peak: u64 = peak.trim().trim_end_matches("kB").trim().parse()?;
        let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("no clock")?;
        Ok((Duration::from_secs_f64(ticks as f64 / per_second as f64), peak * 1024))
    }
}

impl Drop for OutsideOperator {
    fn drop(&mut self) {
        let _ = self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("operator.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            eprintln!("--- the operator's log ends:\n{}", last.join("\n"));
        }
    }
}

fn start(folder: &Path, kubeconfig: &str) -> Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("operator.log"))?;
    Command::new(program("teasel-operator"))
        .args(["--config", &folder.join("operator.yaml").display().to_string(), "--listen", "127.0.0.1:0"])
        .env("KUBECONFIG", folder.join(kubeconfig))
        .env("POD_NAMESPACE", OPERATOR_NAMESPACE)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("the operator can't start")
}
