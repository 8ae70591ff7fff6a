//! The targets of tests/fuzz under libFuzzer, which is led by what each input reaches. It takes a nightly compiler; where there is
//! none, the same targets run on the stable one, over more mutations than the tests try.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, output, root, target, works};

/// What to fuzz.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target
    #[arg(long)]
    target: Vec<String>,
    /// libFuzzer's companion: none, address …
    #[arg(long, default_value = "none")]
    sanitizer: String,
    /// Begin with the corpus that earlier runs have found (it is kept in any case)
    #[arg(long)]
    found: bool,
}

/// How long one input may take, in seconds: JSONata's own bound for each of four evaluations (an input is evaluated twice, and one that
/// fails once more), and some more.
const SECONDS_MAX: u64 = 30;

/// Seconds for each target among all the tests.
const SECONDS_BRIEFLY: u64 = 5;

/// Megabytes that a target may hold.
const MEGABYTES_MAX: u64 = 1536;

/// What one target came to.
struct Outcome {
    name: String,
    executions: String,
    rate: String,
    coverage: String,
    features: String,
    corpus: String,
    slowest: String,
    failure: Option<String>,
}

/// Runs each target; all go on where one fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !has_nightly() {
        println!(
            "fuzz: there is no nightly compiler (rustup toolchain install nightly): SKIPPING libFuzzer; the same targets on stable"
        );
        return on_stable();
    }
    shell::run(cargo().args(["build", "--package", "stepwell-fuzz", "--bins", "--quiet"]))?;
    on_nightly(args)
}

fn on_nightly(args: &Args) -> Result<()> {
    let started = Instant::now();
    let places = Places::new(args)?;
    let names = places.names(args)?;
    places.build(args, &names)?;
    println!("fuzz: {} targets built in {:.0?}", names.len(), started.elapsed());
    let outcomes: Vec<_> = names.iter().map(|name| places.fuzz(args, name)).collect::<Result<_>>()?;
    table(&outcomes);
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.failure.as_deref()).collect();
    ensure!(failed.is_empty(), "fuzz: inputs were found that do not hold:\n{}", failed.join("\n"));
    Ok(())
}

/// Each target for some seconds, as a part of all the tests. On stable they have run already.
pub(crate) fn run_briefly() -> Result<()> {
    if !has_nightly() {
        println!("fuzz: there is no nightly compiler: SKIPPING libFuzzer");
        return Ok(());
    }
    let args = Args { seconds: SECONDS_BRIEFLY, target: vec![], sanitizer: "none".to_owned(), found: false };
    // The tests have built it. (Asked for alone, its dependencies would have other features, and be built a second time.)
    ensure!(seeder().is_file(), "the tests have not built {}", seeder().display());
    on_nightly(&args)
}

/// `stepwell-fuzz`, which knows the targets and writes seeds.
fn seeder() -> PathBuf {
    target().join("debug/stepwell-fuzz")
}

/// Whether `cargo +nightly` is there.
fn has_nightly() -> bool {
    works(Command::new("rustup").args(["run", "nightly", "rustc", "--version"]))
}

fn on_stable() -> Result<()> {
    shell::run(
        cargo()
            .args(["test", "--package", "stepwell-fuzz", "--test", "targets", "--", "--nocapture"])
            .env("STEPWELL_FUZZ_TIMES", "10"),
    )
}

struct Places {
    /// Where the programs are built, and everything else is kept: `seeds`, `found`, `artifacts`, a log for each target.
    folder: PathBuf,
    cargo_fuzz: PathBuf,
    /// What each target begins with.
    seeds: PathBuf,
}

impl Places {
    fn new(args: &Args) -> Result<Self> {
        let folder = target().join("fuzz");
        let cargo_fuzz = shell::installed("cargo-fuzz")?;
        let seeds = folder.join("seeds");
        let _ = fs::remove_dir_all(&seeds);
        shell::run(Command::new(seeder()).arg("seeds").arg(&seeds))?;
        if !args.found {
            let _ = fs::remove_dir_all(folder.join("found"));
        }
        Ok(Places { folder, cargo_fuzz, seeds })
    }

    fn names(&self, args: &Args) -> Result<Vec<String>> {
        let all = output(Command::new(seeder()).arg("list"))?;
        let all: Vec<_> = all.lines().map(str::to_owned).collect();
        for name in &args.target {
            ensure!(all.contains(name), "there is no target {name}: {}", all.join(", "));
        }
        Ok(all.into_iter().filter(|name| args.target.is_empty() || args.target.contains(name)).collect())
    }

    fn build(&self, args: &Args, names: &[String]) -> Result<()> {
        let mut command = self.command(args, "build");
        if let [name] = names {
            command.arg(name);
        }
        shell::run(&mut command).context("building the targets")
    }

    /// `cargo fuzz` with the nightly compiler.
    fn command(&self, args: &Args, what: &str) -> Command {
        let mut command = Command::new("rustup");
        command
            .current_dir(root())
            .args(["run", "nightly"])
            .arg(&self.cargo_fuzz)
            .args(["fuzz", what, "--fuzz-dir", "fuzz", "--sanitizer", &args.sanitizer, "--target-dir"])
            .arg(&self.folder)
            // The cargo that runs this chore is another toolchain's.
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO_TARGET_DIR");
        command
    }

