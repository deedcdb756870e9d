//! From the bytes of an image to the numbers that an encoder was trained on: `preprocessor_config.json`.

use std::io::Cursor;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{ContentError, Result};

/// How many times longer an image's longer side may be. Resized by the shorter one, a line has no bound.
const LONGEST: u32 = 100;
const FILE: &str = "preprocessor_config.json";

/// How an image becomes `[3, side, side]` floats.
#[derive(Debug)]
pub(crate) struct Preparation {
    resize: Option<(Size, FilterType)>,
    /// Pixels along both sides of the middle that is kept.
    crop: Option<u32>,
    /// Factor of a pixel's 0 to 255.
    factor: f32,
    mean: [f32; 3],
    deviation: [f32; 3],
    side: u32,
}

/// To what an image is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Both sides.
    Square(u32),
    /// The shorter side; the other one follows.
    Shortest(u32),
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default = "yes")]
    do_resize: bool,
    size: Option<Value>,
    resample: Option<u32>,
    #[serde(default)]
    do_center_crop: bool,
    crop_size: Option<Value>,
    #[serde(default = "yes")]
    do_rescale: bool,
    rescale_factor: Option<f32>,
    #[serde(default = "yes")]
    do_normalize: bool,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

fn yes() -> bool {
    true
}

impl Preparation {
    /// Reads a folder's `preprocessor_config.json`, for an encoder of images of `side` pixels along both sides.
    pub(crate) fn read(folder: &Path, side: i64) -> Result<Self> {
        let file = folder.join(FILE);
        let refuse = |reason: String| ContentError::encoder(&file, reason);
        let text = std::fs::read(&file).map_err(|error| refuse(error.to_string()))?;
        let fields: Fields = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        let side = u32::try_from(side).map_err(|_| refuse(format!("images of {side} pixels")))?;
        let size = match (&fields.size, fields.do_resize) {
            (_, false) => None,
            (None, true) => Some(Size::Square(side)),
            (Some(size), true) => {
                Some(size_of(size).ok_or_else(|| refuse(format!("`size` {size} isn't supported")))?)
            }
        };
        let crop = match (&fields.crop_size, fields.do_center_crop) {
            (_, false) => None,
            (None, true) => Some(side),
            (Some(size), true) => match size_of(size) {
                Some(Size::Square(crop)) => Some(crop),
                _ => return Err(refuse(format!("`crop_size` {size} isn't supported, only a square"))),
            },
        };
        let left = match (crop, size) {
            (Some(crop), Some(Size::Square(size) | Size::Shortest(size))) if crop <= size => crop,
            (None, Some(Size::Square(size))) => size,
            _ => return Err(refuse("images of any size don't become squares by it".into())),
        };
        if left != side {
            return Err(refuse(format!(
                "images become {left} pixels wide, by config.json the encoder reads {side}"
            )));
        }
        let filter = match fields.resample.unwrap_or(2) {
            0 => FilterType::Nearest,
            1 => FilterType::Lanczos3,
            2 => FilterType::Triangle,
            3 => FilterType::CatmullRom,
            other => return Err(refuse(format!("`resample` {other} isn't supported; supported are 0 to 3"))),
        };
        let (mean, deviation) = match fields.do_normalize {
            true => (fields.image_mean.unwrap_or([0.5; 3]), fields.image_std.unwrap_or([0.5; 3])),
            false => ([0.0; 3], [1.0; 3]),
        };
        if deviation.iter().any(|&deviation| !(deviation > 0.0 && deviation.is_finite())) {
            return Err(refuse("`image_std` isn't above 0".into()));
        }
        let factor = if fields.do_rescale { fields.rescale_factor.unwrap_or(1.0 / 255.0) } else { 1.0 };
        Ok(Self { resize: size.map(|size| (size, filter)), crop, factor, mean, deviation, side })
    }

