//! A folder with data and job files, and `teasel` run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Value, json};
use teasel_storage::testing::workspace;

/// A program of this workspace.
///
/// # Panics
/// Where it isn't built: cargo builds no programs of other packages for a test.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this test has a path");
    let built = own.ancestors().skip(1).map(|folder| folder.join(name)).find(|path| path.is_file());
    built.unwrap_or_else(|| panic!("{name} isn't built: cargo build --workspace --bins"))
}

/// Lines of [`Project::movielens`]' model that make it a Gaussian one.
pub const GAUSSIAN: &str = "    likelihood: Gaussian\n";

/// A temporary folder with generated data.
pub struct Project(tempfile::TempDir);

/// What a finished command said.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// The exit code; 128 and more for a signal, as in a shell.
    pub fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }

    /// The output of a command that must have ended well.
    pub fn good(self) -> String {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.out, self.err);
        self.out
    }

    /// The same, as JSON.
    pub fn json(self) -> Value {
        let out = self.good();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

impl Project {
    /// An empty folder.
    pub fn empty() -> Self {
        Project(tempfile::tempdir().unwrap())
    }

    /// A folder with what `teasel generate` writes.
    pub fn generate(users: u32, items: u32, interactions: u32) -> Self {
        let project = Project::empty();
        let number = |value: u32| value.to_string();
        let sizes = [number(users), number(items), number(interactions)];
        let [users, items, interactions] = sizes.each_ref().map(String::as_str);
        let arguments = ["generate", "--out", ".", "--facets", "3", "--users", users, "--items", items];
        project.teasel(&[&arguments[..], &["--interactions", interactions]].concat()).good();
        project
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `<name>.yaml`: a quick job on the generated data with two tenants, as `change` leaves its spec. Its
    /// storage is `<name>-storage` and its outputs are below `<name>-lists`.
    pub fn job(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let tenants = [1, 2].map(|number| {
            let uri = format!("{name}-lists/tenant-{number}");
            json!({"name": format!("tenant-{number}"), "output": {"uri": uri}})
        });
        let mut spec = json!({
            "storage": {"uri": format!("{name}-storage")},
            "data": {
                "interactions": {
                    "location": {"uri": "interactions.csv"},
                    "columns": {"user": "user_id", "item": "item_id", "timestamp": "timestamp", "tenant": "tenant"},
                },
                "items": {
                    "location": {"uri": "items.csv"},
                    "columns": {"item": "item_id", "text": ["title", "text"], "categories": "categories"},
                    "categorySeparator": "|",
                },
            },
            "model": {"facets": 3, "dimensions": 8},
            "training": {"epochs": 3, "batchSize": 50},
            "scoring": {
                "topK": 5,
                "tenants": tenants,
            },
        });
        change(&mut spec);
        let job = json!({
            "apiVersion": "teasel.dev/v1alpha1",
            "kind": "RecommenderJob",
            "metadata": {"name": "test"},
            "spec": spec,
        });
        // JSON is YAML.
        let file = self.path(&format!("{name}.yaml"));
        std::fs::write(&file, serde_json::to_vec_pretty(&job).unwrap()).unwrap();
        file
    }

    /// Writes `<name>.yaml`: the MovieLens-100k example with these seeds of split and training, without its gates, and with
    /// these lines in its `model`. Its storage is `<name>-storage` and its outputs are below `<name>-lists`.
    ///
    /// # Errors
    /// Where the example can't be read, or its data isn't there yet (`scripts/movielens-100k`).
    pub fn movielens(&self, name: &str, split: u64, seed: u64, model: &str) -> anyhow::Result<PathBuf> {
        let example = workspace()?.join("examples/movielens-100k");
        anyhow::ensure!(example.join("data/interactions.inter").exists(), "no data: run scripts/movielens-100k");
        let text = std::fs::read_to_string(example.join("job.yaml"))?;
        let changed = [
            ("uri: storage".to_owned(), format!("uri: {name}-storage")),
            ("uri: data/".into(), format!("uri: {}/", example.join("data").display())),
            ("uri: recommendations/".into(), format!("uri: {name}-lists/")),
            ("strongGeneralization: {seed: 1,".into(), format!("strongGeneralization: {{seed: {split},")),
            ("    seed: 1\n".into(), format!("    seed: {seed}\n")),
            ("    - {metric: ndcg@100, minimum: 0.30}\n".into(), String::new()),
            ("  gates:\n".into(), String::new()),
            ("    facets: 7\n".into(), format!("    facets: 7\n{model}")),
        ];
        let text = changed.iter().try_fold(text, |text, (from, to)| {
            anyhow::ensure!(text.contains(from.as_str()), "the example has no `{from}`");
            Ok(text.replace(from.as_str(), to))
        })?;
        let file = self.path(&format!("{name}.yaml"));
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// `metrics.json` of a run of the job `name`, by its result.
    ///
    /// # Errors
    /// Where there is no report, or several.
    pub fn measured(&self, name: &str, result: &Value) -> anyhow::Result<Value> {
        let run = result["run"].as_str().unwrap_or_default();
        let reports = crate::runs::folders(&self.path(&format!("{name}-storage/runs/{run}/report")));
        anyhow::ensure!(reports.len() == 1, "{} reports", reports.len());
        Ok(serde_json::from_slice(&std::fs::read(reports[0].join("metrics.json"))?)?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("teasel"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs `teasel` in the folder to its end.
    pub fn teasel(&self, arguments: &[&str]) -> Ended {
        self.teasel_with(arguments, |_| {})
    }

    /// The same, with the command changed before it starts.
    pub fn teasel_with(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Ended {
        let mut command = self.command(arguments);
        change(&mut command);
        let output = command.output().expect("teasel starts");
        Ended {
            status: output.status,
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a job to its end and returns its JSON document.
    pub fn run(&self, job: &Path) -> Value {
        self.teasel(&["run", "--json", job.to_str().unwrap()]).json()
    }

    /// Starts `teasel` in the folder. What it says goes to files that [`Running::wait`] reads.
    pub fn start(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Running {
        let said = tempfile::tempdir().unwrap();
        let file = |name: &str| std::fs::File::create(said.path().join(name)).unwrap();
        let mut command = self.command(arguments);
        command.stdout(file("out")).stderr(file("err"));
        change(&mut command);
        Running { child: command.spawn().expect("teasel starts"), said }
    }
}

/// A `teasel` that runs. Killed when dropped.
pub struct Running {
    child: Child,
    said: tempfile::TempDir,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it has written to standard error so far.
    pub fn err(&self) -> String {
        std::fs::read_to_string(self.said.path().join("err")).unwrap_or_default()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Ended {
        let status = self.child.wait().unwrap();
        let out = std::fs::read_to_string(self.said.path().join("out")).unwrap_or_default();
        Ended { status, out, err: self.err() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
