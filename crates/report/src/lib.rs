//! A run's report: one self-contained page of HTML, made of what `evaluate` measured; and a smaller one of some people's
//! lists, for their tenant.
//!
//! The page needs no network and no script. Its plots are SVG whose colours are variables of the page's style, so they
//! follow light and dark; libraries for plots write colours into what they draw, or need a script to draw it. Texts of
//! items come from people's data and are escaped like everything else.

mod measured;
mod number;
mod page;
mod people;
mod plot;
mod portrait;
mod sections;

pub use measured::{
    Agreement, Baseline, Completeness, Conditions, Consistency, Facets, Gate, Group, Independence, Interval, Lists,
    Measured, Recovery, Shuffled,
};
pub use people::{Listed, People, Person, render_people};
pub use portrait::{CategoryShare, Facet, FacetItem, HeatMap, MapItem, Phase, Portrait, TailPoint};

/// The report as HTML.
pub fn render(measured: &Measured, portrait: &Portrait) -> String {
    page::page(measured, portrait).into_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The largest model that a job may ask for, trained for very long, of items with the longest names.
    fn large() -> (Measured, Portrait) {
        let (facets, epochs) = (256, 2000);
        let lists = json!({
            "metrics": {"ndcg@100": 0.4}, "length": 20, "coverage": 0.1, "novelty": 2.0, "popularityBias": 0.1,
        });
        let conditions = json!({"people": 10});
        let epoch = |epoch: u32| {
            json!({
                "epoch": epoch, "negativeLogLikelihood": 300.123456, "divergence": 1.0 + f64::from(epoch).sin(),
                "validation": {"ndcg@100": 0.4}, "facetShares": vec![1.0 / f64::from(facets); facets as usize],
            })
        };
        let mut measured = json!({
            "run": "a-1", "dataset": "d", "bestEpoch": 5, "testUsers": 10,
            "facets": {
                "conditions": conditions, "untrained": conditions,
                "shuffled": {"metric": "ndcg@100", "own": 0.4, "shuffled": 0.3, "lost": 0.25},
            },
            "history": (1..=epochs).map(epoch).collect::<Vec<_>>(),
        });
        measured.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
        let name = "n".repeat(80);
        let facet = Facet {
            share: 1.0 / f64::from(facets),
            items: vec![FacetItem { name: name.clone(), share: 0.5 }; 10],
            categories: vec![CategoryShare { name: name.clone(), share: 0.5, lift: 1.5 }; 5],
            terms: vec![name.clone(); 5],
        };
        let tenant = json!({"name": name, "value": name, "output": {"uri": name}, "topK": 100});
        let portrait = Portrait {
            facets: vec![facet; facets as usize],
            categories: Some(HeatMap {
                names: vec![name.clone(); 30],
                shares: vec![vec![1.0 / f64::from(facets); facets as usize]; 30],
            }),
            map: (0..1000)
                .map(|item| MapItem { name: name.clone(), x: f64::from(item), y: 0.1, facet: item as usize % 256 })
                .collect(),
            tail: vec![TailPoint { items: 0.1, interactions: 0.5 }; 100],
            data: json!({}),
            job: json!({"name": "films", "scoring": {"tenants": vec![tenant; 500]}}),
            phases: Vec::new(),
        };
        (serde_json::from_value(measured).unwrap(), portrait)
    }

    #[test]
    fn the_page_of_the_largest_job_is_below_two_megabytes() {
        let (measured, portrait) = large();
        let page = render(&measured, &portrait);
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        assert!(page.contains("Of 256 facets the 24"));
    }

    #[test]
    fn a_run_of_which_little_could_be_measured_has_a_page() {
        let (mut measured, _) = large();
        measured.history.clear();
        measured.test_users = 0;
        let page = render(&measured, &Portrait::default());
        assert!(page.contains("What facets are good for") && !page.contains("Independence</h3>"));
    }
}
