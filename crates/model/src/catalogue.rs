//! The item side of scoring: which items may be recommended, their scores, and the facet that each serves.

use tch::Tensor;
use teasel_api::resolved;

use crate::batch::BatchInput;
use crate::config::{Config, Likelihood};
use crate::dense::Workspace;
use crate::error::{ModelError, Result};
use crate::few_facets::FewFacets;
use crate::gaussian;
use crate::multinomial;
use crate::place::{Place, read_numbers};
use crate::vectors::Vectors;

/// How much smaller scoring makes what it keeps of items, at some cost of exactness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// Facets that an item belongs to: its largest ones. Unset means all.
    pub facets_per_item: Option<usize>,
    /// Whether items' vectors are kept in 8 bits a number.
    pub quantised: bool,
}

impl Compression {
    /// What a resolved spec asks for.
    pub fn from_spec(spec: Option<&resolved::Compression>) -> Self {
        spec.map_or_else(Self::default, |spec| Self {
            facets_per_item: spec.facets_per_item.map(|kept| kept as usize),
            quantised: spec.item_vectors == resolved::ItemVectors::Int8,
        })
    }
}

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
    items: Vectors,
    /// `[size]`: the Gaussian mean's bias.
    bias: Option<Tensor>,
    belonging: Belonging,
}

