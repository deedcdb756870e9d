//! Compiles the C++ shim over libtorch's c10d.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let library = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .map_err(|_| "torch-sys found no libtorch: eval \"$(scripts/environment)\" first")?;
    let include = Path::new(&library).with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .opt_level(1)
        .define("USE_C10D_GLOO", None)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include("shim/gloo_stub")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(["shim/store.cpp", "shim/group.cpp", "shim/training.cpp"])
        .compile("teasel_c10d");
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{library}");
    Ok(())
}
