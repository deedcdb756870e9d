//! Words of items' texts.

use std::collections::BTreeSet;

/// Letters that a term must have.
const SHORTEST: usize = 3;

/// A text's terms: words in lower case, without numbers.
pub(crate) fn terms(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.chars().count() >= SHORTEST && !word.chars().all(char::is_numeric))
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_words_in_any_language() {
        let found = terms("Ärger im Park: 1999, 3D-Kino! Ärger");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["kino", "park", "ärger"]);
    }
}
