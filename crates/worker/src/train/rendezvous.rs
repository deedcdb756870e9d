//! How ranks meet: a store at worker 0, in which rank 0 says how training starts.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use teasel_api::outcome::Outcome;
use teasel_c10d::{CudaDevice, ProcessGroup, Store};

use super::checkpointing::STOP_PATIENCE;
use super::position::Position;
use crate::error::TaskError;

/// How long the host waits for itself.
const HOST_TIMEOUT: Duration = Duration::from_secs(300);
/// How long ranks wait for each other beyond the time that their pods may take to be placed: images are pulled, rank 0
/// claims the run and reads its checkpoint, every rank reads its part of the data. As long as the operator lets a pod
/// try to start. Whoever started the workers ends those that wait for one that is gone.
const START_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How long a collective waits for a rank. Work that only rank 0 does between two collectives must be shorter; shorter
/// itself than a pod's grace time (two minutes), so that a rank that is stopped still tells of one that is lost.
const GROUP_TIMEOUT: Duration = Duration::from_secs(60);

/// The same for gradients between GPUs, after which the rank is killed. Longer, since the sums that follow each step go
/// over the CPUs and so tell of a lost rank in words.
const NCCL_TIMEOUT: Duration = Duration::from_secs(240);

/// How often an address is looked up before it counts as wrong: a cluster's names may not be known everywhere at once.
const LOOKUPS: u32 = 5;
const LOOKUP_PAUSE: Duration = Duration::from_secs(2);

const START: &str = "start";
const ALL_HERE: &str = "all-here";
const GROUP: &str = "group-0";
const STOPPED: &str = "stopped";

/// What rank 0 decided for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(super) enum Start {
    /// Training was done before.
    Done {
        /// The outcome to emit again.
        outcome: Box<Outcome>,
    },
    /// Train on from a position; rank 0 has the tensors and sends them.
    Train {
        /// The position.
        position: Box<Position>,
    },
    /// Rank 0 can't start.
    Failed,
}

/// Hosts the store at `address` (`host:port`). It lives as long as what is returned.
pub(super) fn host(address: &str) -> Result<Store, TaskError> {
    let (_, port) = split(address)?;
    // It listens on every interface, and calls itself first. Not by its name: where that isn't known yet, or no more, the
    // agent would wait for it and heed no signal.
    let hosted = Store::host("127.0.0.1", port, HOST_TIMEOUT);
    // Nobody else's end is behind this: the port is taken, or not free yet.
    hosted.map_err(|error| TaskError::scratch("host the rendezvous", std::io::Error::other(error)))
}

/// One rank's end of the rendezvous.
pub(super) struct Rendezvous {
    store: Store,
    address: String,
    /// Of this attempt alone: a port may come to serve another run.
    scope: String,
    /// How long to wait for ranks that haven't come yet.
    patience: Duration,
}

impl Rendezvous {
    /// Connects to the store at `address`, for the attempt `scope`, whose workers may take `placement` to be placed.
    pub(super) fn join(address: &str, scope: String, placement: Duration) -> Result<Self, TaskError> {
        let (host, port) = split(address)?;
        let patience = placement.saturating_add(START_TIMEOUT);
        Ok(Rendezvous {
            store: Store::connect(host, port, patience)?,
            address: address.to_owned(),
            scope,
            patience,
        })
    }

    /// Rank 0 tells the others how training starts.
    pub(super) fn announce(&self, start: &Start) -> Result<(), TaskError> {
        let json = serde_json::to_vec(start).map_err(|error| TaskError::bug(error.to_string()))?;
        Ok(self.store.set(&self.key(START), &json)?)
    }

    /// The other ranks wait for it.
    pub(super) fn await_start(&self) -> Result<Start, TaskError> {
        let json = self.store.get(&self.key(START), self.patience)?;
        serde_json::from_slice(&json).map_err(|error| TaskError::bug(format!("rank 0 said: {error}")))
    }

