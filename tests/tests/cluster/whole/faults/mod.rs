//! What befalls pods, nodes, storage, the API server and the operator in the middle of a job's tasks: it ends with the
//! model, bit for bit, and the lists that it ends with undisturbed, and each fault is counted for what it is.

mod case;
mod inflict;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use teasel_storage::output::{OutputEvent, OutputLog};
use teasel_storage::run_log::{Event, RunLog};
use teasel_tests::cluster::{Cluster, POD_IMAGE, alone_with_real_nodes, wait_for};

use self::case::{Case, Fault, Task};
use crate::crashes::{is_deep, seeded};
use crate::place::{Made, Place, attempts, condition};

const TENANTS: [&str; 2] = ["city", "town"];
/// All of a core, for a worker that isn't slow on purpose.
const CORE: &str = "1";
/// How many are tried unless all are.
const FEW: usize = 2;

/// How long it took from a fault until the attempt was known to have ended, until the next one trained, and until all
/// was done.
#[derive(Clone, Copy, Debug, Default)]
struct Recovery {
    begun: Option<Instant>,
    ended: Option<Duration>,
    trains: Option<Duration>,
    done: Option<Duration>,
}

struct Bench<'a> {
    cluster: &'a Cluster,
    recovery: Mutex<Recovery>,
    place: Place<'a>,
    /// What comes of jobs that aren't disturbed, by their epochs.
    undisturbed: BTreeMap<u32, Made>,
}

impl<'a> Bench<'a> {
    async fn set(cluster: &'a Cluster) -> Self {
        let place = Place::make(cluster).await;
        Bench { cluster, recovery: Mutex::default(), place, undisturbed: BTreeMap::new() }
    }

    /// Lets a job go undisturbed that is as long as one that is disturbed in this task.
    async fn let_one_go(&mut self, task: Task) {
        if self.undisturbed.contains_key(&epochs(task)) {
            return;
        }
        let data = self.copy_data(&format!("{} epochs", epochs(task))).await;
        self.begin(&data, None, CORE, task);
        if task == Task::Publish {
            self.wait_for_approval();
            self.approve();
        }
        let done = self.complete();
        assert!(done["restarts"].is_null() && done["disruptions"].is_null(), "{done}");
        let made = self.place.made(&done).await;
        self.undisturbed.insert(epochs(task), made);
        self.place.delete();
    }

    /// The interactions under another name, since what is prepared isn't prepared again.
    async fn copy_data(&self, name: &str) -> String {
        let raw = self.place.store.open("raw").unwrap();
        let copy = format!("{}.csv", name.replace(|letter: char| !letter.is_alphanumeric(), "-"));
        raw.put(&copy, raw.get("interactions.csv").await.unwrap()).await.unwrap();
        format!("raw/{copy}")
    }

