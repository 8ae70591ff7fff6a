//! The tool that weighs a function.

use std::process::Command;

#[test]
fn it_says_how_it_is_used() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_stepwell-test-lambda")).output().expect("it was just built");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("stepwell-test-lambda BINARY TARGET"), "{text}");
}
