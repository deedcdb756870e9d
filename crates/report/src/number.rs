//! Numbers for people.

/// Three significant digits, or as many whole ones as there are.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let digits = (2 - size).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    // What rounds to nothing has no sign.
    if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-').to_owned() } else { text }
}

/// A share in per cent.
pub(crate) fn percent(share: f64) -> String {
    let value = 100.0 * share;
    let digits = usize::from(value.abs() < 10.0);
    // A space that doesn't break the line.
    format!("{value:.digits$}\u{202f}%")
}

/// A whole number with its thousands apart.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A space that doesn't break the line.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time span.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 60.0 => format!("{seconds:.1} s"),
        seconds if seconds < 3600.0 => format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0),
        seconds => format!("{:.0} h {:.0} min", (seconds / 3600.0).floor(), seconds % 3600.0 / 60.0),
    }
}

/// Bytes in the unit that suits them.
pub(crate) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 { format!("{:.2} GB", bytes / 1e9) } else { format!("{:.0} MB", bytes / 1e6) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, "0.00")]
    #[case(-0.000_000_4, "0.000000")]
    #[case(0.40221, "0.402")]
    #[case(-0.0023, "-0.00230")]
    #[case(12.345, "12.3")]
    #[case(1234.5, "1234")]
    #[case(f64::NAN, "–")]
    fn numbers_have_three_digits(#[case] value: f64, #[case] expected: &str) {
        assert_eq!(short(value), expected);
    }

    #[test]
    fn numbers_are_told_in_units_that_suit_them() {
        assert_eq!((percent(0.0714), percent(0.5)), ("7.1\u{202f}%".into(), "50\u{202f}%".into()));
        assert_eq!((count(999), count(1_234_567)), ("999".into(), "1\u{202f}234\u{202f}567".into()));
        assert_eq!((duration(12.34), duration(192.0)), ("12.3 s".into(), "3 min 12 s".into()));
        assert_eq!(duration(7322.0), "2 h 2 min");
        assert_eq!((bytes(52_000_000), bytes(1_100_000_000)), ("52 MB".into(), "1.10 GB".into()));
    }
}
