//! META's head: what of a META never changes within an epoch, without what its item says anyway.
//!
//! An item is paid for by the kilobyte, and so is what an index has of it. A META names its execution four times, and its state
//! machine three times; the key says all of that. What cannot be told from the key is kept as it is.

use std::sync::Arc;

use stepwell_engine::meta::{Meta, Parent};
use stepwell_engine::stored::{decode_meta, encode_meta};
use stepwell_expr::Payload;
use stepwell_interpreter::ExecutionInfo;

use crate::error::StoreError;
use crate::item::{AttributeValue, Fields, Item, binary};
use crate::table::{BY_MACHINE, PARTITION};

/// What an execution's ARN tells.
struct Told<'a> {
    name: &'a str,
    state_machine_arn: String,
    state_machine_name: &'a str,
}

/// `None` of an ARN that is none of a Standard execution's.
fn told(arn: &str) -> Option<Told<'_>> {
    // arn:partition:states:region:account:execution:machine:name
    let (machine_and_account, name) = arn.rsplit_once(':')?;
    let (account, state_machine_name) = machine_and_account.rsplit_once(":execution:")?;
    if state_machine_name.contains(':') {
        return None;
    }
    let state_machine_arn = format!("{account}:stateMachine:{state_machine_name}");
    Some(Told { name, state_machine_arn, state_machine_name })
}

/// The text, or nothing where it is as expected.
fn without(text: &Arc<str>, expected: &str) -> Arc<str> {
    if **text == *expected { Arc::default() } else { text.clone() }
}

fn with(text: &Arc<str>, expected: &str) -> Arc<str> {
    if text.is_empty() { expected.into() } else { text.clone() }
}

/// What of an ARN follows that of the state machine: `:7`, `:PROD`.
fn without_machine(arn: &Option<Arc<str>>, machine: &str) -> Option<Arc<str>> {
    let arn = arn.as_ref()?;
    let suffix = arn.strip_prefix(machine).filter(|suffix| suffix.starts_with(':'));
    Some(suffix.map_or_else(|| arn.clone(), Arc::from))
}

fn with_machine(arn: &Option<Arc<str>>, machine: &str) -> Option<Arc<str>> {
    let arn = arn.as_ref()?;
    Some(if arn.starts_with(':') { format!("{machine}{arn}").into() } else { arn.clone() })
}

/// The head of a META.
pub(crate) fn head(meta: &Meta) -> AttributeValue {
    let arn = &*meta.execution_arn;
    let info = &*meta.info;
    let info = match told(arn) {
        None => info.clone(),
        Some(Told { name, state_machine_arn, state_machine_name }) => ExecutionInfo {
            execution_arn: without(&info.execution_arn, arn),
            name: without(&info.name, name),
            state_machine_arn: without(&info.state_machine_arn, &state_machine_arn),
            state_machine_name: without(&info.state_machine_name, state_machine_name),
            version_arn: without_machine(&info.version_arn, &state_machine_arn),
            alias_arn: without_machine(&info.alias_arn, &state_machine_arn),
            ..info.clone()
        },
    };
    let parent = match meta.parent.clone() {
        // The index's partition is that ARN and a shard.
        Some(Parent::MapRun { index, items, .. }) => {
            Some(Parent::MapRun { map_run_arn: Arc::default(), index, items })
        }
        other => other,
    };
    let (input, end, parked) = (Payload::default(), None, None);
    let execution_arn = Arc::default();
    binary(encode_meta(&Meta {
        execution_arn,
        info: Arc::new(info),
        input,
        end,
        parked,
        parent,
        ..meta.clone()
    }))
}

