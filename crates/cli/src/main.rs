//! teasel: runs, validates, publishes and inspects recommender jobs.

fn main() {}
