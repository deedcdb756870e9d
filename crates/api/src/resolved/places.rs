//! Which places a task reaches, and under which credentials.

use super::{Job, Split, Tenant};
use crate::location::Location;

/// A location and the path of the field that holds it, which names its credentials
/// ([`credential_prefix`](crate::location::credential_prefix)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Path, such as `data.items`.
    pub field: &'a str,
    /// The place.
    pub location: &'a Location,
}

impl Job {
    /// What prepare reaches: the storage and all inputs.
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places = vec![
            Place { field: "storage", location: &self.storage },
            Place { field: "data.interactions", location: &self.data.interactions.location },
        ];
        if let Some(items) = &self.data.items {
            places.push(Place { field: "data.items", location: &items.location });
        }
        if let Split::Provided { train, validation, test } = &self.data.split {
            places.extend([
                Place { field: "data.split.provided.train", location: train },
                Place { field: "data.split.provided.validation.foldIn", location: &validation.fold_in },
                Place { field: "data.split.provided.validation.heldOut", location: &validation.held_out },
                Place { field: "data.split.provided.test.foldIn", location: &test.fold_in },
                Place { field: "data.split.provided.test.heldOut", location: &test.held_out },
            ]);
        }
        places
    }

    /// What training reaches: the storage, and what item content is read with.
    pub fn training_places(&self) -> Vec<Place<'_>> {
        let mut places = vec![Place { field: "storage", location: &self.storage }];
        let Some(content) = &self.model.content else { return places };
        let encoders =
            [("model.content.text.encoder", &content.text), ("model.content.image.encoder", &content.image)];
        for (field, encoder) in encoders {
            places.extend(encoder.iter().map(|encoder| Place { field, location: &encoder.location }));
        }
        // Images lie beside the files that name them.
        if let (Some(_), Some(items)) = (&content.image, &self.data.items) {
            places.push(Place { field: "data.items", location: &items.location });
        }
        places
    }

    /// What any task of the job reaches, whoever it is for; a place may come twice.
    pub fn all_places(&self) -> Vec<Place<'_>> {
        let tenants = self.scoring.tenants.iter().flat_map(Tenant::places);
        self.places().into_iter().chain(self.training_places()).chain(tenants).collect()
    }
}

impl Tenant {
    /// What the tasks of one tenant reach: its own view of the storage, its output and its catalogue.
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places = vec![
            Place { field: "storage", location: &self.storage },
            Place { field: "output", location: &self.output },
        ];
        places.extend(self.catalog.as_ref().map(|location| Place { field: "catalog", location }));
        places
    }
}
