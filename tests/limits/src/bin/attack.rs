//! Runs each attack in a process of its own and prints what it cost.
//!
//! `attack [--seconds 60] [PART OF A NAME ...]`

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use stepwell_limits::{attacks, run};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--one") {
        let seconds = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(60);
        return one(&arguments[1], Duration::from_secs(seconds));
    }
    let mut seconds = 60;
    if arguments.first().is_some_and(|first| first == "--seconds") {
        seconds = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(seconds);
        arguments.drain(..2);
    }
    let chosen: Vec<String> = attacks::names()
        .into_iter()
        .filter(|name| arguments.is_empty() || arguments.iter().any(|part| name.contains(part.as_str())))
        .collect();
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>6} {:>7} {:>8}  outcome",
        "attack", "longest", "whole", "parsing", "MiB", "records", "events"
    );
    let mut hung = 0;
    let mut worst = Worst::default();
    for name in &chosen {
        hung += u32::from(!attack(name, Duration::from_secs(seconds), &mut worst));
    }
    println!(
        "{} attacks, {hung} of which had one decision of {seconds} s or more, or no end to their memory",
        chosen.len()
    );
    println!(
        "longest decision: {:.0} ms ({}); most memory: {} MiB ({})",
        worst.longest.0, worst.longest.1, worst.memory.0, worst.memory.1
    );
    if hung > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What was worst.
#[derive(Default)]
struct Worst {
    longest: (f64, String),
    memory: (u64, String),
}

/// Runs one in a process of its own; false where it had to be ended.
#[allow(clippy::disallowed_methods, reason = "the clock of whoever measures")]
fn attack(name: &str, limit: Duration, worst: &mut Worst) -> bool {
    let Ok(myself) = std::env::current_exe() else { return false };
    let child = Command::new(myself)
        .args(["--one", name, &limit.as_secs().to_string()])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return false };
    let began = Instant::now();
    let mut peak = 0;
    loop {
        peak = peak.max(peak_mib(child.id()));
        match child.try_wait() {
            Ok(Some(_)) => break,
            _ if began.elapsed() > limit * 2 || peak > 6_000 => {
                let _ = child.kill();
                let _ = child.wait();
                println!("{name:<44} HANGS: ended after {:?} with {peak} MiB", began.elapsed());
                return false;
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    let output = child.wait_with_output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let output = output.unwrap_or_default();
    if output.is_empty() {
        println!("{name:<44} DIED with {peak} MiB");
        return false;
    }
    print!("{output}");
    // The name may have blanks in it; what follows has its columns.
    let mut columns = output.get(name.len()..).unwrap_or_default().split_whitespace();
    let longest = columns.next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    if longest > worst.longest.0 {
        worst.longest = (longest, name.to_owned());
    }
    let memory = columns.nth(5).and_then(|text| text.parse().ok()).unwrap_or(0);
    if memory > worst.memory.0 {
        worst.memory = (memory, name.to_owned());
    }
    longest < limit.as_secs_f64() * 1000.0
}

fn one(name: &str, limit: Duration) -> ExitCode {
    let Some(attack) = attacks::named(name) else { return ExitCode::FAILURE };
    let report = run(&attack, limit);
    let peak = peak_mib(std::process::id());
    let outcome = match report.status.as_str() {
        "SUCCEEDED" => format!("SUCCEEDED {}", cut(&report.output)),
        status => format!("{status} {} {}", report.error, cut(&report.cause)),
    };
    println!(
        "{name:<44} {:>9} {:>9} {:>9} {peak:>6} {:>7} {:>8}  {outcome}",
        ms(report.longest),
        ms(report.whole),
        ms(report.parsing),
        report.records_max,
        report.events
    );
    ExitCode::SUCCESS
}

fn cut(text: &str) -> String {
    let cut: String = text.chars().take(110).collect();
    if cut.len() < text.len() { format!("{cut}… ({} bytes)", text.len()) } else { cut }
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// The most memory that the process ever had, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
