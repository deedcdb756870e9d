//! What a task's process says when it takes a run over.

use teasel_api::task::{TaskFile, TaskKind};
use teasel_storage::run_log::Claim;

/// The claim of this process for `task`, as the `generation`-th group of its life.
pub(crate) fn claim_of(file: &TaskFile, task: TaskKind, world: u32, generation: u64, subject: String) -> Claim {
    Claim {
        task,
        attempt: file.attempt,
        incarnation: file.incarnation.clone(),
        generation,
        nonce: teasel_storage::nonce(),
        world,
        threads: file.threads_per_process,
        cpu: cpu_capability().to_owned(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        subject,
    }
}

/// The instruction set that libtorch's kernels choose between: with another one, bits may differ.
fn cpu_capability() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "AVX512";
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return "AVX2";
        }
    }
    "default"
}
