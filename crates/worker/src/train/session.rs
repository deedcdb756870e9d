//! Training, as all ranks do it together.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tch::Tensor;
use teasel_api::progress::{EpochRecord, Progress};
use teasel_api::resolved::Schedule;
use teasel_api::task::TaskKind;
use teasel_c10d::{BucketSizes, FusedAdam, Operation, ProcessGroup, Reducer, zero_gradients};
use teasel_data::{Batch, BatchPlan, HeldOut, TrainingUsers};
use teasel_model::metrics::Metric;
use teasel_model::{BatchInput, FacetVae, ModelError};

use super::checkpointing::{Checkpointer, Snapshot};
use super::curves::Curves;
use super::early_stopping::{BestEpoch, judge};
use super::optimizer_state;
use super::position::{Position, Sums};
use super::tuner::{self, Tuner, Untrained};
use super::validation::validate;
use crate::error::TaskError;
use crate::signals::StopRequest;

/// How often progress is written.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// What a rank trains on.
pub(super) struct Inputs {
    pub(super) users: TrainingUsers,
    /// Size of the item vocabulary.
    pub(super) items: usize,
    /// Items behind these, of which contents alone are known.
    pub(super) cold_items: usize,
    /// Training users of all ranks.
    pub(super) all_users: u64,
    pub(super) plan: BatchPlan,
    pub(super) validation: HeldOut,
    pub(super) metrics: Vec<Metric>,
    /// The metric that chooses the best epoch.
    pub(super) target: Metric,
    pub(super) schedule: Schedule,
    pub(super) learning_rate: f64,
}

/// Where training starts: the position, which every rank knows, and tensors, which only rank 0 has.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) position: Position,
    pub(super) model: Option<Bytes>,
    pub(super) optimizer: Option<Bytes>,
    pub(super) best: Option<Bytes>,
    pub(super) tuning: Option<Bytes>,
    /// What people should know of how training starts.
    pub(super) notices: Vec<String>,
}

/// One rank's training.
pub(super) struct Session<'a> {
    group: ProcessGroup,
    model: FacetVae,
    reducer: Reducer,
    adam: FusedAdam,
    /// Encoders that are adapted.
    tuners: Vec<Tuner>,
    inputs: &'a Inputs,
    position: Position,
    best: Option<Bytes>,
    notices: Vec<String>,
    /// Step that this attempt started from.
    first_step: u64,
    started: Instant,
    /// Rank 0's.
    checkpointer: Option<Checkpointer>,
    /// Rank 0's.
    curves: Option<Curves>,
    progress_file: PathBuf,
    progress_written: Instant,
    /// Of the epoch that ran last, validation left out.
    users_per_second: f64,
}

/// How training ended.
pub(super) struct Ended {
    pub(super) position: Position,
    /// Whether all ranks agreed to stop before the end of the schedule.
    pub(super) stopped: bool,
    /// What is to be kept and its writer, on rank 0.
    pub(super) last: Option<(Checkpointer, Snapshot)>,
    /// Rank 0's.
    pub(super) curves: Option<Curves>,
}

impl<'a> Session<'a> {
    /// Brings all ranks to rank 0's state.
    pub(super) fn new(
        group: ProcessGroup,
        mut model: FacetVae,
        inputs: &'a Inputs,
        restored: Restored,
        untrained: Vec<Untrained>,
        (checkpointer, curves): (Option<Checkpointer>, Option<Curves>),
        progress_file: PathBuf,
    ) -> Result<Self, TaskError> {
        if let Some(bytes) = &restored.model {
            model.load_safetensors(bytes)?;
        }
        let parameters: Vec<&Tensor> = model.parameters().iter().map(|(_, tensor)| tensor).collect();
        let adam = FusedAdam::new(&parameters, inputs.learning_rate)?;
        let mut state = adam.state();
        if let Some(bytes) = &restored.optimizer {
            optimizer_state::copy_into(bytes, &mut state)?;
        }
        group.broadcast(&model.trained_with().map(|(_, tensor)| tensor).collect::<Vec<_>>(), 0)?;
        group.broadcast(&state.iter().map(|(_, tensor)| tensor).collect::<Vec<_>>(), 0)?;
        for encoder in &untrained {
            match (&restored.tuning, &restored.model) {
                (Some(bytes), _) => encoder.restore(bytes)?,
                (None, Some(_)) => {
                    let reason = "the checkpoint has nothing of an encoder that is adapted".to_owned();
                    return Err(ModelError::Parameters(reason).into());
                }
                (None, None) => {}
            }
            // Rank 0 alone compares encoders: what tells them apart may differ between nodes' disks.
            let state = encoder.state()?;
            let shared = state.iter().filter(|(name, _)| !name.ends_with(tuner::VERSION));
            group.broadcast(&shared.map(|(_, tensor)| tensor).collect::<Vec<_>>(), 0)?;
        }
        let reducer = Reducer::new(&group, &parameters, BucketSizes::default())?;
        let first_step = restored.position.global_step;
        let mut session = Session {
            group,
            first_step,
            started: Instant::now(),
            model,
            reducer,
            adam,
            tuners: Vec::new(),
            inputs,
            position: restored.position,
            best: restored.best,
            notices: restored.notices,
            checkpointer,
            curves,
            progress_file,
            progress_written: Instant::now(),
            users_per_second: 0.0,
        };
        session.settle_buckets()?;
        let Session { group, model, tuners, .. } = &mut session;
        for encoder in untrained {
            tuners.push(encoder.begin(group, model)?);
        }
        Ok(session)
    }

