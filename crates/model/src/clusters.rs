//! Facets from the contents of items: spherical k-means (Dhillon and Modha 2001) over several vectors per item, of which
//! some may be missing.
//!
//! An item's likeness to a cluster is the mean of its vectors' cosines to the cluster's centres, one centre for each
//! source. What is missing takes no part: neither in the mean nor in a centre.

use tch::{Device, Kind, Tensor};

use crate::cold;
use crate::consumers;
use crate::error::{ModelError, Result};
use crate::measures::permutation;
use crate::philox::{Purpose, Stream, unit};
use crate::place::read_numbers;
use crate::routing::normalise;

/// Items that centres are looked for among: more make them no better.
const MOST_CLUSTERED: usize = 20_000;
/// Beginnings that are tried; the best end counts.
const BEGINNINGS: u32 = 10;
/// Rounds of a beginning; most settle after ten to thirty.
const MOST_ROUNDS: usize = 100;

/// The items' vectors of one source: a layer of an encoder.
#[derive(Debug)]
pub struct ContentVectors {
    /// `[items, width]`; rows of items without content are never looked at.
    pub vectors: Tensor,
    /// Which items have content.
    pub known: Vec<bool>,
}

/// What a source's vectors are compared with.
#[derive(Debug)]
pub struct Anchors {
    /// The mean that directions are taken from, `[width]`.
    pub mean: Tensor,
    /// The facets' centres, of length 1, `[facets, width]`.
    pub centres: Tensor,
}

impl Anchors {
    /// Cosines of vectors' directions to the centres, `[facets, items]`, of `[items, width]`. Gradients reach the vectors.
    pub fn cosines(&self, vectors: &Tensor) -> Result<Tensor> {
        Ok(self.centres.f_mm(&normalise(&vectors.f_sub(&self.mean)?)?.f_transpose(0, 1)?)?)
    }
}

/// Where the items' contents place them among facets.
#[derive(Debug)]
pub struct ContentPlacement {
    /// `[sources, facets, items]`: cosines to the facets' centres, 0 where an item has no content of the source.
    pub(crate) cosines: Tensor,
    /// `[sources, items]`: 1 where it has, else 0.
    pub(crate) known: Tensor,
    /// `[facets, items]`: logits of where their consumers place them; 0 before [`Self::add_consumers`].
    pub(crate) consumers: Tensor,
    /// `[items, 128]`: main directions of the contents, where there are items that nobody trains with.
    pub(crate) components: Option<Tensor>,
    /// `[items]`: how many training users each has; 0 before [`Self::add_consumers`].
    pub(crate) counts: Tensor,
    anchors: Vec<Anchors>,
}

