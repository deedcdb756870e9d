//! Words and lines.

use jiff::{SignedDuration, Timestamp};

/// Width of the labels' column.
const LABEL: usize = 12;
/// Fewer columns than this are no use to anybody.
const NARROWEST: usize = 40;

/// A space at which no line ends.
pub(super) const UNBROKEN: char = '\u{a0}';

/// Lines of a label and a text each. A text that is too long goes on below itself.
pub(super) struct Page {
    lines: Vec<String>,
    width: usize,
}

impl Page {
    /// An empty page.
    pub(super) fn new(width: usize) -> Self {
        Page { lines: Vec::new(), width: width.max(NARROWEST) }
    }

    /// Its width.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Adds a text.
    pub(super) fn add(&mut self, label: &str, text: impl AsRef<str>) {
        let texts = wrapped(text.as_ref(), self.width - LABEL - 1);
        for (index, text) in texts.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.lines.push(format!("{label:<LABEL$} {text}").trim_end().to_owned());
        }
    }

    /// Adds a text, if there is one.
    pub(super) fn add_some(&mut self, label: &str, text: Option<impl AsRef<str>>) {
        if let Some(text) = text {
            self.add(label, text);
        }
    }

    /// Adds lines as they are.
    pub(super) fn add_lines(&mut self, text: &str) {
        self.lines.extend(text.lines().map(|line| line.trim_end().to_owned()));
    }

    /// All lines.
    pub(super) fn into_text(self) -> String {
        self.lines.join("\n")
    }
}

/// Lines of at most `width` characters, broken between words where that can be.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split([' ', '\n', '\t']).filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += word.len();
        line.extend(word);
    }
    if used > 0 {
        lines.push(line);
    }
    lines.into_iter().map(|line| line.replace(UNBROKEN, " ").trim_end().to_owned()).collect()
}

/// A duration in its two largest units, as kubectl has it: 35s, 12m, 3h12m, 2d3h.
pub(super) fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let two = |large: i64, unit: char, small: i64, rest: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{rest}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..600 => two(seconds / 60, 'm', seconds % 60, 's'),
        600..3600 => format!("{}m", seconds / 60),
        3600..86_400 => two(seconds / 3600, 'h', seconds % 3600 / 60, 'm'),
        _ => two(seconds / 86_400, 'd', seconds % 86_400 / 3600, 'h'),
    }
}

/// How long ago something was.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> String {
    format!("{} ago", length(now.duration_since(then)))
}

/// How long it is until something.
pub(super) fn ahead(now: Timestamp, then: Timestamp) -> String {
    match then.duration_since(now) {
        left if left.is_positive() => format!("in {} ({})", length(left), clock(then)),
        _ => "any moment".to_owned(),
    }
}

/// A time for people who look at logs too: UTC.
pub(super) fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `1 restart`, `2 restarts`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A bar of `width` characters.
pub(super) fn bar(percent: u32, width: usize) -> String {
    let full = width * percent.min(100) as usize / 100;
    format!("{}{}", "█".repeat(full), "░".repeat(width - full))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(-5, "0s")]
    #[case(35, "35s")]
    #[case(60, "1m")]
    #[case(95, "1m35s")]
    #[case(725, "12m")]
    #[case(11_520, "3h12m")]
    #[case(183_600, "2d3h")]
    #[case(172_800, "2d")]
    fn a_duration_has_two_units_at_most(#[case] seconds: i64, #[case] text: &str) {
        assert_eq!(length(SignedDuration::from_secs(seconds)), text);
    }

    #[test]
    fn what_is_due_is_ahead_no_longer() {
        let then: Timestamp = "2030-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(ahead(then - SignedDuration::from_mins(90), then), "in 1h30m (2030-01-01 12:00:00Z)");
        assert_eq!(ahead(then, then), "any moment");
    }

    #[rstest]
    #[case(0, "░░░░")]
    #[case(49, "█░░░")]
    #[case(100, "████")]
    #[case(250, "████")]
    fn a_bar_is_as_wide_whatever_the_share(#[case] percent: u32, #[case] expected: &str) {
        assert_eq!(bar(percent, 4), expected);
    }

    #[test]
    fn long_texts_go_on_below_themselves_and_lose_nothing() {
        let mut page = Page::new(1);
        page.add("reason", format!("short words and {}", "x".repeat(30)));
        page.add_some("absent", None::<&str>);
        let text = page.into_text();
        assert!(text.lines().all(|line| line.chars().count() <= NARROWEST), "{text}");
        assert_eq!(text.matches('x').count(), 30);
        assert!(text.starts_with("reason       short words and\n             xxx"), "{text}");
    }
}
