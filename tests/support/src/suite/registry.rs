//! What every Registry does.

use std::sync::Arc;

use stepwell_asl::MachineType;
use stepwell_engine::port::{Registry, RegistryError, StateMachine};
use stepwell_interpreter::Timestamp;

use crate::machine;

/// What every Registry does.
pub async fn registry(registry: &dyn Registry) {
    let one = Arc::new(full("Suite"));
    assert!(found(registry, &one.arn).await.is_none());
    registry.create(one.clone()).await.expect("created");
    let exists = registry.create(one.clone()).await;
    assert!(matches!(exists, Err(RegistryError::Exists(there)) if *there == *one));
    assert_eq!(found(registry, &one.arn).await.as_deref(), Some(&*one));

    let revision = |revision: &str| {
        Arc::new(StateMachine { revision: revision.into(), is_updated: true, ..(*one).clone() })
    };
    let two = revision("2");
    registry.update(two.clone(), "1").await.expect("updated");
    let changed = registry.update(revision("3"), "1").await;
    assert!(matches!(changed, Err(RegistryError::Exists(there)) if *there == *two));
    let missing = registry.update(Arc::new(full("Nobody")), "1").await;
    assert!(matches!(missing, Err(RegistryError::Missing(_))));
    assert_eq!(found(registry, &one.arn).await.as_deref(), Some(&*two));

    for name in ["SuiteB", "SuiteA", "SuiteC"] {
        registry.create(Arc::new(machine(name, "{}"))).await.expect("created");
    }
    let mut names = vec![];
    let mut after: Option<Arc<str>> = None;
    loop {
        let listed = registry.list(after.as_deref(), 2).await.expect("the store answers");
        let Some(last) = listed.last() else { break };
        after = Some(last.arn.clone());
        names.extend(listed.iter().map(|machine| machine.name.to_string()));
    }
    assert_eq!(names, ["Suite", "SuiteA", "SuiteB", "SuiteC"]);

    registry.delete(&one.arn).await.expect("deleted");
    registry.delete(&one.arn).await.expect("it is deleted already");
    assert!(found(registry, &one.arn).await.is_none());
    // Revisions outlive their machine: executions may still run on them.
    for (revision, expected) in [("1", Some(&one)), ("2", Some(&two)), ("3", None)] {
        let found = registry.revision(&one.arn, revision).await.expect("the store answers");
        assert_eq!(
            found.as_ref().map(|machine| &machine.definition),
            expected.map(|machine| &machine.definition)
        );
        assert_eq!(found.map(|machine| machine.machine_type), expected.map(|machine| machine.machine_type));
    }
}

async fn found(registry: &dyn Registry, arn: &str) -> Option<Arc<StateMachine>> {
    registry.machine(arn).await.expect("the store answers")
}

/// A machine with something in every field.
fn full(name: &str) -> StateMachine {
    StateMachine {
        machine_type: MachineType::Express,
        created_at: Timestamp(1_000),
        updated_at: Timestamp(2_000),
        logging: Some(r#"{"level":"ALL"}"#.into()),
        tracing: Some(r#"{"enabled":true}"#.into()),
        encryption: Some(r#"{"type":"AWS_OWNED_KEY"}"#.into()),
        tags: vec![("b".into(), "2".into()), ("a".into(), "1".into())],
        ..machine(name, r#"{ "StartAt" : "ö" }"#)
    }
}
