//! Seeds and single inputs: what `cargo xtask fuzz` and whoever has found something needs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use stepwell_fuzz::{TARGETS, corpus, target};

const USAGE: &str = "usage: stepwell-fuzz list | seeds FOLDER | run TARGET FILE…";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(true)
        }
        ["seeds", folder] => seeds(Path::new(folder)).map(|()| true).map_err(|error| error.to_string()),
        ["run", name, ref files @ ..] => run(name, files),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes each target's inputs to `FOLDER/TARGET/` and its words to `FOLDER/TARGET.dict`, in libFuzzer's form.
fn seeds(folder: &Path) -> std::io::Result<()> {
    for target in TARGETS {
        let inputs = folder.join(target.name);
        fs::create_dir_all(&inputs)?;
        for (number, data) in corpus::of(target).iter().enumerate() {
            fs::write(inputs.join(format!("seed-{number:04}")), data)?;
        }
        let quoted = |word: &&str| {
            let byte = |byte: u8| match byte {
                b'"' | b'\\' => format!("\\{}", char::from(byte)),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            };
            format!("\"{}\"\n", word.bytes().map(byte).collect::<String>())
        };
        fs::write(
            folder.join(format!("{}.dict", target.name)),
            target.words.iter().map(quoted).collect::<String>(),
        )?;
    }
    Ok(())
}

fn run(name: &str, files: &[&str]) -> Result<bool, String> {
    let target = target(name).ok_or_else(|| format!("there is no target {name}"))?;
    let mut holds = true;
    for path in files.iter().map(PathBuf::from) {
        let data = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        match target.watch(&data) {
            Ok(watched) => {
                println!("{}: holds, {:.1?}, {} MiB", path.display(), watched.time, watched.mebibytes)
            }
            Err(error) => {
                holds = false;
                println!("{}: {error}", path.display());
            }
        }
    }
    Ok(holds)
}
