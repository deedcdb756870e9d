//! What lists do to the catalogue: how much of it they show, and how popular that is.

use serde::Serialize;

use crate::error::{ModelError, Result};

/// Measures of many people's lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposureMeasures {
    /// Share of the items that may be recommended which are in somebody's list (Ge, Delgado-Battenfeld and Jannach 2010).
    pub coverage: f64,
    /// Mean over the lists of the items' self-information in bits, `-log2` of the share of training users who have an item
    /// (Zhou et al. 2010).
    pub novelty: f64,
    /// Mean over the lists of the share of training users who have an item.
    pub recommended_popularity: f64,
    /// The same over the histories.
    pub history_popularity: f64,
    /// By how much lists are more popular than what people took by themselves, as a share of that (Abdollahpouri et al.,
    /// "The Unfairness of Popularity Bias in Recommendation", 2019): 0 is best.
    pub popularity_bias: f64,
}

/// Collects people's lists, in memory of one bit and number for each item.
#[derive(Clone, Debug)]
pub struct Exposure {
    popularity: Vec<f64>,
    information: Vec<f64>,
    shown: Vec<bool>,
    lists: usize,
    histories: usize,
    novelty: f64,
    recommended: f64,
    taken: f64,
}

impl Exposure {
    /// For items that so many of the training `users` have. An item that nobody has counts as one that one person has.
    ///
    /// # Errors
    /// [`ModelError::Input`] without items or users, and where an item has more users than there are.
    pub fn new(counts: &[u64], users: u64) -> Result<Self> {
        if counts.is_empty() || users == 0 || counts.iter().any(|count| *count > users) {
            return Err(ModelError::Input(format!(
                "{} items don't have {users} users or fewer each",
                counts.len()
            )));
        }
        let popularity: Vec<f64> = counts.iter().map(|count| *count as f64 / users as f64).collect();
        let information = counts.iter().map(|count| (users as f64 / (*count).max(1) as f64).log2()).collect();
        let shown = vec![false; counts.len()];
        Ok(Self {
            popularity,
            information,
            shown,
            lists: 0,
            histories: 0,
            novelty: 0.0,
            recommended: 0.0,
            taken: 0.0,
        })
    }

    /// Adds a person's list and history. Empty ones say nothing.
    ///
    /// # Errors
    /// [`ModelError::Input`] for an item past the last.
    pub fn add(&mut self, list: &[u32], history: &[u32]) -> Result<()> {
        if let Some(item) = list.iter().chain(history).find(|item| **item as usize >= self.shown.len()) {
            return Err(ModelError::Input(format!("item {item} of {}", self.shown.len())));
        }
        let mean = |items: &[u32], of: &[f64]| {
            items.iter().map(|item| of[*item as usize]).sum::<f64>() / items.len() as f64
        };
        if !list.is_empty() {
            self.lists += 1;
            self.novelty += mean(list, &self.information);
            self.recommended += mean(list, &self.popularity);
            list.iter().for_each(|item| self.shown[*item as usize] = true);
        }
        if !history.is_empty() {
            self.histories += 1;
            self.taken += mean(history, &self.popularity);
        }
        Ok(())
    }

    /// What all lists come to; `None` where there is no list.
    pub fn measures(&self) -> Option<ExposureMeasures> {
        let lists = (self.lists > 0).then_some(self.lists as f64)?;
        let recommended_popularity = self.recommended / lists;
        let history_popularity = if self.histories > 0 { self.taken / self.histories as f64 } else { 0.0 };
        let bias = recommended_popularity / history_popularity - 1.0;
        Some(ExposureMeasures {
            coverage: self.shown.iter().filter(|shown| **shown).count() as f64 / self.shown.len() as f64,
            novelty: self.novelty / lists,
            recommended_popularity,
            history_popularity,
            popularity_bias: if history_popularity > 0.0 { bias } else { 0.0 },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Items that 8, 4, 2 and none of 8 users have.
    fn exposure() -> Exposure {
        Exposure::new(&[8, 4, 2, 0], 8).unwrap()
    }

    #[test]
    fn measures_follow_their_definitions() {
        let mut exposure = exposure();
        assert_eq!(exposure.measures(), None);
        exposure.add(&[0, 1], &[2]).unwrap();
        exposure.add(&[1, 2], &[0, 1]).unwrap();
        exposure.add(&[], &[]).unwrap();
        let found = exposure.measures().unwrap();
        assert_eq!(found.coverage, 0.75);
        assert_eq!(found.novelty, ((0.0 + 1.0) / 2.0 + (1.0 + 2.0) / 2.0) / 2.0);
        assert_eq!(found.recommended_popularity, (0.75 + 0.375) / 2.0);
        assert_eq!(found.history_popularity, (0.25 + 0.75) / 2.0);
        assert!((found.popularity_bias - 0.125).abs() < 1e-12);
    }

    #[test]
    fn the_most_popular_for_everybody_covers_little_and_is_biased() {
        let (mut popular, mut varied) = (exposure(), exposure());
        for person in 0..4 {
            popular.add(&[0], &[person % 4]).unwrap();
            varied.add(&[person % 4], &[person % 4]).unwrap();
        }
        let (popular, varied) = (popular.measures().unwrap(), varied.measures().unwrap());
        assert_eq!((popular.coverage, popular.novelty), (0.25, 0.0));
        assert_eq!((varied.coverage, varied.popularity_bias), (1.0, 0.0));
        assert!(popular.popularity_bias > 1.0 && varied.novelty > 1.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Exposure::new(&[], 1).is_err());
        assert!(Exposure::new(&[2], 1).is_err());
        assert!(exposure().add(&[4], &[]).is_err());
    }
}
