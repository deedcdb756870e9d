//! What befalls workers, nodes and storage while a job trains: it ends with the model, bit for bit, and the lists that it
//! ends with undisturbed, and each fault is counted for what it is.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Node, OPERATOR_NAMESPACE, alone_with_real_nodes, wait_for};
use teasel_tests::lists::Lists;

use crate::crashes::{is_deep, seeded};
use crate::jobs::{published, weights};
use crate::place::{Place, attempts};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A worker's agent, the pod's first process, is killed.
    AgentKilled(u32),
    /// One of a worker's ranks is killed.
    RankKilled(u32),
    /// A worker is asked to stop.
    Terminated(u32),
    PodDeleted,
    PodEvicted,
    /// A pod of a higher priority takes a worker's place.
    PodPreempted,
    JobDeleted,
    OperatorKilled,
    /// The object store takes connections, and answers nothing for most of a minute.
    StorageSilent,
    NodeDies,
    NodeReboots,
    /// A node's kubelet doesn't reach the API server, and its workers go on.
    ApiServerCutOff,
    /// Nothing reaches a node, and its workers go on; later it is back.
    LinkDown,
}

const FAULTS: [Fault; 14] = [
    Fault::AgentKilled(0),
    Fault::AgentKilled(1),
    Fault::RankKilled(1),
    Fault::Terminated(1),
    Fault::PodDeleted,
    Fault::PodEvicted,
    Fault::PodPreempted,
    Fault::JobDeleted,
    Fault::OperatorKilled,
    Fault::StorageSilent,
    Fault::NodeDies,
    Fault::NodeReboots,
    Fault::ApiServerCutOff,
    Fault::LinkDown,
];
/// All of a core, for a worker that isn't slow on purpose.
const CORE: &str = "1";
/// How many are tried unless all are.
const FEW: usize = 2;
/// Until a job that was disturbed is done: a node's death shows after 13 seconds here, pods stay there for 30 more, and
/// the attempt is given up 10 seconds after their grace time.
const DONE: Duration = Duration::from_secs(300);

/// How long it took from a fault until the attempt was known to have ended, and until the next one trained.
#[derive(Clone, Copy, Debug, Default)]
struct Recovery {
    begun: Option<Instant>,
    ended: Option<Duration>,
    trains: Option<Duration>,
}

struct Bench<'a> {
    cluster: &'a Cluster,
    recovery: Mutex<Recovery>,
    place: Place<'a>,
    weights: Vec<u8>,
    lists: Lists,
}

impl<'a> Bench<'a> {
    /// Lets a job go undisturbed.
    async fn set(cluster: &'a Cluster) -> Self {
        let place = Place::make(cluster).await;
        let mut bench =
            Bench { cluster, recovery: Mutex::default(), place, weights: Vec::new(), lists: Lists::default() };
        bench.begin(None, CORE);
        let done = bench.complete();
        assert!(done["restarts"].is_null() && done["disruptions"].is_null(), "{done}");
        (bench.weights, bench.lists) = bench.made(&done).await;
        bench.place.delete();
        bench
    }

