//! Tokens that somebody altered, mixed, or made up: none of them does anything.

use std::time::Duration;

use proptest::prelude::*;
use stepwell_interpreter::{AttemptId, token};
use stepwell_test_support::Answer;

use crate::site::{PASS, Site, body, quoted, text};

/// Two branches that wait for their tokens, and a task that is tried again.
const MACHINE: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
    {"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters":{"FunctionName":"a","Payload":{"token.$":"$$.Task.Token"}},"End":true}}},
    {"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
        "TimeoutSeconds":60,"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1}],
        "Parameters":{"FunctionName":"b","Payload":{"token.$":"$$.Task.Token"}},"End":true}}}]}}}"#;

const OPERATIONS: [&str; 3] = ["SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"];

struct Waiting {
    site: Site,
    arn: String,
    tokens: Vec<String>,
}

fn waiting() -> Waiting {
    let mut site = Site::new();
    site.world.tasks.script(|_| Answer::submit(Duration::from_millis(1)));
    let machine = site.create("m", MACHINE);
    let arn = site.start(&machine, "e", "{}");
    site.start(&machine, "f", "{}");
    site.settle(Duration::from_secs(1));
    let tokens = site.world.tasks.tokens().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(tokens.len(), 4);
    Waiting { site, arn, tokens }
}

