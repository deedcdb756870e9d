//! Consistency: whether facets are a person's, so that one half of a history tells those of the other.

use serde::Serialize;

use super::shares::{Shares, entropy};
use crate::error::{ModelError, Result};

/// How far halves of histories agree on a person's facets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consistency {
    /// The divergence between a person's halves as a share of that between people's: 0 is best, and 1 says that facets
    /// tell nothing of a person. 1 also where nobody differs from anybody.
    pub ratio: f64,
    /// Mean Jensen-Shannon divergence (Lin 1991) in bits between the facet shares of two halves of one history.
    pub same: f64,
    /// The same between halves of different people's histories.
    pub different: f64,
    /// Probability that a person's halves are nearer to each other than to another's; 0.5 is chance.
    pub identification: f64,
}

/// How many other people each is compared with.
const OTHERS: usize = 50;

/// Consistency of people's facet shares by two halves of their histories, `[people, facets]` each. Each is compared with
/// up to 50 others. `None` with fewer than two people or facets.
///
/// # Errors
/// [`ModelError::Input`] where the halves aren't of the same people and facets.
pub fn consistency(first: &Shares, second: &Shares) -> Result<Option<Consistency>> {
    if (first.rows(), first.columns()) != (second.rows(), second.columns()) {
        return Err(ModelError::Input(format!(
            "halves of histories aren't of the same people and facets: {} and {} people, {} and {} facets",
            first.rows(),
            second.rows(),
            first.columns(),
            second.columns()
        )));
    }
    let people = first.rows();
    if people < 2 || first.columns() < 2 {
        return Ok(None);
    }
    let others = OTHERS.min(people - 1);
    let (mut same, mut different, mut nearer) = (0.0, 0.0, 0.0);
    for person in 0..people {
        let own = divergence(first.row(person), second.row(person));
        same += own / people as f64;
        for other in 1..=others {
            // Spread over all, so that neighbours in a sorted file aren't everybody's others.
            let other = (person + other * (people - 1) / others) % people;
            let theirs = divergence(first.row(person), second.row(other));
            different += theirs / (people * others) as f64;
            nearer += match own.total_cmp(&theirs) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            };
        }
    }
    let ratio = if different > f64::EPSILON { same / different } else { 1.0 };
    Ok(Some(Consistency { ratio, same, different, identification: nearer / (people * others) as f64 }))
}

/// Jensen-Shannon divergence in bits, from 0 to 1.
fn divergence(left: &[f64], right: &[f64]) -> f64 {
    let middle: Vec<f64> = left.iter().zip(right).map(|(left, right)| (left + right) / 2.0).collect();
    let bits = (entropy(&middle) - (entropy(left) + entropy(right)) / 2.0) / std::f64::consts::LN_2;
    bits.clamp(0.0, 1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PEOPLE: usize = 120;

    /// People whose share of the first of two facets is as `share` says.
    fn people(share: impl Fn(usize) -> f64) -> Shares {
        Shares::new(2, (0..PEOPLE).flat_map(|person| [share(person), 1.0 - share(person)]).collect()).unwrap()
    }

    fn of(first: &Shares, second: &Shares) -> Consistency {
        consistency(first, second).unwrap().unwrap()
    }

    #[test]
    fn halves_that_say_the_same_are_as_consistent_as_can_be() {
        let shares = people(|person| (person as f64 + 0.5) / PEOPLE as f64);
        let found = of(&shares, &shares);
        assert_eq!((found.same, found.ratio, found.identification), (0.0, 0.0, 1.0));
        let two = people(|person| (person % 2) as f64);
        let found = of(&two, &two);
        // Half of the others are just as near, half as far as possible.
        assert!((found.different - 0.5).abs() < 0.02 && (found.identification - 0.75).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn halves_of_nobody_tell_nothing() {
        let first = people(|person| ((person * 37) % PEOPLE) as f64 / PEOPLE as f64);
        let second = people(|person| ((person * 53 + 11) % PEOPLE) as f64 / PEOPLE as f64);
        let found = of(&first, &second);
        assert!((found.ratio - 1.0).abs() < 0.25 && (found.identification - 0.5).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn routing_that_does_nothing_and_one_facet_for_all_win_nothing() {
        for share in [0.5, 1.0] {
            let found = of(&people(|_| share), &people(|_| share));
            assert_eq!((found.same, found.ratio, found.identification), (0.0, 1.0, 0.5));
        }
        let one = Shares::new(1, vec![1.0; PEOPLE]).unwrap();
        assert_eq!(consistency(&one, &one).unwrap(), None);
        assert!(consistency(&one, &people(|_| 0.5)).is_err());
    }

    #[test]
    fn divergence_is_in_bits() {
        assert_eq!(divergence(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        // 1 bit of the middle's entropy less half of the other's.
        let expected = {
            let middle: f64 = 0.75 * (1.0_f64 / 0.75).log2() + 0.25 * 2.0;
            middle - 0.5
        };
        assert!((divergence(&[1.0, 0.0], &[0.5, 0.5]) - expected).abs() < 1e-12);
    }
}
