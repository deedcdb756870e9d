//! Fields of a `config.json`, with the file and the field in what goes wrong.

use std::path::Path;

use serde_json::Value;

use super::Activation;
use crate::error::{ContentError, Result};

/// A `config.json`. Where `transformers` has a default for a field, so do we: files leave out what is the default.
pub(crate) struct Config<'a> {
    pub(crate) file: &'a Path,
    pub(crate) values: &'a Value,
}

impl<'a> Config<'a> {
    pub(super) fn refuse(&self, reason: impl ToString) -> ContentError {
        ContentError::encoder(self.file, reason)
    }

    /// The field's value, where it isn't missing or null.
    pub(super) fn value(&self, field: &str) -> Option<&'a Value> {
        self.values.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn integer(&self, field: &str) -> Result<i64> {
        self.integer_or_none(field)?.ok_or_else(|| self.refuse(format!("`{field}` is missing")))
    }

    pub(super) fn integer_or(&self, field: &str, default: i64) -> Result<i64> {
        Ok(self.integer_or_none(field)?.unwrap_or(default))
    }

    pub(super) fn integer_or_none(&self, field: &str) -> Result<Option<i64>> {
        let value = self.value(field).map(|value| {
            let number = value.as_i64().filter(|number| (0..=1 << 40).contains(number));
            number.ok_or_else(|| self.refuse(format!("`{field}` is {value}, no size")))
        });
        value.transpose()
    }

    pub(super) fn size(&self, field: &str) -> Result<usize> {
        Ok(self.integer(field)? as usize)
    }

    pub(super) fn number_or(&self, field: &str, default: f64) -> Result<f64> {
        let Some(value) = self.value(field) else { return Ok(default) };
        value.as_f64().ok_or_else(|| self.refuse(format!("`{field}` is {value}, no number")))
    }

    pub(super) fn flag_or(&self, field: &str, default: bool) -> Result<bool> {
        let Some(value) = self.value(field) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.refuse(format!("`{field}` is {value}, neither true nor false")))
    }

    pub(super) fn activation_or(&self, field: &str, default: &str) -> Result<Activation> {
        let name = self.value(field).map_or(Some(default), Value::as_str).unwrap_or_default();
        match name {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
            "quick_gelu" => Ok(Activation::QuickGelu),
            "relu" => Ok(Activation::Relu),
            "silu" | "swish" => Ok(Activation::Silu),
            _ => {
                let known = "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, relu, silu and swish";
                Err(self.refuse(format!("`{field}` {name} isn't supported; supported are {known}")))
            }
        }
    }

    /// Refuses a value that a variant has which isn't supported.
    pub(super) fn only(&self, field: &str, supported: Value) -> Result<()> {
        match self.value(field) {
            Some(value) if *value != supported => {
                Err(self.refuse(format!("`{field}` {value} isn't supported, only {supported}")))
            }
            _ => Ok(()),
        }
    }

    /// The width of a head, where `heads` share `width` evenly.
    pub(super) fn share(&self, width: i64, heads: i64) -> Result<i64> {
        match width.checked_rem(heads) {
            Some(0) => Ok(width / heads),
            _ => Err(self.refuse(format!("a width of {width} can't be shared by {heads} heads"))),
        }
    }
}