    /// Numbers of an image in the order `[3, side, side]`.
    ///
    /// # Errors
    /// Says what is wrong with the image.
    pub(crate) fn prepare(&self, bytes: &[u8]) -> std::result::Result<Vec<f32>, String> {
        let mut image = decode(bytes)?;
        if let Some((size, filter)) = self.resize {
            let (width, height) = size.of(image.width(), image.height());
            if (width, height) != image.dimensions() {
                image = imageops::resize(&image, width, height, filter);
            }
        }
        if let Some(crop) = self.crop {
            let (left, top) = ((image.width() - crop) / 2, (image.height() - crop) / 2);
            image = imageops::crop_imm(&image, left, top, crop, crop).to_image();
        }
        debug_assert_eq!(image.dimensions(), (self.side, self.side));
        let channel = |channel: usize| {
            let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
            image.pixels().map(move |pixel| (f32::from(pixel.0[channel]) * self.factor - mean) / deviation)
        };
        Ok((0..3).flat_map(channel).collect())
    }
}

impl Size {
    fn of(self, width: u32, height: u32) -> (u32, u32) {
        // The longer side is cut off, not rounded, as its reference does.
        let other =
            |size: u32, long: u32, short: u32| (u64::from(size) * u64::from(long) / u64::from(short)) as u32;
        match self {
            Size::Square(size) => (size, size),
            Size::Shortest(size) if width <= height => (size, other(size, height, width)),
            Size::Shortest(size) => (other(size, width, height), size),
        }
    }
}

/// A number, `{height, width}` of a square, or `{shortest_edge}`.
fn size_of(value: &Value) -> Option<Size> {
    let number = |value: &Value| value.as_u64().and_then(|size| u32::try_from(size).ok()).filter(|&size| size > 0);
    match (&value["height"], &value["width"], &value["shortest_edge"]) {
        (height, width, Value::Null) if height == width && !height.is_null() => number(height).map(Size::Square),
        (Value::Null, Value::Null, shortest) if !shortest.is_null() => number(shortest).map(Size::Shortest),
        _ => number(value).map(Size::Square),
    }
}

/// Pixels, the way up that the image says. What is transparent counts as if it weren't.
fn decode(bytes: &[u8]) -> std::result::Result<RgbImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let format = reader.format().ok_or("its image is no GIF, JPEG, PNG or WebP")?;
    let read = || -> image::ImageResult<RgbImage> {
        let mut decoder = reader.into_decoder()?;
        // A few bytes can stand for any number of pixels.
        Limits::default().reserve(decoder.total_bytes())?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image.into_rgb8())
    };
    let image = read().map_err(|error| format!("its image isn't a good {format:?}: {error}"))?;
    match image.dimensions() {
        (0, _) | (_, 0) => Err("its image has no pixels".into()),
        (width, height) if width.max(height) / width.min(height) > LONGEST => {
            Err(format!("its image is a line: {width} x {height} pixels"))
        }
        _ => Ok(image),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// `transformers` works in whole numbers between the two directions of resizing: a pixel may differ by one.
    #[rstest]
    #[case("vit", 0.5)]
    #[case("clip", 0.261_302_6)]
    fn an_image_is_prepared_as_its_reference_does(#[case] family: &str, #[case] smallest_deviation: f32) {
        let folder = Path::new("tests/models");
        let preparation = Preparation::read(&folder.join(family), 12).unwrap();
        let numbers = preparation.prepare(&std::fs::read(folder.join("images/picture.png")).unwrap()).unwrap();
        let file = std::fs::read(folder.join("images").join(family).with_extension("safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        let expected = file.tensor("pixels").unwrap();
        let expected = expected.data().chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        assert_eq!(numbers.len(), expected.len());
        let most =
            numbers.iter().zip(expected).map(|(number, expected)| (number - expected).abs()).fold(0.0, f32::max);
        assert!(most < 1.01 / 255.0 / smallest_deviation, "{most}");
    }

    #[rstest]
    #[case(Size::Square(8), (8, 8))]
    #[case(Size::Shortest(8), (13, 8))]
    fn an_image_is_resized_as_its_reference_does(#[case] size: Size, #[case] expected: (u32, u32)) {
        assert_eq!(size.of(50, 30), expected);
    }
}
