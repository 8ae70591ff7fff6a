//! Sees to it that no function outlives this program, even when it is killed by SIGKILL.
//!
//! A child of ours cannot be relied on to notice: it may be spinning in the user's code. So one small shell, in a process
//! group of its own, is told the process group of every environment over a pipe. When the pipe closes, which the
//! kernel does however this program ends, the shell kills those that are left.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=' '
while read -r what group; do
  case $what in
    born) groups="$groups$group " ;;
    dead) case $groups in *" $group "*) groups="${groups%% $group *} ${groups#* $group }" ;; esac ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
"#;

/// The shell, started with the first environment.
#[derive(Debug, Default)]
pub(super) struct Undertaker {
    shell: Mutex<Option<Shell>>,
}

#[derive(Debug)]
struct Shell {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Undertaker {
    /// A process group was started.
    pub(super) fn born(&self, group: u32) {
        self.say("born", group);
    }

    /// A process group has ended, and its number may be used again.
    pub(super) fn dead(&self, group: u32) {
        self.say("dead", group);
    }

    fn say(&self, what: &str, group: u32) {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        if shell.is_none() {
            match Shell::start() {
                Ok(started) => *shell = Some(started),
                Err(error) => {
                    tracing::warn!(%error, "no shell: if this program is killed, functions may go on");
                    return;
                }
            }
        }
        if let Some(pipe) = shell.as_mut().and_then(|shell| shell.pipe.as_mut())
            && let Err(error) = pipe.write_all(format!("{what} {group}\n").as_bytes())
        {
            tracing::warn!(%error, "the shell that cleans up after this program is gone");
            *shell = None;
        }
    }
}

impl Shell {
    fn start() -> std::io::Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "stepwell-undertaker"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It ends at once, its input being closed; waiting only keeps it from becoming a zombie.
        let _ = self.child.wait();
    }
}
