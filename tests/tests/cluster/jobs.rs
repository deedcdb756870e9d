//! A whole job, from `kubectl apply` to recommendations that are those of one machine.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use teasel_storage::Store;
use teasel_storage::output::current;
use teasel_storage::testing::workspace;
use teasel_tests::cluster::{ObjectStore, shared_with_real_nodes};
use teasel_tests::lists::{self, Lists};
use teasel_tests::project::Project;
use teasel_tests::runs;

const TENANTS: [&str; 2] = ["campus", "city"];

/// The lists that an output points to, read by whoever may read it.
pub(crate) async fn published(output: &Store) -> Lists {
    let folder = tempfile::tempdir().unwrap();
    let pointer = current(output).await.unwrap().expect("something is published");
    for file in &pointer.files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, output.get(file).await.unwrap()).unwrap();
    }
    lists::read(folder.path(), &serde_json::to_value(&pointer).unwrap())
}

/// The weights of a run's model.
pub(crate) async fn weights(storage: &Store, run: &str) -> Vec<u8> {
    let manifest = storage.get(&format!("models/{run}/manifest.json")).await.unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let name = manifest["parameters"]["name"].as_str().unwrap();
    storage.get(&format!("models/{run}/{name}")).await.unwrap().to_vec()
}

/// The example's job with places in the object store, a secret for each role, and two nodes for its two workers.
fn in_the_cluster(local: &Path, store: &ObjectStore, threads: u32) -> Value {
    let text = std::fs::read_to_string(local).unwrap();
    let mut job: Value = serde_saphyr::from_str(&text).unwrap();
    let spec = &mut job["spec"];
    assert_eq!(spec["scoring"]["tenants"].as_array().unwrap().len(), TENANTS.len());
    spec["storage"] = store.place("films", "films");
    spec["data"]["interactions"]["location"] = store.place("raw/interactions.inter", "films");
    spec["data"]["items"]["location"] = store.place("raw/movies.item", "films");
    for (index, tenant) in TENANTS.iter().enumerate() {
        spec["scoring"]["tenants"][index] = json!({
            "name": tenant,
            "output": store.place(&format!("{tenant}/lists"), tenant),
            "storage": store.secret(tenant),
        });
    }
    // As many threads as `teasel run` gives each rank: the last bits depend on it.
    let resources = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": threads.to_string(), "memory": "2Gi"}});
    let apart = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"teasel.dev/task": "train"}},
    });
    let pod = json!({
        "containers": [{"name": "worker", "resources": resources}], "topologySpreadConstraints": [apart],
    });
    spec["training"]["template"] = json!({"spec": pod});
    job["metadata"] = json!({"name": "films"});
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_a_cluster_publishes_what_one_machine_does_and_tenants_see_nothing_of_each_other() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    cluster.install_operator().unwrap();
    let store = ObjectStore::start(&cluster, &TENANTS).await.unwrap();
    let example = workspace().unwrap().join("examples/movielens-100k/data");
    let raw = store.open("raw").unwrap();
    for file in ["interactions.inter", "movies.item"] {
        let bytes = std::fs::read(example.join(file)).expect("scripts/movielens-100k fetches it");
        raw.put(file, bytes.into()).await.unwrap();
    }

    // Both at once: neither hurries.
    let project = Project::empty();
    let local = project.movielens("local", 1, 1, "").unwrap();
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32 / 2).max(1);
    let namespace = cluster.namespace().unwrap();
    store.make_secrets(&namespace).unwrap();
    namespace.apply(&in_the_cluster(&local, &store, threads).to_string()).unwrap();
    let here = project.run(&local);
    namespace.kubectl(&["wait", "--for=condition=Complete", "--timeout=1200s", "recommenderjob/films"]).unwrap();

    let job = namespace.json(&["get", "recommenderjob", "films"]).unwrap();
    let status = &job["status"];
    assert_eq!((&status["phase"], &status["publishedTenants"]), (&json!("Succeeded"), &json!(2)), "{status}");
    assert_eq!(
        status["attempts"].as_array().unwrap().iter().filter(|attempt| attempt["outcome"] != "Succeeded").count(),
        0
    );
    let metrics = status["metrics"].as_array().unwrap();
    for name in ["ndcg@100", "ease/ndcg@100", "facets/independence", "cold/ndcg@100"] {
        let told = metrics.iter().find(|metric| metric["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        // Sums over people round by how many threads share them, on some processors.
        let (ours, theirs) = (told["value"].as_f64().unwrap(), here["metrics"][name].as_f64().unwrap());
        assert!((ours - theirs).abs() <= 1e-6 * theirs.abs(), "{name}: {ours} in the cluster, {theirs} here");
    }
    let run = status["run"].as_str().unwrap();
    assert_eq!(run, job["metadata"]["uid"].as_str().unwrap());

    let ours = weights(&store.open("films").unwrap(), run).await;
    let theirs = runs::model(&project.path("local-storage"), here["run"].as_str().unwrap());
    assert_eq!(ours.len(), theirs.len());
    assert!(ours == theirs, "the model's bits differ");
    for tenant in TENANTS {
        let ours = published(&store.open_as(&format!("{tenant}/lists"), tenant).unwrap()).await;
        let theirs = lists::published(&project.path(&format!("local-lists/{tenant}")));
        assert_eq!(ours.run, run);
        assert!(!ours.users.is_empty() && ours.users == theirs.users, "the lists of {tenant} differ");
    }

    what_is_measured_is_shown(&store, run).await;
    tenants_are_kept_apart(&store).await;
    pods_hold_their_own_secrets_only(&namespace.json(&["get", "pods"]).unwrap());
    wide_columns_tell_all(&namespace.kubectl(&["get", "recjob", "--output=wide"]).unwrap());

    namespace.kubectl(&["delete", "recjob", "films", "--timeout=300s"]).unwrap();
    teasel_tests::cluster::wait_for("everything to be gone", || {
        let left = namespace.kubectl(&["get", "jobs,pods,services,configmaps,networkpolicies", "--output=name"])?;
        let ours: Vec<&str> = left.lines().filter(|line| line.contains("films")).collect();
        Ok(ours.is_empty().then_some(()))
    })
    .unwrap();
}

/// The files of a run that people look at are those of one machine's run.
async fn what_is_measured_is_shown(store: &ObjectStore, run: &str) {
    let run = store.open(&format!("films/runs/{run}")).unwrap();
    let found: Vec<String> = run.list("").await.unwrap().into_iter().map(|(path, _)| path).collect();
    for (folder, name) in [
        ("report/", "/metrics.json"),
        ("report/", "/portrait.json"),
        ("report/", "/report.html"),
        ("curves/events.out.tfevents.", ""),
        ("curves/epochs.", ".jsonl"),
    ] {
        let path = found.iter().find(|path| path.starts_with(folder) && path.ends_with(name));
        let path = path.unwrap_or_else(|| panic!("no {folder}*{name} among {found:?}"));
        let bytes = run.get(path).await.unwrap();
        assert!(!bytes.is_empty(), "{path}");
        if name == "/portrait.json" {
            let portrait: Value = serde_json::from_slice(&bytes).unwrap();
            let phases = portrait["phases"].as_array().unwrap();
            let took: Vec<(&str, bool)> = phases
                .iter()
                .map(|phase| (phase["name"].as_str().unwrap(), phase["seconds"].as_f64() > Some(0.0)))
                .collect();
            assert_eq!(took, [("prepare", true), ("train", true), ("evaluate", true)]);
        }
    }
}

/// A tenant's identity reads its own users and the model; the store refuses it everything else.
async fn tenants_are_kept_apart(store: &ObjectStore) {
    let all = store.open("").unwrap().list("").await.unwrap();
    let of = |prefix: &str| {
        let found = all.iter().map(|(path, _)| path.clone()).find(|path| path.starts_with(prefix));
        found.unwrap_or_else(|| panic!("nothing lies below {prefix}"))
    };
    let campus = store.open_as("", "campus").unwrap();
    for readable in ["films/models/", "films/tenants/campus/", "campus/"] {
        campus.get(&of(readable)).await.unwrap();
    }
    for forbidden in ["films/tenants/city/", "films/datasets/", "films/runs/", "city/", "raw/"] {
        let refused = campus.get(&of(forbidden)).await.unwrap_err();
        let code = refused.exit_code();
        assert_eq!(code, teasel_api::outcome::ExitCode::PermissionDenied, "{forbidden}: {refused}");
    }
}

/// Reads every pod that the job made.
fn pods_hold_their_own_secrets_only(pods: &Value) {
    let pods = pods["items"].as_array().unwrap();
    assert!(pods.len() >= 7, "{} pods", pods.len());
    for pod in pods {
        let mut secrets = BTreeSet::new();
        let spec = &pod["spec"];
        let text = spec.to_string();
        for container in spec["containers"].as_array().unwrap() {
            for source in container["envFrom"].as_array().into_iter().flatten() {
                secrets.insert(source["secretRef"]["name"].as_str().unwrap());
            }
        }
        let own = pod["metadata"]["labels"]["teasel.dev/tenant"].as_str().unwrap_or("films");
        let expected = format!("{own}-storage");
        assert_eq!(secrets, BTreeSet::from([expected.as_str()]), "{}", pod["metadata"]["name"]);
        assert_eq!(text.matches("secret").count(), text.matches("secretRef").count(), "{text}");
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert!(!text.contains("serviceaccount/token") && !text.contains("serviceAccountToken\":{"), "{text}");
    }
}

fn wide_columns_tell_all(table: &str) {
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let expected = [
        "NAME",
        "PHASE",
        "READY",
        "EPOCH",
        "PROGRESS",
        "RESTARTS",
        "CHECKPOINT",
        "NDCG",
        "TENANTS",
        "REASON",
        "AGE",
    ];
    assert_eq!(header, expected);
    assert!(lines.next().unwrap().starts_with("films   Succeeded"), "{table}");
}
