//! What a task's process says when it takes a run over.

use teasel_api::task::{TaskFile, TaskKind};
use teasel_storage::run_log::{Claim, RunLog};

/// The claim of this process for `task`, as the newest group of its attempt's life.
pub(crate) fn claim_of(file: &TaskFile, log: &RunLog, task: TaskKind, world: u32, subject: String) -> Claim {
    Claim {
        task,
        attempt: file.attempt,
        incarnation: file.incarnation.clone(),
        generation: log.state().next_generation(file.attempt, &file.incarnation),
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
