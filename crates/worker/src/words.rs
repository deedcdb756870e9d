//! Words of items' texts.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// How much a term must weigh: a letter is 1, and a character that stands for a syllable or a word is 2.
const LEAST_WEIGHT: usize = 3;
/// Scripts of such characters begin here: Chinese, Japanese and Korean.
const FIRST_OF_EAST_ASIA: char = '\u{2e80}';

/// A text's terms: words in lower case, without numbers, by the boundaries of UAX #29. Where words aren't set apart, as in
/// Chinese, each two characters that follow each other are one.
pub(crate) fn terms(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut before: Option<(usize, &str)> = None;
    for (place, word) in text.unicode_word_indices() {
        let single = is_single(word).then_some((place, word));
        if let (Some((first, one)), Some((second, other))) = (before, single)
            && first + one.len() == second
        {
            found.insert(format!("{one}{other}"));
        }
        before = single;
        let weight: usize = word.chars().map(|letter| if letter < FIRST_OF_EAST_ASIA { 1 } else { 2 }).sum();
        if weight >= LEAST_WEIGHT && !word.chars().all(char::is_numeric) {
            found.insert(word.to_lowercase());
        }
    }
    found
}

/// Whether it is one character that stands for a word or a part of one.
fn is_single(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|letter| letter >= FIRST_OF_EAST_ASIA) && letters.next().is_none()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Ärger im Park: 1999, 3D-Kino! Ärger", &["kino", "park", "ärger"])]
    #[case("Don't look now", &["don't", "look", "now"])]
    #[case("क्षत्रिय", &["क्षत्रिय"])]
    #[case("기생충 (2019)", &["기생충"])]
    #[case("臥虎藏龍, 英雄", &["臥虎", "英雄", "藏龍", "虎藏"])]
    #[case("1, 2 и 3", &[])]
    fn terms_are_words_in_any_language(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(terms(text).into_iter().collect::<Vec<_>>(), expected);
    }
}
