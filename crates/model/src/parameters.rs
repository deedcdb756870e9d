//! The parameters of a model: their order, names and shapes, fresh values, and safetensors bytes.

use std::borrow::Cow;

use safetensors::tensor::{Dtype, SafeTensors, View, serialize};
use tch::{Kind, Tensor};

use crate::config::{COMPONENTS, Config, Likelihood};
use crate::error::{ModelError, Result};
use crate::noise;
use crate::place::{Place, read_numbers};

/// Standard deviation of fresh biases.
const BIAS_DEVIATION: f64 = 0.001;
/// Logarithm of a fresh Gaussian decoder's variance: histories are sparse, so most of it is far below 1.
const FRESH_LOG_VARIANCE: f64 = -2.0;

/// What a parameter is, in the fixed order. The discriminant chooses the random numbers of its fresh values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `[items, dimensions]`: an item's place among the facets; with the multinomial likelihood also its target.
    Items,
    /// `[facets, dimensions]`: prototypes.
    Facets,
    /// `[items, dimensions]`: the encoder's first layer, shared by the facets.
    Input,
    /// `[dimensions]`
    InputBias,
    /// `[2 * dimensions, dimensions]`: mean and negated logarithm of the variance.
    Output,
    /// `[2 * dimensions]`
    OutputBias,
    /// `[items, dimensions]`, Gaussian only.
    Mean,
    /// `[items]`, Gaussian only.
    MeanBias,
    /// `[items, dimensions]`, Gaussian only.
    Variance,
    /// `[items]`, Gaussian only.
    VarianceBias,
    /// `[sources]`, with content only: how much each source counts, before a softmax.
    Fusion,
    /// `[facets, dimensions]`, with content only.
    FacetInputBias,
    /// `[facets, 2 * dimensions]`, with content only.
    FacetOutputBias,
}

impl Role {
    /// Whether fresh values are 0 instead of random ones.
    fn starts_at_zero(self) -> bool {
        matches!(self, Role::Fusion | Role::FacetInputBias | Role::FacetOutputBias)
    }
}

/// What belongs to a model and isn't trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// `[sources, facets, items]`, with content only, cold items behind the others: cosines of the items' contents to the
    /// facets' centres, 0 where there is no content.
    Cosines,
    /// `[sources, items]`, with content only: 1 where an item has content of a source, else 0.
    Known,
    /// `[facets, items]`, with content only: logits of where the items' consumers place them; 0 for cold items.
    Consumers,
    /// `[items, 128]`, with cold items only: main directions of the items' contents.
    Contents,
    /// `[items]`, with cold items only: how many training users each item has.
    Counts,
}

/// The parameters, as leaves that share their storage with whoever holds the same handles, and what is stored with them.
#[derive(Debug)]
pub(crate) struct Parameters {
    roles: Vec<Role>,
    named: Vec<(String, Tensor)>,
    constants: Vec<(String, Tensor)>,
}

impl Parameters {
    /// Fresh values: a pure function of seed and shapes (Glorot and Bengio 2010 for the matrices).
    pub(crate) fn fresh(config: &Config, place: Place) -> Result<Self> {
        let (mut roles, mut named) = (Vec::new(), Vec::new());
        for (role, name, shape) in layout(config) {
            let length = shape.iter().product::<i64>() as usize;
            let deviation = match shape[..] {
                _ if role.starts_at_zero() => 0.0,
                [rows, columns] => (2.0 / (rows + columns) as f64).sqrt(),
                _ => BIAS_DEVIATION,
            };
            let mut values = noise::initial(config.seed, role as usize, length)?;
            let _ = values.f_mul_scalar_(deviation)?;
            if role == Role::VarianceBias {
                let _ = values.f_add_scalar_(FRESH_LOG_VARIANCE)?;
            }
            let leaf = place.bring(&values.f_view_(&shape[..])?)?.f_set_requires_grad(true)?;
            named.push((name.to_owned(), leaf));
            roles.push(role);
        }
        let constants = constants(config);
        let constants = constants.into_iter().map(|(_, name, shape)| Ok((name.to_owned(), place.zeros(&shape)?)));
        Ok(Self { roles, named, constants: constants.collect::<Result<_>>()? })
    }

    pub(crate) fn named(&self) -> &[(String, Tensor)] {
        &self.named
    }

