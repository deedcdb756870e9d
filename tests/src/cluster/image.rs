//! Container images of this project's programs.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::command::script;

/// The image that every real node has: `pod` and its commands (tests/cluster/pod/main.go).
pub const POD_IMAGE: &str = "teasel.test/pod:1";

/// What an image holds beside accounts and certificates. Its user is 65532.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Its name, with its tag.
    pub name: String,
    /// Programs, with the libraries they need. The first is the entrypoint.
    pub programs: Vec<PathBuf>,
    /// A folder whose files it holds.
    pub root: Option<PathBuf>,
    /// Environment variables: `NAME=VALUE`.
    pub env: Vec<String>,
    /// Labels: `NAME=VALUE`.
    pub labels: Vec<String>,
}

impl Image {
    /// An image of one program.
    pub fn of_program(name: &str, program: &Path) -> Self {
        Image { name: name.to_owned(), programs: vec![program.to_owned()], ..Image::default() }
    }

    /// Writes it as an OCI archive.
    ///
    /// # Errors
    /// Where a file or a library is missing.
    pub fn build(&self, archive: &Path) -> Result<()> {
        let mut arguments = vec![archive.display().to_string(), self.name.clone()];
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        self.programs.iter().for_each(|program| option("--program", program.display().to_string()));
        self.root.iter().for_each(|root| option("--root", root.display().to_string()));
        self.env.iter().for_each(|pair| option("--env", pair.clone()));
        self.labels.iter().for_each(|pair| option("--label", pair.clone()));
        script("tests/cluster/image", &arguments).map(drop)
    }
}
