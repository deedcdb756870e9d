//! Where lives of jobs and schedules are lived with faults between operator and API server, and compared.
//!
//! Pods are on fake nodes and end at once; API server, Job controller and garbage collector are real.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Fault, Namespace, Nodes, Options, OutsideOperator, Proxy, Side, wait_for};

use crate::lives::Life;
use crate::scale::light_workers;

/// When nothing was written for so long, everything is done.
const QUIET: Duration = Duration::from_secs(5);

/// What disturbs a life.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disturbance {
    /// Nothing.
    None,
    /// The operator is killed on one side of a write, and another follows.
    Death(usize, Side),
    /// The operator is cut off right before a write, another takes over and does everything, and then the first one's
    /// write comes.
    LateWrite(usize),
    /// What the API server answers.
    Answers(Fault, u64),
}

pub(crate) struct Scene {
    operator: OutsideOperator,
    proxy: Proxy,
    /// Last, since the operator's log lies with it.
    cluster: Cluster,
}

/// A life that is lived.
pub(crate) struct Living<'a> {
    cluster: &'a Cluster,
    operator: &'a mut OutsideOperator,
    proxy: &'a Proxy,
    pub(crate) namespace: &'a Namespace<'a>,
    disturbance: Disturbance,
    successor: Option<OutsideOperator>,
    /// Whether the operator has died where it was to.
    died: bool,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let cluster = Cluster::start(&Options::with(Nodes::Fake(2))).unwrap();
        let proxy = Proxy::start(&cluster).await.unwrap();
        let operator = cluster.run_operator_through(&light_workers(), Some(&proxy.url())).unwrap();
        Scene { operator, proxy, cluster }
    }

    /// Lives a life undisturbed, and returns what came of it and what was written.
    pub(crate) fn live(&mut self, life: Life) -> (Value, Vec<String>) {
        let Lived { end, writes, .. } = self.run(life, Disturbance::None, None);
        (end.unwrap(), writes)
    }

    /// Lives a life with a disturbance, of which the same has to come. Says whether it came to the disturbance: no two lives
    /// write exactly as often.
    pub(crate) fn live_disturbed(&mut self, life: Life, disturbance: Disturbance, expected: &Value) -> bool {
        let Lived { end, came_to_it, .. } = self.run(life, disturbance, Some(expected));
        end.unwrap();
        came_to_it
    }

    fn run(&mut self, life: Life, disturbance: Disturbance, expected: Option<&Value>) -> Lived {
        let Scene { operator, proxy, cluster } = self;
        let namespace = cluster.namespace().unwrap();
        let (fault, seed) = match disturbance {
            Disturbance::None => (None, 0),
            Disturbance::Death(write, side) => (Some(Fault::Held(write, side)), 0),
            Disturbance::LateWrite(write) => (Some(Fault::Held(write, Side::Before)), 0),
            Disturbance::Answers(fault, seed) => (Some(fault), seed),
        };
        proxy.begin(fault, seed);
        let mut living =
            Living { cluster, operator, proxy, namespace: &namespace, disturbance, successor: None, died: false };
        life.live(&mut living);
        let mut end = living.come_to_rest(expected);
        let overtaken = living.bring_late_write();
        if overtaken && end.is_ok() {
            end = living.come_to_rest(expected);
        }
        let came_to_it = match disturbance {
            Disturbance::None | Disturbance::Answers(..) => true,
            Disturbance::Death(..) => living.died,
            Disturbance::LateWrite(_) => overtaken,
        };
        let writes = proxy.writes();
        proxy.begin(None, 0);
        let kinds = "scheduledrecommenderjobs,recommenderjobs";
        namespace.kubectl(&["delete", kinds, "--all", "--timeout=300s"]).unwrap();
        wait_for("everything to be gone", || {
            let kinds = "recommenderjobs,jobs,pods,services,networkpolicies";
            let left = namespace.kubectl(&["get", kinds, "--output=name"])?;
            ensure!(left.is_empty(), "{left}");
            Ok(Some(()))
        })
        .unwrap();
        Lived { end, writes, came_to_it }
    }
}

/// What came of a life.
struct Lived {
    end: anyhow::Result<Value>,
    /// Method and path of each write.
    writes: Vec<String>,
    /// Whether the disturbance befell it.
    came_to_it: bool,
}

