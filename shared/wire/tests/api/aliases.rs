//! Aliases of state machines.

use std::collections::BTreeMap;

use stepwell_expr::Value;

use crate::site::{FAIL, MACHINE, PASS, Site, body, check, quoted, start, text};

const MISSING: &str = "ResourceNotFound: Request references a resource that does not exist.";

/// A site with a machine `m` of two versions: the first succeeds, the second fails.
fn site() -> (Site, String) {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true"#);
    let update = format!(r#"{{"stateMachineArn":"{arn}","definition":{},"publish":true}}"#, quoted(FAIL));
    site.ask("UpdateStateMachine", update);
    (site, arn)
}

fn routes(arn: &str, routes: &[(&str, i64)]) -> String {
    let route = |(version, weight): &(&str, i64)| {
        format!(r#"{{"stateMachineVersionArn":"{arn}{version}","weight":{weight}}}"#)
    };
    format!("[{}]", routes.iter().map(route).collect::<Vec<_>>().join(","))
}

fn create(name: &str, routing: &str, members: &str) -> String {
    format!(r#"{{"name":{},"routingConfiguration":{routing}{members}}}"#, quoted(name))
}

fn update(alias: &str, members: &str) -> String {
    format!(r#"{{"stateMachineAliasArn":"{alias}"{members}}}"#)
}

#[test]
fn creating_is_idempotent() {
    let (mut site, arn) = site();
    let both = routes(&arn, &[(":1", 70), (":2", 30)]);
    let created = format!(r#"{{"stateMachineAliasArn":"{arn}:live","creationDate":0}}"#);
    let swapped = routes(&arn, &[(":2", 30), (":1", 70)]);
    for routing in [&both, &both, &swapped] {
        let answer = site.ask("CreateStateMachineAlias", create("live", routing, r#","description":"d""#));
        check(&answer, &created);
    }
    let conflict = "ConflictException: Failed to create alias because an alias with the same name and a different \
                    routing configuration already exists.";
    for (routing, description) in [
        (&both, ""),
        (&both, r#","description":"e""#),
        (&routes(&arn, &[(":1", 100)]), r#","description":"d""#),
    ] {
        site.refused("CreateStateMachineAlias", &create("live", routing, description), conflict);
    }
}

#[test]
fn what_cannot_be_created() {
    let (mut site, arn) = site();
    let mut refused = |routing: &str, expected: &str| {
        site.refused(
            "CreateStateMachineAlias",
            &create("live", routing, ""),
            &format!("ValidationException: {expected}"),
        );
    };
    refused(
        &routes(&arn, &[("", 70), (":2", 30)]),
        &format!("Routing configuration must contain state machine version ARNs. Received: [{arn}, {arn}:2]"),
    );
    refused(
        &routes(&arn, &[(":live", 100)]),
        &format!("Routing configuration must contain state machine version ARNs. Received: [{arn}:live]"),
    );
    refused(
        &routes(&arn, &[(":1", 50), (":1", 50)]),
        &format!(
            "Routing configuration must contain distinct state machine version ARNs. Received: [{arn}:1, {arn}:1]"
        ),
    );
    for (weights, shown) in [([70, 29], "70, 29"), ([70, 31], "70, 31"), ([0, 0], "0, 0")] {
        refused(
            &routes(&arn, &[(":1", weights[0]), (":2", weights[1])]),
            &format!("Sum of routing configuration weights must equal 100. Received: [{shown}]"),
        );
    }
    let at = |value: &str, at: &str, constraint: &str| {
        format!(
            "1 validation error detected: Value {value}at '{at}' failed to satisfy constraint: Member must {constraint}"
        )
    };
    let weight = "routingConfiguration.1.member.weight";
    refused(&routes(&arn, &[(":1", 101)]), &at("'101' ", weight, "have value less than or equal to 100"));
    refused(&routes(&arn, &[(":1", -1)]), &at("'-1' ", weight, "have value greater than or equal to 0"));
    refused(&format!(r#"[{{"stateMachineVersionArn":"{arn}:1"}}]"#), &at("null ", weight, "not be null"));
    refused("[]", &at("'[]' ", "routingConfiguration", "have length greater than or equal to 1"));
    refused("null", &at("null ", "routingConfiguration", "not be null"));
    let item = |version: &str, weight: u8| {
        format!("RoutingConfigurationListItem(stateMachineVersionArn={arn}:{version}, weight={weight})")
    };
    refused(
        &routes(&arn, &[(":1", 50), (":2", 30), (":3", 20)]),
        &at(
            &format!("'[{}, {}, {}]' ", item("1", 50), item("2", 30), item("3", 20)),
            "routingConfiguration",
            "have length less than or equal to 2",
        ),
    );
    let hundred = routes(&arn, &[(":1", 100)]);
    for name in ["1", "007", "a b", "a:b", "é"] {
        let expected = format!(
            "ValidationException: 1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\\-\\.])[a-zA-Z0-9_\\-\\.]+$"
        );
        site.refused("CreateStateMachineAlias", &create(name, &hundred, ""), &expected);
    }
    for missing in [routes(&arn, &[(":9", 100)]), routes(&format!("{MACHINE}other"), &[(":1", 100)])] {
        site.refused("CreateStateMachineAlias", &create("live", &missing, ""), MISSING);
    }
    let (status, answer) =
        site.call("CreateStateMachineAlias", create("live", &routes(&arn, &[("", 100)]), ""));
    assert_eq!((status, &*text(&answer, "reason")), (400, "INVALID_ROUTING_CONFIGURATION"));
}

#[test]
fn an_update_changes_what_it_names() {
    let (mut site, arn) = site();
    let first = routes(&arn, &[(":1", 100)]);
    site.ask("CreateStateMachineAlias", create("live", &first, r#","description":"old""#));
    let alias = format!("{arn}:live");
    let mut described = |members: &str, description: &str, routing: &str| {
        check(&site.ask("UpdateStateMachineAlias", update(&alias, members)), r#"{"updateDate":0}"#);
        check(
            &site.ask("DescribeStateMachineAlias", body("stateMachineAliasArn", &alias)),
            &format!(
                r#"{{"stateMachineAliasArn":"{alias}","name":"live","description":"{description}",
                "routingConfiguration":{routing},"creationDate":0,"updateDate":0}}"#
            ),
        );
    };
    described(r#","description":"new""#, "new", &first);
    let both = routes(&arn, &[(":1", 50), (":2", 50)]);
    described(&format!(r#","routingConfiguration":{both}"#), "new", &both);
    described(&format!(r#","routingConfiguration":{both}"#), "new", &both);

    site.refused(
        "UpdateStateMachineAlias",
        &update(&alias, ""),
        "ValidationException: Either the description or the routing configuration must be specified",
    );
    let missing = format!(r#","routingConfiguration":{}"#, routes(&arn, &[(":9", 100)]));
    site.refused("UpdateStateMachineAlias", &update(&alias, &missing), MISSING);
    for other in [format!("{arn}:other"), format!("{arn}:1"), arn.clone(), format!("{MACHINE}other:live")] {
        site.refused("UpdateStateMachineAlias", &update(&other, r#","description":"x""#), MISSING);
        site.refused("DescribeStateMachineAlias", &body("stateMachineAliasArn", &other), MISSING);
    }
    for _ in 0..2 {
        let deleted = site.ask("DeleteStateMachineAlias", body("stateMachineAliasArn", &alias));
        assert_eq!(deleted.to_json(), "{}");
    }
    site.refused("UpdateStateMachineAlias", &update(&alias, r#","description":"x""#), MISSING);
}

#[test]
fn a_version_that_an_alias_uses_stays() {
    let (mut site, arn) = site();
    for name in ["b", "a"] {
        site.ask("CreateStateMachineAlias", create(name, &routes(&arn, &[(":1", 100)]), ""));
    }
    let delete = body("stateMachineVersionArn", &format!("{arn}:1"));
    site.refused(
        "DeleteStateMachineVersion",
        &delete,
        "ConflictException: Version to be deleted must not be referenced by an alias. Current list of aliases \
         referencing this version: [a, b]",
    );
    let to = format!(r#","routingConfiguration":{}"#, routes(&arn, &[(":2", 100)]));
    for name in ["b", "a"] {
        site.ask("UpdateStateMachineAlias", update(&format!("{arn}:{name}"), &to));
    }
    assert_eq!(site.ask("DeleteStateMachineVersion", delete).to_json(), "{}");
}

#[test]
fn aliases_are_listed_by_name_of_a_machine_or_a_version() {
    let (mut site, arn) = site();
    for (name, version) in [("c", ":1"), ("a", ":1"), ("b", ":2")] {
        site.ask("CreateStateMachineAlias", create(name, &routes(&arn, &[(version, 100)]), ""));
    }
    let mut listed = |request: String| {
        let page = site.ask("ListStateMachineAliases", request);
        let aliases = page.get("stateMachineAliases").and_then(Value::as_array).unwrap_or_default();
        let names: Vec<_> = aliases
            .iter()
            .map(|alias| text(alias, "stateMachineAliasArn").replace(&format!("{arn}:"), ""))
            .collect();
        (names.join(" "), page.get("nextToken").and_then(Value::as_str).map(str::to_owned))
    };
    assert_eq!(listed(body("stateMachineArn", &arn)), ("a b c".to_owned(), None));
    assert_eq!(listed(body("stateMachineArn", &format!("{arn}:1"))), ("a c".to_owned(), None));
    let (first, token) = listed(format!(r#"{{"stateMachineArn":"{arn}","maxResults":1}}"#));
    assert_eq!(first, "a");
    let next = token.expect("there is more");
    assert_eq!(
        listed(format!(r#"{{"stateMachineArn":"{arn}","nextToken":"{next}"}}"#)),
        ("b c".to_owned(), None)
    );
    assert_eq!(
        listed(format!(r#"{{"stateMachineArn":"{arn}","maxResults":0}}"#)),
        ("a b c".to_owned(), None)
    );
    site.refused("ListStateMachineAliases", &body("stateMachineArn", &format!("{arn}:9")), MISSING);
    let other = format!("{MACHINE}other");
    let refusal = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{other}'");
    site.refused("ListStateMachineAliases", &body("stateMachineArn", &other), &refusal);
}

#[test]
fn an_alias_picks_versions_by_weight() {
    let (mut site, arn) = site();
    site.ask("CreateStateMachineAlias", create("live", &routes(&arn, &[(":1", 80), (":2", 20)]), ""));
    let alias = format!("{arn}:live");
    let mut picked: BTreeMap<String, u32> = BTreeMap::new();
    for n in 0..200 {
        let execution = site.start(&alias, &format!("e{n}"), "{}");
        let described = site.ask("DescribeExecution", body("executionArn", &execution));
        assert_eq!(text(&described, "stateMachineAliasArn"), alias);
        *picked.entry(text(&described, "stateMachineVersionArn").replace(&arn, "")).or_default() += 1;
    }
    assert!((130..190).contains(&picked[":1"]) && picked[":2"] >= 10, "{picked:?}");
    // The same start again is the same execution, whatever the alias would pick now.
    for _ in 0..20 {
        let answer = site.ask("StartExecution", start(&alias, "again", "{}"));
        assert!(text(&answer, "executionArn").ends_with(":again"));
    }
    let described = site.ask("DescribeStateMachine", body("stateMachineArn", &alias));
    assert_eq!([text(&described, "stateMachineArn"), text(&described, "definition")], [&*alias, PASS]);
    let missing = format!("{arn}:dead");
    let refusal = format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{missing}'");
    site.refused("StartExecution", &start(&missing, "e", "{}"), &refusal);
}

#[test]
fn an_express_machine_runs_by_version_and_alias() {
    let mut site = Site::new();
    let arn = site.create_with("m", PASS, r#","publish":true,"type":"EXPRESS""#);
    let update = format!(r#"{{"stateMachineArn":"{arn}","definition":{}}}"#, quoted(FAIL));
    site.ask("UpdateStateMachine", update);
    site.ask("CreateStateMachineAlias", create("live", &routes(&arn, &[(":1", 100)]), ""));
    for (target, status) in [("", "FAILED"), (":1", "SUCCEEDED"), (":live", "SUCCEEDED")] {
        let answer = site.ask("StartSyncExecution", body("stateMachineArn", &format!("{arn}{target}")));
        assert_eq!([text(&answer, "status"), text(&answer, "stateMachineArn")], [status, &*arn]);
    }
}

#[test]
fn aliases_have_a_limit() {
    let (mut site, arn) = site();
    let routing = routes(&arn, &[(":1", 100)]);
    for n in 0..100 {
        site.ask("CreateStateMachineAlias", create(&format!("a{n}"), &routing, ""));
    }
    let (status, answer) = site.call("CreateStateMachineAlias", create("more", &routing, ""));
    let kind = text(&answer, "__type");
    assert!(status == 400 && kind.ends_with("#ServiceQuotaExceededException"), "{answer}");
    // What is there already is no more.
    site.ask("CreateStateMachineAlias", create("a7", &routing, ""));
}
