//! Measures an encoder of texts in 8 bits beside the same in 32: how near its vectors are, and how fast it is.
//!
//! `cargo run -p teasel-content --example precision -- FOLDER FILE`, where each line of `FILE` is a text. Threads are
//! libtorch's: `OMP_NUM_THREADS`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};
use teasel_content::{Options, Pooling, Precision, TextEncoder};

/// How often all texts are read, in turns.
const ROUNDS: usize = 7;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("needs the encoder's folder")?;
    let file = arguments.next().context("needs a file of texts")?;
    let text = std::fs::read_to_string(&file).with_context(|| file.clone())?;
    let texts: Vec<&str> = text.lines().collect();

    let open = |precision| {
        let options = Options { precision, ..Options::new(Pooling::Mean) };
        TextEncoder::open(Path::new(&folder), Device::Cpu, options)
    };
    let (integers, floats) = (open(Precision::Int8)?, open(Precision::Float32)?);

    let cosines = cosines(&integers.encode(&texts)?, &floats.encode(&texts)?)?;
    let (mean, least) = (cosines.f_mean(Kind::Double)?, cosines.f_min()?);
    println!("cosines: {:.5} on average, {:.5} at least", mean.f_double_value(&[])?, least.f_double_value(&[])?);

    let (mut times, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..ROUNDS {
        let [eight, thirty_two] = [read(&integers, &texts)?, read(&floats, &texts)?];
        ratios.push(thirty_two.as_secs_f64() / eight.as_secs_f64());
        times[0].push(eight.as_secs_f64());
        times[1].push(thirty_two.as_secs_f64());
    }
    let [eight, thirty_two] = times.map(median);
    let count = texts.len();
    println!("{count} texts: {eight:.3} s in 8 bits, {thirty_two:.3} s in 32; {:.2} times as fast", median(ratios));
    Ok(())
}

fn read(encoder: &TextEncoder, texts: &[&str]) -> Result<Duration> {
    let started = Instant::now();
    let _ = encoder.encode(texts)?;
    Ok(started.elapsed())
}

/// Of each text's two vectors.
fn cosines(one: &Tensor, other: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_cosine_similarity(&one.f_flatten(1, -1)?, &other.f_flatten(1, -1)?, 1, 1e-8)?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