impl ContentPlacement {
    /// Clusters the first `trained` items into `facets`, the largest first, and places the others among them: a pure
    /// function of the vectors and the seed. Vectors count by their directions from the mean of their source. Items that
    /// nobody trains with change nothing for those that are trained with.
    ///
    /// # Errors
    /// [`ModelError::Configuration`] where fewer items than facets have content, [`ModelError::Input`] where the sources
    /// aren't of the same items, or a vector is no number.
    pub fn cluster(sources: &[ContentVectors], trained: usize, facets: usize, seed: u64) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let sources = sources.iter().map(|source| Source::new(source, trained)).collect::<Result<Vec<_>>>()?;
        let Some(items) = sources.first().map(|source| source.known.size()[0]) else {
            return Err(ModelError::Input("no content to cluster".into()));
        };
        if sources.iter().any(|source| source.known.size()[0] != items) {
            return Err(ModelError::Input("contents of different items".into()));
        }
        let trained = trained as i64;
        let known = Tensor::f_stack(&sources.iter().map(|source| &source.known).collect::<Vec<_>>(), 0)?;
        let sources_of_items = known.f_narrow(1, 0, trained)?.f_sum_dim_intlist(0, false, Kind::Float)?;
        let described: Vec<i64> = read_numbers(&sources_of_items.f_nonzero()?)?;
        if described.len() < facets {
            let count = described.len();
            let reason = format!("`model.facets`: {facets} facets need as many items with content, not {count}");
            return Err(ModelError::Configuration(reason));
        }
        let picked = Tensor::f_from_slice(&some_of(&described, seed))?;
        let part = sources.iter().map(|source| source.pick(&picked)).collect::<Result<Vec<_>>>()?;
        let centres = best_centres(&part, facets, seed)?;
        let cosines: Vec<Tensor> = sources
            .iter()
            .zip(&centres)
            .map(|(source, centres)| Ok(centres.f_mm(&source.directions.f_transpose(0, 1)?)?))
            .collect::<Result<_>>()?;
        let cosines = Tensor::f_stack(&cosines, 0)?;
        let directions: Vec<&Tensor> = sources.iter().map(|source| &source.directions).collect();
        let components = (items > trained).then(|| cold::components(&directions, trained, seed)).transpose()?;
        let consumers = cosines.f_select(0, 0)?.f_zeros_like()?;
        let anchors = sources.into_iter().zip(centres);
        let anchors = anchors.map(|(source, centres)| Anchors { mean: source.mean, centres }).collect();
        let counts = known.f_select(0, 0)?.f_zeros_like()?;
        Ok(Self { cosines, known, consumers, components, counts, anchors })
    }

    /// What each source's vectors are compared with.
    pub fn anchors(&self) -> &[Anchors] {
        &self.anchors
    }

    /// Adds where the consumers of the trained items place them, told by `vectors` of who has what, `[trained, rank]`:
    /// those of [`item_vectors`](crate::item_vectors). `temperature` is that of the content's routing, `counts` are how many
    /// training users each of these items has.
    ///
    /// # Errors
    /// [`ModelError::Input`] where vectors or counts are of other items.
    pub fn add_consumers(&mut self, vectors: &Tensor, counts: &[u64], temperature: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let (trained, all) = (counts.len() as i64, self.known.size()[1]);
        if trained > all {
            return Err(ModelError::Input(format!("counts of {trained} items, of which {all} are placed")));
        }
        let of_trained =
            |tensor: &Tensor| tensor.f_narrow(-1, 0, trained)?.f_sum_dim_intlist(0, false, Kind::Float);
        let (sources, logits) = (of_trained(&self.known)?, of_trained(&self.cosines)?);
        let logits = logits.f_div(&sources.f_clamp_min(1.0)?.f_mul_scalar(temperature)?)?;
        let placed = consumers::place(vectors, &logits.f_softmax(0, None)?, &sources.f_clamp_max(1.0)?, counts)?;
        self.consumers = placed.f_to_kind(Kind::Float)?.f_constant_pad_nd([0, all - trained])?;
        let counts: Vec<f32> = counts.iter().map(|count| *count as f32).collect();
        self.counts = Tensor::f_from_slice(&counts)?.f_constant_pad_nd([0, all - trained])?;
        Ok(())
    }

    /// A placement that is known already.
    #[cfg(test)]
    pub(crate) fn of(cosines: Tensor, known: Tensor, consumers: Tensor) -> Self {
        let counts = known.select(0, 0).zeros_like();
        Self { cosines, known, consumers, components: None, counts, anchors: Vec::new() }
    }
}

/// A source, prepared.
struct Source {
    /// `[items, width]`, of length 1 from the source's mean; rows of 0 without content.
    directions: Tensor,
    /// `[items]`
    known: Tensor,
    /// `[width]`
    mean: Tensor,
}

