//! The `teasel-operator` program.

fn main() {}
