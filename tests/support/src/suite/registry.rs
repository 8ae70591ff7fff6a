//! What every Registry does.

use std::sync::Arc;

use stepwell_asl::MachineType;
use stepwell_engine::port::{
    ALIASES_MAX, Alias, MachineStatus, Publication, Registry, RegistryError, Route, StateMachine,
    VERSIONS_MAX, Version,
};
use stepwell_interpreter::Timestamp;

use super::both;
use crate::machine;

/// What every Registry does.
pub async fn registry(registry: &dyn Registry) {
    machines(registry).await;
    machines_are_listed_by_arn(registry).await;
    of_two_updates_one_comes_first(registry).await;
    versions(registry).await;
    of_two_publications_one_makes_the_version(registry).await;
    versions_have_a_limit(registry).await;
    aliases(registry).await;
    an_alias_holds_its_versions(registry).await;
    aliases_have_a_limit(registry).await;
    a_machine_goes_with_its_versions_and_aliases(registry).await;
    what_is_being_deleted_takes_no_change(registry).await;
}

async fn machines(registry: &dyn Registry) {
    let one = Arc::new(full("Suite"));
    assert!(found(registry, &one.arn).await.is_none());
    registry.create(one.clone(), None).await.expect("created");
    let exists = registry.create(one.clone(), None).await;
    assert!(matches!(exists, Err(RegistryError::Exists(there)) if *there == *one));
    assert_eq!(found(registry, &one.arn).await.as_deref(), Some(&*one));

    let two = revised(&one, "2");
    registry.update(two.clone(), &one).await.expect("updated");
    let changed = registry.update(revised(&one, "3"), &one).await;
    assert!(matches!(changed, Err(RegistryError::Exists(there)) if *there == *two));
    let nobody = Arc::new(full("Nobody"));
    let missing = registry.update(nobody.clone(), &nobody).await;
    assert!(matches!(missing, Err(RegistryError::Missing(_))), "{missing:?}");
    assert_eq!(found(registry, &one.arn).await.as_deref(), Some(&*two));

    registry.delete(&one.arn, "1").await.expect("another revision is newer");
    assert!(found(registry, &one.arn).await.is_some());
    for _ in 0..2 {
        registry.delete(&one.arn, "2").await.expect("deleted, once or twice");
        assert!(found(registry, &one.arn).await.is_none());
    }
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

async fn machines_are_listed_by_arn(registry: &dyn Registry) {
    for name in ["SuiteB", "SuiteA", "SuiteC"] {
        registry.create(Arc::new(machine(name, "{}")), None).await.expect("created");
    }
    let mut names = vec![];
    let mut after: Option<Arc<str>> = None;
    loop {
        let listed = registry.list(after.as_deref(), 2).await.expect("the store answers");
        let Some(last) = listed.last() else { break };
        after = Some(last.arn.clone());
        names.extend(listed.iter().map(|machine| machine.name.to_string()));
    }
    assert_eq!(names, ["SuiteA", "SuiteB", "SuiteC"]);
}

/// Also where neither makes a revision, as with tags.
async fn of_two_updates_one_comes_first(registry: &dyn Registry) {
    let one = created(registry, "Race").await;
    let tagged = |key: &str| {
        let tags = vec![(key.to_owned(), String::new())];
        Arc::new(StateMachine { tags, edition: one.edition + 1, ..(*one).clone() })
    };
    let (first, second) = (tagged("first"), tagged("second"));
    let (left, right) =
        both(registry.update(first.clone(), &one), registry.update(second.clone(), &one)).await;
    let there = found(registry, &one.arn).await.expect("it is there");
    let (winner, loser) = if left.is_ok() { (first, right) } else { (second, left) };
    assert_eq!(there, winner);
    assert!(matches!(loser, Err(RegistryError::Exists(newer)) if newer == winner));
}

async fn versions(registry: &dyn Registry) {
    let one = Arc::new(full("Versions"));
    let first = Publication { description: Some("first".into()), ..publication("1", 5) };
    registry.create(one.clone(), Some(first)).await.expect("created");
    let described = Version {
        number: 1,
        revision: "1".into(),
        description: Some("first".into()),
        created_at: Timestamp(5),
    };
    // A revision is published once, whatever is said of it later.
    let again = registry.publish(&one.arn, publication("1", 6)).await.expect("published");
    assert_eq!(*again, described);
    let other = registry.publish(&one.arn, publication("2", 6)).await;
    assert!(matches!(other, Err(RegistryError::Exists(there)) if there == one));

    let two = revised(&one, "2");
    registry.update(two.clone(), &one).await.expect("updated");
    let second = registry.publish(&one.arn, publication("2", 7)).await.expect("published");
    assert_eq!((second.number, &*second.revision, &second.description), (2, "2", &None));
    assert_eq!(numbers(registry, &one.arn, None, 9).await, [2, 1]);
    assert_eq!(numbers(registry, &one.arn, None, 1).await, [2]);
    assert_eq!(numbers(registry, &one.arn, Some(2), 9).await, [1]);
    let read = registry.version(&one.arn, 1).await.expect("the store answers");
    assert_eq!(read.as_deref(), Some(&described));
    assert!(registry.version(&one.arn, 3).await.expect("the store answers").is_none());

    // A number that was given is never given again.
    for _ in 0..2 {
        registry.delete_version(&one.arn, 2).await.expect("deleted, once or twice");
    }
    assert_eq!(numbers(registry, &one.arn, None, 9).await, [1]);
    let third = registry.publish(&one.arn, publication("2", 8)).await.expect("published");
    assert_eq!(third.number, 3);

    let nobody = registry.publish("arn:of:nothing", publication("1", 1)).await;
    assert!(matches!(nobody, Err(RegistryError::Missing(_))), "{nobody:?}");
    registry.delete_version("arn:of:nothing", 1).await.expect("it is not there");
    assert!(numbers(registry, "arn:of:nothing", None, 9).await.is_empty());
}

async fn of_two_publications_one_makes_the_version(registry: &dyn Registry) {
    let one = created(registry, "Publications").await;
    let publish = |at| registry.publish(&one.arn, publication("1", at));
    let (left, right) = both(publish(1), publish(2)).await;
    assert_eq!(left.expect("published"), right.expect("published"));
    assert_eq!(numbers(registry, &one.arn, None, 9).await, [1]);

    // Against an update: the version is of the revision that was asked for, or there is none.
    let two = revised(&one, "2");
    registry.delete_version(&one.arn, 1).await.expect("deleted");
    let (updated, published) = both(registry.update(two, &one), publish(3)).await;
    updated.expect("updated");
    match published {
        Ok(version) => assert_eq!(&*version.revision, "1"),
        Err(RegistryError::Exists(there)) => assert_eq!(&*there.revision, "2"),
        Err(error) => panic!("{error}"),
    }
}

async fn versions_have_a_limit(registry: &dyn Registry) {
    let mut machine = created(registry, "Full").await;
    for n in 1..=VERSIONS_MAX {
        let name = machine.revision.to_string();
        registry.publish(&machine.arn, publication(&name, 1)).await.expect("published");
        let next = revised(&machine, &format!("{}", n + 1));
        registry.update(next.clone(), &machine).await.expect("updated");
        machine = next;
    }
    let publish = || registry.publish(&machine.arn, publication(&machine.revision, 1));
    let full = publish().await;
    assert!(matches!(full, Err(RegistryError::Full(VERSIONS_MAX))), "{full:?}");
    registry.delete_version(&machine.arn, 7).await.expect("deleted");
    assert_eq!(publish().await.expect("there is room").number, VERSIONS_MAX as u64 + 1);
}

async fn aliases(registry: &dyn Registry) {
    let one = with_versions(registry, "Aliases", 2).await;
    let alias = Alias { description: Some("ö".into()), ..alias("b", &[(1, 70), (2, 30)]) };
    registry.create_alias(&one.arn, Arc::new(alias.clone())).await.expect("created");
    assert_eq!(found_alias(registry, &one.arn, "b").await.as_deref(), Some(&alias));
    let exists = registry.create_alias(&one.arn, Arc::new(super::registry::alias("b", &[(1, 100)]))).await;
    assert!(matches!(exists, Err(RegistryError::AliasExists(there)) if *there == alias));
    let create = |name: &str, routes: &[(u64, u8)]| {
        registry.create_alias(&one.arn, Arc::new(super::registry::alias(name, routes)))
    };
    for (name, routes) in [("c", [(1, 100)]), ("a", [(2, 100)])] {
        create(name, &routes).await.expect("created");
    }
    let missing = create("d", &[(9, 100)]).await;
    assert!(matches!(missing, Err(RegistryError::VersionMissing(9))), "{missing:?}");
    assert!(found_alias(registry, &one.arn, "d").await.is_none());

    let names = async |version, after, limit| names(registry, &one.arn, version, after, limit).await;
    assert_eq!(names(None, None, 9).await, ["a", "b", "c"]);
    assert_eq!(names(None, None, 2).await, ["a", "b"]);
    assert_eq!(names(None, Some("a"), 9).await, ["b", "c"]);
    assert_eq!(names(Some(1), None, 9).await, ["b", "c"]);
    assert_eq!(names(Some(2), Some("a"), 9).await, ["b"]);
    assert!(names(Some(9), None, 9).await.is_empty());

    let changed = |weight, edition| {
        let routing = vec![Route { version: 1, weight }, Route { version: 2, weight: 100 - weight }];
        Arc::new(Alias { routing, edition, updated_at: Timestamp(9), ..alias.clone() })
    };
    let update = |alias: &Arc<Alias>| registry.update_alias(&one.arn, alias.clone(), 0);
    let (left, right) = (changed(10, 1), changed(20, 1));
    let (first, second) = both(update(&left), update(&right)).await;
    let there = found_alias(registry, &one.arn, "b").await.expect("it is there");
    let (winner, loser) = if first.is_ok() { (left, second) } else { (right, first) };
    assert_eq!(there, winner);
    assert!(matches!(loser, Err(RegistryError::AliasExists(newer)) if newer == winner));

    for _ in 0..2 {
        registry.delete_alias(&one.arn, "b").await.expect("deleted, once or twice");
    }
    let missing = update(&there).await;
    assert!(matches!(missing, Err(RegistryError::AliasMissing(_))), "{missing:?}");
    let missing = registry.update_alias("arn:of:nothing", there.clone(), 0).await;
    assert!(matches!(missing, Err(RegistryError::AliasMissing(_))), "{missing:?}");
    let missing = registry.create_alias("arn:of:nothing", there).await;
    assert!(matches!(missing, Err(RegistryError::Missing(_))), "{missing:?}");
    registry.delete_alias("arn:of:nothing", "b").await.expect("it is not there");
}

async fn an_alias_holds_its_versions(registry: &dyn Registry) {
    let one = with_versions(registry, "Held", 3).await;
    let held = Arc::new(alias("held", &[(1, 50), (2, 50)]));
    registry.create_alias(&one.arn, held).await.expect("created");
    registry.create_alias(&one.arn, Arc::new(alias("also", &[(2, 100)]))).await.expect("created");
    for (version, users) in [(1, vec!["held"]), (2, vec!["also", "held"])] {
        match registry.delete_version(&one.arn, version).await {
            Err(RegistryError::VersionInUse(names)) => {
                assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), users);
            }
            other => panic!("{other:?}"),
        }
    }
    // Whoever comes first, no alias names a version that is gone.
    let to = Arc::new(Alias { edition: 1, ..alias("held", &[(3, 100)]) });
    let (deleted, updated) =
        both(registry.delete_version(&one.arn, 3), registry.update_alias(&one.arn, to, 0)).await;
    assert_ne!(deleted.is_ok(), updated.is_ok(), "{deleted:?} {updated:?}");
    let there = found_alias(registry, &one.arn, "held").await.expect("it is there");
    for route in &there.routing {
        let version = registry.version(&one.arn, route.version).await.expect("the store answers");
        assert!(version.is_some(), "{route:?}");
    }
    if deleted.is_ok() {
        let missing = Arc::new(alias("new", &[(3, 100)]));
        let missing = registry.create_alias(&one.arn, missing).await;
        assert!(matches!(missing, Err(RegistryError::VersionMissing(3))), "{missing:?}");
    }
    for name in ["held", "also"] {
        registry.delete_alias(&one.arn, name).await.expect("deleted");
    }
    registry.delete_version(&one.arn, 2).await.expect("nothing uses it");
}

