//! teasel-worker: the tasks that prepare, train, evaluate, score and publish.

fn main() {}
