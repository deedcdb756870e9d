//! Adapts an encoder through the loss of recommendations.
//!
//! In each step every rank reads a few items anew, and all ranks take over where these belong now. The loss has gradients by
//! that; summed over ranks, each rank leads those of its own items back through the encoder, and a reducer averages what comes
//! of them like any other gradient. So a step costs what its few items cost, and an item is read anew once in a round over all
//! of them.

use tch::{Device, Kind, Tensor};
use teasel_c10d::{BucketSizes, FusedAdam, Operation, ProcessGroup, Reducer, zero_gradients};
use teasel_model::measures::permutation;
use teasel_model::{Anchors, ContentPlacement, FacetVae, read_numbers};
use tokio::runtime::Handle;

use super::optimizer_state;
use crate::content::Tuned;
use crate::error::TaskError;

/// Name of what tells encoders' own weights apart.
pub(super) const VERSION: &str = "version";

/// One encoder, and what adapts it.
pub(super) struct Tuner {
    encoder: Tuned,
    runtime: Handle,
    /// Of each layer.
    anchors: Vec<Anchors>,
    parameters: Vec<Tensor>,
    reducer: Reducer,
    adam: FusedAdam,
    rounds: Rounds,
    /// What was read in this step.
    pending: Option<Pending>,
}

/// What a rank has read in a step.
struct Pending {
    /// Of all ranks.
    items: Vec<i64>,
    /// The rank's own, `[layers, facets, items]`, and where they begin among all.
    own: Tensor,
    start: i64,
}

/// An encoder before training: state that rank 0 has, and the others take over.
pub(super) struct Untrained {
    encoder: Tuned,
    anchors: Vec<Anchors>,
    adam: FusedAdam,
    parameters: Vec<(String, Tensor)>,
    runtime: Handle,
    seed: u64,
}

impl Untrained {
    /// `placement` is rank 0's at the beginning of a run.
    pub(super) fn new(
        encoder: Tuned,
        facets: usize,
        placement: Option<&ContentPlacement>,
        (runtime, device, seed): (Handle, Device, u64),
    ) -> Result<Self, TaskError> {
        let parameters = encoder.trained();
        let leaves: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| tensor).collect();
        let adam = FusedAdam::new(&leaves, encoder.tuning.learning_rate)?;
        let (layers, width) = encoder.shape();
        let placed = placement.map_or(&[][..], ContentPlacement::anchors);
        let anchors = (0..layers).map(|layer| {
            let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (Kind::Float, device));
            let own = Anchors { mean: zeros(&[width])?, centres: zeros(&[facets as i64, width])? };
            if let Some(placed) = placed.get(encoder.sources.start + layer) {
                own.mean.shallow_clone().f_copy_(&placed.mean)?;
                own.centres.shallow_clone().f_copy_(&placed.centres)?;
            }
            Ok(own)
        });
        let anchors = anchors.collect::<Result<_, tch::TchError>>()?;
        Ok(Self { anchors, adam, parameters, encoder, runtime, seed })
    }

    /// All that a checkpoint holds of it; handles to what is trained.
    pub(super) fn state(&self) -> Result<Vec<(String, Tensor)>, TaskError> {
        state(&self.encoder, &self.anchors, &self.parameters, &self.adam)
    }

    /// Takes over what a checkpoint holds.
    ///
    /// # Errors
    /// [`TaskError::Configuration`] where the encoder isn't the one that was adapted.
    pub(super) fn restore(&self, bytes: &[u8]) -> Result<(), TaskError> {
        let mut state = self.state()?;
        let version = Tensor::f_from_slice(&self.encoder.version())?;
        optimizer_state::copy_into(bytes, &mut state)?;
        match state.iter().any(|(name, stored)| name.ends_with(VERSION) && *stored != version) {
            true => Err(TaskError::Configuration(format!(
                "model.content.{}.encoder: it isn't the one any more that the run adapts",
                self.encoder.kind
            ))),
            false => Ok(()),
        }
    }

    /// Begins to train, when all ranks have the same state, and `model` is placed.
    pub(super) fn begin(self, group: &ProcessGroup, model: &mut FacetVae) -> Result<Tuner, TaskError> {
        model.tune_contents()?;
        // Of those that nobody trains with, no loss says where they belong.
        let known = model.known(self.encoder.sources.start)?.into_iter().take(model.config().items);
        let items = (0..).zip(known).filter(|(_, known)| *known).map(|(item, _)| item).collect();
        let parameters: Vec<Tensor> = self.parameters.into_iter().map(|(_, tensor)| tensor).collect();
        let reducer = Reducer::new(group, &parameters.iter().collect::<Vec<_>>(), BucketSizes::default())?;
        let rounds = Rounds {
            items,
            of_rank: self.encoder.tuning.items_per_step as usize,
            seed: self.seed,
            order: (u64::MAX, Vec::new()),
        };
        let mut tuner = Tuner {
            encoder: self.encoder,
            runtime: self.runtime,
            anchors: self.anchors,
            parameters,
            reducer,
            adam: self.adam,
            rounds,
            pending: None,
        };
        tuner.settle_buckets()?;
        Ok(tuner)
    }
}