async fn aliases_have_a_limit(registry: &dyn Registry) {
    let one = with_versions(registry, "FullOfAliases", 1).await;
    let create = |n: usize| registry.create_alias(&one.arn, Arc::new(alias(&format!("a{n}"), &[(1, 100)])));
    for n in 0..ALIASES_MAX {
        create(n).await.expect("created");
    }
    let full = create(ALIASES_MAX).await;
    assert!(matches!(full, Err(RegistryError::Full(ALIASES_MAX))), "{full:?}");
}

async fn a_machine_goes_with_its_versions_and_aliases(registry: &dyn Registry) {
    let one = with_versions(registry, "Gone", 2).await;
    registry.create_alias(&one.arn, Arc::new(alias("a", &[(1, 100)]))).await.expect("created");
    let newest = found(registry, &one.arn).await.expect("it is there");
    registry.delete(&one.arn, &newest.revision).await.expect("deleted");
    assert!(numbers(registry, &one.arn, None, 9).await.is_empty());
    assert!(names(registry, &one.arn, None, None, 9).await.is_empty());
    // Another of its name begins anew.
    let again = Arc::new(StateMachine { revision: "again".into(), ..full("Gone") });
    registry.create(again.clone(), None).await.expect("created");
    assert!(numbers(registry, &one.arn, None, 9).await.is_empty());
    assert!(found_alias(registry, &one.arn, "a").await.is_none());
    let first = registry.publish(&one.arn, publication("again", 1)).await.expect("published");
    assert_eq!(first.number, 1);
    // What deletes the former one a second time leaves this one alone.
    registry.delete(&one.arn, &newest.revision).await.expect("it is deleted already");
    let stale = registry.begin_delete(&one.arn, &newest.revision).await;
    assert!(matches!(stale, Err(RegistryError::Exists(there)) if there == again));
    assert_eq!(found(registry, &one.arn).await, Some(again));
}