    /// One backward pass of a zero loss. A fresh reducer rebuilds its buckets after its first pass, which with three or
    /// more ranks changes the order of sums: done before the first step here, a resumed run has the bits of one that
    /// was never disturbed.
    fn settle_buckets(&mut self) -> Result<(), TaskError> {
        let nobody = BatchInput { offsets: &[0], items: &[], weights: None, user_keys: &[] };
        self.reducer.prepare_forward()?;
        let loss = self.model.loss(&nobody, 0)?;
        self.reducer.backward(&loss.objective)?;
        zero_gradients(&parameters(&self.model))?;
        Ok(())
    }

    /// Trains to the end of the schedule, or until a rank is asked to stop.
    pub(super) fn train(mut self, stop: &StopRequest) -> Result<Ended, TaskError> {
        let schedule = self.inputs.schedule;
        while !self.position.is_finished(&schedule) {
            if self.epoch(stop)? {
                return self.end(true);
            }
            self.close_epoch()?;
        }
        if self.position.best.epoch == 0 && schedule.epochs > 0 {
            // No epoch's metric was a number.
            return Err(ModelError::Diverged { step: self.position.global_step }.into());
        }
        self.end(false)
    }

    fn end(mut self, stopped: bool) -> Result<Ended, TaskError> {
        let snapshot = self.snapshot()?;
        let last = self.checkpointer.take().zip(snapshot);
        Ok(Ended { position: self.position, stopped, last, curves: self.curves })
    }

    /// The steps of the epoch that are left. Returns whether a stop was agreed on.
    fn epoch(&mut self, stop: &StopRequest) -> Result<bool, TaskError> {
        let plan = &self.inputs.plan;
        let (first, started) = (self.position.step, Instant::now());
        let mut batch = Batch::default();
        let mut batches = self.inputs.users.epoch(plan, u64::from(self.position.epoch), first);
        while batches.next_into(&mut batch) {
            let (sums, stop_agreed) = self.step(&batch, stop.is_made())?;
            self.position.advance(sums);
            let trained = (self.position.step - first) as f64 * f64::from(self.inputs.schedule.batch_size);
            self.users_per_second = trained / started.elapsed().as_secs_f64().max(1e-9);
            if self.progress_written.elapsed() >= PROGRESS_INTERVAL {
                self.report();
            }
            if stop_agreed {
                return Ok(true);
            }
            if self.checkpointer.as_mut().map(Checkpointer::is_due).transpose()? == Some(true) {
                self.begin_checkpoint()?;
            }
        }
        Ok(false)
    }

    /// One step of all ranks. Returns the sums over all ranks, and whether any rank was asked to stop.
    fn step(&mut self, batch: &Batch, stop_asked: bool) -> Result<(Sums, bool), TaskError> {
        let input = BatchInput {
            offsets: &batch.offsets,
            items: &batch.items,
            weights: batch.weights.as_deref(),
            user_keys: &batch.keys,
        };
        for tuner in &mut self.tuners {
            tuner.read(&mut self.model, &self.group, self.position.global_step)?;
        }
        let parameters = parameters(&self.model);
        zero_gradients(&parameters)?;
        self.reducer.prepare_forward()?;
        let loss = self.model.loss(&input, self.position.global_step)?;
        // The reducer averages over ranks. A sum x world / users of the whole batch makes that the batch's mean,
        // however its users are spread.
        let scale = f64::from(self.group.world()) / f64::from(batch.global_users.max(1));
        let objective = loss.objective.f_mul_scalar(scale)?;
        self.reducer.backward(&objective)?;
        let parameters = self::parameters(&self.model);
        self.adam.step(&parameters)?;
        for tuner in &mut self.tuners {
            tuner.learn(&mut self.model, &self.group)?;
        }
        let mut shared =
            [loss.negative_log_likelihood, loss.divergence, input.users() as f64, f64::from(u8::from(stop_asked))];
        let tensor = Tensor::f_from_slice(&shared)?;
        self.group.all_reduce(&[&tensor], Operation::Sum)?;
        tensor.f_copy_data(&mut shared, 4)?;
        let [negative_log_likelihood, divergence, users, stops] = shared;
        Ok((Sums { negative_log_likelihood, divergence, users }, stops > 0.0))
    }

