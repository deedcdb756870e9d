//! The operator dies right before and right after its writes, or its write comes when another has taken over, and a job
//! or schedule comes to the end that it comes to without.
//!
//! After Sieve (Sun et al., OSDI 2022), which found such faults in most of the controllers that it looked at.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use teasel_tests::cluster::{Fault, Side};

use crate::lives::Life;
use crate::scene::{Disturbance, Scene};

/// Set, it makes everything be tried, instead of a few.
const DEEP: &str = "TEASEL_TEST_DEEP";
/// Names the deaths or late writes to try, such as `LateWrite` or `Death(3, After)`.
const DISTURBANCE: &str = "TEASEL_TEST_DISTURBANCE";
/// How many deaths are tried otherwise, and late writes.
const FEW: (usize, usize) = (5, 1);

pub(crate) fn is_deep() -> bool {
    std::env::var_os(DEEP).is_some()
}

/// Chooses by a seed that is printed, or by the one that was.
pub(crate) fn seeded() -> StdRng {
    let given = std::env::var("TEASEL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| rand::rng().random());
    println!("TEASEL_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// All, or one; or the one that `TEASEL_TEST_LIFE` names.
fn lives(random: &mut StdRng) -> Vec<Life> {
    match std::env::var("TEASEL_TEST_LIFE") {
        Ok(named) => {
            let life = Life::ALL.into_iter().find(|life| format!("{life:?}") == named);
            vec![life.unwrap_or_else(|| panic!("there is no life {named}, only {:?}", Life::ALL))]
        }
        Err(_) if is_deep() => Life::ALL.to_vec(),
        Err(_) => vec![*Life::ALL.choose(random).unwrap()],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_operator_dies_a_job_comes_to_the_same_end() {
    let mut random = seeded();
    let mut scene = Scene::set().await;
    for life in lives(&mut random) {
        let (expected, writes) = scene.live(life);
        println!("{life:?} writes {} times", writes.len());
        assert!(writes.len() > 15, "{writes:#?}");
        let all = (0..writes.len()).flat_map(|write| {
            let sides = [Side::Before, Side::After].map(|side| Disturbance::Death(write, side));
            sides.into_iter().chain([Disturbance::LateWrite(write)])
        });
        // The creation of a tick's job that comes after its deletion runs the tick again (`operator::schedule`).
        let replaced =
            writes.iter().position(|write| life == Life::Replaced && write.ends_with("/recommenderjobs"));
        let all =
            all.filter(|one| !matches!((one, replaced), (Disturbance::LateWrite(late), Some(of)) if *late == of));
        let (late, deaths): (Vec<_>, Vec<_>) = all.partition(|one| matches!(one, Disturbance::LateWrite(_)));
        let named = std::env::var(DISTURBANCE).ok();
        let chosen: Vec<_> = if let Some(named) = named {
            let all = deaths.into_iter().chain(late);
            all.filter(|one| format!("{one:?}").contains(&named)).collect()
        } else if is_deep() {
            [deaths, late].concat()
        } else {
            let (few, fewer) = (deaths.sample(&mut random, FEW.0), late.sample(&mut random, FEW.1));
            few.chain(fewer).copied().collect()
        };
        let mut missed = 0;
        for disturbance in &chosen {
            println!("{life:?} with {disturbance:?} of {}", writes.len());
            missed += usize::from(!scene.live_disturbed(life, *disturbance, &expected));
        }
        assert!(missed * 5 <= chosen.len(), "{missed} of {} disturbances befell nobody", chosen.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_api_server_answers_a_job_comes_to_the_same_end() {
    let mut random = seeded();
    let mut scene = Scene::set().await;
    for life in lives(&mut random) {
        let (expected, _) = scene.live(life);
        for fault in [Fault::Errors, Fault::Slow, Fault::Drops, Fault::Stale] {
            for _ in 0..if is_deep() { 5 } else { 1 } {
                let disturbance = Disturbance::Answers(fault, random.random());
                println!("{life:?} with {disturbance:?}");
                assert!(scene.live_disturbed(life, disturbance, &expected));
            }
        }
    }
}