impl Living<'_> {
    /// Waits until an object is as wanted, and returns it. Who has to die meanwhile does, and is followed.
    pub(crate) fn wait(&mut self, what: &str, object: &[&str], ready: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(what, || {
            self.follow()?;
            let found = self.namespace.json(&[&["get"], object].concat())?;
            ensure!(ready(&found), "{found:#}");
            Ok(Some(found))
        });
        found.unwrap()
    }

    fn follow(&mut self) -> anyhow::Result<()> {
        if !self.proxy.holds() {
            return match self.successor {
                None => self.cluster.keep_leading(self.operator),
                // It is to end when the late write has come.
                Some(_) => Ok(()),
            };
        }
        match self.disturbance {
            Disturbance::Death(..) => {
                // Nothing is answered to the one that dies; the next one is.
                self.operator.kill()?;
                self.died = true;
                self.proxy.begin(None, 0);
                self.cluster.replace_killed(self.operator)
            }
            Disturbance::LateWrite(_) if self.successor.is_none() => {
                self.successor = Some(self.cluster.overtake(self.operator)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Waits until what came of a life is as expected, or, where nothing is expected, until nothing is written any more.
    fn come_to_rest(&mut self, expected: Option<&Value>) -> anyhow::Result<Value> {
        let Some(expected) = expected else {
            let mut before = 0;
            loop {
                let writes = self.proxy.writes().len();
                if std::mem::replace(&mut before, writes) == writes {
                    return what_came_of(self.namespace);
                }
                std::thread::sleep(QUIET);
            }
        };
        wait_for("the same end", || {
            self.follow()?;
            let end = self.found()?;
            ensure!(end == *expected, "{end:#} instead of {expected:#}");
            // And it stays so: what comes twice may come a little later.
            std::thread::sleep(QUIET);
            self.follow()?;
            let end = self.found()?;
            ensure!(end == *expected, "{end:#} a moment later, instead of {expected:#}");
            Ok(Some(end))
        })
    }

    /// What came of the life. A task file or Service that came late, for an attempt that has ended, may be left as long as
    /// its job is: it does nothing, and nobody is told of it.
    fn found(&self) -> anyhow::Result<Value> {
        let mut end = what_came_of(self.namespace)?;
        if let (Disturbance::LateWrite(_), Some(objects)) = (self.disturbance, end["objects"].as_array_mut()) {
            let jobs: Vec<String> = objects
                .iter()
                .filter_map(|object| Some(object.as_str()?.strip_prefix("job.batch/")?.to_owned()))
                .collect();
            objects.retain(|object| {
                let (kind, name) = object.as_str().and_then(|object| object.split_once('/')).unwrap_or_default();
                let needed = name.contains("-frozen-") || jobs.iter().any(|job| job == name);
                !["configmap", "service"].contains(&kind) || needed || name == "kube-root-ca.crt"
            });
        }
        Ok(end)
    }

    /// Lets a write come that is late, if one is, and an operator learn that it doesn't lead.
    fn bring_late_write(&mut self) -> bool {
        let Some(mut successor) = self.successor.take() else { return false };
        self.proxy.release();
        let answered = wait_for("the late write to be answered", || {
            let answers = self.proxy.late_answers();
            Ok(Some(answers).filter(|answers| !answers.is_empty()))
        });
        println!("what came late was answered {:?}", answered.unwrap());
        let ended = self.operator.wait_until_it_ends().unwrap();
        assert!(!ended.success(), "who loses its lease has to end badly, so that it is started anew: {ended}");
        // Its lease is the successor's: it can't have got it back.
        successor.kill().unwrap();
        self.cluster.replace_killed(self.operator).unwrap();
        true
    }
}

/// Status and objects, without what differs from one life to the next.
fn what_came_of(namespace: &Namespace<'_>) -> anyhow::Result<Value> {
    let list = |kind: &str| -> anyhow::Result<Vec<Value>> {
        let objects = namespace.json(&["get", kind, "--sort-by=.metadata.name"])?;
        Ok(objects["items"].as_array().cloned().unwrap_or_default())
    };
    let of = |status: &Value, list: &str, fields: &[&str]| -> Vec<Value> {
        let elements = status[list].as_array().into_iter().flatten();
        elements.map(|element| fields.iter().map(|field| element[*field].clone()).collect()).collect()
    };
    let conditions = |status: &Value| {
        let mut found = of(status, "conditions", &["type", "status", "reason"]);
        // Whether an attempt that follows is seen at work before it is done is a matter of moments.
        for condition in found.iter_mut().filter(|found| found[0] == "Restarting" && found[1] == "False") {
            condition[2] = Value::Null;
        }
        found.sort_by_key(Value::to_string);
        found
    };
    let job = |job: &Value| {
        let status = &job["status"];
        json!({
            "name": job["metadata"]["name"],
            "phase": status["phase"],
            "attempts":
                of(status, "attempts", &["task", "tenant", "number", "outcome", "reason", "failures", "withoutProgress"]),
            "conditions": conditions(status),
            "tenants": of(status, "tenants", &["name", "phase", "outcome", "attempt"]),
            "counters": [status["restarts"], status["disruptions"], status["publishedTenants"]],
        })
    };
    let schedule = |schedule: &Value| {
        let status = &schedule["status"];
        // By the names of their jobs.
        let tick = |field: &str| {
            let tick: jiff::Timestamp = status[field].as_str()?.parse().ok()?;
            Some(format!("{}-{}", schedule["metadata"]["name"].as_str()?, tick.as_second() / 60))
        };
        json!({
            "active": status["active"],
            "conditions": conditions(status),
            "published": status["lastPublishedRun"],
            "ticks": [tick("lastScheduleTime"), tick("lastRetrainTime")],
        })
    };
    let jobs = list("recommenderjobs")?;
    let objects = namespace.kubectl(&["get", "jobs,configmaps,services,networkpolicies", "--output=name"])?;
    let end = json!({
        "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
        "schedules": list("scheduledrecommenderjobs")?.iter().map(schedule).collect::<Vec<_>>(),
        "objects": objects.lines().collect::<Vec<_>>(),
    });
    // Jobs of ticks are named by the minute.
    let mut names = BTreeMap::new();
    for (number, job) in jobs.iter().enumerate() {
        for (of, text) in [("uid", &job["metadata"]["uid"]), ("name", &job["metadata"]["name"])] {
            names.insert(text.as_str().unwrap_or_default().to_owned(), format!("{of}{number}"));
        }
        let uid = job["metadata"]["uid"].as_str().unwrap_or_default();
        names.insert(uid.get(..8).unwrap_or_default().to_owned(), format!("uid{number}"));
    }
    // The longer ones first: some contain others.
    let text = names.iter().rev().fold(end.to_string(), |text, (name, other)| text.replace(name, other));
    let mut end: Value = serde_json::from_str(&text)?;
    if let Some(objects) = end["objects"].as_array_mut() {
        objects.sort_by_key(|name| name.to_string());
    }
    Ok(end)
}
