//! Definitions that are generated, for properties and simulations.
//!
//! What is generated is valid and comes to an end: states go forward, and the only way back is a loop that counts. It
//! has all types of state, both query languages (also a JSONata state within a JSONPath machine), Retry and Catch,
//! Parallel and Map within each other, callbacks, jobs, activities and Map Runs, as far as [`Wanted`] says so. Data is
//! an object with `n`, `items` and `text` all along the way; where errors are wanted, some paths lead nowhere.
//!
//! A generator is a function of its [`Choices`]: a seed gives one definition for ever, and a list of choices that
//! proptest shrinks gives smaller ones.

mod data;
mod state;

use serde_json::{Map, Value, json};

use crate::Choices;

/// What a definition may have.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// States of one block, at most; at least 1.
    pub states_max: usize,
    /// Levels of Parallel and Map below the top.
    pub depth_max: usize,
    /// Longest Wait and longest time limit, in seconds; at least 2.
    pub seconds_max: u64,
    /// Tasks that a callback ends (`.waitForTaskToken`).
    pub callbacks: bool,
    /// Tasks that a job ends (`states:startExecution.sync`).
    pub jobs: bool,
    /// Tasks that a worker takes.
    pub activities: bool,
    /// Map states with `ProcessorConfig` `DISTRIBUTED`.
    pub map_runs: bool,
    /// Fail states, and data that is not there.
    pub errors: bool,
    /// `TimeoutSeconds` and `HeartbeatSeconds`, so that what happens may depend on how long things take.
    pub timeouts: bool,
}

impl Wanted {
    /// All there is, in definitions of some twenty states.
    pub const ALL: Wanted = Wanted {
        states_max: 5,
        depth_max: 3,
        seconds_max: 4_000,
        callbacks: true,
        jobs: true,
        activities: true,
        map_runs: true,
        errors: true,
        timeouts: true,
    };

    /// What an Express workflow may have.
    pub const EXPRESS: Wanted = Wanted {
        callbacks: false,
        jobs: false,
        activities: false,
        map_runs: false,
        seconds_max: 60,
        ..Wanted::ALL
    };

    /// The definition, and an input for it, that `choices` make.
    pub fn draw(self, choices: &mut Choices) -> Drawn {
        let language = if choices.once_in(3) { Language::Jsonata } else { Language::JsonPath };
        let mut draft =
            Draft { choices, wanted: self, top: language, names: 0, counters: 0, variable: false };
        let mut definition = draft.block(0, true);
        if language == Language::Jsonata {
            definition.insert("QueryLanguage".into(), json!("JSONata"));
        }
        if self.timeouts && draft.choices.once_in(4) {
            definition.insert("TimeoutSeconds".into(), json!(draft.seconds() + 1));
        }
        let input = draft.input();
        Drawn { definition: Value::Object(definition).to_string(), input: input.to_string() }
    }
}

/// A generated definition.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The definition's text.
    pub definition: String,
    /// An execution's input.
    pub input: String,
}

/// The activity that generated tasks name.
pub const ACTIVITY: &str = "arn:aws:states:us-east-1:123456789012:activity:work";
/// The function that generated tasks name.
pub const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";
/// The errors that Retry, Catch and Fail name, apart from the reserved ones; a test's tasks should fail with them.
pub const ERRORS: [&str; 3] = ["Busy", "Lost", "No"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    JsonPath,
    Jsonata,
}

/// A definition that is being written, from its last state to its first, so that whatever a state leads to is known.
struct Draft<'a> {
    choices: &'a mut Choices,
    wanted: Wanted,
    top: Language,
    names: usize,
    counters: usize,
    /// Whether the variable `v` can be read.
    variable: bool,
}

/// A block that is being written.
struct Block {
    depth: usize,
    /// Its states, the last one first.
    states: Vec<(String, Value)>,
    /// Whether it assigns the variable `v`, which its first state has begun.
    assigns: bool,
}

impl Block {
    /// The state that comes next, if there is one.
    fn next(&self) -> Option<&str> {
        self.states.last().map(|(name, _)| name.as_str())
    }
}

impl Draft<'_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("S{}", self.names)
    }

    fn seconds(&mut self) -> u64 {
        let seconds = *self.choices.one_of(&[1, 2, 0, 7, 60, 899, 901, 4_000]);
        seconds.min(self.wanted.seconds_max)
    }

    /// `StartAt` and `States`. Only `is_outermost` blocks of an execution may begin the variable that all within may read.
    fn block(&mut self, depth: usize, is_outermost: bool) -> Map<String, Value> {
        let begins = is_outermost && self.choices.once_in(2);
        let outer = self.variable;
        self.variable = if is_outermost { begins } else { outer };
        let mut block = Block { depth, states: vec![], assigns: begins };
        for _ in 0..=self.choices.below(self.wanted.states_max) {
            self.element(&mut block);
        }
        if begins {
            let state = json!({"Type": "Pass", "Assign": {"v": 0}, "Next": block.next()});
            block.states.push((self.name(), state));
        }
        self.variable = outer;
        let start = block.next().unwrap_or_default().to_owned();
        let states: Map<_, _> = block.states.into_iter().rev().collect();
        let mut written = Map::new();
        written.insert("StartAt".into(), json!(start));
        written.insert("States".into(), Value::Object(states));
        written
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stepwell_asl::{Format, MachineType, Severity, parse};

    use super::{Choices, Wanted};

    #[track_caller]
    fn check(wanted: Wanted, machine_type: MachineType) -> String {
        let mut all = String::new();
        for seed in 0..600 {
            let drawn = wanted.draw(&mut Choices::seeded(seed));
            let parsed = parse(&drawn.definition, Format::Json, machine_type);
            let errors: Vec<_> =
                parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
            assert!(
                errors.is_empty() && parsed.definition.is_some(),
                "seed {seed}: {errors:#?}\n{}",
                drawn.definition
            );
            all.push_str(&drawn.definition);
        }
        all
    }

    #[test]
    fn whatever_is_drawn_is_valid() {
        let all = check(Wanted::ALL, MachineType::Standard);
        let words = [
            "\"Pass\"",
            "\"Task\"",
            "\"Choice\"",
            "\"Wait\"",
            "\"Succeed\"",
            "\"Fail\"",
            "\"Parallel\"",
            "\"Map\"",
            "JSONata",
            "Retry",
            "Catch",
            "waitForTaskToken",
            ".sync",
            "activity:",
            "DISTRIBUTED",
            "MaxConcurrency",
            "HeartbeatSeconds",
            "Assign",
            "ItemBatcher",
            "ResultSelector",
            "JitterStrategy",
            "TimeoutSeconds",
        ];
        let counts: BTreeMap<_, _> = words.map(|word| (word, all.matches(word).count())).into();
        assert!(counts.values().all(|count| *count > 20), "{counts:?}");
        check(Wanted::EXPRESS, MachineType::Express);
        let small = Wanted { errors: false, timeouts: false, depth_max: 1, states_max: 2, ..Wanted::ALL };
        assert!(!check(small, MachineType::Standard).contains("\"Fail\""));
    }

    #[test]
    fn without_choices_it_is_the_simplest() {
        let drawn = Wanted::ALL.draw(&mut Choices::of(vec![]));
        assert_eq!(drawn.definition, r#"{"StartAt":"S1","States":{"S1":{"Type":"Pass","End":true}}}"#);
    }
}
