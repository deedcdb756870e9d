//! The NCCL plugin is compiled and linked on every machine; here that is checked without a GPU.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const PLUGIN: &str = env!("TEASEL_NCCL_PLUGIN");

/// What the plugin needs of libtorch's CUDA half: `c10::cuda::set_device` (libc10_cuda.so), and the constructors of
/// `c10d::ProcessGroupNCCL` and its `Options` (libtorch_cuda.so). The names hold the types of all arguments.
const OF_CUDA: [&str; 3] = [
    "_ZN3c104cuda10set_deviceEab",
    "_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb",
    "_ZN4c10d16ProcessGroupNCCLC1EN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_typeIS3_EEEEii\
     NS2_INS0_7OptionsENS5_IS8_EEEE",
];

/// Dynamic symbols of a library by `nm`, without weak ones.
fn symbols(library: &Path, which: &str) -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", which, "-P"]).arg(library).output().expect("nm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let of_line = |line: &str| {
        let mut fields = line.split(' ');
        let (name, kind) = (fields.next()?, fields.next()?);
        (which == "--defined-only" || kind == "U").then(|| name.to_owned())
    };
    text.lines().filter_map(of_line).collect()
}

#[test]
fn everything_that_the_plugin_needs_is_in_libtorch_or_known_to_come_with_cuda() {
    let libtorch = Path::new(env!("LIBTORCH")).join("lib");
    let there: BTreeSet<String> = ["libtorch_cpu.so", "libc10.so"]
        .iter()
        .flat_map(|library| symbols(&libtorch.join(library), "--defined-only"))
        .collect();
    let needed = symbols(Path::new(PLUGIN), "--undefined-only");
    // What is of another library that it is linked to, such as C++'s, has a version.
    let missing: Vec<&str> =
        needed.iter().map(String::as_str).filter(|name| !name.contains('@') && !there.contains(*name)).collect();
    assert_eq!(missing, OF_CUDA);
}

#[test]
fn the_plugin_exports_what_the_shim_looks_for() {
    assert!(symbols(Path::new(PLUGIN), "--defined-only").contains("teasel_nccl_backend"));
}
