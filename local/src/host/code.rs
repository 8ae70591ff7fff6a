//! Whether a function's code has changed since its processes were started.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::config::{Code, FunctionConfig};

/// The most files looked at. Changes in what is beyond are not noticed.
const FILES_MAX: usize = 5_000;
/// Folders that are not looked into: what tools put there changes with what is beside it.
const FOLDERS_PASSED_OVER: [&str; 4] = ["node_modules", "__pycache__", "target", "venv"];

/// What is code, by the end of its name. Other files are not: a function may write some itself.
const CODE: [&str; 7] = ["py", "js", "mjs", "cjs", "so", "node", "bootstrap"];

/// Watches the code of one function by looking at it now and then, when it is called.
#[derive(Debug)]
pub(super) struct Watch {
    interval: Duration,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    looked: Option<Instant>,
    stamp: Option<Stamp>,
    generation: u64,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    newest: SystemTime,
    files: usize,
    bytes: u64,
}

impl Watch {
    /// A watch that looks at most once in `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, seen: Mutex::default() }
    }

    /// A number that grows when the code has changed.
    pub(super) async fn generation(&self, function: &FunctionConfig) -> u64 {
        let Code::Folder(code) = &function.code else { return 0 };
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.looked.is_some_and(|looked| looked.elapsed() < self.interval) {
                return seen.generation;
            }
            seen.looked = Some(Instant::now());
        }
        let code = code.clone();
        let stamp = tokio::task::spawn_blocking(move || stamp(&code)).await.ok();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.stamp.is_some() && seen.stamp != stamp {
            seen.generation += 1;
        }
        seen.stamp = stamp;
        seen.generation
    }
}

fn stamp(code: &Path) -> Stamp {
    let mut stamp = Stamp { newest: SystemTime::UNIX_EPOCH, files: 0, bytes: 0 };
    let mut paths = vec![code.to_owned()];
    while let Some(path) = paths.pop() {
        // What cannot be read now counts as absent, and as changed once it can be.
        let Ok(file) = fs::metadata(&path) else { continue };
        if file.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            let room = FILES_MAX.saturating_sub(stamp.files + paths.len());
            paths.extend(entries.take(room).filter(is_looked_at).map(|entry| entry.path()));
            continue;
        }
        stamp.newest = stamp.newest.max(file.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        stamp.files += 1;
        stamp.bytes += file.len();
    }
    stamp
}

/// Code, or a folder that may hold some; no link, which may lead in a circle.
fn is_looked_at(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    match entry.file_type() {
        Ok(kind) if kind.is_dir() => !name.starts_with('.') && !FOLDERS_PASSED_OVER.contains(&&*name),
        Ok(kind) if kind.is_file() => CODE.contains(&name.rsplit('.').next().unwrap_or_default()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;

    use super::*;

    #[test]
    fn only_a_change_of_code_changes_the_stamp() {
        let folder = temp_dir().join(format!("stepwell-code-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("app.py", "1");
        let before = stamp(&folder);
        for passed_over in ["count.txt", "node_modules/a.js", ".git/b.py", "sub/__pycache__/c.py", "d.pyc"] {
            write(passed_over, "1");
            assert_eq!(stamp(&folder), before, "{passed_over}");
        }
        for code in ["sub/e.mjs", "bootstrap", "app.py"] {
            let before = stamp(&folder);
            write(code, "10");
            assert_ne!(stamp(&folder), before, "{code}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
