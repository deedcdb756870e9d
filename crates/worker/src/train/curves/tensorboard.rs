//! TensorBoard's event files: records (length, its checksum, data, its checksum) of protobuf messages, as TensorFlow's
//! `record_writer.h`, `event.proto` and `summary.proto` define them.

use prost::Message;

use super::Point;
use super::figures::figures;

/// `tensorflow.Event`, as far as it is written here.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionLog.SessionStatus.START`: what is there of this step and later ones comes from an attempt that was lost.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Named>,
}

/// `Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Shown", tags = "2, 5")]
    shown: Option<Shown>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Shown {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "5")]
    Histogram(Histogram),
}

/// `HistogramProto`.
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    num: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_squares: f64,
    /// Upper ends of the buckets.
    #[prost(double, repeated, tag = "6")]
    bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    bucket: Vec<f64>,
}

/// An event file with these epochs as its steps. `is_first` says that they are an attempt's first.
pub(super) fn events(points: &[Point], items: usize, is_first: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let seconds = |point: &Point| point.time as f64 / 1000.0;
    if let Some(first) = points.first() {
        let event =
            |what| Event { wall_time: seconds(first), step: i64::from(first.record.epoch), what: Some(what) };
        record(&Event { step: 0, ..event(What::FileVersion("brain.Event:2".into())) }, &mut file);
        if is_first {
            record(&event(What::SessionLog(SessionLog { status: START })), &mut file);
        }
    }
    for point in points {
        let scalar = |(tag, value): (String, f64)| Named { tag, shown: Some(Shown::Scalar(value as f32)) };
        let mut values: Vec<Named> = figures(&point.record).into_iter().map(scalar).collect();
        if !point.record.facet_shares.is_empty() {
            let shown = Shown::Histogram(of_facets(&point.record.facet_shares, items));
            values.push(Named { tag: "facets/items".into(), shown: Some(shown) });
        }
        let step = i64::from(point.record.epoch);
        let summary = What::Summary(Summary { values });
        record(&Event { wall_time: seconds(point), step, what: Some(summary) }, &mut file);
    }
    file
}

/// How many items each facet has: a bucket for each, around its number.
fn of_facets(shares: &[f64], items: usize) -> Histogram {
    let bucket: Vec<f64> = shares.iter().map(|share| share * items as f64).collect();
    let numbered = || (0..).map(f64::from).zip(&bucket);
    Histogram {
        min: -0.5,
        max: shares.len() as f64 - 0.5,
        num: bucket.iter().sum(),
        sum: numbered().map(|(facet, count)| facet * count).sum(),
        sum_squares: numbered().map(|(facet, count)| facet * facet * count).sum(),
        bucket_limit: numbered().map(|(facet, _)| facet + 0.5).collect(),
        bucket,
    }
}

fn record(event: &Event, file: &mut Vec<u8>) {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    file.extend_from_slice(&length);
    file.extend_from_slice(&masked(crc32c::crc32c(&length)).to_le_bytes());
    file.extend_from_slice(&data);
    file.extend_from_slice(&masked(crc32c::crc32c(&data)).to_le_bytes());
}

/// A checksum that may itself be part of data that has one.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use teasel_api::progress::EpochRecord;

    use super::*;

    /// The events of a file whose checksums hold.
    fn read(mut file: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !file.is_empty() {
            let (length, rest) = file.split_at(8);
            let (checksum, rest) = rest.split_at(4);
            assert_eq!(checksum, masked(crc32c::crc32c(length)).to_le_bytes());
            let (data, rest) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
            let (checksum, rest) = rest.split_at(4);
            assert_eq!(checksum, masked(crc32c::crc32c(data)).to_le_bytes());
            events.push(Event::decode(data).unwrap());
            file = rest;
        }
        events
    }

    #[test]
    fn only_the_first_file_of_a_writer_takes_back_what_a_lost_one_has_written() {
        let record = EpochRecord { epoch: 4, facet_shares: vec![0.5, 0.5], ..EpochRecord::default() };
        let points = [Point { time: 1500, record }];
        let starts = |events: &[Event]| -> Vec<i64> {
            let is_start =
                |event: &&Event| matches!(event.what, Some(What::SessionLog(SessionLog { status: START })));
            events.iter().filter(is_start).map(|event| event.step).collect()
        };
        let (first, later) = (read(&events(&points, 10, true)), read(&events(&points, 10, false)));
        assert_eq!((starts(&first), starts(&later)), (vec![4], vec![]));
        for file in [first, later] {
            assert_eq!(file[0].what, Some(What::FileVersion("brain.Event:2".into())));
            let last = file.last().unwrap();
            assert_eq!((last.step, last.wall_time), (4, 1.5));
            let Some(What::Summary(summary)) = &last.what else { unreachable!("a summary comes last") };
            assert!(summary.values.iter().any(|value| value.tag == "facets/items"));
        }
        assert!(events(&[], 10, true).is_empty());
    }

    #[test]
    fn a_histogram_of_facets_has_their_items_around_their_numbers() {
        let histogram = of_facets(&[0.5, 0.0, 0.5], 40);
        assert_eq!((histogram.min, histogram.max, histogram.num), (-0.5, 2.5, 40.0));
        assert_eq!((histogram.bucket_limit, histogram.bucket), (vec![0.5, 1.5, 2.5], vec![20.0, 0.0, 20.0]));
        assert_eq!((histogram.sum, histogram.sum_squares), (40.0, 80.0));
    }
}