impl Source {
    /// `source`, taken from the mean of its first `trained` items.
    fn new(source: &ContentVectors, trained: usize) -> Result<Self> {
        let known: Vec<f32> = source.known.iter().map(|known| f32::from(u8::from(*known))).collect();
        let known = Tensor::f_from_slice(&known)?;
        let vectors = source.vectors.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?;
        if vectors.dim() != 2 || vectors.size()[0] != known.size()[0] || trained > source.known.len() {
            return Err(ModelError::Input(format!("contents of shape {:?}", vectors.size())));
        }
        let rows = known.f_unsqueeze(1)?;
        // What has no content may be no number: it is left out, not multiplied by 0.
        let vectors = vectors.f_where_self(&rows.f_gt(0.5)?, &vectors.f_zeros_like()?)?;
        if vectors.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return Err(ModelError::Input("a content's vector is no number".into()));
        }
        let count = known.f_narrow(0, 0, trained as i64)?.f_sum(Kind::Float)?.f_clamp_min(1.0)?;
        let sum = vectors.f_narrow(0, 0, trained as i64)?.f_sum_dim_intlist(0, false, Kind::Float)?;
        let mean = sum.f_div(&count)?;
        Ok(Self { directions: normalise(&vectors.f_sub(&mean)?)?.f_mul(&rows)?, known, mean })
    }

    fn pick(&self, items: &Tensor) -> Result<Self> {
        let directions = self.directions.f_index_select(0, items)?;
        Ok(Self { directions, known: self.known.f_index_select(0, items)?, mean: self.mean.shallow_clone() })
    }
}

/// Centres `[facets, width]` of each source.
fn best_centres(sources: &[Source], facets: usize, seed: u64) -> Result<Vec<Tensor>> {
    let mut best: Option<(f64, Vec<Tensor>)> = None;
    for beginning in 0..BEGINNINGS {
        let (likeness, centres) = settle(sources, first_centres(sources, facets, seed, beginning)?)?;
        if best.as_ref().is_none_or(|(other, _)| likeness > *other) {
            best = Some((likeness, centres));
        }
    }
    best.map(|(_, centres)| centres).ok_or_else(|| ModelError::Input("no content to cluster".into()))
}

/// Items far from each other (k-means++, Arthur and Vassilvitskii 2007).
fn first_centres(sources: &[Source], facets: usize, seed: u64, beginning: u32) -> Result<Vec<Tensor>> {
    let mut words = vec![0; facets];
    Stream::new(seed, Purpose::Clusters).fill(0, [beginning, 0, 0], &mut words);
    let mut chosen: Vec<i64> = Vec::new();
    let mut distances: Vec<f64> = Vec::new();
    for word in words {
        let total: f64 = distances.iter().sum();
        let mut left = f64::from(unit(word)) * total;
        // Where all are alike, as before the first, each is as good as any other.
        let next = if total > 0.0 {
            let beyond = |distance: &f64| {
                left -= distance;
                left < 0.0
            };
            distances.iter().position(beyond).unwrap_or(distances.len() - 1)
        } else {
            let items = sources.first().map_or(1, |source| source.known.size()[0]);
            (f64::from(unit(word)) * items as f64) as usize
        };
        chosen.push(next as i64);
        let newest = centres_at(sources, &[next as i64])?;
        let likeness: Vec<f32> = read_numbers(&likeness(sources, &newest)?)?;
        let new = likeness.into_iter().map(|likeness| f64::from(1.0 - likeness).max(0.0));
        distances = match distances.is_empty() {
            true => new.collect(),
            false => distances.iter().zip(new).map(|(old, new)| old.min(new)).collect(),
        };
    }
    centres_at(sources, &chosen)
}

fn centres_at(sources: &[Source], items: &[i64]) -> Result<Vec<Tensor>> {
    let items = Tensor::f_from_slice(items)?;
    sources.iter().map(|source| Ok(source.directions.f_index_select(0, &items)?)).collect()
}

