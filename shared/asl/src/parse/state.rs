//! One state: the fields that all types share, and which fields each type has.

use stepwell_expr::QueryLanguage;

use super::checker::{Checker, Fields, nearest};
use super::fields::In::{self, Both, Jsonata, Path};
use super::source::{Node, Pointer};
use super::{choice, fields, io, map, parallel, task, wait};
use crate::{BlockId, Code, Pass, Severity, State, StateKind, StateName, Succeed, Transition};

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
        checker.schema(pointer, &node.span, "Expected value of type Object");
        return None;
    };
    let mut fields = Fields { members, span: &node.span, pointer, language: checker.language, state: name };
    fields.language = language(checker, &fields);
    let kind = kind(checker, &fields)?;
    let comment = fields.string(checker, "Comment").map(|text| text.to_string());
    let pointer = pointer.to_string();
    Some(State { name: name.clone(), comment, language: fields.language, block, pointer, kind })
}

fn language(checker: &mut Checker<'_>, fields: &Fields<'_>) -> QueryLanguage {
    let own = fields::query_language(checker, fields);
    if checker.language == QueryLanguage::Jsonata && own == Some(QueryLanguage::JsonPath) {
        let message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
        let span = fields.get("QueryLanguage").map_or(fields.span, |node| &node.span);
        checker.schema(fields.pointer, span, message);
    }
    own.unwrap_or(checker.language)
}

fn kind(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<StateKind> {
    let type_name = fields.required_string(checker, "Type")?.clone();
    Some(match &*type_name {
        "Pass" => {
            fields::check(checker, fields, PASS);
            StateKind::Pass(pass(checker, fields))
        }
        "Task" => {
            fields::check(checker, fields, TASK);
            StateKind::Task(Box::new(task::task(checker, fields)))
        }
        "Choice" => {
            fields::check(checker, fields, CHOICE);
            StateKind::Choice(choice::choice(checker, fields))
        }
        "Wait" => {
            fields::check(checker, fields, WAIT);
            StateKind::Wait(wait::wait(checker, fields))
        }
        "Succeed" => {
            fields::check(checker, fields, SUCCEED);
            StateKind::Succeed(Succeed { io: io::io(checker, fields) })
        }
        "Fail" => {
            fields::check(checker, fields, FAIL);
            StateKind::Fail(wait::fail(checker, fields))
        }
        "Parallel" => {
            fields::check(checker, fields, PARALLEL);
            StateKind::Parallel(parallel::parallel(checker, fields))
        }
        "Map" => {
            fields::check(checker, fields, MAP);
            StateKind::Map(Box::new(map::map(checker, fields)))
        }
        unknown => {
            unknown_type(checker, fields, unknown);
            return None;
        }
    })
}

fn unknown_type(checker: &mut Checker<'_>, fields: &Fields<'_>, unknown: &str) {
    let help = nearest(unknown, TYPES.into_iter()).map(|name| format!("did you mean '{name}'?"));
    let location = fields.pointer.key("Type").location();
    let span = fields.get("Type").map_or(fields.span, |node| &node.span);
    let message = format!("Invalid 'Type' of state: '{unknown}'. Must be one of: [{}]", TYPES.join(", "));
    checker.report(Severity::Error, Code::SCHEMA_VALIDATION_FAILED, location, span, message, help);
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

const PASS: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("Next", Both),
    ("End", Both),
    ("InputPath", Path),
    ("OutputPath", Path),
    ("Parameters", Path),
    ("ResultPath", Path),
    ("Result", Path),
    ("Output", Jsonata),
    ("Assign", Both),
];

const TASK: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("Next", Both),
    ("End", Both),
    ("InputPath", Path),
    ("OutputPath", Path),
    ("Parameters", Path),
    ("ResultSelector", Path),
    ("ResultPath", Path),
    ("Arguments", Jsonata),
    ("Output", Jsonata),
    ("Assign", Both),
    ("Retry", Both),
    ("Catch", Both),
    ("Resource", Both),
    ("TimeoutSeconds", Both),
    ("TimeoutSecondsPath", Path),
    ("HeartbeatSeconds", Both),
    ("HeartbeatSecondsPath", Path),
    ("Credentials", Both),
];

const CHOICE: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("InputPath", Path),
    ("OutputPath", Path),
    ("Output", Jsonata),
    ("Assign", Both),
    ("Choices", Both),
    ("Default", Both),
];

const WAIT: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("Next", Both),
    ("End", Both),
    ("InputPath", Path),
    ("OutputPath", Path),
    ("Output", Jsonata),
    ("Assign", Both),
    ("Seconds", Both),
    ("Timestamp", Both),
    ("SecondsPath", Path),
    ("TimestampPath", Path),
];

const SUCCEED: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("InputPath", Path),
    ("OutputPath", Path),
    ("Output", Jsonata),
];

const FAIL: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("Error", Both),
    ("Cause", Both),
    ("ErrorPath", Path),
    ("CausePath", Path),
];

const PARALLEL: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("Next", Both),
    ("End", Both),
    ("InputPath", Path),
    ("OutputPath", Path),
    ("Parameters", Path),
    ("ResultSelector", Path),
    ("ResultPath", Path),
    ("Arguments", Jsonata),
    ("Output", Jsonata),
    ("Assign", Both),
    ("Retry", Both),
    ("Catch", Both),
    ("Branches", Both),
];

const MAP: &[(&str, In)] = &[
    ("Type", Both),
    ("Comment", Both),
    ("QueryLanguage", Both),
    ("Next", Both),
    ("End", Both),
    ("InputPath", Path),
    ("OutputPath", Path),
    ("Parameters", Path),
    ("ResultSelector", Path),
    ("ResultPath", Path),
    ("Output", Jsonata),
    ("Assign", Both),
    ("Retry", Both),
    ("Catch", Both),
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
];