    /// All that is stored: the parameters, and what isn't trained.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &(String, Tensor)> {
        self.named.iter().chain(&self.constants)
    }

    /// Those that training reads: all but what tells of cold items.
    pub(crate) fn trained_with(&self) -> impl Iterator<Item = &(String, Tensor)> {
        self.named.iter().chain(self.constants.iter().take(Constant::Contents as usize))
    }

    /// The parameter of a role. Roles that the configuration doesn't use have none.
    pub(crate) fn get(&self, role: Role) -> Result<&Tensor> {
        let missing = || ModelError::Configuration(format!("a model of this configuration has no {role:?}"));
        let place = self.roles.iter().position(|own| *own == role);
        place.and_then(|place| self.named.get(place)).map(|(_, tensor)| tensor).ok_or_else(missing)
    }

    /// What isn't trained. Without content there is nothing, without cold items nothing that tells of them.
    pub(crate) fn constant(&self, constant: Constant) -> Result<&Tensor> {
        let missing = || ModelError::Configuration(format!("a model of this configuration has no {constant:?}"));
        self.constants.get(constant as usize).map(|(_, tensor)| tensor).ok_or_else(missing)
    }

    /// Takes over what isn't trained from a model of the same configuration.
    pub(crate) fn copy_constants(&self, other: &Self) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for ((_, own), (_, value)) in self.constants.iter().zip(&other.constants) {
            own.shallow_clone().f_copy_(value)?;
        }
        Ok(())
    }

    pub(crate) fn to_safetensors(&self) -> Result<Vec<u8>> {
        let stored = self
            .stored()
            .map(|(name, tensor)| Ok((name.as_str(), Stored::new(tensor)?)))
            .collect::<Result<Vec<_>>>()?;
        serialize(stored, None).map_err(|error| ModelError::Parameters(error.to_string()))
    }

    /// Copies stored values into the existing leaves, after all of them have been checked.
    pub(crate) fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let refuse = |reason: String| ModelError::Parameters(reason);
        let file = SafeTensors::deserialize(bytes).map_err(|error| refuse(error.to_string()))?;
        if let Some(unknown) = file.names().into_iter().find(|&name| self.stored().all(|(own, _)| own != name)) {
            return Err(refuse(format!("`{unknown}` is no parameter of this model")));
        }
        let mut values = Vec::new();
        for (name, leaf) in self.stored() {
            let stored = file.tensor(name).map_err(|_| refuse(format!("`{name}` is missing")))?;
            let shape: Vec<i64> = stored.shape().iter().map(|&size| size as i64).collect();
            if stored.dtype() != Dtype::F32 || shape != leaf.size() {
                return Err(refuse(format!(
                    "`{name}` is {:?} {shape:?}, this model's is F32 {:?}",
                    stored.dtype(),
                    leaf.size()
                )));
            }
            values.push(Tensor::f_from_data_size(stored.data(), &shape, Kind::Float)?);
        }
        let _guard = tch::no_grad_guard();
        for ((_, leaf), value) in self.named.iter_mut().chain(&mut self.constants).zip(&values) {
            leaf.f_copy_(value)?;
        }
        Ok(())
    }
}

/// Roles, names and shapes in the fixed order.
fn layout(config: &Config) -> Vec<(Role, &'static str, Vec<i64>)> {
    let (items, facets, dimensions) = (config.items as i64, config.facets as i64, config.dimensions as i64);
    let mut layout = vec![
        (Role::Items, "item.directions", vec![items, dimensions]),
        (Role::Facets, "facet.prototypes", vec![facets, dimensions]),
        (Role::Input, "encoder.input.weight", vec![items, dimensions]),
        (Role::InputBias, "encoder.input.bias", vec![dimensions]),
        (Role::Output, "encoder.output.weight", vec![2 * dimensions, dimensions]),
        (Role::OutputBias, "encoder.output.bias", vec![2 * dimensions]),
    ];
    if matches!(config.likelihood, Likelihood::Gaussian { .. }) {
        layout.extend([
            (Role::Mean, "decoder.mean.weight", vec![items, dimensions]),
            (Role::MeanBias, "decoder.mean.bias", vec![items]),
            (Role::Variance, "decoder.variance.weight", vec![items, dimensions]),
            (Role::VarianceBias, "decoder.variance.bias", vec![items]),
        ]);
    }
    if let Some(content) = config.content {
        layout.extend([
            (Role::Fusion, "content.fusion", vec![content.sources as i64]),
            (Role::FacetInputBias, "encoder.input.facet.bias", vec![facets, dimensions]),
            (Role::FacetOutputBias, "encoder.output.facet.bias", vec![facets, 2 * dimensions]),
        ]);
    }
    layout
}

