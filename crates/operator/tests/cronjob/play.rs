//! A world for one schedule, in which time passes: jobs start, end and go, and whoever decides looks when something
//! has happened, or when it said it would.

use jiff::{SignedDuration, Timestamp};

use crate::world::{Event, Job, Played, Scenario, Seen, Step, job_name};

/// How much later than asked for a look is: operators wait a little longer than to the tick, lest they are early.
const LATE: SignedDuration = SignedDuration::from_millis(20);

/// The scenario as it goes on. Times are what has passed since its start.
struct World<'a> {
    scenario: &'a Scenario,
    passed: SignedDuration,
    /// How far clocks are set forward.
    offset: SignedDuration,
    seen: Seen,
    /// When which jobs end or are gone, and whether they succeed.
    endings: Vec<(SignedDuration, String, bool)>,
    wake: Option<SignedDuration>,
    up: bool,
    dies: Option<i64>,
    back: Option<SignedDuration>,
    played: Played,
}

/// Plays a scenario, in which `look` decides.
pub(crate) fn play(scenario: &Scenario, mut look: impl FnMut(&Seen) -> Step) -> Played {
    let mut world = World {
        scenario,
        passed: SignedDuration::ZERO,
        offset: SignedDuration::ZERO,
        seen: Seen::default(),
        endings: Vec::new(),
        wake: Some(SignedDuration::ZERO),
        up: true,
        dies: None,
        back: None,
        played: Played::default(),
    };
    let mut events = scenario.events.iter().map(|(at, event)| (SignedDuration::from_secs(*at), *event)).peekable();
    let end = scenario.span.1.duration_since(scenario.span.0);
    loop {
        let event = events.peek().map(|(at, _)| *at);
        let ending = world.endings.iter().map(|(at, ..)| *at).min();
        let Some(at) = [event, ending, world.wake, world.back].into_iter().flatten().min() else { break };
        if at > end {
            break;
        }
        world.pass_until(at.max(world.passed));
        while let Some((_, event)) = events.next_if(|(at, _)| *at <= world.passed) {
            world.happen(event);
        }
        if world.up {
            world.settle(&mut look);
        }
    }
    world.played
}

impl World<'_> {
    fn pass_until(&mut self, at: SignedDuration) {
        self.passed = at;
        self.seen.now = self.scenario.span.0 + self.passed + self.offset;
        if self.back.is_some_and(|back| back <= at) {
            self.back = None;
            self.up = true;
        }
        if self.wake.is_some_and(|wake| wake <= at) {
            self.wake = None;
        }
        let (over, ahead): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.endings).into_iter().partition(|(ending, ..)| *ending <= at);
        self.endings = ahead;
        for (_, name, succeeded) in over {
            self.end(&name, succeeded);
        }
    }

    /// A job ends; one that is being deleted goes.
    fn end(&mut self, name: &str, succeeded: bool) {
        let second = self.second();
        self.seen.jobs.retain(|job| job.name != name || !job.deleting);
        for job in self.seen.jobs.iter_mut().filter(|job| job.name == name) {
            job.ended = Some((second, succeeded));
        }
    }

    fn second(&self) -> Timestamp {
        Timestamp::from_second(self.seen.now.as_second()).unwrap()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Suspend(suspended) => self.seen.suspended = suspended,
            Event::Up(up) => self.up = up,
            Event::StepClock(seconds) => {
                self.offset += SignedDuration::from_secs(seconds);
                self.seen.now += SignedDuration::from_secs(seconds);
            }
            Event::Die(seconds) => self.dies = Some(seconds),
        }
        if !self.up {
            self.wake = None;
        }
    }

    /// Looks until nothing changes any more, for every change is seen and looked at.
    fn settle(&mut self, look: &mut impl FnMut(&Seen) -> Step) {
        for _ in 0..10 {
            let step = look(&self.seen);
            let acts = !(step.created.is_empty() && step.deleted.is_empty());
            step.deleted.iter().for_each(|name| self.delete(name));
            step.created.iter().for_each(|tick| self.create(*tick));
            if let Some(away) = self.dies.take_if(|_| !step.created.is_empty()) {
                self.up = false;
                self.wake = None;
                self.back = Some(self.passed + SignedDuration::from_secs(away));
                return;
            }
            if !acts && (step.last, &step.active) == (self.seen.last, &self.seen.active) {
                let wait = step.next.map(|next| next.duration_since(self.seen.now));
                assert!(wait.is_none_or(|wait| wait.is_positive()), "it looks without end: {step:?}");
                self.wake = wait.map(|wait| self.passed + wait + LATE);
                return;
            }
            (self.seen.last, self.seen.active) = (step.last, step.active);
        }
        panic!("it never settles: {:?}", self.seen);
    }

    fn create(&mut self, tick: Timestamp) {
        let (started, name) = (self.second(), job_name(tick));
        assert!(self.seen.jobs.iter().all(|job| job.name != name), "{name} is there");
        let (seconds, succeeded) = self.scenario.runs[self.played.created.len() % self.scenario.runs.len()];
        self.played.created.push((tick, started));
        // From the full second on, so that it doesn't matter how late a look is.
        let late = SignedDuration::from_nanos(i64::from(self.seen.now.subsec_nanosecond()));
        self.endings.push((self.passed - late + SignedDuration::from_secs(seconds), name.clone(), succeeded));
        self.seen.jobs.push(Job { name, tick, started, ended: None, deleting: false });
    }

    fn delete(&mut self, name: &str) {
        let second = self.second();
        let place = self.seen.jobs.iter().position(|job| job.name == name).expect("it is there");
        self.played.deleted.push((name.to_owned(), second));
        let job = &mut self.seen.jobs[place];
        if job.ended.is_some() || self.scenario.stops_in == 0 {
            self.seen.jobs.remove(place);
            self.endings.retain(|(_, ending, _)| ending != name);
        } else {
            assert!(!job.deleting, "{name} is deleted twice");
            job.deleting = true;
            for (at, ..) in self.endings.iter_mut().filter(|(_, ending, _)| ending == name) {
                *at = (*at).min(self.passed + SignedDuration::from_secs(self.scenario.stops_in));
            }
        }
    }
}