    fn fuzz(&self, args: &Args, name: &str) -> Result<Outcome> {
        let (found, artifacts) =
            (self.folder.join("found").join(name), self.folder.join("artifacts").join(name));
        for folder in [&found, &artifacts] {
            fs::create_dir_all(folder)?;
        }
        let log = self.folder.join(format!("{name}.log"));
        let mut command = Command::new(self.folder.join(host()?).join("release").join(name));
        command.arg(&found).arg(self.seeds.join(name)).args(self.extra_seeds(name));
        command.args([
            format!("-max_total_time={}", args.seconds),
            format!("-timeout={SECONDS_MAX}"),
            format!("-rss_limit_mb={MEGABYTES_MAX}"),
            format!("-dict={}", self.seeds.join(format!("{name}.dict")).display()),
            format!("-artifact_prefix={}/", artifacts.display()),
            "-max_len=16384".to_owned(),
            "-report_slow_units=2".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        let file = fs::File::create(&log)?;
        let status = command
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .with_context(|| format!("the program {name}"))?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let outcome = read(name, &text, (!status.success()).then(|| failure(name, &text, &log)));
        println!("{}", line(&outcome));
        Ok(outcome)
    }

    /// Recordings and suites that are not part of the repository, where they are at hand.
    fn extra_seeds(&self, name: &str) -> Vec<PathBuf> {
        let folder = self.folder.join("extra").join(name);
        let written = match name {
            "definition" => recorded_definitions(&folder),
            "jsonata" => suite(&folder),
            _ => return vec![],
        };
        if matches!(written, Ok(true)) { vec![folder] } else { vec![] }
    }
}

/// The platform that the nightly compiler builds for.
fn host() -> Result<String> {
    let version = output(Command::new("rustup").args(["run", "nightly", "rustc", "--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("the nightly compiler names no host")?.to_owned())
}

/// The definitions of `../shared/conformance`.
fn recorded_definitions(folder: &Path) -> Result<bool> {
    each(&root().join("../shared/conformance/cases"), folder, &|value, found| definitions(value, found))
}

fn definitions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) if text.contains("StartAt") => found.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| definitions(item, found)),
        serde_json::Value::Object(members) => members.values().for_each(|member| definitions(member, found)),
        _ => {}
    }
}

/// The expressions of `../shared/jsonata-suite`, which see a context item where ours see `$states.input`.
fn suite(folder: &Path) -> Result<bool> {
    each(&root().join("../shared/jsonata-suite/groups"), folder, &|value, found| {
        let cases = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        found.extend(
            cases.iter().filter_map(|case| Some(format!("$states.input.({})", case["expr"].as_str()?))),
        );
    })
}

/// Writes what `take` finds in the JSON files below `from` as files of `folder`; `false` where there are none.
fn each(from: &Path, folder: &Path, take: &dyn Fn(&serde_json::Value, &mut Vec<String>)) -> Result<bool> {
    let mut found = vec![];
    let mut open = vec![from.to_owned()];
    while let Some(place) = open.pop() {
        if place.is_dir() {
            open.extend(fs::read_dir(&place)?.filter_map(|entry| Some(entry.ok()?.path())));
        } else if place.extension().is_some_and(|extension| extension == "json")
            && let Ok(value) = serde_json::from_slice(&fs::read(&place)?)
        {
            take(&value, &mut found);
        }
    }
    found.sort();
    found.dedup();
    fs::create_dir_all(folder)?;
    for (number, text) in found.iter().enumerate() {
        fs::write(folder.join(format!("extra-{number:05}")), text)?;
    }
    Ok(!found.is_empty())
}

/// Reads libFuzzer's log.
fn read(name: &str, log: &str, failure: Option<String>) -> Outcome {
    let stat = |name: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
        line.map_or_else(|| "?".to_owned(), |value| value.trim().to_owned())
    };
    let last =
        log.lines().rev().find(|line| line.starts_with('#') && line.contains(" cov: ")).unwrap_or_default();
    let of = |name: &str| {
        let words: Vec<_> = last.split_whitespace().collect();
        let at = words.iter().position(|word| *word == name);
        at.and_then(|at| words.get(at + 1)).map_or_else(|| "?".to_owned(), |word| (*word).to_owned())
    };
    Outcome {
        name: name.to_owned(),
        executions: stat("number_of_executed_units"),
        rate: stat("average_exec_per_sec"),
        coverage: of("cov:"),
        features: of("ft:"),
        corpus: of("corp:"),
        slowest: stat("slowest_unit_time_sec"),
        failure,
    }
}

fn failure(name: &str, text: &str, log: &Path) -> String {
    let kept = text.lines().find_map(|line| line.split("Test unit written to ").nth(1));
    let kept = kept.map_or_else(
        || "no input was kept".to_owned(),
        |path| format!("cargo run -p stepwell-fuzz -- run {name} {path}"),
    );
    format!("  {name}: {kept}\n    the log is {}", log.display())
}

fn line(outcome: &Outcome) -> String {
    let Outcome { name, executions, rate, coverage, features, corpus, slowest, failure } = outcome;
    let end = if failure.is_some() { "DOES NOT HOLD" } else { "holds" };
    format!(
        "{name:12} {executions:>10} {rate:>8}/s {coverage:>8} {features:>9} {corpus:>14} {slowest:>4} s  {end}"
    )
}

fn table(outcomes: &[Outcome]) {
    println!(
        "\n{:12} {:>10} {:>10} {:>8} {:>9} {:>14} {:>6}",
        "target", "executions", "", "coverage", "features", "corpus", "slowest"
    );
    outcomes.iter().for_each(|outcome| println!("{}", line(outcome)));
}
