//! How each fault is done.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teasel_tests::cluster::{Node, OPERATOR_NAMESPACE, POD_IMAGE, Release, wait_for};

use super::{Bench, CORE, Case, Fault, Recovery, Task};
use crate::place::attempts;

/// Prints, on a node, what workers of the first training there have said.
const LOG_OF_THE_FIRST: &str = "cat /var/log/pods/*films*-train-1-*/worker/*.log";
/// Lets that log outlive its pods, and what is still to come of it.
const KEEP_LOG_OF_THE_FIRST: &str =
    "mkdir -p /var/log/kept && cp --archive --link /var/log/pods/*films*-train-1-* /var/log/kept/";
/// How a worker may end that was away and is back: it lost its peer or the store, was fenced out, or asked to stop.
const ENDS_OF_WHO_WAS_AWAY: [&str; 4] = ["PeerLost", "StorageUnavailable", "FencedOut", "Stopped"];
const WORKER: &str = "teasel-worker";
/// How long storage is silent.
const SILENCE: Duration = Duration::from_secs(60);

impl<'a> Bench<'a> {
    /// The task's pods that run.
    fn running(&self, task: Task) -> Vec<Value> {
        let of_task = format!("--selector=teasel.dev/task={}", task.name());
        let pods = self.place.namespace.json(&["get", "pods", &of_task, "--field-selector=status.phase=Running"]);
        pods.unwrap()["items"].as_array().unwrap().clone()
    }

    /// The training pod of a worker.
    fn pod(&self, worker: u32) -> Value {
        let index = "batch.kubernetes.io/job-completion-index";
        let worker = worker.to_string();
        let found =
            self.running(Task::Train).into_iter().find(|pod| pod["metadata"]["annotations"][index] == *worker);
        found.unwrap_or_else(|| panic!("no pod of worker {worker}"))
    }