/// What isn't trained: names and shapes in the fixed order.
fn constants(config: &Config) -> Vec<(Constant, &'static str, Vec<i64>)> {
    let Some(content) = config.content else { return Vec::new() };
    let (sources, facets, items) = (content.sources as i64, config.facets as i64, config.all_items() as i64);
    let mut constants = vec![
        (Constant::Cosines, "content.cosines", vec![sources, facets, items]),
        (Constant::Known, "content.known", vec![sources, items]),
        (Constant::Consumers, "content.consumers", vec![facets, items]),
    ];
    if content.cold_items > 0 {
        constants.extend([
            (Constant::Contents, "content.components", vec![items, COMPONENTS]),
            (Constant::Counts, "content.counts", vec![items]),
        ]);
    }
    constants
}

/// A parameter's values as safetensors stores them: 32-bit floats, little-endian, row by row.
struct Stored {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn new(tensor: &Tensor) -> Result<Self> {
        let numbers: Vec<f32> = read_numbers(&tensor.f_detach()?)?;
        let shape = tensor.size().iter().map(|&size| size as usize).collect();
        Ok(Self { shape, bytes: numbers.iter().flat_map(|number| number.to_le_bytes()).collect() })
    }
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PLACE: Place = Place::cpu(Kind::Float);

    fn config(likelihood: Likelihood, seed: u64) -> Config {
        Config {
            items: 11,
            facets: 3,
            dimensions: 4,
            likelihood,
            temperature: 0.1,
            prior_deviation: 0.075,
            dropout: 0.5,
            kl_weight: 0.2,
            kl_anneal_steps: 10,
            seed,
            content: None,
        }
    }

    fn equal(left: &Parameters, right: &Parameters) -> bool {
        left.named().iter().zip(right.named()).all(|((_, one), (_, other))| one.f_equal(other).unwrap())
    }

    #[rstest]
    #[case(Likelihood::Multinomial, 6)]
    #[case(Likelihood::Gaussian { variance_floor: 0.01 }, 10)]
    fn stored_parameters_come_back(#[case] likelihood: Likelihood, #[case] count: usize) {
        let stored = Parameters::fresh(&config(likelihood, 1), PLACE).unwrap();
        let mut loaded = Parameters::fresh(&config(likelihood, 2), PLACE).unwrap();
        assert_eq!(stored.named().len(), count);
        assert!(!equal(&stored, &loaded));
        let handle = loaded.named()[0].1.shallow_clone();
        loaded.load(&stored.to_safetensors().unwrap()).unwrap();
        assert!(equal(&stored, &loaded));
        assert!(handle.f_equal(&stored.named()[0].1).unwrap(), "a handle taken before must see the new values");
    }

    #[test]
    fn fresh_parameters_are_a_function_of_the_seed() {
        let fresh = |seed| Parameters::fresh(&config(Likelihood::Multinomial, seed), PLACE).unwrap();
        assert!(equal(&fresh(5), &fresh(5)));
    }

    #[test]
    fn parameters_of_another_shape_are_refused_and_change_nothing() {
        let other = Config { items: 12, ..config(Likelihood::Multinomial, 1) };
        let bytes = Parameters::fresh(&other, PLACE).unwrap().to_safetensors().unwrap();
        let mut loaded = Parameters::fresh(&config(Likelihood::Multinomial, 2), PLACE).unwrap();
        let message = loaded.load(&bytes).unwrap_err().to_string();
        assert!(message.contains("`item.directions` is F32 [12, 4]"), "{message}");
        assert!(equal(&loaded, &Parameters::fresh(&config(Likelihood::Multinomial, 2), PLACE).unwrap()));
    }

    #[test]
    fn parameters_of_another_likelihood_are_refused() {
        let gaussian = config(Likelihood::Gaussian { variance_floor: 0.01 }, 1);
        let bytes = Parameters::fresh(&gaussian, PLACE).unwrap().to_safetensors().unwrap();
        let mut loaded = Parameters::fresh(&config(Likelihood::Multinomial, 2), PLACE).unwrap();
        assert!(loaded.load(&bytes).unwrap_err().to_string().contains("no parameter of this model"));
    }

    #[test]
    fn truncated_bytes_are_refused() {
        let mut parameters = Parameters::fresh(&config(Likelihood::Multinomial, 1), PLACE).unwrap();
        let bytes = parameters.to_safetensors().unwrap();
        for length in [0, 7, 50, bytes.len() - 1] {
            assert!(matches!(parameters.load(&bytes[..length]), Err(ModelError::Parameters(_))));
        }
    }
}
