//! `kubectl teasel rollback` and `release`.

use teasel_api::request::RequestAction;

use super::run::{Line, named};
use super::{Wish, serve, tenants};
use crate::arguments::{ReleaseArguments, RollbackArguments};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::target::{Serves, find};

/// Points tenants back to a run.
pub(crate) async fn rollback(cluster: &Cluster, arguments: &RollbackArguments) -> Result<(), Failure> {
    let target = find(cluster, &arguments.name, Serves::Both).await?;
    let tenants = tenants(&target, arguments.tenant.as_deref())?;
    let runs = match &arguments.to {
        Some(to) => vec![named(cluster, to).await?; tenants.len()],
        None => {
            let line = Line::of(cluster, &target).await?;
            tenants.iter().map(|tenant| line.before(tenant)).collect::<Result<_, _>>()?
        }
    };
    let wishes = tenants.iter().zip(runs).map(|(tenant, run)| Wish {
        run: Some(run),
        hold: arguments.hold,
        ..Wish::new(tenant, RequestAction::Rollback)
    });
    serve(&target, &wishes.collect::<Vec<_>>(), arguments.wait).await
}

/// Ends holds.
pub(crate) async fn release(cluster: &Cluster, arguments: &ReleaseArguments) -> Result<(), Failure> {
    let target = find(cluster, &arguments.name, Serves::Both).await?;
    let tenants = tenants(&target, arguments.tenant.as_deref())?;
    let wishes: Vec<_> = tenants.iter().map(|tenant| Wish::new(tenant, RequestAction::Release)).collect();
    serve(&target, &wishes, arguments.wait).await
}
