//! Some people's lists, on a page of the tenant's own.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::number::count;
use crate::page::document;
use crate::plot::facet_mark;

/// Some people of one tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct People {
    /// Name of the tenant.
    pub tenant: String,
    /// The run whose lists they are.
    pub run: String,
    /// What the facets are called, by their numbers; empty where nothing tells them apart.
    pub facet_names: Vec<String>,
    /// The people.
    pub people: Vec<Person>,
}

impl People {
    /// The facets that somebody's history or list has, and what they are called.
    fn facets(&self) -> Vec<(usize, &str)> {
        let history = self.people.iter().flat_map(|person| person.history.iter().map(|(_, facet)| *facet));
        let listed = self.people.iter().flat_map(|person| person.list.iter().map(|listed| listed.facet));
        let facets: BTreeSet<usize> = history.chain(listed).collect();
        let named = facets.into_iter().filter_map(|facet| Some((facet, self.facet_names.get(facet)?.as_str())));
        named.filter(|(_, name)| !name.is_empty()).collect()
    }
}

/// A person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    /// The user's id.
    pub user: String,
    /// Items of the history: their names and the facets that they have most of.
    pub history: Vec<(String, usize)>,
    /// How many the history has in all.
    pub history_length: usize,
    /// The head of the list.
    pub list: Vec<Listed>,
}

/// A recommendation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The item's name.
    pub name: String,
    /// The facet that it serves.
    pub facet: usize,
    /// Names of the items of the history that contribute most.
    pub because: Vec<String>,
    /// Categories and terms that it has in common with these.
    pub shared: Vec<String>,
}

/// The page as HTML.
pub fn render_people(people: &People) -> String {
    let title = format!("{} · run {}", people.tenant, people.run);
    let body = html! {
        header {
            h1 { "Some people of " (people.tenant) }
            p.quiet {
                "Run " (people.run) ". Each recommendation has the facet that it serves, and the items of the history that "
                "contribute most to it. This page names people: it is for whoever may read this tenant's lists."
            }
        }
        @let facets = people.facets();
        @if !facets.is_empty() {
            ul.key { @for (facet, name) in &facets { li { (mark(*facet)) (name) } } }
        }
        @for person in &people.people { (section(person)) }
    };
    document(&title, &body).into_string()
}

fn section(person: &Person) -> Markup {
    html! {
        section {
            h2 { "User " (person.user) }
            div.grid.pairs {
                div.card {
                    h3 { "History" }
                    ul { @for (name, facet) in &person.history { li { (mark(*facet)) (name) } } }
                    @if person.history_length > person.history.len() {
                        p.note { "and " (count((person.history_length - person.history.len()) as u64)) " more" }
                    }
                }
                div.card {
                    h3 { "Recommendations" }
                    ol {
                        @for listed in &person.list {
                            li {
                                (mark(listed.facet)) (listed.name)
                                @if !listed.because.is_empty() {
                                    div.note {
                                        "because of " (listed.because.join("; "))
                                        @if !listed.shared.is_empty() { " (" (listed.shared.join(", ")) ")" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A facet's mark, with its number.
fn mark(facet: usize) -> Markup {
    html! {
        span.chip.mark title=(format!("facet {facet}")) {
            (facet_mark(facet))
            (facet)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_people_and_escapes_what_comes_from_data() {
        let person = Person {
            user: "u<1>".into(),
            history: vec![("Heat".into(), 2)],
            history_length: 40,
            list: vec![Listed {
                name: "Ronin".into(),
                facet: 1,
                because: vec!["Heat".into(), "<i>".into()],
                shared: vec!["crime".into()],
            }],
        };
        let facet_names = vec!["westerns".into(), "crime, heist".into(), String::new()];
        let page =
            render_people(&People { tenant: "city".into(), run: "a-1".into(), facet_names, people: vec![person] });
        assert!(page.contains("u&lt;1&gt;") && page.contains("because of Heat; &lt;i&gt; (crime)"), "{page}");
        assert!(
            page.contains("crime, heist") && !page.contains("westerns"),
            "facets that nobody has aren't told of"
        );
        assert!(page.contains("and 39 more"));
    }
}
