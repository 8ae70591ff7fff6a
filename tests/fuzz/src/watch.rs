//! One input, watched: what it takes, and whether it holds.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Target;

/// Mebibytes of address space that one input may add to the process's peak.
const MEBIBYTES_MAX: u64 = 512;

/// What an input took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watched {
    /// Processor time.
    pub time: Duration,
    /// By how much the process's peak of address space grew, in MiB.
    pub mebibytes: u64,
}

thread_local! {
    /// What the last panic said. One that was caught where it is expected is overwritten by the next.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on a panic is noted and not printed: some are caught, and part of an evaluation's ordinary failure.
pub fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            PANIC.with(|panic| *panic.borrow_mut() = info.to_string());
        }));
    });
}

impl Target {
    /// Runs the target on `data`.
    ///
    /// # Errors
    /// What does not hold; or that it took more time or memory than an input may.
    pub fn watch(&self, data: &[u8]) -> Result<Watched, String> {
        quiet_panics();
        let (peak, started) = (peak_mebibytes(), processor_time());
        catch_unwind(AssertUnwindSafe(|| (self.run)(data))).map_err(|_| PANIC.with(RefCell::take))?;
        let time = processor_time().saturating_sub(started);
        let mebibytes = peak_mebibytes().saturating_sub(peak);
        if time > Duration::from_millis(self.milliseconds_max) {
            return Err(format!("it took {time:?} of processor time"));
        }
        if mebibytes > MEBIBYTES_MAX {
            return Err(format!("it took {mebibytes} MiB of memory"));
        }
        Ok(Watched { time, mebibytes })
    }

    /// Runs the target on `data`, for a fuzzer that sees itself to time and memory.
    ///
    /// # Panics
    /// Where something does not hold; it is printed.
    pub fn check(&self, data: &[u8]) {
        quiet_panics();
        if catch_unwind(AssertUnwindSafe(|| (self.run)(data))).is_err() {
            eprintln!("\n{}: {}\n", self.name, PANIC.with(RefCell::take));
            std::process::abort();
        }
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The largest address space that this process ever had; 0 where the system does not say.
fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