    /// Validates, and keeps the parameters if they are the best so far.
    fn close_epoch(&mut self) -> Result<(), TaskError> {
        let mut scorer = self.model.scorer(None)?;
        let metrics = validate(&mut scorer, &self.inputs.validation, &self.inputs.metrics, &self.group)?;
        let facet_shares = if self.curves.is_some() { scorer.mean_shares()? } else { Vec::new() };
        drop(scorer);
        let target = metrics.get(&self.inputs.target.to_string()).copied();
        let epoch = self.position.epoch + 1;
        let improved = match target {
            Some(value) => {
                let verdict = judge(self.position.best, epoch, value, self.inputs.schedule.patience);
                self.position.best = verdict.best;
                self.position.stopped_early = verdict.stop;
                verdict.improved
            }
            // Without validation users the newest epoch is the model.
            None => {
                self.position.best = BestEpoch { epoch, value: 0.0 };
                true
            }
        };
        if improved && self.checkpointer.is_some() {
            self.best = Some(self.model.to_safetensors()?.into());
        }
        let loss = self.position.sums.mean_loss(self.model.config().kl_weight);
        if self.group.rank() == 0 {
            tracing::info!(epoch, loss, ?metrics, "epoch done");
        }
        self.position.close_epoch(EpochRecord {
            divergence_weight: self.model.config().divergence_weight(self.position.global_step),
            learning_rate: self.inputs.learning_rate,
            validation: metrics,
            facet_shares,
            ..EpochRecord::default()
        });
        if let (Some(curves), Some(record)) = (&mut self.curves, self.position.history.last()) {
            curves.add(record);
        }
        self.report();
        Ok(())
    }

    fn begin_checkpoint(&mut self) -> Result<(), TaskError> {
        let snapshot = self.snapshot()?;
        if let (Some(checkpointer), Some(snapshot)) = (&mut self.checkpointer, snapshot) {
            checkpointer.begin(snapshot);
        }
        Ok(())
    }

    /// A copy of all that a checkpoint holds, on rank 0.
    fn snapshot(&self) -> Result<Option<Snapshot>, TaskError> {
        if self.checkpointer.is_none() {
            return Ok(None);
        }
        Ok(Some(Snapshot {
            position: self.position.clone(),
            model: self.model.to_safetensors()?.into(),
            optimizer: optimizer_state::to_bytes(&self.adam.state())?.into(),
            best: self.best.clone(),
            tuning: match self.tuners.is_empty() {
                true => None,
                false => {
                    let state = self.tuners.iter().map(Tuner::state).collect::<Result<Vec<_>, _>>()?;
                    let state: Vec<_> = state.into_iter().flatten().collect();
                    Some(optimizer_state::to_bytes(&state)?.into())
                }
            },
        }))
    }

    /// Writes rank 0's progress, now and then.
    fn report(&mut self) {
        if self.group.rank() != 0 {
            return;
        }
        self.progress_written = Instant::now();
        let (position, schedule) = (&self.position, &self.inputs.schedule);
        let steps = self.inputs.plan.steps_per_epoch();
        let done = f64::from(position.epoch) + position.step as f64 / steps.max(1) as f64;
        let progress = Progress {
            epoch: position.epoch + 1,
            epochs: schedule.epochs,
            step: position.step,
            steps,
            percent: 100.0 * done / f64::from(schedule.epochs.max(1)),
            users_per_second: self.users_per_second,
            loss: position.mean_loss(self.model.config().divergence_weight(position.global_step)),
            metrics: position.history.last().map(|record| record.validation.clone()).unwrap_or_default(),
            // Without what grows with the facets: whoever shows progress reads this again and again.
            history: position
                .history
                .iter()
                .map(|record| EpochRecord { facet_shares: Vec::new(), ..record.clone() })
                .collect(),
            first_step: Some(self.first_step),
            seconds: Some(self.started.elapsed().as_secs_f64()),
            checkpoint: self.checkpointer.as_ref().and_then(Checkpointer::newest),
            notices: self.notices.clone(),
            message: match self.checkpointer.as_ref().and_then(Checkpointer::durable_step) {
                Some(step) => format!("checkpoint at step {step}"),
                None => "training".into(),
            },
            ..Progress::new(TaskKind::Train)
        };
        write_progress(&self.progress_file, &progress);
    }
}

/// Writes rank 0's progress for the agent. Telemetry never fails training.
pub(super) fn write_progress(file: &Path, progress: &Progress) {
    let write = || -> std::io::Result<()> {
        let partial = file.with_extension("partial");
        std::fs::write(&partial, serde_json::to_vec(progress)?)?;
        std::fs::rename(&partial, file)
    };
    if let Err(error) = write() {
        tracing::debug!("no progress written: {error}");
    }
}

fn parameters(model: &FacetVae) -> Vec<&Tensor> {
    model.parameters().iter().map(|(_, tensor)| tensor).collect()
}