/// The exception by which every callback with `token` is refused.
#[track_caller]
fn refused(site: &mut Site, token: &str) -> String {
    let request = format!(r#"{{"taskToken":{},"output":"1"}}"#, quoted(token));
    let mut names = OPERATIONS.map(|operation| {
        let (status, answer) = site.call(operation, &request);
        assert_eq!(status, 400, "{operation} {token}: {answer}");
        text(&answer, "__type").rsplit('#').next().unwrap_or_default().to_owned()
    });
    names.sort_unstable();
    assert_eq!(names[0], names[2], "{token}");
    names[0].clone()
}

fn status(site: &mut Site, arn: &str) -> String {
    text(&site.ask("DescribeExecution", body("executionArn", arn)), "status")
}

#[test]
fn a_task_token_altered_anywhere_is_invalid_and_ends_nothing() {
    let Waiting { mut site, arn, tokens } = waiting();
    let good = &tokens[0];
    for at in 0..good.len() {
        let other = if good.as_bytes()[at] == b'A' { 'B' } else { 'A' };
        let altered = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        assert_eq!(refused(&mut site, &altered), "InvalidToken", "{at}");
    }
    for length in 1..good.len() {
        assert_eq!(refused(&mut site, &good[..length]), "InvalidToken", "{length}");
    }
    println!("{} altered task tokens were refused by {} operations", 2 * good.len() - 1, OPERATIONS.len());
    site.settle(Duration::from_secs(1));
    assert_eq!(status(&mut site, &arn), "RUNNING");
    let history = site.ask("GetExecutionHistory", body("executionArn", &arn)).to_json();
    assert!(!history.contains("TaskSucceeded") && !history.contains("TaskFailed"), "{history}");
    site.ask("SendTaskHeartbeat", body("taskToken", good));
}

/// Whoever knows the form of tokens lacks the nonce, whichever attempt they name.
#[test]
fn parts_of_two_task_tokens_make_no_third() {
    let Waiting { mut site, tokens, .. } = waiting();
    let read: Vec<token::Token> = tokens.iter().map(|token| token::decode(token).expect("a token")).collect();
    let nonces: std::collections::BTreeSet<u128> = read.iter().map(|token| token.nonce).collect();
    assert_eq!(nonces.len(), 4, "no two attempts share a nonce");
    let mut tried = 0;
    for execution in &read {
        for attempt in &read {
            for nonce in read.iter().map(|token| token.nonce).chain([0, 1, u128::MAX, execution.nonce ^ 1]) {
                let mixed = token::encode(&execution.execution_arn, attempt.attempt, nonce);
                if !tokens.contains(&mixed) {
                    assert_eq!(refused(&mut site, &mixed), "TaskDoesNotExist");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 50, "{tried}");
    println!("{tried} task tokens of others' parts were refused");
    for attempt in 0..20 {
        let made_up = token::encode(&read[0].execution_arn, AttemptId(attempt), read[3].nonce);
        assert_eq!(refused(&mut site, &made_up), "TaskDoesNotExist");
    }
    let nobodys = "arn:aws:states:us-east-1:123456789012:execution:m:nobody";
    let made_up = token::encode(nobodys, read[0].attempt, read[0].nonce);
    assert_eq!(refused(&mut site, &made_up), "TaskDoesNotExist");
    let machines = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
    let made_up = token::encode(machines, read[0].attempt, read[0].nonce);
    assert_eq!(refused(&mut site, &made_up), "TaskDoesNotExist");
}

#[test]
fn a_task_token_is_good_for_its_attempt_alone() {
    let Waiting { mut site, arn, tokens } = waiting();
    let of = |site: &Site, from: usize| -> Vec<String> {
        site.world.tasks.tokens().iter().skip(from).map(ToString::to_string).collect()
    };
    // B's first attempts time out after a minute, and are made again.
    site.settle(Duration::from_secs(70));
    let again = of(&site, 4);
    assert_eq!(again.len(), 2, "one of each execution");
    let over = tokens.iter().filter(|token| refused_or_open(&mut site, token) == "TaskTimedOut").count();
    assert_eq!(over, 2, "the first attempts of B");
    // A stop ends the others.
    site.ask("StopExecution", body("executionArn", &arn));
    site.settle(Duration::from_secs(1));
    let ours = |token: &&String| *token::decode(token).expect("a token").execution_arn == *arn;
    for token in tokens.iter().chain(&again).filter(ours) {
        assert_eq!(refused(&mut site, token), "TaskTimedOut", "{token}");
    }
}

/// `open`, or the exception that a heartbeat gets.
fn refused_or_open(site: &mut Site, token: &str) -> String {
    let (status, answer) = site.call("SendTaskHeartbeat", body("taskToken", token));
    match status {
        200 => "open".to_owned(),
        _ => text(&answer, "__type").rsplit('#').next().unwrap_or_default().to_owned(),
    }
}

/// Everything that pages, with a listing that has more than one page.
fn listings(site: &mut Site) -> Vec<(&'static str, String)> {
    let machine = site.create_with("m", PASS, r#","publish":true"#);
    site.ask(
        "UpdateStateMachine",
        format!(r#"{{"stateMachineArn":"{machine}","roleArn":"arn:aws:iam::1:role/s","publish":true}}"#),
    );
    site.create("n", PASS);
    for name in ["dig", "fill"] {
        site.ask("CreateActivity", body("name", name));
    }
    for alias in ["x", "y"] {
        let routes = format!(r#"[{{"stateMachineVersionArn":"{machine}:1","weight":100}}]"#);
        site.ask(
            "CreateStateMachineAlias",
            format!(r#"{{"name":"{alias}","routingConfiguration":{routes}}}"#),
        );
    }
    let execution = site.start(&machine, "e", "{}");
    site.start(&machine, "f", "{}");
    site.settle(Duration::from_secs(1));
    let of = |name: &str, arn: &str| format!(r#""{name}":"{arn}","maxResults":1"#);
    vec![
        ("ListStateMachines", r#""maxResults":1"#.to_owned()),
        ("ListActivities", r#""maxResults":1"#.to_owned()),
        ("ListStateMachineVersions", of("stateMachineArn", &machine)),
        ("ListStateMachineAliases", of("stateMachineArn", &machine)),
        ("ListExecutions", of("stateMachineArn", &machine)),
        ("GetExecutionHistory", of("executionArn", &execution)),
    ]
}

#[test]
fn a_page_token_altered_anywhere_or_of_another_listing_is_invalid() {
    let mut site = Site::new();
    let listings = listings(&mut site);
    let tokens: Vec<String> = listings
        .iter()
        .map(|(operation, request)| text(&site.ask(operation, format!("{{{request}}}")), "nextToken"))
        .collect();
    let next = |request: &str, token: &str| format!(r#"{{{request},"nextToken":{}}}"#, quoted(token));
    let mut tried = 0;
    for ((operation, request), token) in listings.iter().zip(&tokens) {
        tried += tokens.len() - 1 + 2 * token.len() - 1;
        for foreign in tokens.iter().filter(|foreign| *foreign != token) {
            site.refused(operation, &next(request, foreign), "InvalidToken: Invalid Token: 'Invalid token'");
        }
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'1' { '2' } else { '1' };
            let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            site.refused(operation, &next(request, &altered), "InvalidToken: Invalid Token: 'Invalid token'");
        }
        for length in 1..token.len() {
            let cut = next(request, &token[..length]);
            site.refused(operation, &cut, "InvalidToken: Invalid Token: 'Invalid token'");
        }
        site.ask(operation, next(request, token));
    }
    println!("{tried} altered and foreign page tokens were refused");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_no_token_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120), text in "\\PC{1,60}") {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert!(token::decode(&hex).is_none());
        prop_assert!(token::decode(&text).is_none());
    }
}

/// A token is no secret, but it names nothing that its reader did not see.
#[test]
fn a_page_token_says_no_more_than_the_page_did() {
    let mut site = Site::new();
    for (operation, request) in listings(&mut site) {
        let page = site.ask(operation, format!("{{{request}}}"));
        let token = text(&page, "nextToken");
        let bytes: Vec<u8> = (0..token.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&token[at..at + 2], 16).expect("hexadecimal digits"))
            .collect();
        let said = String::from_utf8(bytes).expect("UTF-8");
        // Version, check sum, time of issue, and where the page ended.
        let place = said.splitn(4, ' ').last().unwrap_or_default().to_owned();
        let seen = page.to_json();
        let is_count = place.bytes().all(|byte| byte.is_ascii_digit());
        assert!(is_count || seen.contains(&place), "{place} is not in {seen}");
    }
}