/// Reads a head, and what the item says besides.
pub(crate) fn read_head(item: &Item) -> Result<Meta, StoreError> {
    let mut meta = decode_meta(item.bytes("head")?)?;
    let arn: Arc<str> = item.text(PARTITION)?.into();
    if let Some(Told { name, state_machine_arn, state_machine_name }) = told(&arn) {
        let info = &*meta.info;
        meta.info = Arc::new(ExecutionInfo {
            execution_arn: if info.execution_arn.is_empty() {
                arn.clone()
            } else {
                info.execution_arn.clone()
            },
            name: with(&info.name, name),
            state_machine_arn: with(&info.state_machine_arn, &state_machine_arn),
            state_machine_name: with(&info.state_machine_name, state_machine_name),
            version_arn: with_machine(&info.version_arn, &state_machine_arn),
            alias_arn: with_machine(&info.alias_arn, &state_machine_arn),
            ..info.clone()
        });
    }
    if let Some(Parent::MapRun { map_run_arn, .. }) = &mut meta.parent
        && map_run_arn.is_empty()
    {
        let place = item.text(BY_MACHINE.partition)?;
        *map_run_arn = place.rsplit_once('#').map_or(place, |(arn, _)| arn).into();
    }
    meta.execution_arn = arn;
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use stepwell_engine::meta::RunId;
    use stepwell_interpreter::Timestamp;

    use super::*;
    use crate::item::{key, text};

    const ACCOUNT: &str = "arn:aws:states:eu-central-1:123456789012";

    fn meta(execution: &str, machine: &str, parent: Option<Parent>) -> Meta {
        let info = ExecutionInfo {
            execution_arn: format!("{ACCOUNT}:execution:{execution}").into(),
            name: execution.rsplit(':').next().unwrap_or_default().into(),
            state_machine_arn: format!("{ACCOUNT}:stateMachine:{machine}").into(),
            state_machine_name: machine.into(),
            role_arn: "arn:aws:iam::123456789012:role/orders".into(),
            version_arn: Some(format!("{ACCOUNT}:stateMachine:{machine}:12").into()),
            alias_arn: Some(format!("{ACCOUNT}:stateMachine:{machine}:PROD").into()),
            started_at: Timestamp(1_767_225_600_123),
            express: false,
        };
        Meta {
            execution_arn: info.execution_arn.clone(),
            run: RunId(7),
            epoch: 0,
            info: Arc::new(info),
            input: Payload::default(),
            revision: "0b1d6c1c-3b5f-4b52-8a4e-3c1f0a6f5d11".into(),
            trace_header: None,
            end: None,
            parked: None,
            parent,
            redriven_at: None,
        }
    }

    /// Its size, once it was read as it was written.
    fn check(meta: &Meta) -> usize {
        let mut item = key(&meta.execution_arn, "META");
        let head = head(meta);
        item.insert("head".into(), head.clone());
        let under = meta.listed_under().next().unwrap();
        item.insert("lm".into(), text(format!("{under}#3")));
        assert_eq!(read_head(&item).unwrap(), *meta);
        match head {
            AttributeValue::B(bytes) => bytes.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_key_says_is_not_said_again() {
        let long = "OrderProcessingStateMachine-a1b2c3d4";
        let name = "7c3f0e7e-2a70-4a39-9b1f-0f6a5a1f7a52";
        assert!(check(&meta(&format!("{long}:{name}"), long, None)) < 140);
        let map_run_arn = format!("{ACCOUNT}:mapRun:{long}/Each:{name}").into();
        let parent = Parent::MapRun { map_run_arn, index: 70_000, items: 3 };
        let child = meta(&format!("{long}/Each:{name}"), &format!("{long}/Each"), Some(parent));
        assert!(check(&child) < 140);
        let task = Parent::Task {
            execution_arn: format!("{ACCOUNT}:execution:{long}:another").into(),
            run: RunId(8),
            epoch: 1,
            attempt: stepwell_interpreter::AttemptId(3),
            resource: "arn:aws:states:::states:startExecution.sync".into(),
        };
        check(&meta(&format!("{long}:{name}"), long, Some(task)));
    }

    #[test]
    fn what_the_key_does_not_say_is_kept() {
        let mut odd = meta("a:b", "another", None);
        check(&odd);
        odd.execution_arn = format!("{ACCOUNT}:express:a:b:c").into();
        check(&odd);
        odd.execution_arn = "nonsense".into();
        check(&odd);
        let mut others = meta("a:b", "a", None);
        Arc::make_mut(&mut others.info).version_arn = Some("elsewhere:1".into());
        Arc::make_mut(&mut others.info).alias_arn = None;
        check(&others);
    }
}
