//! The emulator of DynamoDB (`tests/emulator`), as a process that ends with this one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The emulator. Its process ends when this is dropped, or when this process dies.
pub struct Emulator {
    process: Child,
    /// Where it listens.
    pub endpoint: String,
}

impl Emulator {
    /// Builds it under `target`, cargo's folder for it alone, where that was not done yet, and starts it.
    pub fn build_and_start(target: &Path) -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../emulator/Cargo.toml");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(&manifest);
        build.arg("--target-dir").arg(target).env_remove("CARGO_BUILD_TARGET");
        assert!(build.status().expect("cargo runs").success(), "the emulator in tests/emulator is not built");
        Emulator::start(&target.join("debug/stepwell-emulator"))
    }

    fn start(program: &Path) -> Self {
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was just built");
        let mut endpoint = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
        output.read_line(&mut endpoint).expect("it says where it listens");
        Emulator { process, endpoint: endpoint.trim().to_owned() }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
