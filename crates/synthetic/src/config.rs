//! Sizes and their check.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Sizes of the data, and the seed that decides everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// People.
    pub users: u64,
    /// Items; at least one for each facet.
    pub items: u32,
    /// Planted facets.
    pub facets: u32,
    /// Interactions over all people, exactly.
    pub interactions: u64,
    /// Seed.
    pub seed: u64,
}

/// Why nothing was generated.
#[derive(Debug, Error)]
pub enum SyntheticError {
    /// Sizes that contradict each other.
    #[error("{0}")]
    Configuration(String),
    /// The data couldn't be written.
    #[error("can't write the generated data: {0}")]
    Write(#[from] std::io::Error),
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), SyntheticError> {
        let refuse = |message: &str| Err(SyntheticError::Configuration(message.to_owned()));
        match self {
            Config { users: 0, .. } => refuse("users must be at least 1"),
            Config { facets: 0, .. } => refuse("facets must be at least 1"),
            Config { items, facets, .. } if items < facets => {
                refuse(&format!("{items} items can't fill {facets} facets: ask for at least one item a facet"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::Config;

    #[rstest]
    #[case(0, 10, 2, "users must be at least 1")]
    #[case(1, 10, 0, "facets must be at least 1")]
    #[case(1, 3, 4, "3 items can't fill 4 facets: ask for at least one item a facet")]
    fn sizes_that_make_no_sense_are_refused(
        #[case] users: u64,
        #[case] items: u32,
        #[case] facets: u32,
        #[case] message: &str,
    ) {
        let config = Config { users, items, facets, interactions: 1, seed: 0 };
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }
}
