//! The item side of scoring: which items may be recommended, their scores, and the facet that each serves.

use tch::Tensor;

use crate::batch::BatchInput;
use crate::config::{Config, Likelihood};
use crate::dense::Workspace;
use crate::error::{ModelError, Result};
use crate::gaussian;
use crate::multinomial;
use crate::place::Place;

/// The items that may be recommended, as the decoder reads them.
#[derive(Debug)]
pub(crate) struct Catalogue {
    /// Item indices, ascending; unset means all.
    allowed: Option<Vec<i64>>,
    /// How many items there are, of which some may be recommended.
    pub(crate) universe: usize,
    /// How many items may be recommended.
    pub(crate) size: usize,
    /// `[size, dimensions]`: directions, or the Gaussian mean's weights.
    items: Tensor,
    /// `[size]`: the Gaussian mean's bias.
    bias: Option<Tensor>,
    /// `[facets, size]`
    log_routing: Tensor,
    /// `[size, facets]`
    shares: Tensor,
}

/// What the decoder reads of items.
pub(crate) struct Items {
    /// `[items, dimensions]`: directions of length 1, or the Gaussian mean's weights.
    pub(crate) vectors: Tensor,
    /// `[items]`: the Gaussian mean's bias.
    pub(crate) bias: Option<Tensor>,
    /// `[facets, items]`
    pub(crate) log_routing: Tensor,
}

impl Catalogue {
    /// Copies what scoring reads of `items`. `allowed` lists items in any order, unset means all.
    pub(crate) fn new(items: &Items, allowed: Option<&[i64]>) -> Result<Self> {
        let place = Place::of(&items.vectors)?;
        let universe = items.vectors.size()[0] as usize;
        let allowed = allowed.map(|allowed| ascending(allowed, universe)).transpose()?;
        let index = allowed.as_deref().map(|allowed| place.indices(allowed)).transpose()?;
        let pick = |tensor: &Tensor, dimension: i64| match &index {
            Some(index) => tensor.f_index_select(dimension, index),
            None => tensor.f_detach_copy(),
        };
        let log_routing = pick(&items.log_routing, 1)?;
        Ok(Self {
            universe,
            size: allowed.as_ref().map_or(universe, Vec::len),
            allowed,
            items: pick(&items.vectors, 0)?,
            bias: items.bias.as_ref().map(|bias| pick(bias, 0)).transpose()?,
            shares: log_routing.f_exp()?.f_transpose(0, 1)?.f_contiguous()?,
            log_routing,
        })
    }

    /// The item of a column.
    pub(crate) fn item(&self, column: u32) -> u32 {
        self.allowed.as_ref().map_or(column, |allowed| allowed[column as usize] as u32)
    }

    /// The column of an item; `None` where it may not be recommended.
    pub(crate) fn column(&self, item: i64) -> Option<u32> {
        match &self.allowed {
            None => Some(item as u32),
            Some(allowed) => allowed.binary_search(&item).ok().map(|column| column as u32),
        }
    }

    /// The columns of each user's own items, ascending.
    pub(crate) fn columns(&self, batch: &BatchInput<'_>) -> Vec<Vec<u32>> {
        (0..batch.users())
            .map(|user| {
                let own = batch.items_of(user).iter();
                let mut columns: Vec<u32> = own.filter_map(|&item| self.column(item)).collect();
                columns.sort_unstable();
                columns
            })
            .collect()
    }

    /// The vectors that recommend these items, `[columns, dimensions]`.
    pub(crate) fn vectors(&self, columns: &[i64]) -> Result<Tensor> {
        Ok(self.items.f_index_select(0, &Place::of(&self.items)?.indices(columns)?)?)
    }

    /// Vectors whose products with a facet's latents are that facet's parts of the items' scores, but for what doesn't
    /// depend on the user: `[columns, dimensions]`. Multinomial: of the logarithms of the parts.
    pub(crate) fn parts(&self, config: &Config, columns: &[i64], facets: &[i64]) -> Result<Tensor> {
        let rows = self.vectors(columns)?;
        Ok(match config.likelihood {
            Likelihood::Multinomial => rows.f_mul_scalar(1.0 / config.temperature)?,
            Likelihood::Gaussian { .. } => {
                let place = Place::of(&self.items)?;
                let facets = place.indices(facets)?.f_unsqueeze(1)?;
                let shares = self.shares.f_index_select(0, &place.indices(columns)?)?;
                rows.f_mul(&shares.f_gather(1, &facets, false)?)?
            }
        })
    }

    fn gaussian<'a>(&'a self, latents: &'a Tensor, bias: &'a Tensor) -> gaussian::Decoder<'a> {
        let layer = gaussian::Layer { weight: &self.items, bias };
        // Means alone are read, so the variance's layer is never looked at.
        gaussian::Decoder { latents, shares: &self.shares, mean: layer, variance: layer, variance_floor: 0.0 }
    }

    /// What ranks a block of columns, `[users, length]`.
    pub(crate) fn scores(
        &self,
        config: &Config,
        latents: &Tensor,
        start: i64,
        length: i64,
        workspace: &mut Workspace,
    ) -> Result<Tensor> {
        if let Some(bias) = &self.bias {
            let decoder = self.gaussian(latents, bias);
            return decoder.means(&decoder.flat_latents()?, start, length, workspace);
        }
        let decoder = multinomial::Decoder {
            latents,
            items: &self.items,
            log_routing: &self.log_routing,
            temperature: config.temperature,
        };
        let weighted = decoder.weighted_scores(&decoder.scaled_latents()?, start, length, WEIGHTED, workspace)?;
        let scores = workspace.buffer(SCORES, &[latents.size()[1], length], Place::of(latents)?)?;
        let _ = weighted.f_sum_intlist_out(&scores, 0, false, None)?;
        Ok(scores)
    }

    /// The facet with the largest part in each score; `columns` holds `longest` of each user.
    pub(crate) fn serving_facets(
        &self,
        config: &Config,
        latents: &Tensor,
        columns: &Tensor,
        longest: i64,
    ) -> Result<Vec<i64>> {
        let rows = |table: &Tensor| table.f_index_select(0, columns)?.f_view_([-1, longest, table.size()[1]]);
        // `[users, longest, facets]`
        let parts = match config.likelihood {
            Likelihood::Multinomial => rows(&self.items)?
                .f_bmm(&latents.f_permute([1, 2, 0])?)?
                .f_mul_scalar(1.0 / config.temperature)?
                .f_add(&rows(&self.shares.f_log()?)?)?,
            Likelihood::Gaussian { .. } => {
                rows(&self.items)?.f_bmm(&latents.f_transpose(1, 2)?)?.f_mul(&rows(&self.shares)?)?
            }
        };
        let facets = parts.f_argmax(-1, false)?;
        let mut result = vec![0; facets.numel()];
        facets.f_contiguous()?.f_copy_data(&mut result, facets.numel())?;
        Ok(result)
    }
}

/// Distinct items of a catalogue of `total`, ascending.
fn ascending(allowed: &[i64], total: usize) -> Result<Vec<i64>> {
    let mut allowed = allowed.to_vec();
    allowed.sort_unstable();
    allowed.dedup();
    if allowed.first().is_some_and(|&item| item < 0) || allowed.last().is_some_and(|&item| item >= total as i64) {
        return Err(ModelError::Input(format!("an allowed item is none of the model's {total}")));
    }
    Ok(allowed)
}

/// Slots of the work space; the Gaussian decoder uses its own.
const SCORES: usize = 0;
const WEIGHTED: usize = 1;
