//! Step Functions Local's `MockConfigFile.json`.

use stepwell_integrations::{Mocks, UnknownTestCase};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "mock",
    run,
    words: &[
        "\"StateMachines\":",
        "\"TestCases\":",
        "\"MockedResponses\":",
        "\"Return\":",
        "\"Throw\":{\"Error\":\"E\",\"Cause\":\"C\"}",
        "\"0\":",
        "\"1-3\":",
        "\"4294967295\":",
        "\"0-4294967295\":",
        "\"3-1\":",
        "null",
        "{}",
    ],
    mutations: 4_000,
    bytes_max: 8_192,
    milliseconds_max: 1_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(mocks) = Mocks::parse(text) else { return };
    let machines: Vec<_> = mocks.machines().map(str::to_owned).collect();
    for machine in &machines {
        let Err(UnknownTestCase::Case { known, .. }) = mocks.states(machine, "\u{0}none") else {
            continue;
        };
        for case in known.split(", ").map(|case| case.trim_matches('`')) {
            if let Ok(states) = mocks.states(machine, case) {
                assert!(states.len() <= text.len());
                assert!(mocks.choose("arn", machine, case).is_ok());
            }
        }
    }
    assert!(mocks.select("\u{0}none", "").is_err());
}
