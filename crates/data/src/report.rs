//! The data report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::timeline::Timeline;

/// What a preparation found: `report.json`. It never holds an id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Raw rows of interactions.
    pub rows: u64,
    /// What became of those that don't count, by reason.
    pub dropped: Dropped,
    /// Users after the filters.
    pub users: u64,
    /// Items of the vocabulary: those that training users interacted with.
    pub items: u64,
    /// Pairs of a user and an item after the filters.
    pub interactions: u64,
    /// `interactions / (users x items after the filters)`.
    pub density: f64,
    /// Rows of each event that has a weight.
    pub events: BTreeMap<String, u64>,
    /// Users that train.
    pub training_users: u64,
    /// Pairs that train.
    pub training_interactions: u64,
    /// Users of the validation set.
    pub validation_users: u64,
    /// Users of the test set.
    pub test_users: u64,
    /// Passes of the filters.
    pub filter_rounds: u32,
    /// Raw users, those that the filters removed among them.
    pub raw_users: u64,
    /// Items of the vocabulary of which the item files say nothing; 0 where there are none.
    pub items_without_metadata: u64,
    /// Items of the item files that have a text or an image and no training user.
    #[serde(default)]
    pub cold_items: u64,
    /// Interactions over time; unset where their times aren't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
}

/// What was dropped, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Rows that couldn't be read.
    pub bad_rows: u64,
    /// Rows whose event isn't listed.
    pub unlisted_events: u64,
    /// Rows whose rating is missing or below the minimum.
    pub low_ratings: u64,
    /// Rows merged into another one of the same user and item.
    pub duplicates: u64,
    /// Pairs whose weights don't sum to a positive number.
    pub not_positive: u64,
    /// Users with fewer interactions than the minimum.
    pub users_below_minimum: u64,
    /// Items with fewer interactions than the minimum.
    pub items_below_minimum: u64,
    /// Pairs of these users and items.
    pub below_minimum: u64,
    /// Pairs of held-out users whose item no training user knows, or that both sets hold.
    pub held_out_unknown: u64,
    /// Held-out users with too few known items to be asked for one.
    pub held_out_users: u64,
}

impl Report {
    /// What was dropped and why, as a sentence; `None` where nothing was.
    pub fn drops(&self) -> Option<String> {
        let told = self.told();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Which filter removed what, as a sentence.
    pub(crate) fn removals(&self) -> String {
        let told = self.told();
        let told = if told.is_empty() { "the files hold no rows".to_owned() } else { told.join("; ") };
        format!("of {} rows, {told}", self.rows)
    }

    fn told(&self) -> Vec<String> {
        let Dropped {
            bad_rows,
            unlisted_events,
            low_ratings,
            not_positive,
            users_below_minimum,
            below_minimum,
            ..
        } = &self.dropped;
        let reasons = [
            (*bad_rows, "rows couldn't be read (onBadRows)"),
            (*unlisted_events, "rows have an event that isn't listed (events)"),
            (*low_ratings, "rows have no rating of at least the minimum (minimumRating)"),
            (*not_positive, "pairs have no positive weight (events)"),
            (*below_minimum, "pairs are of users or items with too few (minimumInteractions)"),
            (*users_below_minimum, "users have too few (minimumInteractions)"),
        ];
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, reason)| format!("{count} {reason}")).collect()
    }
}
