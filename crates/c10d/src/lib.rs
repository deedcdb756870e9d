//! libtorch's c10d from safe Rust: store, process group, reducer and fused Adam.