/// Moves centres to the middle of their items until no item changes its cluster. Returns the sum of the items'
/// likenesses to their own cluster, and the centres, those of most items first.
fn settle(sources: &[Source], mut centres: Vec<Tensor>) -> Result<(f64, Vec<Tensor>)> {
    let mut owners: Option<Tensor> = None;
    for _ in 0..MOST_ROUNDS {
        let (highest, now) = likeness(sources, &centres)?.f_max_dim(1, false)?;
        if owners.as_ref().is_some_and(|before| *before == now) {
            break;
        }
        let members = now.f_one_hot(centres[0].size()[0])?.f_to_kind(Kind::Float)?.f_transpose(0, 1)?;
        centres = sources
            .iter()
            .map(|source| normalise(&members.f_mm(&source.directions)?))
            .collect::<Result<Vec<_>>>()?;
        let empty: Vec<i64> =
            read_numbers(&members.f_sum_dim_intlist(1, false, Kind::Float)?.f_lt(0.5)?.f_nonzero()?)?;
        if !empty.is_empty() {
            // Those that are least like any cluster begin new ones.
            let strangers = highest.f_topk(empty.len() as i64, 0, false, true)?.1;
            for (source, centres) in sources.iter().zip(&centres) {
                let rows = source.directions.f_index_select(0, &strangers)?;
                let _ = centres.shallow_clone().f_index_copy_(0, &Tensor::f_from_slice(&empty)?, &rows)?;
            }
        }
        owners = Some(now);
    }
    let likeness = likeness(sources, &centres)?;
    let (highest, owners) = likeness.f_max_dim(1, false)?;
    let sizes = owners.f_one_hot(likeness.size()[1])?.f_sum_dim_intlist(0, false, Kind::Int64)?;
    let order = sizes.f_argsort_stable(true, 0, true)?;
    let centres = centres.iter().map(|centres| Ok(centres.f_index_select(0, &order)?)).collect::<Result<_>>()?;
    Ok((highest.f_sum(Kind::Double)?.f_double_value(&[])?, centres))
}

/// Likeness of items to clusters, `[items, clusters]`.
fn likeness(sources: &[Source], centres: &[Tensor]) -> Result<Tensor> {
    let mut sum: Option<(Tensor, Tensor)> = None;
    for (source, centres) in sources.iter().zip(centres) {
        let cosines = source.directions.f_mm(&centres.f_transpose(0, 1)?)?;
        sum = Some(match sum {
            None => (cosines, source.known.shallow_clone()),
            Some((sum, known)) => (sum.f_add(&cosines)?, known.f_add(&source.known)?),
        });
    }
    let (sum, known) = sum.ok_or_else(|| ModelError::Input("no content to cluster".into()))?;
    Ok(sum.f_div(&known.f_clamp_min(1.0)?.f_unsqueeze(1)?)?)
}

