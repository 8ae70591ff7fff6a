//! One state: the fields that all types share, and which fields each type has.

use stepwell_expr::QueryLanguage;

use super::checker::{Checker, Fields};
use super::fields::In::{self, Both, Jsonata, Path};
use super::source::{Node, Pointer};
use super::{choice, fields, io, map, parallel, task, wait};
use crate::{BlockId, Pass, State, StateKind, StateName, Succeed, Transition};

const TYPES: [&str; 8] = ["Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"];

/// Reads a state; `None` where it has no type that we know.
pub(crate) fn state(
    checker: &mut Checker<'_>,
    name: &StateName,
    node: &Node,
    pointer: &Pointer<'_>,
    block: BlockId,
) -> Option<State> {
    let Some(members) = node.as_object() else {
        checker.schema(pointer, &node.span, "Expected value of type [OBJECT]");
        return None;
    };
    let mut fields = Fields {
        members,
        span: &node.span,
        pointer,
        language: checker.language,
        state: name,
        is_catcher: false,
    };
    fields.language = fields::query_language(&fields).unwrap_or(checker.language);
    let kind = kind(checker, &fields);
    fields::one_of(checker, &fields, "QueryLanguage", &["JSONPath", "JSONata"]);
    let kind = kind?;
    let comment = fields.string(checker, "Comment").map(|text| text.to_string());
    let pointer = pointer.to_string();
    Some(State { name: name.clone(), comment, language: fields.language, block, pointer, kind })
}

/// Reports fields that do not belong to the type of state or to its language.
fn check(checker: &mut Checker<'_>, fields: &Fields<'_>, allowed: &[&Allowed]) {
    let allowed = allowed.concat();
    if checker.language == QueryLanguage::Jsonata && !fields.is_jsonata() {
        // The other language's fields are not reported on top of this.
        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        fields::unsupported(checker, fields, &names);
        let message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
        let span = fields.get("QueryLanguage").map_or(fields.span, |node| &node.span);
        checker.schema(fields.pointer, span, message);
    } else {
        fields::check(checker, fields, &allowed);
    }
}

fn kind(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<StateKind> {
    let type_name = fields.required_string(checker, "Type")?.clone();
    Some(match &*type_name {
        "Pass" => {
            check(checker, fields, PASS);
            StateKind::Pass(pass(checker, fields))
        }
        "Task" => {
            check(checker, fields, TASK);
            StateKind::Task(Box::new(task::task(checker, fields)))
        }
        "Choice" => {
            check(checker, fields, CHOICE);
            StateKind::Choice(choice::choice(checker, fields))
        }
        "Wait" => {
            check(checker, fields, WAIT);
            StateKind::Wait(wait::wait(checker, fields))
        }
        "Succeed" => {
            check(checker, fields, SUCCEED);
            StateKind::Succeed(Succeed { io: io::io(checker, fields) })
        }
        "Fail" => {
            check(checker, fields, FAIL);
            StateKind::Fail(wait::fail(checker, fields))
        }
        "Parallel" => {
            check(checker, fields, PARALLEL);
            StateKind::Parallel(parallel::parallel(checker, fields))
        }
        "Map" => {
            check(checker, fields, MAP);
            StateKind::Map(Box::new(map::map(checker, fields)))
        }
        _ => {
            fields::one_of(checker, fields, "Type", &TYPES);
            return None;
        }
    })
}

fn pass(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Pass {
    if let Some(result) = fields.get("Result") {
        io::warn_static(checker, result, &fields.pointer.key("Result"));
    }
    Pass {
        io: io::io(checker, fields),
        result: fields.get("Result").map(Node::value),
        assign: io::assign(checker, fields),
        transition: fields::transition(checker, fields),
    }
}

/// Whether the block may end with this state.
pub(crate) fn is_terminal(state: &State) -> bool {
    let transition = match &state.kind {
        StateKind::Succeed(_) | StateKind::Fail(_) => return true,
        StateKind::Choice(_) => return false,
        StateKind::Pass(state) => &state.transition,
        StateKind::Task(state) => &state.transition,
        StateKind::Wait(state) => &state.transition,
        StateKind::Parallel(state) => &state.transition,
        StateKind::Map(state) => &state.transition,
    };
    *transition == Transition::End
}

// Which field belongs to which type and language. (ASL: State Types, and what the service refuses.)

type Allowed = [(&'static str, In)];

/// Of every type.
const ANY: &Allowed = &[("Type", Both), ("Comment", Both), ("QueryLanguage", Both)];
/// Of those that another state follows.
const FOLLOWED: &Allowed = &[("Next", Both), ("End", Both)];
/// Of those that hand data on.
const DATA: &Allowed = &[("InputPath", Path), ("OutputPath", Path), ("Output", Jsonata)];
const ASSIGN: &Allowed = &[("Assign", Both)];
/// Of those that have a result beside their input.
const RESULT: &Allowed = &[("Parameters", Path), ("ResultPath", Path)];
/// Of those whose result is somebody's work.
const WORK: &Allowed = &[("ResultSelector", Path), ("Retry", Both), ("Catch", Both)];
const ARGUMENTS: &Allowed = &[("Arguments", Jsonata)];

const PASS: &[&Allowed] = &[ANY, FOLLOWED, DATA, ASSIGN, RESULT, &[("Result", Path)]];

const TASK: &[&Allowed] = &[
    ANY,
    FOLLOWED,
    DATA,
    ASSIGN,
    RESULT,
    WORK,
    ARGUMENTS,
    &[
        ("Resource", Both),
        ("TimeoutSeconds", Both),
        ("TimeoutSecondsPath", Path),
        ("HeartbeatSeconds", Both),
        ("HeartbeatSecondsPath", Path),
        ("Credentials", Both),
    ],
];

const CHOICE: &[&Allowed] = &[ANY, DATA, ASSIGN, &[("Choices", Both), ("Default", Both)]];

const WAIT: &[&Allowed] = &[
    ANY,
    FOLLOWED,
    DATA,
    ASSIGN,
    &[("Seconds", Both), ("Timestamp", Both), ("SecondsPath", Path), ("TimestampPath", Path)],
];

const SUCCEED: &[&Allowed] = &[ANY, DATA];

const FAIL: &[&Allowed] =
    &[ANY, &[("Error", Both), ("Cause", Both), ("ErrorPath", Path), ("CausePath", Path)]];

const PARALLEL: &[&Allowed] = &[ANY, FOLLOWED, DATA, ASSIGN, RESULT, WORK, ARGUMENTS, &[("Branches", Both)]];

const MAP: &[&Allowed] = &[
    ANY,
    FOLLOWED,
    DATA,
    ASSIGN,
    RESULT,
    WORK,
    &[
        ("ItemProcessor", Both),
        ("Iterator", Both),
        ("ItemsPath", Path),
        ("Items", Jsonata),
        ("ItemSelector", Both),
        ("ItemReader", Both),
        ("ItemBatcher", Both),
        ("ResultWriter", Both),
        ("Label", Both),
        ("MaxConcurrency", Both),
        ("ToleratedFailureCount", Both),
        ("ToleratedFailurePercentage", Both),
        ("MaxConcurrencyPath", Path),
        ("ToleratedFailureCountPath", Path),
        ("ToleratedFailurePercentagePath", Path),
    ],
];
