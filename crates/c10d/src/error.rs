//! What can go wrong in a process group.

use std::ffi::{CStr, c_int};

/// An error of libtorch's distributed layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A peer went away: its connection was closed or reset. An echo of that process's failure.
    #[error("lost a peer: {0}")]
    PeerLost(String),
    /// Nobody answered in time: a peer hangs, or never came.
    #[error("timed out: {0}")]
    Timeout(String),
    /// The rendezvous store can't be reached or used.
    #[error("rendezvous store: {0}")]
    Store(String),
    /// The backend can't be had: a bad address.
    #[error("backend: {0}")]
    Backend(String),
    /// This machine's software is without CUDA: no libtorch for it, or no NCCL plugin. The loader's words.
    #[error("there is no CUDA here: {0}")]
    NoCuda(String),
    /// There is CUDA, and no GPU for this process.
    #[error("{}", match .visible {
        0 => "no CUDA device is visible".to_owned(),
        1 => "only 1 CUDA device is visible".to_owned(),
        more => format!("only {more} CUDA devices are visible"),
    })]
    NoGpu {
        /// How many devices there are.
        visible: u32,
    },
    /// Anything else: wrong shapes, wrong use.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// An error that libtorch threw out of a backward pass: the collectives that the reducer started there.
    pub(crate) fn from_backward(message: &str) -> Self {
        let first = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let status = if message.contains("imed out") || message.contains("imeout") { 2 } else { 1 };
        classify(status, Subject::Group, first)
    }
}

/// What a call works on: the same network error means different things to a store and to a group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Store,
    Group,
}

/// Turns a status of the shim into a result.
pub(crate) fn check(status: c_int, subject: Subject) -> Result<(), Error> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the shim returns a NUL-terminated string that stays valid until this thread's next failing call.
    let message = unsafe { CStr::from_ptr(crate::ffi::teasel_last_error()) }.to_string_lossy();
    Err(classify(status, subject, message.lines().next().unwrap_or_default()))
}

fn classify(status: c_int, subject: Subject, message: &str) -> Error {
    const PEER_SIGNS: [&str; 7] = [
        // Whatever goes wrong on the way between two ranks: "No route to host", "Connection timed out" and their like.
        "gloo/transport",
        "Connection closed by peer",
        "Connection reset",
        "Broken pipe",
        "Connection refused",
        "Socket closed",
        "aborted",
    ];
    let message = message.to_owned();
    match (status, subject) {
        (2, _) => Error::Timeout(message),
        (_, Subject::Store) => Error::Store(message),
        (_, Subject::Group) if PEER_SIGNS.iter().any(|sign| message.contains(sign)) => Error::PeerLost(message),
        (3, _) => Error::PeerLost(message),
        (4, _) => Error::Store(message),
        (5, _) => Error::Backend(message),
        _ => Error::Other(message),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::closed("[/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:7231")]
    #[case::no_route(
        "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] connect [10.0.0.7]:4021: No route to host"
    )]
    #[case::reset("[/gloo/transport/tcp/buffer.cc:72] Read error [10.0.0.7]:4021: Connection reset by peer")]
    #[case::timed_out("[/gloo/transport/tcp/pair.cc:534] Read error [10.0.0.7]:4021: Connection timed out")]
    #[case::unexpected("[/gloo/transport/tcp/error.cc:9] Network is unreachable")]
    fn whatever_goes_wrong_between_two_ranks_is_a_lost_peer(#[case] message: &str) {
        assert_eq!(classify(1, Subject::Group, message), Error::PeerLost(message.into()));
    }

    #[test]
    fn other_errors_are_told_apart_by_status_and_subject() {
        assert_eq!(classify(3, Subject::Store, "Broken pipe"), Error::Store("Broken pipe".into()));
        assert_eq!(classify(1, Subject::Group, "wrong shapes"), Error::Other("wrong shapes".into()));
        assert_eq!(
            classify(2, Subject::Group, "Timed out waiting 3000ms"),
            Error::Timeout("Timed out waiting 3000ms".into())
        );
    }
}