/// As many of `items` as centres are looked for among, in order.
fn some_of(items: &[i64], seed: u64) -> Vec<i64> {
    if items.len() <= MOST_CLUSTERED {
        return items.to_vec();
    }
    let mut picked = permutation(items.len(), seed, 0);
    picked.truncate(MOST_CLUSTERED);
    picked.sort_unstable();
    picked.into_iter().map(|place| items[place]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Items of three kinds in turn: axes of a space, with some noise.
    fn items(count: usize, seed: u64) -> Tensor {
        let mut words = vec![0; count * 4];
        Stream::new(seed, Purpose::Latent).fill(0, [0; 3], &mut words);
        let noise = words.iter().map(|word| 0.4 * (unit(*word) - 0.5));
        let values: Vec<f32> = noise
            .enumerate()
            .map(|(place, noise)| noise + f32::from(u8::from(place % 4 == place / 4 % 3)))
            .collect();
        Tensor::from_slice(&values).view([count as i64, 4])
    }

    fn owners(placement: &ContentPlacement) -> Vec<i64> {
        read_numbers(&placement.cosines.sum_dim_intlist(0, false, Kind::Float).argmax(0, false)).unwrap()
    }

    #[test]
    fn kinds_of_items_become_facets() {
        let source = ContentVectors { vectors: items(60, 1), known: vec![true; 60] };
        let placement = ContentPlacement::cluster(&[source], 60, 3, 7).unwrap();
        assert_eq!(placement.cosines.size(), [1, 3, 60]);
        let owners = owners(&placement);
        assert!((0..60).all(|item| owners[item] == owners[item % 3]), "{owners:?}");
        assert_eq!(owners[..3].iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn the_largest_cluster_is_the_first_facet() {
        let (kinds, places) =
            (items(60, 1), (0..60).filter(|item| item % 3 != 1 || *item < 30).collect::<Vec<i64>>());
        let vectors = kinds.index_select(0, &Tensor::from_slice(&places));
        let source = ContentVectors { known: vec![true; places.len()], vectors };
        let owners = owners(&ContentPlacement::cluster(&[source], places.len(), 3, 7).unwrap());
        assert!(places.iter().zip(owners).all(|(item, owner)| (item % 3 == 1) == (owner == 2)));
    }

    #[test]
    fn what_is_missing_takes_no_part() {
        // Every item has one source at least, and half of them a second one that is no number elsewhere.
        let second = items(60, 2);
        let known: Vec<bool> = (0..60).map(|item| item < 30).collect();
        let _ = second.narrow(0, 30, 30).fill_(f64::NAN);
        let sources = [
            ContentVectors { vectors: items(60, 1), known: (0..60).map(|item| item >= 15).collect() },
            ContentVectors { vectors: second, known },
        ];
        let placement = ContentPlacement::cluster(&sources, 60, 3, 7).unwrap();
        let owners = owners(&placement);
        assert!((0..60).all(|item| owners[item] == owners[item % 3]), "{owners:?}");
        assert_eq!(placement.cosines.select(0, 1).narrow(1, 30, 30).abs().sum(Kind::Float).double_value(&[]), 0.0);
        assert_eq!(placement.known.sum(Kind::Float).double_value(&[]), 75.0);
    }

    #[test]
    fn it_is_a_function_of_the_seed() {
        let cluster = |seed| {
            let source = ContentVectors { vectors: items(300, 3), known: vec![true; 300] };
            ContentPlacement::cluster(&[source], 300, 8, seed).unwrap().cosines
        };
        assert!(cluster(1) == cluster(1));
        assert!(cluster(1) != cluster(2));
    }

    #[test]
    fn items_that_nobody_trains_with_are_placed_and_change_nothing_for_the_others() {
        let all = items(90, 1);
        let cluster = |count: i64| {
            let source = ContentVectors { vectors: all.narrow(0, 0, count), known: vec![true; count as usize] };
            ContentPlacement::cluster(&[source], 60, 3, 7).unwrap()
        };
        let (with, without) = (cluster(90), cluster(60));
        assert!(with.cosines.narrow(2, 0, 60) == without.cosines);
        assert!(without.components.is_none() && with.components.is_some());
        let owners = owners(&with);
        assert!((60..90).all(|item| owners[item] == owners[item % 3]), "{owners:?}");
        let mut with = with;
        with.add_consumers(&all.narrow(0, 0, 60), &[5; 60], 0.1).unwrap();
        assert_eq!(with.consumers.size(), [3, 90]);
        assert_eq!(with.consumers.narrow(1, 60, 30).abs().sum(Kind::Float).double_value(&[]), 0.0);
    }

    #[test]
    fn too_few_contents_for_the_facets_are_refused_by_the_field() {
        let source = ContentVectors { vectors: items(4, 1), known: vec![true, false, true, false] };
        let message = ContentPlacement::cluster(&[source], 4, 3, 1).unwrap_err().to_string();
        assert_eq!(message, "`model.facets`: 3 facets need as many items with content, not 2");
    }

    #[test]
    fn items_that_are_all_alike_are_clustered_all_the_same() {
        let source =
            ContentVectors { vectors: Tensor::ones([6, 4], (Kind::Float, Device::Cpu)), known: vec![true; 6] };
        let placement = ContentPlacement::cluster(&[source], 6, 3, 1).unwrap();
        assert!(read_numbers::<f32>(&placement.cosines).unwrap().iter().all(|cosine| cosine.is_finite()));
    }

    #[test]
    fn contents_that_are_no_numbers_are_refused() {
        let vectors = items(6, 1);
        let _ = vectors.narrow(0, 2, 1).fill_(f64::INFINITY);
        let source = ContentVectors { vectors, known: vec![true; 6] };
        assert!(matches!(ContentPlacement::cluster(&[source], 6, 3, 1), Err(ModelError::Input(_))));
    }
}
