//! What is told of an epoch: the same names and numbers wherever it is written.

use serde_json::{Map, Value};
use teasel_api::progress::EpochRecord;

use super::Point;

/// All single numbers of an epoch.
pub(super) fn figures(record: &EpochRecord) -> Vec<(String, f64)> {
    let EpochRecord { negative_log_likelihood, divergence, divergence_weight, learning_rate, .. } = record;
    let mut figures = vec![
        ("loss/total".to_owned(), negative_log_likelihood + divergence_weight * divergence),
        ("loss/negative-log-likelihood".into(), *negative_log_likelihood),
        ("loss/kullback-leibler".into(), *divergence),
        ("weight/kullback-leibler".into(), *divergence_weight),
        ("weight/learning-rate".into(), *learning_rate),
    ];
    figures.extend(record.validation.iter().map(|(name, value)| (format!("validation/{name}"), *value)));
    figures
}

/// An epoch as one line of JSON: its number, the time in seconds since 1970, its figures, and the facets' shares of the
/// items.
pub(super) fn json_line(point: &Point) -> String {
    let mut line = Map::new();
    line.insert("epoch".into(), point.record.epoch.into());
    line.insert("time".into(), (point.time as f64 / 1000.0).into());
    line.extend(figures(&point.record).into_iter().map(|(name, value)| (name, value.into())));
    let shares = point.record.facet_shares.iter().enumerate();
    line.extend(shares.map(|(facet, share)| (format!("facets/share-{facet}"), (*share).into())));
    Value::Object(line).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_one_line_with_all_its_figures() {
        let record = EpochRecord {
            epoch: 3,
            negative_log_likelihood: 5.0,
            divergence: 2.0,
            divergence_weight: 0.25,
            learning_rate: 0.001,
            validation: [("ndcg@100".to_owned(), 0.4)].into(),
            facet_shares: vec![0.75, 0.25],
        };
        let line = json_line(&Point { time: 1500, record });
        assert_eq!(
            line,
            r#"{"epoch":3,"time":1.5,"loss/total":5.5,"loss/negative-log-likelihood":5.0,"loss/kullback-leibler":2.0,"weight/kullback-leibler":0.25,"weight/learning-rate":0.001,"validation/ndcg@100":0.4,"facets/share-0":0.75,"facets/share-1":0.25}"#
        );
    }
}
