//! A page with some people's lists, beside these.

use teasel_api::resolved::Tenant;
use teasel_data::TenantBatch;
use teasel_model::Scorer;
use teasel_report::{Listed, People, Person, render_people};

use super::labels::Labels;
use super::{REASONS, Users};
use crate::error::TaskError;
use crate::model_store::StoredModel;

/// Recommendations of a person.
const LISTED: usize = 10;
/// Items of a history, the most popular ones.
const HISTORY: usize = 30;
/// Items that a history must have: of a shorter one there is little to see.
const SHORTEST: usize = 5;

/// The first people of a tenant whose histories are long enough.
pub(super) struct Gallery<'a> {
    model: &'a StoredModel,
    labels: &'a Labels,
    exclude_seen: bool,
    /// Of a person's list.
    length: usize,
    wanted: usize,
    people: People,
}

impl<'a> Gallery<'a> {
    /// So many people of a tenant as it asks for, recommended to by a run's model.
    pub(super) fn new(model: &'a StoredModel, labels: &'a Labels, tenant: &Tenant, run: &str) -> Self {
        let people = People {
            tenant: tenant.name.clone(),
            run: run.to_owned(),
            facet_names: model.manifest.facet_names.clone(),
            people: Vec::new(),
        };
        Gallery {
            model,
            labels,
            exclude_seen: tenant.exclude_seen,
            length: LISTED.min(tenant.top_k as usize),
            wanted: tenant.report_people as usize,
            people,
        }
    }

    /// Takes those of a batch that are still wanted.
    pub(super) fn add(&mut self, batch: &TenantBatch, scorer: &mut Scorer) -> Result<(), TaskError> {
        for (user, id) in batch.users.iter().enumerate() {
            if self.people.people.len() == self.wanted {
                return Ok(());
            }
            let history = batch.interactions.row(user);
            if history.len() < SHORTEST || batch.cold[user] {
                continue;
            }
            let wanted = (self.length, self.exclude_seen);
            let (rows, lists) = Users { batch, range: user..user + 1 }.recommended(scorer, self.model, wanted)?;
            let reasons = scorer.explain(&rows.input(), &lists, REASONS)?;
            let list = lists.iter().flatten().zip(reasons.iter().flatten()).map(|(recommended, reasons)| Listed {
                name: self.name(recommended.item),
                facet: recommended.facet as usize,
                because: reasons.iter().map(|reason| self.name(reason.item)).collect(),
                shared: self
                    .labels
                    .shared(recommended.item, reasons.iter().map(|reason| reason.item))
                    .map(str::to_owned)
                    .collect(),
            });
            let list = list.collect();
            // Items are numbered by how many people have them.
            let shown: Vec<i64> = history.iter().take(HISTORY).map(|item| i64::from(*item)).collect();
            let facets = scorer.facets_of(&shown)?;
            let history_shown = history.iter().map(|item| self.name(*item)).zip(facets).collect();
            self.people.people.push(Person {
                user: id.clone(),
                history: history_shown,
                history_length: history.len(),
                list,
            });
        }
        Ok(())
    }

    /// The page.
    pub(super) fn page(&self) -> String {
        render_people(&self.people)
    }

    fn name(&self, item: u32) -> String {
        self.model.catalogue.name(item as usize)
    }
}
