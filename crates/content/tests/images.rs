//! Images are read as their encoder was trained, and bad ones are named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use rstest::rstest;
use tch::Device;
use teasel_content::{ContentError, ImageEncoder, Pooling};

fn picture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/models/images").join(name)).unwrap()
}

fn open(family: &str) -> ImageEncoder {
    let folder = Path::new("tests/models").join(family);
    ImageEncoder::open(&folder, Device::Cpu, Some(&[1, 2]), Pooling::Cls).unwrap()
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
    let refused = ImageEncoder::open(folder, Device::Cpu, None, Pooling::Cls).unwrap_err().to_string();
    assert!(refused.contains("reads text, not images"), "{refused}");
}
