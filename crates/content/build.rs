//! Lets the binaries and tests of this crate find libtorch at run time.
//!
//! torch-sys' own link argument reaches only its own targets, so every crate that links a binary repeats it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if let Ok(library) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{library}");
    }
}
