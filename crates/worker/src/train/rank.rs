//! One rank: from joining the rendezvous to the end of training.

use std::process::ExitCode as ProcessExitCode;
use std::time::Duration;

use anyhow::Context;
use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::progress::Progress;
use teasel_api::resolved::{Device, schedule_for};
use teasel_api::task::{Task, TaskFile, TaskKind, TrainTask};
use teasel_c10d::{Cuda, CudaDevice};
use teasel_data::{Catalogue, Dataset, HeldOutSet, shards_of};
use teasel_model::{Config, ContentPlacement, FacetVae};
use teasel_storage::checkpoint::{self, Damaged, Loaded};
use teasel_storage::run_log::{Claim, Claimed, Event, RunLog, Writer};
use teasel_storage::{RunRecord, Store};
use tokio::runtime::Runtime;

use super::checkpointing::{Checkpointer, STOP_PATIENCE};
use super::claim::claim_of;
use super::consumers::consumers;
use super::curves::Curves;
use super::position::Position;
use super::rendezvous::{Rendezvous, Start};
use super::session::{Ended, Inputs, Restored, Session, write_progress};
use super::tuner::Untrained;
use super::{BEST_FILE, MODEL_FILE, OPTIMIZER_FILE, STATE_FILE, TUNING_FILE, started_file};
use crate::arguments::RankArguments;
use crate::content::Tuned;
use crate::error::TaskError;
use crate::evaluate::measure::{STANDARD_METRICS, parse};
use crate::signals::{self, StopRequest};
use crate::{content, outcome, places, worker};

/// How long the end of training waits for the last learning curves, and how long where it was stopped or failed.
const CURVES_PATIENCE: Duration = Duration::from_secs(10);
const CURVES_PATIENCE_AT_STOP: Duration = Duration::from_secs(2);

/// The `rank` command.
pub(crate) fn main(arguments: &RankArguments, stop: &StopRequest) -> anyhow::Result<ProcessExitCode> {
    // The agent holds the other end of standard input.
    signals::end_with_parent();
    let file = match worker::read_task(&arguments.task) {
        Ok(file) => file,
        Err(message) => return Ok(worker::usage(&message)),
    };
    let Task::Train(task) = &file.task else {
        return Ok(worker::usage("a rank takes the task file of its agent"));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    // Before anything else of libtorch, which remembers what it finds.
    let ended = cuda_device(task, arguments.rank).and_then(|cuda| {
        tch::set_num_threads(file.threads_per_process.max(1) as i32);
        Rank { file: &file, task, arguments, runtime: &runtime, cuda }.run(stop)
    });
    let ended = ended.unwrap_or_else(|error| error.outcome(&file));
    let code = worker::end(&ended, &arguments.outcome);
    // A stop may have given up on what is still under way.
    runtime.shutdown_background();
    Ok(code)
}

struct Rank<'a> {
    file: &'a TaskFile,
    task: &'a TrainTask,
    arguments: &'a RankArguments,
    runtime: &'a Runtime,
    /// The rank's own GPU, where it trains on one.
    cuda: Option<CudaDevice>,
}

/// The GPU of a rank: a worker sees as many as it has ranks, each of which takes its own.
fn cuda_device(task: &TrainTask, rank: u32) -> Result<Option<CudaDevice>, TaskError> {
    let training = &task.job.training;
    match training.device {
        Device::Cpu => Ok(None),
        Device::Cuda => Ok(Some(Cuda::load()?.device(rank % training.processes_per_worker)?)),
    }
}

/// What rank 0 holds beside the others.
struct Lead {
    writer: Writer,
    restored: Restored,
}

/// What is known of the items before training.
struct Contents {
    /// Where their contents place them; rank 0's.
    placement: Option<ContentPlacement>,
    /// How many training users each of those has that are trained with.
    counts: Vec<u64>,
}

