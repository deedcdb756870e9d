//! Contents that are read anew while training: where they place items is an input of the loss like any other.

use std::ops::Range;

use tch::Tensor;

use crate::error::{ModelError, Result};
use crate::parameters::Constant;
use crate::place::read_numbers;
use crate::vae::FacetVae;

impl FacetVae {
    /// Lets losses have gradients by where contents place items, from now on.
    ///
    /// # Errors
    /// [`ModelError::Configuration`] for a model without content.
    pub fn tune_contents(&mut self) -> Result<()> {
        let _ = self.parameters.constant(Constant::Cosines)?.f_set_requires_grad(true)?;
        Ok(())
    }

    /// Which items have content of the source, trained ones first.
    ///
    /// # Errors
    /// [`ModelError::Input`] where there is no such source.
    pub fn known(&self, source: usize) -> Result<Vec<bool>> {
        let known = self.of_sources(Constant::Known, &(source..source + 1))?;
        Ok(read_numbers::<f32>(&known)?.into_iter().map(|known| known > 0.5).collect())
    }

    /// Places `items` anew by the cosines of their contents of some sources to the facets' centres, `[sources, facets,
    /// items]`.
    ///
    /// # Errors
    /// [`ModelError::Input`] where the sources aren't there.
    pub fn place_anew(&mut self, sources: Range<usize>, items: &[i64], cosines: &Tensor) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let items = self.place().indices(items)?;
        let mut own = self.of_sources(Constant::Cosines, &sources)?;
        let _ = own.f_index_copy_(2, &items, &self.place().bring(cosines)?)?;
        Ok(())
    }

    /// Gradients of the losses since the last call by where contents of some sources place `items`, `[sources, facets,
    /// items]`. Those of other items are forgotten.
    ///
    /// # Errors
    /// [`ModelError::Input`] where the sources aren't there.
    pub fn take_placement_gradients(&mut self, sources: Range<usize>, items: &[i64]) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let items = self.place().indices(items)?;
        let gradient = self.parameters.constant(Constant::Cosines)?.f_grad()?;
        if !gradient.defined() {
            return Ok(self.of_sources(Constant::Cosines, &sources)?.f_index_select(2, &items)?.f_zeros_like()?);
        }
        let mut own = part(&gradient, &sources)?;
        let taken = own.f_index_select(2, &items)?;
        let _ = own.f_zero_()?;
        Ok(taken)
    }

    fn of_sources(&self, constant: Constant, sources: &Range<usize>) -> Result<Tensor> {
        part(self.parameters.constant(constant)?, sources)
    }
}

fn part(of: &Tensor, sources: &Range<usize>) -> Result<Tensor> {
    if sources.end as i64 > of.size()[0] {
        return Err(ModelError::Input(format!("sources {sources:?} of {}", of.size()[0])));
    }
    Ok(of.f_narrow(0, sources.start as i64, sources.len() as i64)?)
}
