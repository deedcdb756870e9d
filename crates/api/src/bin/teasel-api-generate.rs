//! Writes what is generated from the API's types: `crds/*.yaml`, the chart's templates of them, and
//! `docs/reference/job.md`.
//!
//! With `--check` it writes nothing, and ends with 1 where a file isn't what it would write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use teasel_api::{custom_resource_definitions, job_reference};

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [argument] if argument == "--check" => true,
        _ => {
            eprintln!("usage: teasel-api-generate [--check]");
            return ExitCode::from(64);
        }
    };
    match files().and_then(|files| if check { stale(&files) } else { write(&files).map(|()| Vec::new()) }) {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            for path in stale {
                eprintln!("{} is stale: run `make generate` and commit it", path.display());
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every generated file, by its path below the project's folder, with its text.
fn files() -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = vec![(PathBuf::from("docs/reference/job.md"), job_reference())];
    for (name, definition) in custom_resource_definitions() {
        let yaml = serde_saphyr::to_string(&definition).map_err(io::Error::other)?;
        let text = format!("# Generated from crates/api by `make generate`.\n{}\n", yaml.trim_end());
        files.push((Path::new("crds").join(name), text));
        files.push((Path::new("charts/teasel/templates/crds").join(name), chart_template(&yaml)));
    }
    Ok(files)
}

/// The chart's template of a definition. It is no file of a `crds` folder, since Helm never upgrades those; and
/// uninstalling keeps it, since every job of the cluster would go with it.
fn chart_template(yaml: &str) -> String {
    let metadata = "\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n  \
                    labels: {{- include \"teasel.labels\" . | nindent 4 }}\n";
    // Descriptions aren't templates.
    let yaml = yaml.trim_end().replace("{{", "{{ \"{{\" }}").replacen("\nmetadata:\n", metadata, 1);
    format!(
        "{{{{- /* Generated from crates/api by `make generate`. */ -}}}}\n\
         {{{{- if .Values.crds.enabled }}}}\n{yaml}\n{{{{- end }}}}\n"
    )
}

fn write(files: &[(PathBuf, String)]) -> io::Result<()> {
    for (path, text) in files {
        let path = root().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

fn stale(files: &[(PathBuf, String)]) -> io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    for (path, text) in files {
        match fs::read_to_string(root().join(path)) {
            Ok(present) if present == *text => {}
            Ok(_) => stale.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => stale.push(path.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(stale)
}