    /// Starts a job with so much of a core for each worker; if possible with all its workers on one node, otherwise with
    /// its workers on two. In any case each has one thread, since the model's last bits depend on that.
    fn begin(&self, node: Option<&str>, cpu: &str) {
        self.place.apply(|spec| {
            spec["training"]["epochs"] = json!(1500);
            spec["training"]["earlyStopping"] = json!({"patience": 1500});
            spec["training"]["checkpoint"] = json!({"interval": "1s"});
            let mut template = match node {
                Some(node) => {
                    let term = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
                    let preferred = json!({"weight": 100, "preference": {"matchExpressions": [term]}});
                    json!({"affinity": {"nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [preferred]
                    }}})
                }
                None => json!({"topologySpreadConstraints": [{
                    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"teasel.dev/task": "train"}},
                }]}),
            };
            let resources = json!({"requests": {"cpu": "50m"}, "limits": {"cpu": cpu, "memory": "512Mi"}});
            // A pod on a node that is away is given up after its grace time.
            template["terminationGracePeriodSeconds"] = json!(20);
            template["containers"] = json!([{"name": "worker", "resources": resources}]);
            spec["training"]["template"] = json!({"spec": template});
        });
    }

    fn complete(&self) -> Value {
        self.wait("the job to be done", |status| status["phase"] == "Succeeded")
    }

    /// Waits until the status is so, and takes down when training goes on.
    fn wait(&self, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(what, DONE, || {
            let status = self.place.status()?;
            self.note(&status);
            anyhow::ensure!(ready(&status), "{status:#}");
            Ok(Some(status))
        });
        found.unwrap()
    }

    fn note(&self, status: &Value) {
        let mut recovery = self.recovery.lock().unwrap();
        let Some(begun) = recovery.begun else { return };
        let trained = attempts(status, "train");
        let next = trained.last().filter(|last| last["number"].as_u64() > Some(1));
        if next.is_some() {
            recovery.ended.get_or_insert_with(|| begun.elapsed());
        }
        let goes = next.is_some_and(|next| next["outcome"].is_null() && next["firstStep"].as_u64() > Some(0));
        if goes && status["workers"]["ready"] == 2 && status["progress"]["step"].as_u64() > Some(0) {
            recovery.trains.get_or_insert_with(|| begun.elapsed());
        }
    }

    async fn made(&self, status: &Value) -> (Vec<u8>, Lists) {
        let run = status["run"].as_str().unwrap();
        let weights = weights(&self.place.store.open("films").unwrap(), run).await;
        let lists = published(&self.place.store.open("city/lists").unwrap()).await;
        assert_eq!(lists.run, run);
        (weights, lists)
    }

    /// The training pod of a worker.
    fn pod(&self, worker: u32) -> Value {
        let pods = self.place.namespace.json(&["get", "pods", "--selector=teasel.dev/task=train"]).unwrap();
        let index = "batch.kubernetes.io/job-completion-index";
        let mut pods = pods["items"].as_array().unwrap().iter();
        let worker = worker.to_string();
        let found = pods
            .find(|pod| pod["metadata"]["annotations"][index] == *worker && pod["status"]["phase"] == "Running");
        found.unwrap_or_else(|| panic!("no pod of worker {worker}")).clone()
    }

    fn node_of(&self, pod: &Value) -> Node<'a> {
        self.cluster.node(pod["spec"]["nodeName"].as_str().unwrap()).unwrap()
    }

    /// Sends a signal to a process of a worker's pod: its agent, or the agent's only rank.
    fn signal(&self, worker: u32, signal: &str, rank: bool) {
        let pod = self.pod(worker);
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        // Of two processes with the worker's program the rank is the other's child.
        let script = r#"
            for status in $(grep -l "$1\|$(echo "$1" | tr - _)" /proc/[0-9]*/cgroup); do
              process="${status%/cgroup}"
              case "$(readlink "$process/exe")" in */teasel-worker) ;; *) continue ;; esac
              parent="$(sed -n 's/^PPid:\t//p' "$process/status")"
              case "$(readlink "/proc/$parent/exe")" in */teasel-worker) kind=rank ;; *) kind=agent ;; esac
              [ "$kind" = "$2" ] && kill "-$3" "${process#/proc/}" && exit 0
            done
            exit 1"#;
        let kind = if rank { "rank" } else { "agent" };
        self.node_of(&pod).run(&["bash", "-c", script, "signal", uid, kind, signal]).unwrap();
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.place.namespace.kubectl(arguments).unwrap()
    }

    /// Does it, in the middle of the training, and waits until the job is done.
    fn disturb(&self, fault: Fault) -> Value {
        if fault == Fault::ApiServerCutOff {
            // Slow enough to be at work still when it is given up. The next attempt isn't.
            let node = self.cluster.nodes().unwrap()[0].name().to_owned();
            self.begin(Some(&node), "150m");
        } else {
            self.begin(None, CORE);
        }
        self.place.wait("some checkpoints", |status| status["checkpoint"]["step"].as_u64() > Some(0));
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        *self.recovery.lock().unwrap() = Recovery { begun: Some(Instant::now()), ..Recovery::default() };
        match fault {
            Fault::AgentKilled(worker) => self.signal(worker, "KILL", false),
            Fault::RankKilled(worker) => self.signal(worker, "KILL", true),
            Fault::Terminated(worker) => self.signal(worker, "TERM", false),
            Fault::PodDeleted => drop(self.kubectl(&["delete", "pod", &name(&self.pod(1)), "--wait=false"])),
            Fault::PodEvicted => self.evict(&name(&self.pod(1))),
            Fault::PodPreempted => return self.preempt(),
            Fault::JobDeleted => drop(self.kubectl(&["delete", "jobs", "--selector=teasel.dev/task=train"])),
            Fault::OperatorKilled => {
                let all = ["delete", "pods", "--all", "--force", "--namespace", OPERATOR_NAMESPACE];
                self.cluster.kubectl(&all).unwrap();
            }
            Fault::StorageSilent => {
                self.place.store.silence(true).unwrap();
                std::thread::sleep(Duration::from_secs(50));
                self.place.store.silence(false).unwrap();
            }
            Fault::NodeDies => {
                let node = self.node_of(&self.pod(1));
                node.power_off().unwrap();
                let done = self.complete();
                node.power_on().unwrap();
                return done;
            }
            Fault::NodeReboots => self.node_of(&self.pod(1)).reboot().unwrap(),
            Fault::ApiServerCutOff => return self.cut_off_from_api_server(),
            Fault::LinkDown => {
                let node = self.node_of(&self.pod(1));
                node.cut().unwrap();
                self.wait("another attempt to train", |status| {
                    let last = attempts(status, "train").pop().cloned().unwrap_or_default();
                    last["number"].as_u64() > Some(1) && status["workers"]["ready"] == 2
                });
                node.heal().unwrap();
                let done = self.complete();
                node.wait_until_ready_is("True", Duration::from_secs(60)).unwrap();
                return done;
            }
        }
        self.complete()
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
                        "name": "main", "image": teasel_tests::cluster::POD_IMAGE, "args": ["pause"],
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

    /// The kubelet of a node can't reach the API server; what its pods reach stays within reach.
    fn cut_off_from_api_server(&self) -> Value {
        let node = self.node_of(&self.pod(0));
        let config = self.cluster.json(&["config", "view", "--raw", "--minify"]).unwrap();
        let port =
            config["clusters"][0]["cluster"]["server"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let rule = |change: &str| {
            node.run(&["iptables", change, "OUTPUT", "--protocol", "tcp", "--dport", &port, "--jump", "DROP"])
                .unwrap();
        };
        rule("--append");
        self.begin(Some(node.name()), CORE);
        // Nobody reports its end: its log lies on the node. The workers go on there until they find themselves fenced out.
        let log = "cat /var/log/pods/*films*-train-1-*/worker/*.log";
        wait_for("the old attempt to be fenced out", Duration::from_secs(180), || {
            let log = node.run(&["bash", "-c", log])?;
            anyhow::ensure!(log.contains("FencedOut"), "{log}");
            Ok(Some(()))
        })
        .unwrap();
        let done = self.complete();
        rule("--delete");
        node.wait_until_ready_is("True", Duration::from_secs(60)).unwrap();
        done
    }

    /// Disturbs a job, and checks what came of it.
    async fn survives(&self, fault: Fault) {
        let done = self.disturb(fault);
        let (weights, lists) = self.made(&done).await;
        assert!(weights == self.weights, "{fault:?}: the model's bits differ");
        assert!(!lists.users.is_empty() && lists.users == self.lists.users, "{fault:?}: the lists differ");
        check_counters(fault, &done);
        self.place.delete();
        self.place.wait_until_no_pods();
    }
}

/// Checks that the fault was counted for what it is, and for nothing else.
fn check_counters(fault: Fault, status: &Value) {
    let trained = attempts(status, "train");
    let first = trained.first().unwrap();
    let ends: Vec<Value> = trained.iter().map(|attempt| json!([attempt["outcome"], attempt["reason"]])).collect();
    let counted = (&status["restarts"]["failures"], &status["disruptions"]["total"]);
    let none = &Value::Null;
    let one = &json!(1);
    match fault {
        Fault::AgentKilled(_) | Fault::RankKilled(_) => assert_eq!(counted, (one, none), "{fault:?}: {ends:?}"),
        Fault::OperatorKilled | Fault::StorageSilent => assert_eq!(counted, (none, none), "{fault:?}: {ends:?}"),
        _ => {
            assert_eq!(counted.0, none, "{fault:?}: {ends:?}");
            assert!(counted.1.as_u64() >= Some(1), "{fault:?}: {ends:?}");
        }
    }
    let outcome = match fault {
        Fault::OperatorKilled | Fault::StorageSilent => "Succeeded",
        Fault::AgentKilled(_) | Fault::RankKilled(_) => "Failed",
        _ => "Disrupted",
    };
    assert_eq!(first["outcome"], outcome, "{fault:?}: {ends:?}");
    let kind = match fault {
        Fault::PodEvicted => "eviction",
        Fault::PodPreempted => "preemption",
        Fault::ApiServerCutOff => "nodeFailure",
        _ => "total",
    };
    if outcome == "Disrupted" {
        assert!(status["disruptions"][kind].as_u64() >= Some(1), "{fault:?}: {status:#}");
        // Work went on from a checkpoint, and none of it was lost twice.
        assert!(trained.last().unwrap()["firstStep"].as_u64() > Some(0), "{fault:?}: {status:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_befalls_workers_and_nodes_the_model_and_the_lists_are_the_same() {
    let Some(cluster) = alone_with_real_nodes() else { return };
    let cluster: &Cluster = &cluster;
    let bench = Bench::set(cluster).await;
    let mut random = seeded();
    let named = std::env::var("TEASEL_TEST_FAULT").ok();
    let faults: Vec<Fault> = match named {
        Some(named) => FAULTS.iter().filter(|fault| format!("{fault:?}") == named).copied().collect(),
        None if is_deep() => FAULTS.to_vec(),
        None => FAULTS.sample(&mut random, FEW).copied().collect(),
    };
    for fault in faults {
        println!("{fault:?}");
        bench.survives(fault).await;
        let Recovery { ended, trains, .. } = *bench.recovery.lock().unwrap();
        let seconds =
            |time: Option<Duration>| time.map_or("-".into(), |time| format!("{:.0} s", time.as_secs_f64()));
        println!(
            "{fault:?}: the attempt ended after {}, the next one trained after {}",
            seconds(ended),
            seconds(trains)
        );
    }
}