impl Rank<'_> {
    fn run(&self, stop: &StopRequest) -> Result<Outcome, TaskError> {
        let storage = places::storage(&self.task.job.storage)?;
        let rendezvous = Rendezvous::join(
            &self.arguments.rendezvous,
            format!("{}-{}", self.file.incarnation, self.file.attempt),
            Duration::from_secs(self.task.job.training.scheduling_timeout_seconds),
        )?;
        let (start, lead) = if self.arguments.rank == 0 {
            let led = self.runtime.block_on(self.lead(&storage));
            // The others must not wait for a start that never comes.
            rendezvous.announce(led.as_ref().map_or(&Start::Failed, |(start, _)| start))?;
            led?
        } else {
            (rendezvous.await_start()?, None)
        };
        let position = match start {
            Start::Done { outcome } => {
                // Worker 0 hosts the rendezvous, so rank 0 stays until all have heard.
                if let Err(error) = rendezvous.arrive(self.arguments.rank, self.arguments.world) {
                    tracing::warn!("not every rank may have heard that training was done: {error}");
                }
                return Ok(*outcome);
            }
            Start::Failed => return Err(teasel_c10d::Error::PeerLost("rank 0 couldn't start".into()).into()),
            Start::Train { position } => *position,
        };
        let fresh = position.global_step == 0 && self.task.job.training.resume_from.is_none();
        let (mut restored, writer) = match lead {
            Some(Lead { writer, restored }) => (restored, Some(writer)),
            None => (Restored { position, ..Restored::default() }, None),
        };
        let inputs = self.runtime.block_on(self.inputs(&storage))?;
        // What training went on from says already where items belong.
        let contents = if fresh { self.contents(&storage, &mut restored.notices)? } else { None };
        let tuned = self.tuned(&storage)?;
        let session = self.session(&inputs, &rendezvous, (restored, contents, tuned), writer)?;
        // From here on a stop is heeded between steps; until then the agent sees to it.
        std::fs::write(started_file(&self.arguments.outcome), [])
            .map_err(|source| TaskError::scratch("say that training has started", source))?;
        let mut ended = session.train(stop)?;
        let curves = ended.curves.take();
        let result = if ended.stopped { Err(stopped(ended, &rendezvous)) } else { self.finish(ended, stop) };
        if let Some(curves) = curves {
            // After a stop there is little time left, and what is missing the next attempt writes.
            let patience = if result.is_ok() { CURVES_PATIENCE } else { CURVES_PATIENCE_AT_STOP };
            self.runtime.block_on(curves.finish(patience));
        }
        result
    }

    /// Rank 0 writes the run's record, claims the run, and reads its newest checkpoint.
    async fn lead(&self, storage: &Store) -> Result<(Start, Option<Lead>), TaskError> {
        let task = self.task;
        let record = RunRecord {
            run: task.run.clone(),
            ownership: task.ownership.clone(),
            dataset: task.dataset.clone(),
            job: task.job.clone(),
            nonce: teasel_storage::nonce(),
        };
        record.create(storage).await?;
        let log = RunLog::open(storage, &task.run).await?;
        let claim = claim_of(self.file, &log, TaskKind::Train, self.arguments.world, String::new());
        let other_conditions = log.state().newest_claim().and_then(|(_, before)| other_conditions(before, &claim));
        let writer = match log.claim(claim).await? {
            Claimed::AlreadyDone(outcome) => return Ok((Start::Done { outcome }, None)),
            Claimed::Writer(writer) => *writer,
        };
        let newest = checkpoint::load_newest(writer.log()).await?;
        let mut restored = match (newest, &task.job.training.resume_from) {
            (Some(loaded), _) => restore(loaded)?,
            // Another run's tensors, but this run's own count of epochs and its own best.
            (None, Some(run)) => {
                self.refuse_other_content(storage, run).await?;
                let other = restore(load_other(storage, run).await?)?;
                let notice =
                    format!("starting from the parameters of run {run} at step {}", other.position.global_step);
                Restored { position: Position::default(), best: None, notices: vec![notice], ..other }
            }
            (None, None) => Restored::default(),
        };
        let position = restored.position.clone();
        if position.global_step > 0 {
            restored.notices.extend(other_conditions);
            restored.notices.push(format!("resuming from the checkpoint of step {}", position.global_step));
        }
        restored.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        Ok((Start::Train { position: Box::new(position) }, Some(Lead { writer, restored })))
    }

    /// Where items belong comes with the parameters of the run that training goes on from: with the same contents, of the same
    /// items.
    async fn refuse_other_content(&self, storage: &Store, run: &str) -> Result<(), TaskError> {
        let model = &self.task.job.model;
        let Some(other) = RunRecord::load(storage, run).await? else { return Ok(()) };
        let refuse = |reason: &str| {
            let reason = format!("training.resumeFrom: run {run} has {reason}: leave resumeFrom out");
            Err(TaskError::Configuration(reason))
        };
        if other.job.model.content != model.content {
            return refuse("another model.content, which decides where its items belong");
        }
        if model.content.is_none() || other.dataset == self.task.dataset {
            return Ok(());
        }
        let mut ids = Vec::new();
        for dataset in [&self.task.dataset, &other.dataset] {
            ids.push(content::catalogue(&Dataset::open(storage, dataset).await?, model).await?.ids);
        }
        match ids[0] == ids[1] {
            true => Ok(()),
            false => refuse("other items, and says of those where they belong"),
        }
    }

    /// This rank's part of the dataset, and what it is trained by.
    async fn inputs(&self, storage: &Store) -> Result<Inputs, TaskError> {
        let training = &self.task.job.training;
        let dataset = Dataset::open(storage, &self.task.dataset).await?;
        let schedule = schedule_for(training, dataset.training_users());
        let names = STANDARD_METRICS.iter().copied().chain([training.early_stopping.metric.as_str()]);
        Ok(Inputs {
            users: dataset.training(shards_of(self.arguments.rank, self.arguments.world)).await?,
            items: dataset.items(),
            cold_items: content::cold_items(&dataset, &self.task.job.model),
            all_users: dataset.training_users(),
            plan: dataset.plan(schedule.batch_size, training.seed),
            validation: dataset.held_out(HeldOutSet::Validation).await?,
            metrics: parse(names)?,
            target: training.early_stopping.metric.parse()?,
            schedule,
            learning_rate: training.learning_rate,
        })
    }

    fn device(&self) -> tch::Device {
        self.cuda.map_or(tch::Device::Cpu, Into::into)
    }

    /// Reads this rank's part of the items' contents. Rank 0 waits for the others and places the items.
    fn contents(&self, storage: &Store, notices: &mut Vec<String>) -> Result<Option<Contents>, TaskError> {
        let TrainTask { job, dataset, .. } = self.task;
        let Some(content) = &job.model.content else { return Ok(None) };
        let report = |message: String, percent: f64| {
            if self.arguments.rank == 0 {
                let progress = Progress { message, percent, ..Progress::new(TaskKind::Train) };
                write_progress(&self.arguments.progress, &progress);
            }
        };
        let (contained, counts) = self.runtime.block_on(async {
            let dataset = Dataset::open(storage, dataset).await?;
            let catalogue = content::catalogue(&dataset, &job.model).await?;
            let contained = content::read(content, &self.reader(storage, &catalogue, &report)).await?;
            Ok::<_, TaskError>((contained, catalogue.counts[..dataset.items()].to_vec()))
        })?;
        contained.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        notices.extend(contained.notices);
        if contained.vectors.is_empty() {
            return Ok(Some(Contents { placement: None, counts }));
        }
        report("placing items".into(), 100.0);
        let facets = job.model.facets as usize;
        let placement = ContentPlacement::cluster(&contained.vectors, counts.len(), facets, job.training.seed)?;
        Ok(Some(Contents { placement: Some(placement), counts }))
    }

    /// The encoders that are adapted.
    fn tuned(&self, storage: &Store) -> Result<Vec<Tuned>, TaskError> {
        let TrainTask { job, dataset, .. } = self.task;
        let Some(content) = job.model.content.as_ref().filter(|content| content.is_tuned()) else {
            return Ok(Vec::new());
        };
        self.runtime.block_on(async {
            let dataset = Dataset::open(storage, dataset).await?;
            let catalogue = content::catalogue(&dataset, &job.model).await?;
            content::tuned(content, &self.reader(storage, &catalogue, &|_, _| ()), job.training.seed).await
        })
    }

    fn reader<'a>(
        &'a self,
        storage: &'a Store,
        catalogue: &'a Catalogue,
        report: &'a dyn Fn(String, f64),
    ) -> content::Reader<'a> {
        content::Reader {
            storage,
            data: &self.task.job.data,
            catalogue,
            rank: (self.arguments.rank, self.arguments.world),
            device: self.device(),
            report,
        }
    }

    fn session<'a>(
        &self,
        inputs: &'a Inputs,
        rendezvous: &Rendezvous,
        (restored, contents, tuned): (Restored, Option<Contents>, Vec<Tuned>),
        writer: Option<Writer>,
    ) -> Result<Session<'a>, TaskError> {
        let (job, training) = (&self.task.job, &self.task.job.training);
        let config = Config::from_spec(&job.model, inputs.items, inputs.plan.steps_per_epoch(), training.seed)
            .with_cold_items(inputs.cold_items);
        let mut model = FacetVae::on(config, self.device())?;
        let group = rendezvous.group(self.arguments.rank, self.arguments.world, self.cuda)?;
        let anchored = contents.as_ref().and_then(|contents| contents.placement.as_ref());
        let untrained = tuned.into_iter().map(|encoder| {
            let place = (self.runtime.handle().clone(), self.device(), training.seed);
            Untrained::new(encoder, job.model.facets as usize, anchored, place)
        });
        let untrained = untrained.collect::<Result<Vec<_>, TaskError>>()?;
        if let Some(Contents { placement, counts }) = contents {
            let vectors = consumers(&group, &inputs.users, inputs.all_users, &counts, training.seed)?;
            model.start_from(&vectors)?;
            if let (Some(mut placement), Some(content)) = (placement, &job.model.content) {
                placement.add_consumers(&vectors, &counts, content.routing.temperature)?;
                model.place_by_content(&placement)?;
            }
        }
        let lead = writer.map(|writer| {
            let interval = Duration::from_secs(training.checkpoint.interval_seconds);
            let runtime = self.runtime.handle();
            let history = &restored.position.history;
            let curves = Curves::new(runtime, writer.log().folder(), writer.term(), inputs.items, history);
            let keep = training.checkpoint.keep;
            (Checkpointer::new(runtime.clone(), writer, keep, interval, &restored.position), curves)
        });
        Session::new(group, model, inputs, restored, untrained, lead.unzip(), self.arguments.progress.clone())
    }

    /// Rank 0 writes the last checkpoint and the end of training.
    fn finish(&self, ended: Ended, stop: &StopRequest) -> Result<Outcome, TaskError> {
        let Ended { position, last, .. } = ended;
        let message = format!(
            "{} epochs{}, the best is epoch {}",
            position.epoch,
            if position.stopped_early { " until no better one came" } else { "" },
            position.best.epoch
        );
        let mut ended = outcome::ended(self.file, ExitCode::Done, "Trained", message);
        ended.last_step = Some(position.global_step);
        if let Some(best) = position.history.iter().find(|record| record.epoch == position.best.epoch) {
            ended.metrics =
                best.validation.iter().map(|(name, value)| (format!("validation/{name}"), *value)).collect();
        }
        if let Some((checkpointer, snapshot)) = last {
            checkpointer.finish(snapshot, Event::Trained { outcome: ended.clone() }, stop)?;
        }
        Ok(ended)
    }
}