/// How far items belong to facets.
#[derive(Debug)]
enum Belonging {
    /// To each, however little.
    Whole {
        /// `[facets, size]`
        log_routing: Tensor,
        /// `[size, facets]`
        shares: Tensor,
    },
    /// To a few.
    Few(FewFacets),
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
    pub(crate) fn new(items: &Items, allowed: Option<&[i64]>, compression: Compression) -> Result<Self> {
        let universe = items.vectors.size()[0] as usize;
        let allowed = allowed.map(|allowed| ascending(allowed, universe)).transpose()?;
        let index = allowed.as_deref().map(|allowed| Place::of(&items.vectors)?.indices(allowed)).transpose()?;
        let pick = |tensor: &Tensor, dimension: i64| match &index {
            Some(index) => tensor.f_index_select(dimension, index),
            None => tensor.f_detach_copy(),
        };
        let log_routing = pick(&items.log_routing, 1)?;
        let shares = log_routing.f_exp()?.f_transpose(0, 1)?.f_contiguous()?;
        let vectors = pick(&items.vectors, 0)?;
        Ok(Self {
            universe,
            size: allowed.as_ref().map_or(universe, Vec::len),
            allowed,
            items: if compression.quantised { Vectors::quantised(&vectors)? } else { Vectors::Exact(vectors) },
            bias: items.bias.as_ref().map(|bias| pick(bias, 0)).transpose()?,
            belonging: match compression.facets_per_item {
                Some(kept) => Belonging::Few(FewFacets::of(&shares, kept)?),
                None => Belonging::Whole { log_routing, shares },
            },
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
    pub(crate) fn vectors(&self, columns: &Tensor) -> Result<Tensor> {
        self.items.rows(columns)
    }

    /// Shares of the facets of some items, `[columns, facets]`.
    fn shares(&self, columns: &Tensor) -> Result<Tensor> {
        match &self.belonging {
            Belonging::Whole { shares, .. } => Ok(shares.f_index_select(0, columns)?),
            Belonging::Few(few) => few.rows(columns),
        }
    }

    /// Vectors whose products with a facet's latents are that facet's parts of the items' scores, but for what doesn't
    /// depend on the user: `[columns, dimensions]`. Multinomial: of the logarithms of the parts.
    pub(crate) fn parts(&self, config: &Config, columns: &Tensor, facets: &Tensor) -> Result<Tensor> {
        let rows = self.vectors(columns)?;
        Ok(match config.likelihood {
            Likelihood::Multinomial => rows.f_mul_scalar(1.0 / config.temperature)?,
            Likelihood::Gaussian { .. } => {
                rows.f_mul(&self.shares(columns)?.f_gather(1, &facets.f_unsqueeze(1)?, false)?)?
            }
        })
    }

    /// Writes what ranks a block of columns, `[users, length]`.
    pub(crate) fn scores_into(
        &self,
        config: &Config,
        latents: &Tensor,
        (start, length): (i64, i64),
        workspace: &mut Workspace,
        scores: &mut [f32],
    ) -> Result<()> {
        let ranked = match &self.belonging {
            Belonging::Few(few) => return self.few_scores_into(few, config, latents, (start, length), scores),
            Belonging::Whole { log_routing, shares } => {
                let items = self.items.block(start, length)?;
                match &self.bias {
                    Some(bias) => {
                        let bias = bias.f_narrow(0, start, length)?;
                        // Means alone are read, so the variance's layer is never looked at.
                        let layer = gaussian::Layer { weight: &items, bias: &bias };
                        let shares = &shares.f_narrow(0, start, length)?;
                        let decoder = gaussian::Decoder {
                            latents,
                            shares,
                            mean: layer,
                            variance: layer,
                            variance_floor: 0.0,
                        };
                        decoder.means(&decoder.flat_latents()?, 0, length, workspace)?
                    }
                    None => {
                        let log_routing = &log_routing.f_narrow(1, start, length)?;
                        let temperature = config.temperature;
                        let decoder = multinomial::Decoder { latents, items: &items, log_routing, temperature };
                        let scaled = decoder.scaled_latents()?;
                        let weighted = decoder.weighted_scores(&scaled, 0, length, WEIGHTED, workspace)?;
                        let sum = workspace.buffer(SCORES, &[latents.size()[1], length], Place::of(latents)?)?;
                        let _ = weighted.f_sum_intlist_out(&sum, 0, false, None)?;
                        sum
                    }
                }
            }
        };
        Ok(ranked.f_copy_data(scores, scores.len())?)
    }

    fn few_scores_into(
        &self,
        few: &FewFacets,
        config: &Config,
        latents: &Tensor,
        (start, length): (i64, i64),
        scores: &mut [f32],
    ) -> Result<()> {
        few.add_up((start, length), scores, |facet, columns, shares| {
            let items = self.items.rows(columns)?.f_transpose(0, 1)?;
            Ok(match config.likelihood {
                Likelihood::Multinomial => {
                    let mut part = latents.f_select(0, facet)?.f_mm(&items)?;
                    let _ = part.f_add_scalar_(-1.0)?.f_mul_scalar_(1.0 / config.temperature)?;
                    let _ = part.f_exp_()?;
                    part.f_mul_(shares)?
                }
                Likelihood::Gaussian { .. } => latents.f_select(1, facet)?.f_mm(&items)?.f_mul_(shares)?,
            })
        })?;
        if let Some(bias) = &self.bias {
            let own: Vec<f32> = read_numbers(&bias.f_narrow(0, start, length)?)?;
            for row in scores.chunks_exact_mut(length as usize) {
                row.iter_mut().zip(&own).for_each(|(score, bias)| *score += bias);
            }
        }
        Ok(())
    }

    /// The facet with the largest part in each score; `columns` holds `longest` of each user.
    pub(crate) fn serving_facets(
        &self,
        config: &Config,
        latents: &Tensor,
        columns: &Tensor,
        longest: i64,
    ) -> Result<Vec<i64>> {
        let of_users = |rows: Tensor| -> Result<Tensor> { Ok(rows.f_reshape([-1, longest, rows.size()[1]])?) };
        let (items, shares) = (of_users(self.vectors(columns)?)?, of_users(self.shares(columns)?)?);
        // `[users, longest, facets]`
        let parts = match config.likelihood {
            Likelihood::Multinomial => items
                .f_bmm(&latents.f_permute([1, 2, 0])?)?
                .f_mul_scalar(1.0 / config.temperature)?
                .f_add(&shares.f_log()?)?,
            Likelihood::Gaussian { .. } => items.f_bmm(&latents.f_transpose(1, 2)?)?.f_mul(&shares)?,
        };
        read_numbers(&parts.f_argmax(-1, false)?)
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
