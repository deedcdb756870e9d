//! Items: facet, popularity and words.

use crate::Generator;
use crate::random::Draws;

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Number, 0..items; scattered, so that it tells nothing of facet or popularity.
    pub id: u32,
    /// Three words that go with the facet.
    pub title: String,
    /// The facet's category and an era that is independent of it.
    pub categories: Vec<String>,
    /// The planted facet, 0..facets.
    pub facet: u32,
}

const THEMES: [(&str, [&str; 8]); 12] = [
    ("ocean", ["coral", "tide", "harbour", "whale", "sailor", "reef", "lagoon", "anchor"]),
    ("space", ["orbit", "comet", "rocket", "nebula", "planet", "astronaut", "galaxy", "probe"]),
    ("cooking", ["kitchen", "recipe", "spice", "baker", "oven", "feast", "pepper", "noodle"]),
    ("crime", ["detective", "alibi", "heist", "suspect", "verdict", "fugitive", "ransom", "witness"]),
    ("romance", ["kiss", "wedding", "letter", "sweetheart", "longing", "bouquet", "promise", "waltz"]),
    ("football", ["striker", "stadium", "penalty", "league", "coach", "goalkeeper", "derby", "transfer"]),
    ("medicine", ["surgeon", "clinic", "diagnosis", "nurse", "vaccine", "patient", "remedy", "ward"]),
    ("dragons", ["dragon", "sorcerer", "quest", "castle", "rune", "goblin", "prophecy", "enchanted"]),
    ("music", ["guitar", "chorus", "ballad", "orchestra", "rhythm", "singer", "encore", "melody"]),
    ("war", ["trench", "regiment", "siege", "general", "armistice", "bunker", "convoy", "battalion"]),
    ("garden", ["orchard", "blossom", "seedling", "meadow", "pruning", "rosebush", "compost", "ivy"]),
    ("business", ["merger", "startup", "broker", "invoice", "boardroom", "dividend", "investor", "ledger"]),
];
const ERAS: [&str; 4] = ["classic", "golden", "modern", "recent"];

impl Generator {
    /// Items of a facet: item numbers go round the facets, so an item's place in its facet is `number / facets`.
    pub(crate) fn facet_size(&self, facet: u32) -> u32 {
        let config = self.config();
        (config.items - facet).div_ceil(config.facets)
    }

    /// The public number of the item at `rank` in `facet`; rank 0 is the most popular.
    pub(crate) fn item_at(&self, facet: u32, rank: u32) -> u32 {
        let number = u64::from(rank) * u64::from(self.config().facets) + u64::from(facet);
        self.item_ids.apply(number) as u32
    }

    pub(crate) fn item(&self, number: u32) -> Item {
        let facet = number % self.config().facets;
        let mut draws = Draws::new(self.config().seed, 0x71, u64::from(number));
        let (theme, words) = THEMES[facet as usize % THEMES.len()];
        // More facets than themes: later rounds get words of their own by a suffix.
        let suffix = match facet as usize / THEMES.len() {
            0 => String::new(),
            round => format!("-{round}"),
        };
        let title: Vec<String> =
            (0..3).map(|_| format!("{}{suffix}", words[draws.below(words.len() as u64) as usize])).collect();
        let era = ERAS[draws.below(ERAS.len() as u64) as usize];
        Item {
            id: self.item_ids.apply(u64::from(number)) as u32,
            title: title.join(" "),
            categories: vec![format!("{theme}{suffix}"), era.to_owned()],
            facet,
        }
    }
}
