//! Compiles the C++ shim over libtorch's c10d, and its NCCL plugin.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let library = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .map_err(|_| "torch-sys found no libtorch: eval \"$(scripts/environment)\" first")?;
    let library = Path::new(&library);
    let include = library.with_file_name("include");
    build(&include)
        .files(["shim/store.cpp", "shim/group.cpp", "shim/training.cpp", "shim/cuda.cpp"])
        .compile("teasel_c10d");
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", library.display());
    let plugin = plugin(&include, library)?;
    println!("cargo:rustc-env=TEASEL_NCCL_PLUGIN={}", plugin.display());
    Ok(())
}

/// What all parts are compiled by: they share C++ objects.
fn build(include: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .opt_level(1)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .define("USE_C10D_GLOO", None)
        .include("shim/gloo_stub")
        .include(include)
        .include(include.join("torch/csrc/api/include"));
    build
}

/// Builds the plugin on every machine, with or without GPUs: what it needs of libtorch's CUDA half stays undefined until
/// it is loaded.
fn plugin(include: &Path, library: &Path) -> Result<PathBuf, Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=TEASEL_NCCL_HEADERS");
    let headers = std::env::var("TEASEL_NCCL_HEADERS")
        .map_err(|_| "TEASEL_NCCL_HEADERS isn't set: eval \"$(scripts/environment)\" first")?;
    let mut build = build(include);
    build.define("USE_C10D_NCCL", None).include("shim/cuda_stub").include(headers).file("shim/nccl_plugin.cpp");
    let plugin = Path::new(&std::env::var("OUT_DIR")?).join("libteasel_nccl.so");
    let linked = build
        .try_get_compiler()?
        .to_command()
        .arg("-shared")
        .args(build.try_compile_intermediates()?)
        .arg("-o")
        .arg(&plugin)
        .arg("-L")
        .arg(library)
        .args(["-ltorch_cpu", "-lc10"])
        .status()?;
    if !linked.success() {
        return Err(format!("can't link {}: {linked}", plugin.display()).into());
    }
    Ok(plugin)
}
