//! How much memory there is, and whether the kernel has killed for want of it.
//!
//! When a container's limit is reached, the kernel kills one process of it, which need not be the first: a rank may go
//! while its agent lives on, and a signal alone doesn't say why. The control group counts such kills.

use std::path::{Path, PathBuf};

/// Where control groups are.
const MOUNT: &str = "/sys/fs/cgroup";

/// Counts the processes of this control group that were killed for want of memory, from when it is made.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    file: Option<PathBuf>,
    before: u64,
}

impl MemoryWatch {
    /// Begins to count, in the group that this process is in.
    pub(crate) fn start() -> Self {
        Self::at(Path::new(MOUNT), &groups())
    }

    fn at(mount: &Path, groups: &str) -> Self {
        let files = candidates(mount, groups, "memory.events", "memory.oom_control");
        let file = files.into_iter().find(|file| kills(file).is_some());
        let before = file.as_deref().and_then(kills).unwrap_or_default();
        MemoryWatch { file, before }
    }

    /// Whether a process was killed since. No where nothing counts, as on a machine without control groups.
    pub(crate) fn has_killed(&self) -> bool {
        self.file.as_deref().and_then(kills).is_some_and(|now| now > self.before)
    }
}

/// Bytes that this process and the others of its group may use at most: the limit of its control group, or what the
/// machine has free where that is less. `None` where neither is known.
pub(crate) fn available() -> Option<u64> {
    let limit = limit(Path::new(MOUNT), &groups());
    let free = std::fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(free);
    limit.into_iter().chain(free).min()
}

/// The most bytes that this process has had in memory at once.
pub(crate) fn peak() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// The limit of this group, or of the hierarchy's root where that is what is mounted.
fn limit(mount: &Path, groups: &str) -> Option<u64> {
    let files = candidates(mount, groups, "memory.max", "memory.limit_in_bytes").into_iter();
    // `max` means none.
    files.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

/// What the kernel says is available, of `/proc/meminfo`.
fn free(text: &str) -> Option<u64> {
    kibibytes(text, "MemAvailable:")
}

/// The bytes of a line such as `VmHWM:     5120 kB`.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let kibibytes = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn groups() -> String {
    std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

/// Where a file of this group may be, by its names in both versions: version 2 has one hierarchy, version 1 one for
/// memory. In a container the group that `/proc` names may be the host's path, while its own group is what is mounted.
fn candidates(mount: &Path, groups: &str, second: &str, first: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            files.push(mount.join(path).join(second));
            files.push(mount.join(second));
        } else if controllers.split(',').any(|controller| controller == "memory") {
            files.push(mount.join("memory").join(path).join(first));
            files.push(mount.join("memory").join(first));
        }
    }
    files
}

/// The counter `oom_kill` of a file.
fn kills(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::version_2("0::/pods/a\n", "pods/a/memory.events")]
    #[case::version_2_in_a_namespace("0::/\n", "memory.events")]
    #[case::version_2_with_the_hosts_path("0::/kubepods/x\n", "memory.events")]
    #[case::version_1("4:cpu,cpuacct:/a\n3:memory:/pods/a\n", "memory/pods/a/memory.oom_control")]
    #[case::version_1_with_the_hosts_path("3:memory:/kubepods/x\n0::/\n", "memory/memory.oom_control")]
    fn a_kill_since_the_start_is_seen(#[case] groups: &str, #[case] file: &str) {
        let mount = tempfile::tempdir().unwrap();
        let file = mount.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "low 0\noom 3\noom_kill 2\n").unwrap();
        let watch = MemoryWatch::at(mount.path(), groups);
        assert!(!watch.has_killed());
        std::fs::write(&file, "low 0\noom 4\noom_kill 3\n").unwrap();
        assert!(watch.has_killed());
    }

    #[rstest]
    #[case::version_2("0::/pods/a\n", "pods/a/memory.max", "1048576\n", Some(1_048_576))]
    #[case::version_2_in_a_namespace("0::/\n", "memory.max", "1048576\n", Some(1_048_576))]
    #[case::without_a_limit("0::/\n", "memory.max", "max\n", None)]
    #[case::version_1("3:memory:/a\n", "memory/a/memory.limit_in_bytes", "1048576\n", Some(1_048_576))]
    fn a_groups_limit_is_read(
        #[case] groups: &str,
        #[case] file: &str,
        #[case] text: &str,
        #[case] expected: Option<u64>,
    ) {
        let mount = tempfile::tempdir().unwrap();
        let file = mount.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        assert_eq!(limit(mount.path(), groups), expected);
    }

    #[test]
    fn what_the_machine_has_free_is_read_in_bytes() {
        assert_eq!(free("MemTotal:  9 kB\nMemAvailable:    4 kB\n"), Some(4096));
        assert_eq!(free("MemTotal:  9 kB\n"), None);
        assert!(available().is_some());
    }

    #[rstest]
    #[case::no_groups("")]
    #[case::nothing_mounted("0::/\n3:memory:/\n")]
    #[case::nonsense("::\nx")]
    fn where_nothing_counts_nothing_was_killed(#[case] groups: &str) {
        let mount = tempfile::tempdir().unwrap();
        assert!(!MemoryWatch::at(mount.path(), groups).has_killed());
    }
}
