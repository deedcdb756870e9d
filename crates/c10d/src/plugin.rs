//! Where the NCCL plugin is.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// File of the plugin.
const FILE: &str = "libteasel_nccl.so";
/// Where the build left it.
const BUILT: &str = env!("TEASEL_NCCL_PLUGIN");

/// The plugin beside this program, which is where images have it; else the one that was built with it. No variable can
/// name another: the plugin and the shim share C++ objects, so only those of one build go together.
pub(crate) fn path() -> Result<PathBuf, Error> {
    let program =
        std::env::current_exe().map_err(|error| Error::Other(format!("can't find this program: {error}")))?;
    choose(&program.with_file_name(FILE), Path::new(BUILT))
}

fn choose(beside: &Path, built: &Path) -> Result<PathBuf, Error> {
    [beside, built]
        .into_iter()
        .find(|path| path.is_file())
        .map(Path::to_owned)
        .ok_or_else(|| Error::NoCuda(format!("there is no NCCL plugin at {}", beside.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_beside_the_program_wins_over_the_build() {
        let folder = tempfile::tempdir().unwrap();
        let [beside, built] = ["beside", "built"].map(|name| folder.path().join(name));
        let missing = choose(&beside, &built).unwrap_err();
        assert!(matches!(&missing, Error::NoCuda(message) if message.contains("beside")), "{missing:?}");
        std::fs::write(&built, "").unwrap();
        assert_eq!(choose(&beside, &built).unwrap(), built);
        std::fs::write(&beside, "").unwrap();
        assert_eq!(choose(&beside, &built).unwrap(), beside);
    }
}
