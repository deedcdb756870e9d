//! RecommenderJobs: five steps, one after the other, each in its file. [`dereference`] reads what is there,
//! [`validate`] makes sense of the spec, [`decide`] says what to do, [`build`] makes objects, [`apply`] writes.

pub mod apply;
pub mod build;
pub mod controller;
pub mod decide;
pub mod dereference;
pub mod observed;
pub mod reconcile;
pub mod restarts;
pub mod stages;
pub mod validate;
pub mod verdict;
