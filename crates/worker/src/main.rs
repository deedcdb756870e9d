//! The `teasel-worker` program.

fn main() -> anyhow::Result<std::process::ExitCode> {
    teasel_worker::main()
}
