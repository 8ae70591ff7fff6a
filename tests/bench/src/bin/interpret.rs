//! The interpreter alone: no wire, no store, no history made. Prints microseconds of wall time a transition.
use std::sync::Arc;
use std::time::Instant;

use stepwell_asl::{Format, MachineType, parse};
use stepwell_bench::workload;
use stepwell_expr::Payload;
use stepwell_interpreter::{Claimant, Execution, ExecutionInfo, Now, Timestamp, Trigger, advance, apply};

fn main() {
    for name in ["W1", "W4", "W4J", "W6"] {
        let w = workload(name).expect("the workloads named above exist");
        let definition = parse(&w.definition.to_string(), Format::Json, MachineType::Standard)
            .definition
            .expect("the workload's definition is in order");
        let info = Arc::new(ExecutionInfo {
            execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:e".into(),
            name: "e".into(),
            state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:m".into(),
            state_machine_name: "m".into(),
            role_arn: "arn:aws:iam::000000000000:role/r".into(),
            version_arn: None,
            alias_arn: None,
            started_at: Timestamp(0),
            express: false,
        });
        let claimant = Claimant { message: "m".into(), delivery: 1 };
        let turns = 3_000_000 / w.transitions.max(1) / if name == "W6" { 1000 } else { 10 };
        let (mut records, t) = (0, Instant::now());
        for seed in 0..turns {
            let now = Now { time: Timestamp(1), seed: seed.into() };
            let input = Payload::parse(w.input.as_str()).expect("the workload's input is JSON");
            let mut x: Execution =
                apply(&definition, &Execution::default(), &Trigger::Start { info: info.clone(), input }, now)
                    .execution;
            while !x.status().is_terminal() {
                let decision = advance(&definition, &x, &claimant, now);
                records += decision.records.len();
                x = decision.execution;
            }
        }
        let us = t.elapsed().as_secs_f64() * 1e6;
        let transitions = (turns * w.transitions) as f64;
        println!(
            "{name}: {:.3} us a transition, {:.1} us an execution, {} records each",
            us / transitions,
            us / turns as f64,
            records as u64 / turns
        );
    }
}