async fn what_is_being_deleted_takes_no_change(registry: &dyn Registry) {
    let one = with_versions(registry, "Deleting", 1).await;
    registry.create_alias(&one.arn, Arc::new(alias("a", &[(1, 100)]))).await.expect("created");
    let newest = found(registry, &one.arn).await.expect("it is there");
    for _ in 0..2 {
        registry.begin_delete(&one.arn, &newest.revision).await.expect("it may be said twice");
    }
    let deleting = found(registry, &one.arn).await.expect("it is there still");
    assert_eq!(deleting.status, MachineStatus::Deleting);
    for expected in [&newest, &deleting] {
        let update = registry.update(revised(expected, "new"), expected).await;
        assert!(matches!(update, Err(RegistryError::Deleting(_))), "{update:?}");
    }
    let publish = registry.publish(&one.arn, publication(&newest.revision, 1)).await;
    assert!(matches!(publish, Err(RegistryError::Deleting(_))), "{publish:?}");
    let create = registry.create_alias(&one.arn, Arc::new(alias("b", &[(1, 100)]))).await;
    assert!(matches!(create, Err(RegistryError::Deleting(_))), "{create:?}");
    let update = registry.update_alias(&one.arn, Arc::new(alias("a", &[(1, 100)])), 0).await;
    assert!(matches!(update, Err(RegistryError::Deleting(_))), "{update:?}");
    let exists = registry.create(newest.clone(), None).await;
    assert!(matches!(exists, Err(RegistryError::Exists(there)) if there == deleting));
    registry.delete(&one.arn, &newest.revision).await.expect("deleted");
    let missing = registry.begin_delete(&one.arn, &newest.revision).await;
    assert!(matches!(missing, Err(RegistryError::Missing(_))), "{missing:?}");
}

