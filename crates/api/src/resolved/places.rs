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
