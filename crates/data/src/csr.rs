//! Users' items, compressed by rows.

/// Rows of items: row `i` is `items[offsets[i]..offsets[i + 1]]`, ascending and distinct.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr {
    /// One more than there are rows; begins with 0.
    pub offsets: Vec<u64>,
    /// Indices into the vocabulary.
    pub items: Vec<u32>,
    /// One per item; `None` where all are 1.
    pub weights: Option<Vec<f32>>,
}

impl Csr {
    /// No rows yet, with or without weights.
    pub fn empty(weighted: bool) -> Self {
        Csr { offsets: vec![0], items: Vec::new(), weights: weighted.then(Vec::new) }
    }

    /// Number of rows.
    pub fn users(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Items of a row; none where there is no such row.
    pub fn row(&self, user: usize) -> &[u32] {
        self.items.get(self.range(user)).unwrap_or_default()
    }

    /// Weights of a row, `None` where all are 1.
    pub fn row_weights(&self, user: usize) -> Option<&[f32]> {
        self.weights.as_ref()?.get(self.range(user))
    }

    /// Appends a row. `weights` are ignored where this has none.
    pub fn push(&mut self, items: &[u32], weights: Option<&[f32]>) {
        self.items.extend_from_slice(items);
        if let Some(own) = &mut self.weights {
            match weights {
                Some(weights) => own.extend_from_slice(weights),
                None => own.extend(std::iter::repeat_n(1.0, items.len())),
            }
        }
        self.offsets.push(self.items.len() as u64);
    }

    /// These rows, in this order.
    pub fn pick(&self, rows: &[usize]) -> Self {
        let mut picked = Csr::empty(self.weights.is_some());
        rows.iter().for_each(|row| picked.push(self.row(*row), self.row_weights(*row)));
        picked
    }

    fn range(&self, user: usize) -> std::ops::Range<usize> {
        let bound = |position: usize| self.offsets.get(position).map_or(0, |offset| *offset as usize);
        bound(user)..bound(user + 1)
    }
}
