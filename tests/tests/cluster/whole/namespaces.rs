//! An operator that may act in some namespaces only.

use anyhow::ensure;
use serde_json::{Value, json};
use teasel_tests::cluster::{Namespace, OPERATOR_NAMESPACE, alone_with_real_nodes, wait_for};

use crate::place::{job_with, smallest_spec};

fn apply(namespace: &Namespace<'_>) {
    let mut spec = smallest_spec();
    spec["suspend"] = json!(true);
    let job = job_with("films", spec);
    namespace.apply(&job.to_string()).unwrap();
}

fn phase(namespace: &Namespace<'_>) -> anyhow::Result<Value> {
    Ok(namespace.json(&["get", "recjob", "films"])?["status"]["phase"].clone())
}

fn wait_until_suspended(namespace: &Namespace<'_>) {
    wait_for("the operator to act", || {
        let phase = phase(namespace)?;
        ensure!(phase == "Suspended", "{phase}");
        Ok(Some(()))
    })
    .unwrap();
}

#[test]
fn with_namespaces_named_it_acts_there_without_any_right_elsewhere() {
    let Some(cluster) = alone_with_real_nodes() else { return };
    let (inside, outside) = (cluster.namespace().unwrap(), cluster.namespace().unwrap());
    cluster.install_operator_for(&[inside.name()]).unwrap();
    apply(&outside);
    apply(&inside);
    wait_until_suspended(&inside);
    assert_eq!(phase(&outside).unwrap(), Value::Null);
    let account = format!("--as=system:serviceaccount:{OPERATOR_NAMESPACE}:teasel-operator");
    // It ends with 1 where the answer is no.
    let may = |namespace: &Namespace<'_>| {
        namespace.kubectl(&["auth", "can-i", "create", "jobs", &account]).is_ok_and(|answer| answer.trim() == "yes")
    };
    assert!(may(&inside) && !may(&outside));

    // Installed for all again, it acts there too.
    cluster.install_operator().unwrap();
    wait_until_suspended(&outside);
    assert!(may(&outside));
}