    /// Starts a job with so much of a core for each worker; if possible with all its workers on one node, otherwise with
    /// its workers on two. In any case each has one thread, since the model's last bits depend on that. What is to be
    /// disturbed while it is published isn't before somebody approves.
    fn begin(&self, data: &str, node: Option<&str>, cpu: &str, task: Task) {
        // A pod on a node that is away is given up after its grace time.
        let template = json!({"spec": {"terminationGracePeriodSeconds": 20}});
        self.place.apply(|spec| {
            spec["data"]["interactions"]["location"] = self.place.store.place(data, "films");
            spec["data"]["template"] = template.clone();
            spec["training"]["epochs"] = json!(epochs(task));
            spec["training"]["earlyStopping"] = json!({"patience": epochs(task)});
            spec["training"]["checkpoint"] = json!({"interval": "1s"});
            spec["training"]["template"] = template.clone();
            let pod = &mut spec["training"]["template"]["spec"];
            match node {
                Some(node) => {
                    let term = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
                    let preferred = json!({"weight": 100, "preference": {"matchExpressions": [term]}});
                    pod["affinity"] =
                        json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}});
                }
                None => {
                    pod["topologySpreadConstraints"] = json!([{
                        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"teasel.dev/task": "train"}},
                    }]);
                }
            }
            let resources = json!({"requests": {"cpu": "50m"}, "limits": {"cpu": cpu, "memory": "512Mi"}});
            pod["containers"] = json!([{"name": "worker", "resources": resources}]);
            let tenants = TENANTS.map(|tenant| {
                json!({
                    "name": tenant,
                    "output": self.place.store.place(&format!("{tenant}/lists"), tenant),
                    "storage": self.place.store.secret(tenant),
                })
            });
            spec["scoring"]["tenants"] = json!(tenants);
            spec["scoring"]["template"] = template;
            // Short tasks wait for a moment, in which the store is silenced before they ask it for anything.
            let first = json!([{"name": "wait", "image": POD_IMAGE, "args": ["wait", "10"]}]);
            match task {
                Task::Prepare | Task::Train => {}
                Task::Evaluate => spec["training"]["template"]["spec"]["initContainers"] = first,
                Task::Score => spec["scoring"]["template"]["spec"]["initContainers"] = first,
                Task::Publish => spec["publish"] = json!({"mode": "Manual"}),
            }
        });
    }

    /// Waits until all is published.
    fn complete(&self) -> Value {
        self.wait("the job to be done", |status| {
            status["phase"] == "Succeeded"
                && condition(status, "Published").is_some_and(|published| published["status"] == "True")
        })
    }

    /// Waits until the status is so, and takes down when work goes on.
    fn wait(&self, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(what, || {
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

    fn wait_for_approval(&self) {
        self.wait("somebody to approve", |status| {
            let awaited = |condition: &Value| condition["reason"] == "AwaitingApproval";
            status["phase"] == "Succeeded" && condition(status, "Published").is_some_and(awaited)
        });
    }

    fn approve(&self) {
        self.place.patch(json!({"spec": {"publish": {"approved": true}}})).unwrap();
    }

    /// Checks that nobody wrote to the run's log who was fenced out, and that each task ended once.
    async fn check_log(&self, case: Case, status: &Value) {
        let storage = self.place.store.open("films").unwrap();
        let log = RunLog::open(&storage, status["run"].as_str().unwrap()).await.unwrap();
        let mut claimed = None;
        for (entry, number) in log.entries().iter().zip(0..) {
            match entry.term {
                None => claimed = Some(number),
                term => assert_eq!(term, claimed, "{case}: entry {number} of the log"),
            }
        }
        let ends = |is_end: fn(&Event) -> bool| log.entries().iter().filter(|entry| is_end(&entry.event)).count();
        let trained = ends(|event| matches!(event, Event::Trained { .. }));
        let evaluated = ends(|event| matches!(event, Event::Evaluated { .. }));
        assert_eq!((trained, evaluated), (1, 1), "{case}");
    }

    /// Checks that what there is beside the job is what its attempts may keep: an attempt's Job, the one before it, and what
    /// they need.
    fn check_leftovers(&self, case: Case) {
        let kinds = "jobs,services,configmaps";
        let found = self.place.namespace.json(&["get", kinds, "--selector=teasel.dev/attempt"]).unwrap();
        let found = found["items"].as_array().unwrap();
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let jobs: Vec<&Value> = found.iter().filter(|object| object["kind"] == "Job").collect();
        let names: Vec<String> = jobs.iter().map(|job| name(job)).collect();
        for object in found {
            assert!(names.contains(&name(object)), "{case}: {} {} has no Job", object["kind"], name(object));
        }
        let mut of_tasks: BTreeMap<String, usize> = BTreeMap::new();
        for job in jobs {
            let labels = &job["metadata"]["labels"];
            let task = format!("{} {}", labels["teasel.dev/task"], labels["teasel.dev/tenant"]);
            *of_tasks.entry(task).or_default() += 1;
        }
        assert!(of_tasks.values().all(|count| *count <= 2), "{case}: {of_tasks:?}");
    }

    /// Checks that each tenant's pointer was moved to the run once.
    async fn check_published_once(&self, case: Case, status: &Value) {
        let run = status["run"].as_str().unwrap();
        for tenant in TENANTS {
            let log = OutputLog::open(&self.place.store.open(&format!("{tenant}/lists")).unwrap()).await.unwrap();
            let published = log.entries().iter().filter(
                |entry| matches!(&entry.event, OutputEvent::Published { version, .. } if version.run == run),
            );
            assert_eq!(published.count(), 1, "{case}: {tenant}");
        }
    }

    /// Disturbs a job, and checks what came of it.
    async fn survives(&self, case: Case) {
        let data = self.copy_data(&case.to_string()).await;
        *self.recovery.lock().unwrap() = Recovery::default();
        let done = self.disturb(&data, case);
        if let Recovery { begun: Some(begun), done, .. } = &mut *self.recovery.lock().unwrap() {
            *done = Some(begun.elapsed());
        }
        let (made, undisturbed) = (self.place.made(&done).await, &self.undisturbed[&epochs(case.1)]);
        assert!(made.weights == undisturbed.weights, "{case}: the model's bits differ");
        assert!(made.lists == undisturbed.lists, "{case}: the lists differ");
        check_counters(case, &done);
        self.check_log(case, &done).await;
        self.check_published_once(case, &done).await;
        self.check_leftovers(case);
        self.place.delete();
        self.place.wait_until_no_pods();
    }
}

/// A training that is to be disturbed goes on for a while.
fn epochs(task: Task) -> u32 {
    if task == Task::Train { 1500 } else { 3 }
}

/// Checks that the fault was counted for what it is, and for nothing else.
fn check_counters(case: Case, status: &Value) {
    let disturbed = attempts(status, case.1.name());
    let ends: Vec<Value> = disturbed.iter().map(|attempt| json!([attempt["outcome"], attempt["reason"]])).collect();
    let counted = (status["restarts"]["failures"].as_u64(), status["disruptions"]["total"].as_u64());
    let outcome = case.outcome();
    assert!(ends.iter().any(|end| end[0] == outcome), "{case}: {ends:?}");
    match outcome {
        "Failed" => assert_eq!(counted, (Some(1), None), "{case}: {ends:?}"),
        "Succeeded" => assert_eq!(counted, (None, None), "{case}: {ends:?}"),
        _ => {
            assert_eq!(counted.0, None, "{case}: {ends:?}");
            // One more where what was taken away has met with its successor. A node with too little memory may evict
            // more than once until it has enough.
            let most = if case.0 == Fault::NodePressed { u64::MAX } else { 2 };
            assert!((Some(1)..=Some(most)).contains(&counted.1), "{case}: {ends:?}");
            assert!(status["disruptions"][case.counter()].as_u64() >= Some(1), "{case}: {status:#}");
        }
    }
    if outcome != "Succeeded" && case.1 == Task::Train {
        // Work went on from a checkpoint, and none of it was lost twice.
        assert!(disturbed.last().unwrap()["firstStep"].as_u64() > Some(0), "{case}: {status:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_befalls_workers_and_nodes_the_model_and_the_lists_are_the_same() {
    let Some(cluster) = alone_with_real_nodes() else { return };
    let cluster: &Cluster = &cluster;
    let mut bench = Bench::set(cluster).await;
    let mut random = seeded();
    let all = Case::all();
    let cases: Vec<Case> = match std::env::var("TEASEL_TEST_FAULT") {
        Ok(named) => {
            let is_named = |case: &Case| named.split(", ").any(|name| case.to_string().contains(name));
            all.into_iter().filter(is_named).collect()
        }
        Err(_) if is_deep() => all,
        Err(_) => all.sample(&mut random, FEW).copied().collect(),
    };
    assert!(!cases.is_empty(), "no fault is called so");
    for case in cases {
        println!("{case}");
        bench.let_one_go(case.1).await;
        bench.survives(case).await;
        let Recovery { ended, trains, done, .. } = *bench.recovery.lock().unwrap();
        let seconds =
            |time: Option<Duration>| time.map_or("-".into(), |time| format!("{:.0} s", time.as_secs_f64()));
        let [ended, trains, done] = [ended, trains, done].map(seconds);
        println!(
            "{case}: the attempt ended after {ended}, the next one trained after {trains}, all was done after {done}"
        );
    }
}
