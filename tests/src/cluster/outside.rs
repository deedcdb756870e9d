//! The operator as a process of this machine, with the rights of its ServiceAccount and no other.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::command::root;
use super::{Cluster, OPERATOR_NAMESPACE, wait_for};
use crate::project::program;

/// An operator beside a cluster, for clusters without real nodes and for measuring it. Killed with this.
pub struct OutsideOperator {
    process: Child,
}

impl Cluster {
    /// Installs the chart without pods of its own, and runs the operator here. `values` are the chart's.
    ///
    /// # Errors
    /// Where the chart can't be installed or the operator doesn't become ready.
    pub fn run_operator(&self, values: &serde_json::Value) -> Result<OutsideOperator> {
        let folder = self.caches.path();
        let file = folder.join("outside-values.json");
        std::fs::write(&file, values.to_string())?;
        let chart = root().join("charts/teasel").display().to_string();
        let values = file.display().to_string();
        let namespace = ["--namespace", OPERATOR_NAMESPACE, "--create-namespace", "--take-ownership"];
        let arguments = ["upgrade", "--install", "teasel", &chart, "--values", &values, "--set", "replicas=0"];
        self.helm(&[&arguments[..], &namespace].concat())?;

        let of = |arguments: &[&str]| self.kubectl(&[&["--namespace", OPERATOR_NAMESPACE], arguments].concat());
        let configuration =
            of(&["get", "configmap", "teasel-operator", "--output=jsonpath={.data.operator\\.yaml}"])?;
        let configuration_file = folder.join("operator.yaml");
        std::fs::write(&configuration_file, configuration)?;
        let token = of(&["create", "token", "teasel-operator", "--duration=2h"])?;
        let kubeconfig = folder.join("operator.kubeconfig");
        std::fs::write(&kubeconfig, self.kubeconfig_with(token.trim())?)?;

        let log = File::create(folder.join("operator.log"))?;
        let address = free_address()?;
        let process = Command::new(program("teasel-operator"))
            .args(["--config", &configuration_file.display().to_string(), "--listen", &address])
            .env("KUBECONFIG", &kubeconfig)
            .env("POD_NAMESPACE", OPERATOR_NAMESPACE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("the operator can't start")?;
        let operator = OutsideOperator { process };
        wait_for("the operator to hold its lease", Duration::from_secs(30), || {
            let holder = of(&["get", "lease", "teasel-operator", "--output=jsonpath={.spec.holderIdentity}"])?;
            Ok((holder == format!("teasel-operator-{}", operator.process.id())).then_some(()))
        })?;
        Ok(operator)
    }

    /// The administrator's kubeconfig with another token instead of its certificate.
    fn kubeconfig_with(&self, token: &str) -> Result<String> {
        let config = self.json(&["config", "view", "--raw", "--minify"])?;
        let cluster = &config["clusters"][0]["cluster"];
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
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