async fn found(registry: &dyn Registry, arn: &str) -> Option<Arc<StateMachine>> {
    registry.machine(arn).await.expect("the store answers")
}

async fn found_alias(registry: &dyn Registry, arn: &str, name: &str) -> Option<Arc<Alias>> {
    registry.alias(arn, name).await.expect("the store answers")
}

async fn numbers(registry: &dyn Registry, arn: &str, before: Option<u64>, limit: usize) -> Vec<u64> {
    let versions = registry.versions(arn, before, limit).await.expect("the store answers");
    versions.iter().map(|version| version.number).collect()
}

async fn names(
    registry: &dyn Registry,
    arn: &str,
    version: Option<u64>,
    after: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let aliases = registry.aliases(arn, version, after, limit).await.expect("the store answers");
    aliases.iter().map(|alias| alias.name.to_string()).collect()
}

async fn created(registry: &dyn Registry, name: &str) -> Arc<StateMachine> {
    let machine = Arc::new(full(name));
    registry.create(machine.clone(), None).await.expect("created");
    machine
}

/// A machine with this many versions.
async fn with_versions(registry: &dyn Registry, name: &str, count: usize) -> Arc<StateMachine> {
    let mut machine = created(registry, name).await;
    for n in 1..=count {
        registry.publish(&machine.arn, publication(&machine.revision, 1)).await.expect("published");
        let next = revised(&machine, &(n + 1).to_string());
        registry.update(next.clone(), &machine).await.expect("updated");
        machine = next;
    }
    machine
}

fn revised(machine: &StateMachine, revision: &str) -> Arc<StateMachine> {
    let edition = machine.edition + 1;
    Arc::new(StateMachine { revision: revision.into(), is_updated: true, edition, ..machine.clone() })
}

fn publication(revision: &str, at: i64) -> Publication {
    Publication { revision: revision.into(), description: None, at: Timestamp(at) }
}

fn alias(name: &str, routes: &[(u64, u8)]) -> Alias {
    let routing = routes.iter().map(|(version, weight)| Route { version: *version, weight: *weight });
    Alias {
        name: name.into(),
        description: None,
        routing: routing.collect(),
        created_at: Timestamp(3),
        updated_at: Timestamp(4),
        edition: 0,
    }
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