/// Commits a checkpoint of where training stopped, on rank 0; the others wait for it. The first worker that ends takes
/// the whole attempt with it, and the next attempt shuts this one's writer out.
fn stopped(ended: Ended, rendezvous: &Rendezvous) -> TaskError {
    let Some((checkpointer, snapshot)) = ended.last else {
        rendezvous.await_stop();
        // Only whoever commits may say what is kept.
        return TaskError::Stopped { last_step: None };
    };
    let committed = checkpointer.stop(snapshot, STOP_PATIENCE);
    rendezvous.announce_stop();
    committed.map_or_else(|error| error, |last_step| TaskError::Stopped { last_step })
}

/// The newest checkpoint of another run, whose parameters this one starts from.
async fn load_other(storage: &Store, run: &str) -> Result<Loaded, TaskError> {
    let log = RunLog::open(storage, run).await?;
    let loaded = checkpoint::load_newest(&log).await?;
    loaded.ok_or_else(|| TaskError::Missing(format!("training.resumeFrom: run {run} has no checkpoint")))
}

/// What differs between two attempts that decides bits, as a notice.
fn other_conditions(before: &Claim, now: &Claim) -> Option<String> {
    let of = |claim: &Claim| {
        let Claim { world, threads, cpu, build, .. } = claim;
        format!("{world} ranks of {threads} threads, {cpu}, version {build}")
    };
    let (before, now) = (of(before), of(now));
    (before != now).then(|| format!("the run goes on with {now} instead of {before}: its last bits may differ"))
}

fn restore(mut loaded: Loaded) -> Result<Restored, TaskError> {
    let damaged = |damaged: &Damaged| {
        format!("the checkpoint of step {} can't be used, the one before is: {}", damaged.step, damaged.message)
    };
    let notices = loaded.damaged.iter().map(damaged).collect();
    let state = loaded.files.remove(STATE_FILE).unwrap_or_default();
    let position = serde_json::from_slice(&state)
        .map_err(|error| teasel_model::ModelError::Parameters(format!("{STATE_FILE}: {error}")))?;
    Ok(Restored {
        position,
        model: loaded.files.remove(MODEL_FILE),
        optimizer: loaded.files.remove(OPTIMIZER_FILE),
        best: loaded.files.remove(BEST_FILE),
        tuning: loaded.files.remove(TUNING_FILE),
        notices,
    })
}
