//! What Stepwell specifies of itself, and executions that were recorded on AWS.
//!
//! `cargo xtask conformance` runs the recordings through boto3 against a server of our own. `expected-failures.txt` beside
//! this crate names those that differ and says why; nothing else about them is known here.
//!
//! # The specification
//!
//! `spec/*.md` says, feature by feature, what an execution does: prose, and cases that are run by `tests/specs.rs`. Each
//! case drives the pure interpreter (`apply`, `advance`, `evolve`) in virtual time under fixed seeds. There is no engine
//! here, no port and no socket. After each decision [`Run`] checks what holds for every execution; see there.
//!
//! A case is a heading `## …` with fenced blocks below it:
//!
//! | block | what |
//! |---|---|
//! | `asl` | the definition, or a short form of it (below); YAML where it is no JSON |
//! | `input` | the execution's input, `{}` where there is none |
//! | `script` | what happens from outside, in steps (below); nothing where there is none |
//! | `history` | the public history that follows; `UPDATE_SPECS=1 cargo test -p stepwell-conformance` writes it |
//!
//! `«300 ab»` in a block stands for `ab` 300 times.
//!
//! ## Short definitions
//!
//! A definition without `States` is completed: members with a `Type` are its states, the first of them is `StartAt`. One
//! that says neither `Next` nor `End` goes on to the one listed below it, the last one ends. The braces around the whole
//! may be left out. A Task's `Resource` without `arn:` is a service's (`sqs:sendMessage`) or an activity (`activity:a`; all but `activity:gone` exist);
//! a Task without one calls a function of the state's own name. The same is done in `Branches` and `ItemProcessor`.
//!
//! ## Scripts
//!
//! Steps are divided by line ends or ` · `:
//!
//! | step | what happens |
//! |---|---|
//! | `Charge returns {"ok":true}` | the call answers; a task that outlives its call is thereby submitted |
//! | `Charge fails Busy: come back` | the task fails; without `: …` there is no cause, without a name no error |
//! | `Ask succeeds {"ok":true}` | SendTaskSuccess, or the end of a job |
//! | `Ask heartbeat` | SendTaskHeartbeat |
//! | `M starts [1,2]` | nothing: the Map Run of state M starts executions with these inputs |
//! | `M succeeds [1,2]`, `M fails Busy` | the Map Run of state M ends |
//! | `Ask taken by w-1` | a worker takes an activity's task |
//! | `after 1.5 s` | time goes by, in `ms`, `s`, `min`, `h` or `d`, and what is due meanwhile fires |
//! | `timer` | time goes by until the next timer fires |
//! | `stop`, `stop Why: cause` | StopExecution |
//! | `redrive` | RedriveExecution, of an execution that has ended |
//! | `driver lost` | the driver dies with its calls under way; the next one goes on |
//! | `driver lost, calls released` | the same where calls may be made twice |
//!
//! `Work[2]` is the task of state Work in branch or iteration 2; `Work` alone is the first that is open. `late` before a
//! step about a task means its last attempt that is closed: the execution must take no notice.
//!
//! ## Histories
//!
//! Events are divided by ` · ` and line ends; a line begins with the id of its first event. Of each event are given:
//! type, name, data that differs from what came along by `previousEventId` (`←` what goes in, `→` what comes out),
//! assigned variables, error and cause (`″`: the same as in the last event that had one), `@3 s` where time has gone by
//! since the event before, counted from the start, and `(p=4)` where `previousEventId` is not the event before.
//! `[Charge #2] …` is short for AWS's "An error occurred while executing the state 'Charge' (entered at the event id #2). …".
//! A task token is shown as `TOKEN`. Long texts are cut, and of long histories the middle is left out.
//!
//! # Beside the scripts
//!
//! `tests/properties.rs` runs every definition through courses of happenings that are drawn from seeds, and definitions
//! that are drawn themselves, with the same checks after each decision. What fails is made as small as it can be.

mod definition;
pub mod recorded;
mod run;
mod script;
mod shake;
mod show;
mod spec;

pub use run::Run;
pub use shake::{Lived, shake, shake_drawn};
pub use spec::{Report, check_all, definitions, shake_all};