impl Tuner {
    /// Reads this step's items anew, and places them by what all ranks read.
    pub(super) fn read(&mut self, model: &mut FacetVae, group: &ProcessGroup, step: u64) -> Result<(), TaskError> {
        let items = self.rounds.items_of(step, group.world() as usize);
        // Evenly, also where a round's last step has fewer: all ranks wait for the slowest.
        let bound = |rank: u32| items.len() * rank as usize / group.world() as usize;
        let start = bound(group.rank());
        let own = &items[start..bound(group.rank() + 1)];
        let (vectors, read) = self.encoder.read(own, &self.runtime)?;
        let layers = self.anchors.iter().zip(0..);
        let cosines = layers
            .map(|(anchors, layer)| Ok(anchors.cosines(&vectors.f_select(1, layer)?)?))
            .collect::<Result<Vec<_>, TaskError>>()?;
        let own = Tensor::f_stack(&cosines, 0)?;
        let (count, kind) = (items.len() as i64, (Kind::Float, own.device()));
        let all = Tensor::f_zeros([own.size()[0], own.size()[1], count], kind)?;
        let columns: Vec<i64> = read.iter().map(|place| start as i64 + place).collect();
        let columns = Tensor::f_from_slice(&columns)?.f_to_device(own.device())?;
        let _ = all.shallow_clone().f_index_copy_(2, &columns, &own.f_detach()?)?;
        group.all_reduce(&[&all], Operation::Sum)?;
        self.pending = Some(match self.encoder.skips() {
            true => {
                let is_read = Tensor::f_zeros([count], kind)?;
                let _ = is_read.shallow_clone().f_index_fill_(0, &columns, 1.0)?;
                group.all_reduce(&[&is_read], Operation::Sum)?;
                let found = is_read.f_nonzero()?.f_view([-1])?;
                let places: Vec<i64> = read_numbers(&found)?;
                let start = places.partition_point(|place| *place < start as i64) as i64;
                let items: Vec<i64> = places.into_iter().map(|place| items[place as usize]).collect();
                model.place_anew(self.encoder.sources.clone(), &items, &all.f_index_select(2, &found)?)?;
                Pending { items, own, start }
            }
            false => {
                model.place_anew(self.encoder.sources.clone(), &items, &all)?;
                Pending { items, own, start: start as i64 }
            }
        });
        Ok(())
    }

    /// Learns from what this step's loss, whose backward pass is done, says of the items that were read.
    pub(super) fn learn(&mut self, model: &mut FacetVae, group: &ProcessGroup) -> Result<(), TaskError> {
        let Some(Pending { items, own, start }) = self.pending.take() else { return Ok(()) };
        let gradients = model.take_placement_gradients(self.encoder.sources.clone(), &items)?;
        // Each rank's loss is scaled so that the mean over ranks is the batch's. What ranks lead back is averaged too, so it
        // is the sum that they lead back here.
        group.all_reduce(&[&gradients], Operation::Sum)?;
        let gradients = gradients.f_narrow(2, start, own.size()[2])?;
        self.descend(own.f_mul(&gradients)?.f_sum(Kind::Float)?)?;
        Ok(self.adam.step(&self.parameters.iter().collect::<Vec<_>>())?)
    }

