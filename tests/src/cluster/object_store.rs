//! An S3 server that pods and tests reach, with an identity for each role of a job.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use teasel_api::location::Location;
use teasel_storage::testing::{Identity, SeaweedFs};
use teasel_storage::{Credentials, Store};

use super::{Cluster, Namespace};

/// The server's only bucket.
const BUCKET: &str = "teasel";

/// An S3 server beside a cluster. Below the prefix `<job>` a job may do anything; its tenants read `<job>/models` and their
/// own part of `<job>/tenants`, and have `<tenant>` to themselves.
pub struct ObjectStore {
    server: SeaweedFs,
    identities: BTreeMap<String, Identity>,
}

impl ObjectStore {
    /// Starts a server that the cluster's pods reach, for a job `films` with these tenants.
    ///
    /// # Errors
    /// Where it doesn't start.
    pub async fn start(cluster: &Cluster, tenants: &[&str]) -> Result<Self> {
        let host = cluster.host().context("only pods of real nodes reach a server of this machine")?;
        let all = |verbs: &[&str], place: &str| -> Vec<String> {
            verbs.iter().map(|verb| format!("{verb}:{BUCKET}/{place}*")).collect()
        };
        let mut identities = vec![Identity {
            name: "films".into(),
            actions: [all(&["Read", "Write", "List"], "films/"), all(&["Read", "List"], "raw/")].concat(),
        }];
        identities.extend(tenants.iter().map(|tenant| {
            let own = format!("films/tenants/{tenant}/");
            let actions = [
                all(&["Read"], "films/models/"),
                all(&["Read"], &own),
                all(&["Read", "Write", "List"], &format!("{tenant}/")),
            ];
            Identity { name: (*tenant).to_owned(), actions: actions.concat() }
        }));
        let server = SeaweedFs::start_at(host, &identities).await?;
        let identities = identities.into_iter().map(|identity| (identity.name.clone(), identity)).collect();
        Ok(ObjectStore { server, identities })
    }

    /// Lets the server go silent, or on: connections are taken, and nothing is answered.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn silence(&self, silent: bool) -> Result<()> {
        let signal = if silent { Signal::SIGSTOP } else { Signal::SIGCONT };
        Ok(kill(Pid::from_raw(i32::try_from(self.server.id())?), signal)?)
    }

    /// A place in the store.
    pub fn uri(&self, path: &str) -> String {
        format!("s3://{BUCKET}/{path}")
    }

    /// A place, with the secret of `identity`, as a job's field has it.
    pub fn place(&self, path: &str, identity: &str) -> Value {
        json!({"uri": self.uri(path), "secretRef": {"name": secret_name(identity)}})
    }

    /// A reference to the secret of `identity`.
    pub fn secret(&self, identity: &str) -> Value {
        json!({"secretRef": {"name": secret_name(identity)}})
    }

    /// The secret of `identity`, for [`Namespace::apply`]; `change` is applied to its values.
    pub fn secret_manifest(&self, identity: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) -> String {
        let mut values: BTreeMap<String, String> =
            self.server.pairs_of(&self.identities[identity]).into_iter().collect();
        change(&mut values);
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret_name(identity)}, "stringData": values})
            .to_string()
    }

    /// Makes the secrets of all identities in a namespace.
    ///
    /// # Errors
    /// Where the API server refuses one.
    pub fn make_secrets(&self, namespace: &Namespace<'_>) -> Result<()> {
        for identity in self.identities.keys() {
            namespace.apply(&self.secret_manifest(identity, |_| {}))?;
        }
        Ok(())
    }

    /// The store at `path`, with all rights.
    ///
    /// # Errors
    /// Where the place is none.
    pub fn open(&self, path: &str) -> Result<Store> {
        Ok(Store::open(&Location { uri: self.uri(path), secret_ref: None }, &self.server.credentials())?)
    }

    /// The store at `path`, with the rights of `identity`.
    ///
    /// # Errors
    /// Where the place is none.
    pub fn open_as(&self, path: &str, identity: &str) -> Result<Store> {
        let credentials = Credentials::from_pairs(self.server.pairs_of(&self.identities[identity]));
        Ok(Store::open(&Location { uri: self.uri(path), secret_ref: None }, &credentials)?)
    }
}

fn secret_name(identity: &str) -> String {
    format!("{identity}-storage")
}
