//! Which program to start for a function.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::config::{Code, FunctionConfig, Runtime};

const PYTHON_BOOTSTRAP: &str = include_str!("bootstrap.py");
const NODE_BOOTSTRAP: &str = include_str!("bootstrap.mjs");

/// What to start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// `LAMBDA_TASK_ROOT`, which is the working directory too.
    pub(super) task_root: PathBuf,
    /// What the program reads on standard input.
    pub(super) stdin: &'static str,
}

/// The interpreters found so far, by runtime identifier.
#[derive(Debug, Default)]
pub(super) struct Interpreters {
    found: Mutex<HashMap<String, Arc<OnceCell<PathBuf>>>>,
}

/// Decides what to start for `function`.
///
/// # Errors
/// A sentence for the user, if there is nothing to start.
pub(super) async fn launch(function: &FunctionConfig, interpreters: &Interpreters) -> Result<Launch, String> {
    let code = match &function.code {
        Code::Folder(folder) => {
            folder.canonicalize().map_err(|error| format!("the code `{}`: {error}", folder.display()))?
        }
        Code::Elsewhere(place) => {
            return Err(format!("the code is {place}, and stepwell hosts what is in a folder of its own"));
        }
    };
    let (identifier, language) = match &function.runtime {
        Runtime::Python(identifier) => (identifier, &PYTHON),
        Runtime::Nodejs(identifier) => (identifier, &NODE),
        Runtime::Provided(_) => return bootstrap(function, code),
        Runtime::Other(identifier) => {
            return Err(format!(
                "stepwell does not host `{identifier}`; use `provided.al2023`, Python or Node.js"
            ));
        }
    };
    if !code.is_dir() {
        return Err(format!("the code `{}` is not a folder; unpack it first", code.display()));
    }
    let program = interpreters.find(identifier, language).await?;
    // The name is no argument to anyone, but shows in a list of processes.
    let arguments =
        language.arguments.iter().chain([&function.name.as_str()]).map(|&arg| arg.to_owned()).collect();
    Ok(Launch { program, arguments, task_root: code, stdin: language.bootstrap })
}

/// A language with a bootstrap of ours.
struct Language {
    /// The program, when no version of it is asked for.
    program: &'static str,
    /// Whether a program with the runtime's own name (`python3.11`) is looked for first.
    versioned: bool,
    /// Arguments that make it print the path of its real executable.
    whereabouts: &'static [&'static str],
    /// Arguments that make it run the bootstrap from its standard input.
    arguments: &'static [&'static str],
    bootstrap: &'static str,
}

const PYTHON: Language = Language {
    program: "python3",
    versioned: true,
    whereabouts: &["-c", "import sys; print(sys.executable)"],
    arguments: &["-u", "-"],
    bootstrap: PYTHON_BOOTSTRAP,
};

const NODE: Language = Language {
    program: "node",
    versioned: false,
    whereabouts: &["-p", "process.execPath"],
    arguments: &["--input-type=module", "-"],
    bootstrap: NODE_BOOTSTRAP,
};

impl Interpreters {
    async fn find(&self, identifier: &str, language: &Language) -> Result<PathBuf, String> {
        // A burst of first calls asks once, and does not wait for another runtime's answer.
        let cell = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(found.entry(identifier.to_owned()).or_default())
        };
        cell.get_or_try_init(|| search(identifier, language)).await.cloned()
    }
}

async fn search(identifier: &str, language: &Language) -> Result<PathBuf, String> {
    let versioned = language.versioned.then_some(identifier);
    for candidate in versioned.into_iter().chain([language.program]) {
        if let Some(program) = interpreter(candidate, language.whereabouts).await {
            if versioned.is_some_and(|wanted| wanted != candidate) {
                tracing::warn!(wanted = identifier, used = %program.display(), "another version is used");
            }
            return Ok(program);
        }
    }
    Err(format!(
        "`{identifier}` needs `{}` on the search path, and there is none that works",
        language.program
    ))
}

/// The program of this name on the search path.
///
/// That may be a script that chooses the real one (pyenv, asdf). It is asked once where that is, so that no later start
/// pays for the choice, which takes longer than the start itself.
async fn interpreter(candidate: &str, whereabouts: &[&str]) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(candidate))
        .find(|path| is_executable(path))?;
    let is_script = File::open(&found).and_then(|mut file| {
        let mut start = [0; 2];
        file.read_exact(&mut start).map(|()| start == *b"#!")
    });
    if !is_script.ok()? {
        return Some(found);
    }
    let asked = Command::new(&found)
        .args(whereabouts)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = asked.await.ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim_end())).filter(|program| program.is_file())
}

/// Finds the executable of a `provided` function: the code itself, `bootstrap` in its folder, or what
/// `cargo lambda build` left in `target/lambda/NAME` there or in a folder above.
fn bootstrap(function: &FunctionConfig, code: PathBuf) -> Result<Launch, String> {
    let names: Vec<&str> =
        [Some(function.name.as_str()), function.alias.as_deref(), Some(function.handler.as_str())]
            .into_iter()
            .flatten()
            .filter(|name| !name.is_empty() && !name.contains(['/', '.']))
            .collect();
    let built = code.ancestors().flat_map(|folder| {
        let lambda = folder.join("target/lambda");
        names.iter().map(move |name| lambda.join(name).join("bootstrap"))
    });
    let program = [code.clone(), code.join("bootstrap")]
        .into_iter()
        .chain(built)
        .find(|path| is_executable(path))
        .ok_or_else(|| {
            format!("no executable `bootstrap` in `{}`; build the function first", code.display())
        })?;
    let task_root = program.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Launch { program, arguments: Vec::new(), task_root, stdin: "" })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
