//! `teasel publish` and `teasel rollback`.

use teasel_api::outcome::ExitCode;
use teasel_api::resolved::Tenant;
use teasel_api::task::{Ownership, PublishAction};
use teasel_storage::Patience;
use teasel_storage::output::OutputLog;

use crate::arguments::{PublishArguments, RollbackArguments};
use crate::failure::Failure;
use crate::reference::{Reference, find, open};
use crate::run::{Interrupt, LocalWorkers, command_line, publish_tenant, scored_hash};

/// Publishes a scored run.
pub(crate) async fn publish(arguments: &PublishArguments) -> Result<(), Failure> {
    let reference = find(&arguments.reference).await?;
    let mut local = LocalWorkers::new(command_line(), Interrupt::listen()?)?;
    for tenant in tenants(&reference, arguments.tenant.as_deref())? {
        let run = reference.record.run.clone();
        let scored = scored_hash(&mut local, &reference.job, &reference.record, tenant, &reference.secrets).await?;
        let score_hash = scored.ok_or_else(|| {
            let message =
                format!("run {run} isn't scored for tenant {} as the job asks: teasel run scores it", tenant.name);
            Failure::new(ExitCode::InputMissing, message)
        })?;
        let action = PublishAction::Publish { run, score_hash, take_over: arguments.take_over };
        let ownership = reference.record.ownership.clone();
        say(&mut local, &reference, tenant, ownership, action).await?;
    }
    Ok(())
}

/// Goes back to a run, or ends a hold.
pub(crate) async fn rollback(arguments: &RollbackArguments) -> Result<(), Failure> {
    let reference = find(&arguments.reference).await?;
    let mut local = LocalWorkers::new(command_line(), Interrupt::listen()?)?;
    for tenant in tenants(&reference, arguments.tenant.as_deref())? {
        let action = if arguments.release {
            PublishAction::Release
        } else {
            let to = match &arguments.to {
                Some(run) => run.clone(),
                None => published_before(&reference, tenant).await?,
            };
            PublishAction::Rollback { to, hold: arguments.hold }
        };
        let ownership = reference.record.ownership.clone();
        say(&mut local, &reference, tenant, ownership, action).await?;
    }
    Ok(())
}

async fn say(
    local: &mut LocalWorkers,
    reference: &Reference,
    tenant: &Tenant,
    ownership: Ownership,
    action: PublishAction,
) -> Result<(), Failure> {
    let outcome = publish_tenant(local, &reference.job, tenant, ownership, action, &reference.secrets).await?;
    println!("{}: {}", tenant.name, outcome.message);
    Ok(())
}

/// The tenant that is named, or all.
fn tenants<'a>(reference: &'a Reference, name: Option<&str>) -> Result<Vec<&'a Tenant>, Failure> {
    let all = &reference.job.scoring.tenants;
    let chosen: Vec<_> = all.iter().filter(|tenant| name.is_none_or(|name| tenant.name == name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = all.iter().map(|tenant| tenant.name.as_str()).collect();
        let message = format!("there is no tenant {}; the job has {}", name.unwrap_or_default(), names.join(", "));
        return Err(Failure::new(ExitCode::Usage, message));
    }
    Ok(chosen)
}

/// The run that was published before the one that counts.
async fn published_before(reference: &Reference, tenant: &Tenant) -> Result<String, Failure> {
    let log = OutputLog::open(&open(&tenant.output, "output", &reference.secrets, Patience::Moment)?).await?;
    let nothing = || {
        let message = format!("tenant {} has no run from before to go back to", tenant.name);
        Failure::new(ExitCode::InputMissing, message)
    };
    let (_, current) = log.state().current().ok_or_else(nothing)?;
    let mut runs: Vec<_> = log.state().versions().map(|(version, _)| version.run.clone()).collect();
    runs.dedup();
    let place = runs.iter().position(|run| *run == current.run).ok_or_else(nothing)?;
    place.checked_sub(1).map(|before| runs[before].clone()).ok_or_else(nothing)
}
