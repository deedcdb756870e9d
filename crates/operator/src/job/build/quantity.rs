//! Kubernetes' quantities as numbers.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const SUFFIXES: [(&str, f64); 13] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
];

/// The number that a quantity stands for; `None` where it isn't one. `12e6` is a number too.
pub(super) fn value(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.trim();
    let (digits, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .unwrap_or((text, 1.0));
    digits.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2", Some(2.0))]
    #[case("1500m", Some(1.5))]
    #[case("0.5", Some(0.5))]
    #[case("2Gi", Some(2_147_483_648.0))]
    #[case("1G", Some(1e9))]
    #[case("12e6", Some(12e6))]
    #[case("many", None)]
    #[case("", None)]
    fn a_quantity_is_a_number_with_a_suffix(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(value(&Quantity(text.into())), expected);
    }
}
