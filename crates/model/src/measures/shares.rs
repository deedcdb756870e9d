//! Shares of items and people.

use crate::batch::BatchInput;
use crate::error::{ModelError, Result};

/// Rows of numbers from 0 on that add up to 1: an item's shares of facets, or a person's of facets or categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    columns: usize,
    values: Vec<f64>,
}

impl Shares {
    /// Scales each row of `values` (`[rows, columns]`, row after row) so that it adds up to 1.
    ///
    /// # Errors
    /// [`ModelError::Input`] where the values aren't rows of so many columns, and where a row has a number below 0 or none
    /// above.
    pub fn new(columns: usize, mut values: Vec<f64>) -> Result<Self> {
        if columns == 0 || !values.len().is_multiple_of(columns) {
            return Err(ModelError::Input(format!("{} numbers aren't rows of {columns} shares", values.len())));
        }
        for (index, row) in values.chunks_exact_mut(columns).enumerate() {
            let sum: f64 = row.iter().sum();
            if !(sum > 0.0 && sum.is_finite()) || row.iter().any(|value| *value < 0.0) {
                return Err(ModelError::Input(format!("row {index} of the shares doesn't add up to more than 0")));
            }
            row.iter_mut().for_each(|value| *value /= sum);
        }
        Ok(Self { columns, values })
    }

    /// Shares of categories: each category of an item has as much of it. An item without any has no row; the second
    /// result tells which items have one.
    ///
    /// # Errors
    /// [`ModelError::Input`] where no item has a category, or one is none of so many.
    pub fn of_categories(categories: usize, items: &[Vec<u32>]) -> Result<(Self, Vec<Option<usize>>)> {
        let mut values = Vec::new();
        let mut rows = Vec::with_capacity(items.len());
        for own in items {
            if own.is_empty() {
                rows.push(None);
                continue;
            }
            rows.push(Some(values.len() / categories.max(1)));
            let start = values.len();
            values.resize(start + categories, 0.0);
            for category in own {
                let value = values[start..].get_mut(*category as usize);
                *value.ok_or_else(|| ModelError::Input(format!("category {category} of {categories}")))? += 1.0;
            }
        }
        Ok((Self::new(categories, values)?, rows))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// The column that a row has most of, the first of equal ones.
    pub fn largest(&self, row: usize) -> usize {
        let values = self.row(row).iter().enumerate();
        values.rev().max_by(|left, right| left.1.total_cmp(right.1)).map_or(0, |(column, _)| column)
    }

    /// These rows, in this order.
    ///
    /// # Errors
    /// [`ModelError::Input`] for a row past the last.
    pub fn pick(&self, rows: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut values = Vec::new();
        for row in rows {
            if row >= self.rows() {
                return Err(ModelError::Input(format!("row {row} of {} shares", self.rows())));
            }
            values.extend_from_slice(self.row(row));
        }
        Ok(Self { columns: self.columns, values })
    }

    /// The mean of all rows; zeros where there is none.
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.columns];
        for row in 0..self.rows() {
            mean.iter_mut().zip(self.row(row)).for_each(|(mean, value)| *mean += value / self.rows() as f64);
        }
        mean
    }

    /// How many columns are in use: the exponential of the entropy of the mean.
    pub fn effective(&self) -> f64 {
        entropy(&self.mean()).exp()
    }

    /// Each person's shares: the mean of those of the items in their history, by their weights. `row_of` names an item's
    /// row here. Somebody without such an item has no row, and is `None` in the second result.
    ///
    /// # Errors
    /// [`ModelError::Input`] where nobody has any.
    pub fn of_people(
        &self,
        histories: &BatchInput<'_>,
        row_of: impl Fn(usize) -> Option<usize>,
    ) -> Result<(Self, Vec<Option<usize>>)> {
        let mut values: Vec<f64> = Vec::new();
        let mut rows = Vec::with_capacity(histories.users());
        for user in 0..histories.users() {
            let start = values.len();
            let mut known = false;
            for entry in histories.row(user) {
                let Some(row) = row_of(histories.items[entry] as usize) else { continue };
                if !known {
                    values.resize(start + self.columns, 0.0);
                    known = true;
                }
                let weight = f64::from(histories.weight(entry));
                values[start..].iter_mut().zip(self.row(row)).for_each(|(value, share)| *value += weight * share);
            }
            rows.push(known.then_some(start / self.columns));
        }
        Ok((Self::new(self.columns, values)?, rows))
    }
}

/// Entropy in nats of numbers that add up to 1.
pub(super) fn entropy(shares: &[f64]) -> f64 {
    -shares.iter().filter(|share| **share > 0.0).map(|share| share * share.ln()).sum::<f64>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn rows_add_up_to_one() {
        let shares = Shares::new(2, vec![1.0, 3.0, 5.0, 5.0]).unwrap();
        assert_eq!((shares.row(0), shares.row(1)), (&[0.25, 0.75][..], &[0.5, 0.5][..]));
        assert_eq!(shares.mean(), [0.375, 0.625]);
    }

    #[rstest]
    #[case::no_columns(0, vec![])]
    #[case::half_a_row(2, vec![1.0])]
    #[case::nothing_in_a_row(2, vec![0.0, 0.0])]
    #[case::below_zero(2, vec![2.0, -1.0])]
    #[case::no_number(1, vec![f64::NAN])]
    fn what_is_no_share_is_refused(#[case] columns: usize, #[case] values: Vec<f64>) {
        assert!(matches!(Shares::new(columns, values), Err(ModelError::Input(_))));
    }

    #[test]
    fn items_have_their_categories_in_equal_parts_and_people_those_of_their_items() {
        let (shares, rows) = Shares::of_categories(2, &[vec![0, 1], vec![], vec![1]]).unwrap();
        assert_eq!(rows, [Some(0), None, Some(1)]);
        let histories = BatchInput {
            offsets: &[0, 3, 4],
            items: &[0, 1, 2, 1],
            weights: Some(&[1.0, 5.0, 3.0, 1.0]),
            user_keys: &[7, 8],
        };
        let (people, known) = shares.of_people(&histories, |item| rows[item]).unwrap();
        assert_eq!((people.row(0), known), (&[0.125, 0.875][..], vec![Some(0), None]));
    }
}
