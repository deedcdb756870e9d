//! What goes wrong between an operator and the API server, and what that means for a request.

use std::time::Duration;

use axum::http::Method;
use axum::http::request::Parts;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The longest that one request waits under [`Fault::Slow`].
const SLOWEST: Duration = Duration::from_millis(500);
/// Watches end within this under [`Fault::Drops`].
const LONGEST_WATCH: Duration = Duration::from_secs(2);
/// How far watches lag under [`Fault::Stale`].
const LAG: Duration = Duration::from_secs(2);
/// One of so many requests begins a burst of errors under [`Fault::Errors`].
const BURSTS: u32 = 30;

/// A side of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The API server hasn't heard of it.
    Before,
    /// The API server has carried it out, and the operator doesn't know.
    After,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One write, counted from 0, is held fast on one side, and from then on everything is, until it is released.
    Held(usize, Side),
    /// Bursts of errors: too many requests, an API server that fails or is away, conflicts, and answers that get lost after
    /// the request was carried out.
    Errors,
    /// Every request waits for up to half a second.
    Slow,
    /// Watches end after up to two seconds.
    Drops,
    /// Every other list is answered as the same list was before, and watches lag by two seconds.
    Stale,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// The API server answers.
    Pass,
    /// Nothing is answered until everything is released, and then the API server hears of it or has.
    Hold(Side),
    /// It is refused with a status and a reason.
    Refuse(u16, &'static str),
    /// The API server carries it out, and its answer gets lost.
    Lose,
    /// It waits first.
    Wait(Duration),
    /// Its answer, a stream, ends after this.
    End(Duration),
    /// Its answer, a stream, comes late by this.
    Lag(Duration),
    /// It is answered as the same request was the last time but one.
    Repeat,
}

/// Decides on requests one by one.
pub(super) struct Weather {
    fault: Option<Fault>,
    random: StdRng,
    /// How many more requests fail.
    burst: u32,
    /// Method and path of each write, in order.
    pub(super) writes: Vec<String>,
    /// Whether everything is held.
    pub(super) held: bool,
}

impl Weather {
    pub(super) fn new(fault: Option<Fault>, seed: u64) -> Self {
        Weather { fault, random: StdRng::seed_from_u64(seed), burst: 0, writes: Vec::new(), held: false }
    }

    /// Takes a request down, and decides.
    pub(super) fn meet(&mut self, request: &Parts) -> Course {
        if self.held {
            return Course::Hold(Side::Before);
        }
        let number = self.writes.len();
        let counts = is_counted(request);
        if counts {
            self.writes.push(format!("{} {}", request.method, request.uri.path()));
        }
        match self.fault {
            Some(Fault::Held(wanted, side)) if counts && wanted == number => {
                self.held = side == Side::Before;
                Course::Hold(side)
            }
            Some(Fault::Errors) if !is_watch(request) => self.error(request),
            Some(Fault::Slow) => Course::Wait(self.random.random_range(Duration::ZERO..SLOWEST)),
            Some(Fault::Drops) if is_watch(request) => {
                Course::End(self.random.random_range(Duration::ZERO..LONGEST_WATCH))
            }
            Some(Fault::Stale) if is_watch(request) => Course::Lag(LAG),
            Some(Fault::Stale) if request.method == Method::GET => Course::Repeat,
            _ => Course::Pass,
        }
    }

    fn error(&mut self, request: &Parts) -> Course {
        if self.burst == 0 && self.random.random_range(0..BURSTS) == 0 {
            self.burst = self.random.random_range(1..=4);
        }
        if self.burst == 0 {
            return Course::Pass;
        }
        self.burst -= 1;
        let changes = [Method::PUT, Method::PATCH].contains(&request.method);
        match self.random.random_range(0..5) {
            0 => Course::Refuse(429, "TooManyRequests"),
            1 => Course::Refuse(500, "InternalError"),
            2 => Course::Refuse(503, "ServiceUnavailable"),
            3 if changes => Course::Refuse(409, "Conflict"),
            _ => Course::Lose,
        }
    }
}

fn is_watch(request: &Parts) -> bool {
    request.uri.query().is_some_and(|query| query.contains("watch=true"))
}

/// Whether a request changes anything of a job. What is told to people, and who leads, isn't counted.
pub(super) fn is_counted(request: &Parts) -> bool {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&request.method);
    !reads && !["/leases", "/events"].iter().any(|other| request.uri.path().contains(other))
}
