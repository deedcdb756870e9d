//! The cluster that the command line names.

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::DynamicObject;
use kube::{Api, Client, Config};
use teasel_api::outcome::ExitCode;
use teasel_api::spec::RecommenderJob;

use crate::arguments::ConnectionArguments;
use crate::failure::Failure;
use crate::reference::Kind;

/// Name by which the API server remembers who set a field.
pub(crate) const FIELD_MANAGER: &str = "kubectl-teasel";

/// A cluster, and the namespace to work in.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Speaks to the API server.
    pub(crate) client: Client,
    /// The namespace.
    pub(crate) namespace: String,
}

impl Cluster {
    /// Finds the cluster as kubectl does; nothing is asked of it yet.
    pub(crate) async fn connect(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        let mut config = configuration(arguments).await.map_err(|error| {
            Failure::new(ExitCode::BadConfiguration, format!("no cluster is configured: {error}"))
        })?;
        if let Some(namespace) = &arguments.namespace {
            config.default_namespace.clone_from(namespace);
        }
        let namespace = config.default_namespace.clone();
        Ok(Cluster { client: Client::try_from(config)?, namespace })
    }

    /// The objects of a kind in the namespace, as they are written.
    pub(crate) fn objects(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    /// The namespace's jobs.
    pub(crate) fn jobs(&self) -> Api<RecommenderJob> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of a kind that everybody has, in the namespace.
    pub(crate) fn core<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

async fn configuration(arguments: &ConnectionArguments) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    let read = match &arguments.kubeconfig {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await,
        None => Config::from_kubeconfig(&options).await,
    };
    // In a pod, as kubectl does, unless somebody has named a cluster.
    let named = arguments.kubeconfig.is_some() || arguments.context.is_some();
    match read {
        Err(error) if !named => Config::incluster().map_err(|_| error),
        read => read,
    }
}