    /// All that a checkpoint holds of it.
    pub(super) fn state(&self) -> Result<Vec<(String, Tensor)>, TaskError> {
        state(&self.encoder, &self.anchors, &self.encoder.trained(), &self.adam)
    }

    /// See [`Session::settle_buckets`](super::session::Session).
    fn settle_buckets(&mut self) -> Result<(), TaskError> {
        let device = self.parameters.first().map_or(Device::Cpu, Tensor::device);
        self.descend(Tensor::f_zeros([], (Kind::Float, device))?)
    }

    fn descend(&mut self, objective: Tensor) -> Result<(), TaskError> {
        zero_gradients(&self.parameters.iter().collect::<Vec<_>>())?;
        self.reducer.prepare_forward()?;
        let mut objective = objective;
        // The reducer waits for a gradient of each, also of weights of layers that nobody reads.
        for parameter in &self.parameters {
            let nothing = parameter.f_reshape([-1])?.f_narrow(0, 0, 0)?.f_sum(Kind::Float)?;
            objective = objective.f_add(&nothing)?;
        }
        Ok(self.reducer.backward(&objective)?)
    }
}

fn state(
    encoder: &Tuned,
    anchors: &[Anchors],
    parameters: &[(String, Tensor)],
    adam: &FusedAdam,
) -> Result<Vec<(String, Tensor)>, TaskError> {
    let kind = encoder.kind;
    let named = |part: &str, name: &str, tensor: &Tensor| (format!("{kind}.{part}.{name}"), tensor.shallow_clone());
    let mut all: Vec<_> = parameters.iter().map(|(name, tensor)| named("encoder", name, tensor)).collect();
    all.extend(adam.state().iter().map(|(name, tensor)| named("optimizer", name, tensor)));
    for (layer, anchors) in anchors.iter().enumerate() {
        all.push(named("mean", &layer.to_string(), &anchors.mean));
        all.push(named("centres", &layer.to_string(), &anchors.centres));
    }
    all.push((format!("{kind}.{VERSION}"), Tensor::f_from_slice(&encoder.version())?));
    Ok(all)
}

/// Which items are read in which step: all of them in turn, in another order in each round.
struct Rounds {
    items: Vec<i64>,
    /// Items of a rank and step.
    of_rank: usize,
    seed: u64,
    /// The round whose order is known, and that order.
    order: (u64, Vec<usize>),
}

impl Rounds {
    /// The items of a step, each rank's behind those of the one before: a function of the step alone.
    fn items_of(&mut self, step: u64, world: usize) -> Vec<i64> {
        let at_once = (self.of_rank * world).min(self.items.len()).max(1);
        let steps = (self.items.len().div_ceil(at_once)).max(1) as u64;
        let (round, place) = (step / steps, (step % steps) as usize);
        if self.order.0 != round {
            self.order = (round, permutation(self.items.len(), self.seed, round as u32));
        }
        let places = self.order.1.iter().skip(place * at_once).take(at_once);
        places.map(|place| self.items[*place]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_item_has_its_turn_in_a_round_whoever_asks_when() {
        let rounds =
            || Rounds { items: vec![3, 5, 8, 13, 21, 34, 55], of_rank: 2, seed: 1, order: (u64::MAX, Vec::new()) };
        let mut one = rounds();
        let turns: Vec<Vec<i64>> = (0..8).map(|step| one.items_of(step, 2)).collect();
        assert_eq!(turns.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 4, 3, 4, 3, 4, 3]);
        for round in turns.chunks(2) {
            assert_eq!(round.concat().into_iter().collect::<BTreeSet<_>>(), one.items.iter().copied().collect());
        }
        assert_ne!(turns[0], turns[2]);
        assert_eq!(rounds().items_of(5, 2), turns[5], "after a resume");
        let mut few = Rounds { of_rank: 100, ..rounds() };
        assert_eq!(few.items_of(9, 4).len(), 7);
        assert!(Rounds { items: Vec::new(), ..rounds() }.items_of(2, 2).is_empty());
    }
}
