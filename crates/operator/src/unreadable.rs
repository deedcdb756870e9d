//! An object that can't be read: its status says so, and goes on from there once it is mended.

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};
use teasel_api::spec::{Condition, RecommenderJob};

use crate::context::Context;
use crate::job::decide::{MESSAGE_BYTES, Note};
use crate::job::restarts::cut;

/// Reason of the condition, and of the event.
const REASON: &str = "InvalidSpec";

/// An object that can't be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    object: DynamicObject,
    resource: ApiResource,
    message: String,
}

impl Unreadable {
    /// An object of a kind, and what is wrong with it.
    pub fn new(object: DynamicObject, resource: ApiResource, message: String) -> Self {
        Unreadable { object, resource, message: cut(&message, MESSAGE_BYTES) }
    }

    /// Says in the object's status and by an event what is wrong with it, unless its status says so already.
    ///
    /// # Errors
    /// Where the API server doesn't take it.
    pub async fn report(&self, context: &Context) -> Result<(), kube::Error> {
        let Some(patch) = self.patch(Timestamp::now()) else { return Ok(()) };
        let namespace = self.object.namespace().unwrap_or_default();
        let objects = Api::<DynamicObject>::namespaced_with(context.client.clone(), &namespace, &self.resource);
        objects.patch_status(&self.object.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        let note = Note { warning: true, reason: REASON.into(), message: self.message.clone() };
        context.tell(&self.object.object_ref(&self.resource), &[note]).await;
        Ok(())
    }

    /// What changes of the object. Nothing but the condition is touched: what the rest of the status says was true of
    /// what runs, and still is.
    fn patch(&self, now: Timestamp) -> Option<Value> {
        if self.object.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let is_job = self.resource.kind == RecommenderJob::kind(&());
        let kind = if is_job { "Validated" } else { "Valid" };
        let status = &self.object.data["status"];
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let place = conditions.iter().position(|condition| condition["type"] == kind);
        let before = place.and_then(|place| serde_json::from_value::<Condition>(conditions[place].clone()).ok());
        let before = before.filter(|before| before.status == "False");
        let generation = self.object.metadata.generation;
        let condition = Condition {
            kind: kind.into(),
            status: "False".into(),
            observed_generation: generation,
            last_transition_time: before.as_ref().map_or(now, |before| before.last_transition_time),
            reason: REASON.into(),
            message: self.message.clone(),
        };
        if before.as_ref() == Some(&condition) {
            return None;
        }
        let condition = serde_json::to_value(condition).ok()?;
        match place {
            Some(place) => conditions[place] = condition,
            None => conditions.push(condition),
        }
        let mut changed = json!({"observedGeneration": generation, "conditions": conditions});
        if is_job {
            changed["reason"] = REASON.into();
            if status["phase"].is_null() {
                changed["phase"] = "Pending".into();
            }
        }
        // A merge replaces the list of conditions, so it must be the one that was read.
        Some(json!({"metadata": {"resourceVersion": self.object.metadata.resource_version}, "status": changed}))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use teasel_api::spec::ScheduledRecommenderJob;

    use super::*;

    fn unreadable(status: &Value) -> Unreadable {
        let object = json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
            "metadata": {"name": "films", "namespace": "media", "generation": 3, "resourceVersion": "7"},
            "spec": {"training": {"epochs": "many"}}, "status": status
        });
        let resource = ApiResource::erase::<RecommenderJob>(&());
        Unreadable::new(serde_json::from_value(object).unwrap(), resource, "spec.training.epochs: is odd".into())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn an_unreadable_job_says_so_in_its_status() {
        insta::assert_json_snapshot!(unreadable(&Value::Null).patch(at(0)), @r#"
        {
          "metadata": {
            "resourceVersion": "7"
          },
          "status": {
            "observedGeneration": 3,
            "conditions": [
              {
                "type": "Validated",
                "status": "False",
                "observedGeneration": 3,
                "lastTransitionTime": "1970-01-01T00:00:00Z",
                "reason": "InvalidSpec",
                "message": "spec.training.epochs: is odd"
              }
            ],
            "reason": "InvalidSpec",
            "phase": "Pending"
          }
        }
        "#);
    }

    #[test]
    fn it_says_so_once() {
        let patch = unreadable(&Value::Null).patch(at(0)).unwrap();
        assert_eq!(unreadable(&patch["status"]).patch(at(9)), None);
    }

    #[test]
    fn what_else_its_status_says_stays() {
        let status = json!({
            "phase": "Training",
            "conditions": [{"type": "Prepared", "odd": 1}, {"type": "Validated", "status": "True", "reason": "Valid"}]
        });
        let patch = unreadable(&status).patch(at(9)).unwrap();
        assert_eq!(patch["status"]["phase"], Value::Null);
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        assert_eq!((conditions.len(), &conditions[0]), (2, &json!({"type": "Prepared", "odd": 1})));
        assert_eq!(conditions[1]["lastTransitionTime"], "1970-01-01T00:00:09Z");
    }

    #[test]
    fn one_that_is_being_deleted_is_left() {
        let mut unreadable = unreadable(&Value::Null);
        unreadable.object.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
        assert_eq!(unreadable.patch(at(9)), None);
    }

    #[test]
    fn a_schedule_says_so_in_its_own_condition() {
        let mut unreadable = unreadable(&Value::Null);
        unreadable.resource = ApiResource::erase::<ScheduledRecommenderJob>(&());
        let patch = unreadable.patch(at(0)).unwrap();
        assert_eq!(patch["status"]["conditions"][0]["type"], "Valid");
        assert_eq!((&patch["status"]["phase"], &patch["status"]["reason"]), (&Value::Null, &Value::Null));
    }
}
