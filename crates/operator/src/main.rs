//! The `teasel-operator` program.

fn main() -> anyhow::Result<std::process::ExitCode> {
    teasel_operator::main()
}
