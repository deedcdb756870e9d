//! Durable writes on a local file system.
//!
//! object_store's local store doesn't call fsync, so a power failure could keep a name and lose what it names. Here the
//! file is on disk before it gets its name, and the name is on disk before the write counts.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a writer waits for another's lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// How long a partial file stays that nobody writes to, where its writer may be alive: a write takes minutes at most.
pub(crate) const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// How a file gets its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Over any file that has it: rename.
    Overwrite,
    /// Only if none has it: link, which fails with `AlreadyExists`.
    Create,
}

/// Writes `bytes` to `path` atomically and durably, making folders as needed.
pub(crate) fn write(path: &Path, bytes: &[u8], naming: Naming) -> io::Result<()> {
    let (partial, mut file) = partial(path)?;
    let named = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| name(&partial, path, naming));
    // After a link the partial name is a second one; after a failure it is rubbish.
    if naming == Naming::Create || named.is_err() {
        let _ = fs::remove_file(&partial);
    }
    named?;
    sync_folder(path)
}

/// Replaces the file at `path` if it still holds `expected`, or is still absent. Tells whether it did.
///
/// Writers of this program wait for each other by a lock on the folder. After [`PATIENCE`] they go on without: a
/// process that is stopped while it holds the lock must not stop all others.
pub(crate) fn replace(path: &Path, bytes: &[u8], expected: Option<&[u8]>) -> io::Result<bool> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_folders(folder)?;
    let lock = File::open(folder)?;
    let deadline = Instant::now() + PATIENCE;
    // Some network file systems lock no folders: the caller checks after its write.
    while let Err(TryLockError::WouldBlock) = lock.try_lock() {
        if Instant::now() > deadline {
            break;
        }
        std::thread::sleep(LOCK_POLL);
    }
    let found = match fs::read(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if found.as_deref() != expected {
        return Ok(false);
    }
    write(path, bytes, Naming::Overwrite).map(|()| true)
}

/// Copies the local file `source` to `path`, atomically and durably.
pub(crate) fn copy(source: &Path, path: &Path) -> io::Result<()> {
    let (partial, mut file) = partial(path)?;
    let copied = File::open(source)
        .and_then(|mut source| io::copy(&mut source, &mut file))
        .and_then(|_| file.sync_all())
        .and_then(|()| name(&partial, path, Naming::Overwrite));
    if copied.is_err() {
        let _ = fs::remove_file(&partial);
    }
    copied?;
    sync_folder(path)
}

/// A new file beside `path` under a name that object_store's listings leave out (`name#number`).
fn partial(path: &Path) -> io::Result<(PathBuf, File)> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_folders(folder)?;
    for attempt in 0u32.. {
        let unique = std::process::id().wrapping_mul(1 << 10).wrapping_add(attempt);
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!("#{unique}"));
        let partial = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&partial) {
            Ok(file) => return Ok((partial, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A collector found the folder empty and removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < 8 => create_folders(folder)?,
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn name(partial: &Path, path: &Path, naming: Naming) -> io::Result<()> {
    match naming {
        Naming::Overwrite => fs::rename(partial, path),
        Naming::Create => fs::hard_link(partial, path),
    }
}

/// Creates `folder` and its missing parents, each durable in its own parent.
fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(folder),
    }
}

/// Makes the name of `path` durable in its folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes every folder at and below `folder` that holds nothing, or nothing but partial files that nobody has written to
/// for as long as `abandoned`: those of writers that were killed.
///
/// A writer that has just made its folder may find it gone; [`partial`] makes it anew.
pub(crate) fn remove_empty_folders(folder: &Path, abandoned: Duration) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // One that can't be removed doesn't keep the others.
        if entry.file_type()?.is_dir() {
            let _ = remove_empty_folders(&entry.path(), abandoned);
        } else if is_partial(&entry.file_name())
            && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age >= abandoned)
        {
            let _ = fs::remove_file(entry.path());
        }
    }
    fs::remove_dir(folder)
}

/// Whether a file's name is one that [`partial`] gives.
fn is_partial(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().rsplit_once('#').is_some_and(|(_, number)| number.parse::<u32>().is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn create_never_replaces_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/entry.json");
        write(&path, b"first", Naming::Create).unwrap();
        assert_eq!(write(&path, b"second", Naming::Create).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write(&path, b"third", Naming::Overwrite).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn of_many_creators_exactly_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entry.json");
        let wins: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|number: usize| {
                    let path = path.clone();
                    scope.spawn(move || write(&path, number.to_string().as_bytes(), Naming::Create).is_ok())
                })
                .collect();
            racers.into_iter().map(|racer| usize::from(racer.join().unwrap())).sum()
        });
        assert_eq!(wins, 1);
    }
    #[test]
    fn what_a_killed_writer_left_goes_with_its_folder_unless_it_may_be_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("checkpoints");
        let (dead, alive) = (root.join("1-10-dead"), root.join("1-20-alive"));
        for folder in [&dead, &alive] {
            drop(partial(&folder.join("model")).unwrap());
            assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        }
        write(&alive.join("name#x"), b"no number", Naming::Create).unwrap();
        let _ = remove_empty_folders(&root, Duration::from_secs(60));
        assert!(dead.exists() && fs::read_dir(&alive).unwrap().count() == 2);
        let _ = remove_empty_folders(&root, Duration::ZERO);
        assert!(!dead.exists() && fs::read_dir(&alive).unwrap().count() == 1);
    }
}
