//! What people may do at any time: stop a job, and delete it.

use serde_json::{Value, json};
use teasel_tests::cluster::shared_with_real_nodes;

use crate::life::long;
use crate::place::{Place, attempts, condition};

const PHASES: [&str; 4] = ["Preparing", "Training", "Evaluating", "Scoring"];

/// Whether the job has come to a phase, or is past it: the short ones may be over before anybody looks.
fn has_come_to(status: &Value, phase: &str) -> bool {
    let place = |phase: &Value| [&PHASES[..], &["Succeeded"]].concat().iter().position(|known| phase == known);
    place(&status["phase"]) >= place(&json!(phase))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_suspended_in_every_phase_publishes_in_the_end() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    place.apply(|_| {});
    for phase in PHASES {
        place.wait(phase, |status| has_come_to(status, phase));
        place.patch(json!({"spec": {"suspend": true}})).unwrap();
        let stopped = place.wait("a stop", |status| {
            status["phase"] == "Succeeded"
                || condition(status, "Suspended").is_some_and(|suspended| suspended["reason"] == "Suspended")
        });
        if stopped["phase"] == "Suspended" {
            place.wait_until_no_pods();
            let running = stopped["attempts"].as_array().into_iter().flatten();
            assert_eq!(running.filter(|attempt| attempt["outcome"].is_null()).count(), 0, "{phase}: {stopped}");
        }
        place.patch(json!({"spec": {"suspend": null}})).unwrap();
    }
    let done = place.complete();
    assert!(done["restarts"].is_null() && done["disruptions"].is_null(), "suspensions cost nothing: {done}");
    let suspended = |attempt: &&Value| attempt["outcome"] == "Suspended";
    assert!(done["attempts"].as_array().unwrap().iter().filter(suspended).count() >= 2, "{done}");
    assert_eq!(attempts(&done, "train").last().unwrap()["outcome"], "Succeeded");
    assert_eq!(place.published_run().await.as_deref(), done["run"].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_deleted_in_any_phase_leaves_nothing_behind() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    // Before anybody has seen it.
    place.apply(|_| {});
    place.delete();
    for phase in PHASES {
        // Each job prepares anew: what is prepared isn't prepared again.
        place.apply(|spec| {
            spec["data"]["split"] = json!({"type": "LeaveLastOut"});
            spec["data"]["minimumInteractions"] =
                json!({"user": 1 + PHASES.iter().position(|known| *known == phase).unwrap()});
            if phase == "Training" {
                long(spec);
            }
        });
        place.wait(phase, |status| has_come_to(status, phase));
        place.delete();
    }
    // One that can't go on, and one that has ended badly.
    place.apply(|spec| {
        spec["data"]["template"] = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}});
    });
    place.wait("what is in the way", |status| {
        condition(status, "Prepared").is_some_and(|prepared| prepared["reason"] == "Unschedulable")
    });
    place.delete();
    place.apply(|spec| spec["data"]["interactions"]["columns"]["item"] = json!("movie"));
    place.wait("the failure", |status| status["phase"] == "Failed");
    place.delete();
}
