//! Object stores by URL, the run log, checkpoints' commit, publishing and garbage collection.
