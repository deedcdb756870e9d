//! The seam to the BLAS: every product over the items goes through here, into memory that is used again.
//!
//! Fresh output memory costs more in page faults than the product itself costs in arithmetic, hence [`Workspace`].

use tch::Tensor;

use crate::error::Result;
use crate::place::Place;

/// Writes `left * right` into `out`.
pub(crate) fn product_into(out: &Tensor, left: &Tensor, right: &Tensor) -> Result<()> {
    let _ = left.f_mm_out(out, right)?;
    Ok(())
}

/// Adds `left * right` to `out`.
pub(crate) fn add_product(out: &mut Tensor, left: &Tensor, right: &Tensor) -> Result<()> {
    let _ = out.f_addmm_(left, right)?;
    Ok(())
}

/// Buffers that grow to the largest size asked for and are then used again.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    buffers: Vec<Option<Tensor>>,
}

impl Workspace {
    /// A buffer of this shape with undefined contents. Two buffers in use at once need two slots.
    pub(crate) fn buffer(&mut self, slot: usize, shape: &[i64], place: Place) -> Result<Tensor> {
        let length = shape.iter().product::<i64>();
        if self.buffers.len() <= slot {
            self.buffers.resize_with(slot + 1, || None);
        }
        let fits = self.buffers[slot].take().filter(|buffer| {
            Place::of(buffer).is_ok_and(|existing| existing == place) && buffer.numel() as i64 >= length
        });
        let buffer = match fits {
            Some(buffer) => buffer,
            None => place.empty(&[length])?,
        };
        let view = buffer.f_narrow(0, 0, length)?.f_view_(shape)?;
        self.buffers[slot] = Some(buffer);
        Ok(view)
    }
}

/// Consecutive ranges `(start, length)` of at most `size` that cover `0..total`.
pub(crate) fn blocks(total: usize, size: usize) -> impl Iterator<Item = (i64, i64)> + Clone {
    let size = size.max(1);
    (0..total).step_by(size).map(move |start| (start as i64, size.min(total - start) as i64))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn a_buffer_is_used_again_for_smaller_shapes_and_grows_for_larger() {
        let (mut workspace, place) = (Workspace::default(), Place::cpu(Kind::Float));
        let first = workspace.buffer(0, &[4, 5], place).unwrap();
        let smaller = workspace.buffer(0, &[3, 2], place).unwrap();
        let larger = workspace.buffer(0, &[40, 5], place).unwrap();
        assert_eq!(first.data_ptr(), smaller.data_ptr());
        assert_eq!(larger.size(), [40, 5]);
    }

    #[test]
    fn blocks_cover_everything_once() {
        assert_eq!(blocks(7, 3).collect::<Vec<_>>(), [(0, 3), (3, 3), (6, 1)]);
        assert_eq!(blocks(0, 3).count(), 0);
    }
}
