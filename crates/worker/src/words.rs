//! Words of items' texts.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// How much a term must weigh: a letter is 1, and a character that stands for a syllable or a word is 2.
const LEAST_WEIGHT: usize = 3;

/// A text's terms: words in lower case, without numbers, by the boundaries of UAX #29. Where words aren't set apart, as in
/// Chinese or Thai, each two characters that follow each other are one.
pub(crate) fn terms(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut before: Option<(usize, &str)> = None;
    for (place, word) in text.unicode_word_indices() {
        if !is_part(word) {
            before = None;
            let word = without_possessive(word);
            let weight: usize = word.chars().map(weight).sum();
            if weight >= LEAST_WEIGHT {
                found.insert(word.to_lowercase());
            }
            continue;
        }
        if let Some((first, _)) = before.filter(|(first, one)| first + one.len() == place) {
            found.insert(text[first..place + word.len()].to_owned());
        }
        before = Some((place, word));
    }
    found
}

/// Whether it is one character, with its marks, of a script that doesn't set words apart.
fn is_part(word: &str) -> bool {
    let mut letters = word.chars();
    match letters.next() {
        // Thai and Lao; Burmese; Khmer.
        Some('\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}') => true,
        Some(letter) => is_east_asian(letter) && letters.next().is_none(),
        None => false,
    }
}

/// Chinese, Japanese and Korean.
fn is_east_asian(letter: char) -> bool {
    letter >= '\u{2e80}'
}

fn weight(letter: char) -> usize {
    match letter.is_alphabetic() {
        true if is_east_asian(letter) => 2,
        is_letter => usize::from(is_letter),
    }
}

fn without_possessive(word: &str) -> &str {
    word.strip_suffix("'s").or_else(|| word.strip_suffix("\u{2019}s")).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Ärger im Park: 1999, 3D-Kino! Ärger", &["kino", "park", "ärger"])]
    #[case("Don't look now, it's the sheriff\u{2019}s", &["don't", "look", "now", "sheriff", "the"])]
    #[case("10,000 BC: 1.5, 2 и 3, E.T.", &[])]
    #[case("क्षत्रिय", &["क्षत्रिय"])]
    #[case("기생충 (2019)", &["기생충"])]
    #[case("臥虎藏龍, 英雄", &["臥虎", "英雄", "藏龍", "虎藏"])]
    #[case("ไทย", &["ทย", "ไท"])]
    fn terms_are_words_in_any_language(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(terms(text).into_iter().collect::<Vec<_>>(), expected);
    }
}
