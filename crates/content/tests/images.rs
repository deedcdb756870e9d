//! Images are read as their encoder was trained, and bad ones are named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use rstest::rstest;
use tch::Device;
use teasel_content::{ContentError, ImageEncoder, Options, Pooling};

fn picture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/models/images").join(name)).unwrap()
}

fn line() -> Vec<u8> {
    let mut bytes = Vec::new();
    let line = image::RgbImage::new(1, 300);
    line.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

fn open(family: &str) -> ImageEncoder {
    let folder = Path::new("tests/models").join(family);
    ImageEncoder::open(&folder, Device::Cpu, Options { layers: Some(&[1, 2]), ..Options::new(Pooling::Cls) })
        .unwrap()
}

#[rstest]
fn an_images_vectors_do_not_depend_on_what_it_is_read_with(#[values("vit", "clip")] family: &str) {
    let (encoder, picture) = (open(family), picture("picture.png"));
    let alone = encoder.encode(&[&picture]).unwrap();
    assert_eq!(alone.size(), [1, 2, 16]);
    let many = encoder.encode(&vec![&picture[..]; 40]).unwrap();
    assert!((many - alone).abs().max().double_value(&[]) < 1e-5);
    assert_eq!(encoder.encode(&[]).unwrap().size(), [0, 2, 16]);
}

#[test]
fn one_picture_is_much_the_same_in_two_formats() {
    let encoder = open("vit");
    let vectors = encoder.encode(&[&picture("picture.png"), &picture("picture.jpg")]).unwrap();
    let (png, jpeg) = (vectors.get(0), vectors.get(1));
    let difference = (&png - jpeg).norm().double_value(&[]) / png.norm().double_value(&[]);
    assert!(difference < 0.1, "{difference}");
}

#[rstest]
#[case(b"no image".to_vec(), "no GIF, JPEG, PNG or WebP")]
#[case(picture("picture.png")[..900].to_vec(), "isn't a good Png")]
#[case(picture("picture.jpg")[..20].to_vec(), "isn't a good Jpeg")]
#[case(Vec::new(), "no GIF, JPEG, PNG or WebP")]
#[case::a_few_bytes_for_many_pixels(b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08".to_vec(), "Memory limit exceeded")]
#[case::a_line(line(), "is a line: 1 x 300 pixels")]
fn an_image_that_does_not_decode_is_named(#[case] bytes: Vec<u8>, #[case] named: &str) {
    let good = picture("picture.png");
    let mut images = vec![&good[..]; 35];
    images[33] = &bytes;
    match open("vit").encode(&images).unwrap_err() {
        ContentError::Item { item: 33, reason } => assert!(reason.contains(named), "{reason}"),
        other => panic!("{other}"),
    }
}

#[test]
fn an_encoder_of_text_reads_no_images() {
    let folder = Path::new("tests/models/bert");
    let refused = ImageEncoder::open(folder, Device::Cpu, Options::new(Pooling::Cls)).unwrap_err().to_string();
    assert!(refused.contains("reads text, not images"), "{refused}");
}
