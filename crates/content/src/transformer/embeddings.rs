//! From words or pixels to the first block's tokens.

use tch::{Kind, Tensor};

use crate::architecture::{self, Architecture};
use crate::error::{ContentError, Result};

use super::Input;
use super::layers::{Named, Norm, Source};
use super::precision::Held;

#[derive(Debug)]
pub(super) enum Embeddings {
    Tokens {
        words: Held,
        /// Row of position 0 first.
        positions: Option<Tensor>,
        /// The first kind's vector.
        kind: Option<Tensor>,
        norm: Option<Norm>,
    },
    Patches {
        projection: Tensor,
        bias: Option<Tensor>,
        patch: i64,
        /// `[1, 1, width]`.
        class: Tensor,
        /// `[tokens, width]`.
        positions: Tensor,
        norm: Option<Norm>,
    },
}

impl Embeddings {
    pub(super) fn load(source: &Source<'_>, architecture: &Architecture) -> Result<Self> {
        let width = architecture.width;
        let norm = |name: &Option<&str>| name.map(|name| source.norm(name, width)).transpose();
        Ok(match &architecture.embeddings {
            architecture::Embeddings::Tokens { words: (words, rows), positions, kinds, norm: name } => {
                Self::Tokens {
                    words: source.table(words, &[*rows, width])?,
                    positions: match positions {
                        Some(table) => {
                            let all = source.tensor(table.name, &[table.rows, width])?;
                            Some(all.f_narrow(0, table.first, table.rows - table.first)?)
                        }
                        None => None,
                    },
                    kind: match kinds {
                        Some((kinds, rows)) => Some(source.tensor(kinds, &[*rows, width])?.f_select(0, 0)?),
                        None => None,
                    },
                    norm: norm(name)?,
                }
            }
            architecture::Embeddings::Patches {
                image,
                patch,
                channels,
                projection,
                bias,
                class,
                positions,
                norm: name,
            } => {
                let tokens = (image / patch).pow(2) + 1;
                let shape = [&positions.1[..], &[tokens, width]].concat();
                Self::Patches {
                    projection: source
                        .tensor(&format!("{projection}.weight"), &[width, *channels, *patch, *patch])?,
                    bias: bias.then(|| source.tensor(&format!("{projection}.bias"), &[width])).transpose()?,
                    patch: *patch,
                    class: source.tensor(class.0, &class.1)?.f_view([1, 1, width])?,
                    positions: source.tensor(positions.0, &shape)?.f_view([tokens, width])?,
                    norm: norm(name)?,
                }
            }
        })
    }

    pub(super) fn tensors(&self) -> Named {
        let (tensors, norm): (Vec<(&str, Option<&Tensor>)>, _) = match self {
            Self::Tokens { words, positions, kind, norm } => (
                vec![("words", words.trainable()), ("positions", positions.as_ref()), ("kind", kind.as_ref())],
                norm,
            ),
            Self::Patches { projection, bias, class, positions, norm, .. } => {
                let own = [Some(projection), bias.as_ref(), Some(class), Some(positions)];
                (["projection", "bias", "class", "positions"].into_iter().zip(own).collect(), norm)
            }
        };
        let named =
            |(name, tensor): (&str, Option<&Tensor>)| Some((format!("embeddings.{name}"), tensor?.shallow_clone()));
        let norm = norm.iter().flat_map(|norm| norm.tensors("embeddings.norm"));
        tensors.into_iter().filter_map(named).chain(norm).collect()
    }

    pub(super) fn embed(&self, input: &Input<'_>) -> Result<Tensor> {
        let (tokens, norm) = match (self, input) {
            (Self::Tokens { words, positions, kind, norm }, Input::Tokens { ids, .. }) => {
                let mut tokens = words.rows(ids)?;
                if let Some(positions) = positions {
                    let (length, longest) = (ids.size2()?.1, positions.size2()?.0);
                    if length > longest {
                        let reason = format!("a text of {length} tokens, the encoder reads {longest} at most");
                        return Err(ContentError::Configuration(reason));
                    }
                    tokens = tokens.f_add(&positions.f_narrow(0, 0, length)?)?;
                }
                if let Some(kind) = kind {
                    tokens = tokens.f_add(kind)?;
                }
                (tokens, norm)
            }
            (Self::Patches { projection, bias, patch, class, positions, norm }, Input::Images(images)) => {
                let images = images.f_to_kind(Kind::Float)?;
                let patches = images.f_conv2d(projection, bias.as_ref(), [*patch; 2], [0; 2], [1; 2], 1)?;
                let patches = patches.f_flatten(2, 3)?.f_transpose(1, 2)?;
                let (count, _, width) = patches.size3()?;
                let class = class.f_expand([count, 1, width], false)?;
                (Tensor::f_cat(&[&class, &patches], 1)?.f_add(positions)?, norm)
            }
            (Self::Tokens { .. }, _) => {
                return Err(ContentError::Configuration("the encoder reads text, not images".into()));
            }
            (Self::Patches { .. }, _) => {
                return Err(ContentError::Configuration("the encoder reads images, not text".into()));
            }
        };
        match norm {
            Some(norm) => norm.forward(&tokens),
            None => Ok(tokens),
        }
    }
}