    fn node_of(&self, pod: &Value) -> Node<'a> {
        self.cluster.node(pod["spec"]["nodeName"].as_str().unwrap()).unwrap()
    }

    /// Sends a signal to a process of a pod that runs this program: the first one, or its only child, a rank.
    fn signal(&self, pod: &Value, program: &str, signal: &str, rank: bool) {
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        // Of two processes with the program the rank is the other's child.
        let script = r#"
            for status in $(grep -l "$1\|$(echo "$1" | tr - _)" /proc/[0-9]*/cgroup); do
              process="${status%/cgroup}"
              case "$(readlink "$process/exe")" in */"$4") ;; *) continue ;; esac
              parent="$(sed -n 's/^PPid:\t//p' "$process/status")"
              case "$(readlink "/proc/$parent/exe")" in */"$4") kind=rank ;; *) kind=agent ;; esac
              [ "$kind" = "$2" ] && kill "-$3" "${process#/proc/}" && exit 0
            done
            exit 1"#;
        let kind = if rank { "rank" } else { "agent" };
        self.node_of(pod).run(&["bash", "-c", script, "signal", uid, kind, signal, program]).unwrap();
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.place.namespace.kubectl(arguments).unwrap()
    }

    /// Does it, in the middle of the task, and waits until the job is done.
    pub(super) fn disturb(&self, data: &str, Case(fault, task): Case) -> Value {
        if fault == Fault::OperatorUpgraded {
            self.cluster.provide_release(Release::Second).unwrap();
        }
        let first = self.cluster.nodes().unwrap()[0].name().to_owned();
        let pod = match fault {
            // Slow enough to be at work still when it is given up. The next attempt isn't.
            Fault::ApiServerCutOff => self.come_to(data, Some(&first), "150m", task),
            _ => self.come_to(data, None, CORE, task),
        };
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        self.begin_to_count();
        match fault {
            Fault::AgentKilled(worker) if task == Task::Train => {
                self.signal(&self.pod(worker), WORKER, "KILL", false)
            }
            Fault::AgentKilled(_) => self.signal(&pod, WORKER, "KILL", false),
            Fault::RankKilled(worker) => self.signal(&self.pod(worker), WORKER, "KILL", true),
            Fault::Terminated(worker) => self.signal(&self.pod(worker), WORKER, "TERM", false),
            Fault::PodDeleted => drop(self.kubectl(&["delete", "pod", &name(&pod), "--wait=false"])),
            Fault::PodEvicted => self.evict(&name(&pod)),
            Fault::PodPreempted => return self.preempt(),
            Fault::NodePressed => {
                let node = self.node_of(&pod);
                node.press().unwrap();
                self.wait("an eviction", |status| status["disruptions"]["eviction"].as_u64() > Some(0));
                node.relieve().unwrap();
            }
            Fault::JobDeleted => drop(self.kubectl(&["delete", "jobs", "--selector=teasel.dev/task=train"])),
            Fault::OperatorKilled => {
                let running = "--field-selector=status.phase=Running";
                let pods = self.cluster.json(&["get", "pods", running, "--namespace", OPERATOR_NAMESPACE]).unwrap();
                let pods = pods["items"].as_array().unwrap();
                assert!(!pods.is_empty());
                for pod in pods {
                    self.signal(pod, "teasel-operator", "KILL", false);
                }
            }
            Fault::OperatorUpgraded => return self.upgrade_operator(),
            Fault::ApiServerRestarts => self.cluster.restart_api_server().unwrap(),
            Fault::StorageSilent => {
                self.place.store.silence(true).unwrap();
                std::thread::sleep(SILENCE);
            }
            Fault::NodeDies => {
                let node = self.node_of(&pod);
                node.power_off().unwrap();
                self.place.store.silence(false).unwrap();
                let done = self.complete();
                node.power_on().unwrap();
                return done;
            }
            Fault::NodeReboots => self.node_of(&pod).reboot().unwrap(),
            Fault::LinkDown => {
                let node = self.node_of(&pod);
                node.cut().unwrap();
                self.wait("another attempt to train", |status| {
                    let last = attempts(status, "train").pop().cloned().unwrap_or_default();
                    last["number"].as_u64() > Some(1) && status["workers"]["ready"] == 2
                });
                node.run(&["bash", "-c", KEEP_LOG_OF_THE_FIRST]).unwrap();
                node.heal().unwrap();
                let done = self.complete();
                node.wait_until_ready_is("True").unwrap();
                self.check_how_the_first_ended(&node, "/var/log/kept/*");
                node.run(&["rm", "-r", "/var/log/kept"]).unwrap();
                return done;
            }
            Fault::ApiServerCutOff => return self.cut_off_from_api_server(data, &pod),
        }
        self.place.store.silence(false).unwrap();
        self.complete()
    }

    /// Starts a job and waits until it is in the middle of a task, and returns a pod of that. Tasks that are short are
    /// kept waiting by the store, which is silent then.
    fn come_to(&self, data: &str, node: Option<&str>, cpu: &str, task: Task) -> Value {
        let silence = || self.place.store.silence(true).unwrap();
        if task == Task::Prepare {
            silence();
        }
        self.begin(data, node, cpu, task);
        match task {
            Task::Prepare => {}
            Task::Train => {
                self.wait("some checkpoints", |status| status["checkpoint"]["step"].as_u64() > Some(0));
                return self.pod(1);
            }
            Task::Evaluate | Task::Score => {
                // It is told before its pods are made.
                self.wait("the task's attempt", |status| !attempts(status, task.name()).is_empty());
                silence();
            }
            Task::Publish => {
                self.wait_for_approval();
                silence();
                self.approve();
            }
        }
        let pods = wait_for("a pod of the task", || Ok(self.running(task).into_iter().next()));
        pods.unwrap()
    }

    fn begin_to_count(&self) {
        *self.recovery.lock().unwrap() = Recovery { begun: Some(Instant::now()), ..Recovery::default() };
    }

    /// What runs goes on as it is, and what comes is made by the new release.
    fn upgrade_operator(&self) -> Value {
        self.cluster.upgrade_operator(Release::Second).unwrap();
        let status = self.place.status().unwrap();
        assert_eq!(status["phase"], "Training", "it was to be replaced in the middle of the training: {status:#}");
        let done = self.complete();
        let jobs = self.place.namespace.json(&["get", "jobs"]).unwrap();
        for job in jobs["items"].as_array().unwrap() {
            let task = &job["metadata"]["labels"]["teasel.dev/task"];
            let before = task == "prepare" || task == "train";
            let release = if before { Release::First } else { Release::Second };
            let image = &job["spec"]["template"]["spec"]["containers"][0]["image"];
            assert_eq!(*image, release.image("teasel-worker"), "{task}");
        }
        self.cluster.upgrade_operator(Release::First).unwrap();
        done
    }

    fn evict(&self, pod: &str) {
        let namespace = self.place.namespace.name();
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace},
        });
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction");
        self.cluster.kubectl_with(&["create", "--raw", &path, "--filename", "-"], &eviction.to_string()).unwrap();
    }

    /// A pod that outranks them takes the room of the workers on one node, for a while.
    fn preempt(&self) -> Value {
        let node = self.pod(1)["spec"]["nodeName"].as_str().unwrap().to_owned();
        let class = json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "first"}, "value": 1000,
        });
        self.cluster.apply(&class.to_string()).unwrap();
        let running = self.cluster.json(&[
            "get",
            "pods",
            "--all-namespaces",
            "--field-selector",
            &format!("spec.nodeName={node},status.phase=Running"),
        ]);
        let others = running.unwrap()["items"].as_array().unwrap().len() - 1;
        let allocatable = self.cluster.json(&["get", "node", &node]).unwrap();
        let pods: usize = allocatable["status"]["allocatable"]["pods"].as_str().unwrap().parse().unwrap();
        let mut security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        security["seccompProfile"] = json!({"type": "RuntimeDefault"});
        security["runAsNonRoot"] = json!(true);
        // Places run out before anything else does.
        let pod = |number: usize| {
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("first-{number}"), "labels": {"first": "yes"}},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": node}, "priorityClassName": "first",
                    "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "main", "image": POD_IMAGE, "args": ["pause"],
                        "securityContext": security, "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
                    }],
                },
            })
        };
        let list: Vec<Value> = (0..pods - others).map(pod).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": list});
        self.place.namespace.apply(&list.to_string()).unwrap();
        self.wait("a preemption", |status| status["disruptions"]["preemption"] == 1);
        self.kubectl(&["delete", "pods", "--selector=first=yes", "--wait=false"]);
        let done = self.complete();
        self.cluster.kubectl(&["delete", "priorityclass", "first"]).unwrap();
        done
    }

    /// Checks the last thing that workers of the first attempt said on a node that was away, and returns it.
    fn check_how_the_first_ended(&self, node: &Node<'_>, logs: &str) -> String {
        let last = format!("for log in {logs}/worker/*.log; do tail -n 1 \"$log\"; done");
        let said = node.run(&["bash", "-c", &last]).unwrap();
        assert!(!said.is_empty());
        for line in said.lines() {
            let known = ENDS_OF_WHO_WAS_AWAY.iter().any(|reason| line.contains(reason));
            assert!(known, "a worker that was away ended so: {line}");
        }
        said
    }

    /// The kubelet of a node can't reach the API server; what its pods reach stays within reach.
    fn cut_off_from_api_server(&self, data: &str, pod: &Value) -> Value {
        let node = self.node_of(pod);
        let config = self.cluster.json(&["config", "view", "--raw", "--minify"]).unwrap();
        let port =
            config["clusters"][0]["cluster"]["server"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let rule = |change: &str| {
            node.run(&["iptables", change, "OUTPUT", "--protocol", "tcp", "--dport", &port, "--jump", "DROP"])
                .unwrap();
        };
        rule("--append");
        self.begin(data, Some(node.name()), CORE, Task::Train);
        // Nobody reports its end: its log lies on the node. The workers go on there until they find themselves fenced out.
        wait_for("the old attempt to be fenced out", || {
            let log = node.run(&["bash", "-c", LOG_OF_THE_FIRST])?;
            anyhow::ensure!(log.contains("FencedOut"), "{log}");
            Ok(Some(()))
        })
        .unwrap();
        let done = self.complete();
        let said = self.check_how_the_first_ended(&node, "/var/log/pods/*films*-train-1-*");
        assert!(said.contains("FencedOut"), "{said}");
        rule("--delete");
        node.wait_until_ready_is("True").unwrap();
        done
    }
}