    /// The other ranks say that they are here; rank 0 waits for all of them.
    pub(super) fn arrive(&self, rank: u32, world: u32) -> Result<(), TaskError> {
        let here = |rank: u32| self.key(&format!("here-{rank}"));
        if rank > 0 {
            return Ok(self.store.set(&here(rank), b"yes")?);
        }
        let deadline = Instant::now() + self.patience;
        for other in 1..world {
            self.store.get(&here(other), deadline.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// Waits until every rank is here: collectives wait for each other for a short time only.
    fn meet(&self, rank: u32, world: u32) -> Result<(), TaskError> {
        self.arrive(rank, world)?;
        if rank == 0 {
            return Ok(self.store.set(&self.key(ALL_HERE), b"yes")?);
        }
        self.store.get(&self.key(ALL_HERE), self.patience)?;
        Ok(())
    }

    /// Rank 0 tells the others that it has done what it can for its last checkpoint.
    pub(super) fn announce_stop(&self) {
        if let Err(error) = self.store.set(&self.key(STOPPED), b"yes") {
            tracing::debug!("nobody hears that the stop is over: {error}");
        }
    }

    /// The other ranks wait for that, or until rank 0 is gone, or must be done.
    pub(super) fn await_stop(&self) {
        if let Err(error) = self.store.get(&self.key(STOPPED), STOP_PATIENCE + Duration::from_secs(5)) {
            tracing::debug!("rank 0 didn't say that the stop is over: {error}");
        }
    }

    /// Forms the group of all ranks, each with its GPU where they train on some, once all have come.
    pub(super) fn group(&self, rank: u32, world: u32, cuda: Option<CudaDevice>) -> Result<ProcessGroup, TaskError> {
        let own =
            own_address(&self.address).map_err(|source| TaskError::scratch("find this host's address", source))?;
        self.meet(rank, world)?;
        let group = ProcessGroup::gloo(&self.store, rank, world, &own, GROUP_TIMEOUT, &self.key(GROUP))?;
        match cuda {
            Some(device) => Ok(group.with_nccl(device, NCCL_TIMEOUT)?),
            None => Ok(group),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.scope)
    }
}

fn split(address: &str) -> Result<(&str, u16), TaskError> {
    address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| TaskError::usage(format!("--rendezvous {address} isn't HOST:PORT")))
}

/// The address of the interface that leads to the rendezvous: peers reach this host by it too.
fn own_address(rendezvous: &str) -> std::io::Result<String> {
    let mut lookups = 1;
    loop {
        // Connecting a UDP socket sends nothing; it only looks the name up and chooses a route.
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        match socket.connect(rendezvous) {
            Ok(()) => return Ok(socket.local_addr()?.ip().to_string()),
            Err(error) if lookups == LOOKUPS => return Err(error),
            Err(error) => tracing::warn!("looking up {rendezvous} again: {error}"),
        }
        lookups += 1;
        std::thread::sleep(LOOKUP_PAUSE);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use teasel_api::outcome::ExitCode;

    use super::*;

    #[test]
    fn a_local_rendezvous_is_met_by_the_loopback_address() {
        assert_eq!(own_address("127.0.0.1:9").unwrap(), "127.0.0.1");
    }

    const SHORT: Duration = Duration::from_millis(200);

    #[test]
    fn rank_0_stays_until_every_rank_has_arrived() {
        let host = host("127.0.0.1:0").unwrap();
        let address = format!("127.0.0.1:{}", host.port().unwrap());
        let join = || Rendezvous::join(&address, "run-1".into(), Duration::ZERO).unwrap();
        let impatient = Rendezvous { patience: SHORT, ..join() };
        assert_eq!(impatient.arrive(0, 3).unwrap_err().exit_code(), ExitCode::PeerLost);
        join().arrive(1, 3).unwrap();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| join().arrive(0, 3));
            std::thread::sleep(SHORT);
            assert!(!first.is_finished());
            join().arrive(2, 3).unwrap();
            first.join().unwrap().unwrap();
        });
    }

    #[test]
    fn the_others_end_a_stop_once_rank_0_has_or_is_gone() {
        let host = host("127.0.0.1:0").unwrap();
        let address = format!("127.0.0.1:{}", host.port().unwrap());
        let join = |scope: &str| Rendezvous::join(&address, scope.into(), Duration::ZERO).unwrap();
        let (other, left_alone) = (join("run-1"), join("run-2"));
        std::thread::scope(|scope| {
            let waits = scope.spawn(move || other.await_stop());
            std::thread::sleep(SHORT);
            assert!(!waits.is_finished());
            join("run-1").announce_stop();
            waits.join().unwrap();
            let waits = scope.spawn(move || left_alone.await_stop());
            std::thread::sleep(SHORT);
            drop(host);
            waits.join().unwrap();
        });
    }

    #[test]
    fn an_address_needs_a_port() {
        assert!(matches!(split("worker-0"), Err(TaskError::Usage(_))));
        assert_eq!(split("worker-0.films:29500").unwrap(), ("worker-0.films", 29500));
    }
}
