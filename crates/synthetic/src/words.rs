//! Words that go with facets.

use crate::random::Random;

/// Real words, so that a pretrained language model can tell the facets apart.
const THEMES: [(&str, [&str; 12]); 8] = [
    (
        "space",
        [
            "galaxy",
            "rocket",
            "orbit",
            "planet",
            "astronaut",
            "nebula",
            "comet",
            "lunar",
            "alien",
            "starship",
            "gravity",
            "telescope",
        ],
    ),
    (
        "cooking",
        [
            "recipe", "kitchen", "oven", "spice", "bread", "chef", "sauce", "flavour", "roast", "pastry", "garlic",
            "supper",
        ],
    ),
    (
        "crime",
        [
            "detective",
            "murder",
            "clue",
            "police",
            "suspect",
            "alibi",
            "heist",
            "thief",
            "prison",
            "witness",
            "verdict",
            "gangster",
        ],
    ),
    (
        "romance",
        [
            "love",
            "wedding",
            "kiss",
            "heart",
            "bride",
            "letter",
            "longing",
            "embrace",
            "sweetheart",
            "proposal",
            "passion",
            "jealousy",
        ],
    ),
    (
        "sport",
        [
            "football", "race", "coach", "team", "stadium", "goal", "athlete", "boxing", "medal", "training",
            "champion", "marathon",
        ],
    ),
    (
        "nature",
        [
            "forest", "river", "mountain", "wolf", "meadow", "bird", "ocean", "glacier", "desert", "whale",
            "valley", "storm",
        ],
    ),
    (
        "music",
        [
            "guitar", "melody", "concert", "piano", "drummer", "chorus", "jazz", "violin", "singer", "rhythm",
            "opera", "album",
        ],
    ),
    (
        "history",
        [
            "emperor",
            "castle",
            "battle",
            "knight",
            "throne",
            "revolution",
            "crown",
            "medieval",
            "legion",
            "treaty",
            "dynasty",
            "siege",
        ],
    ),
];

const COMMON: [&str; 12] =
    ["story", "new", "great", "people", "world", "day", "long", "first", "small", "best", "another", "time"];

/// Words in a description.
const LENGTH: usize = 10;

/// The facet's name: a theme, numbered from the second round on.
pub(crate) fn name(facet: u32) -> String {
    let (theme, _) = THEMES[facet as usize % THEMES.len()];
    match facet as usize / THEMES.len() {
        0 => theme.to_owned(),
        round => format!("{theme}-{}", round + 1),
    }
}

/// A word of the facet. Facets that share a theme differ by a prefix.
pub(crate) fn of_facet(facet: u32, random: &mut Random) -> String {
    const PREFIXES: [&str; 7] = ["", "neo", "proto", "anti", "ultra", "micro", "retro"];
    let (_, words) = &THEMES[facet as usize % THEMES.len()];
    let word = words[random.below(words.len() as u64) as usize];
    let round = facet as usize / THEMES.len();
    match PREFIXES.get(round) {
        Some(prefix) => format!("{prefix}{word}"),
        None => format!("{word}{round}"),
    }
}

/// A description: four words of five are the facet's.
pub(crate) fn sentence(facet: u32, random: &mut Random) -> String {
    let words: Vec<String> = (0..LENGTH)
        .map(|_| match random.unit() < 0.8 {
            true => of_facet(facet, random),
            false => COMMON[random.below(COMMON.len() as u64) as usize].to_owned(),
        })
        .collect();
    words.join(" ")
}
