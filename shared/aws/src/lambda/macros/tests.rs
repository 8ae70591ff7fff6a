//! Templates before and after. `UPDATE_TEMPLATES=1 cargo test -p stepwell-aws macros` writes those after anew.

use std::path::{Path, PathBuf};

use stepwell_expr::json::parse;

use super::*;

const API: &str = "arn:aws:lambda:us-east-1:123456789012:function:stepwell-api";
const START: &str = "arn:aws:lambda:us-east-1:123456789012:function:stepwell-start";

fn turned(template: &Value) -> Result<Value, Vec<String>> {
    let roles = ["step", "start"].map(|name| format!("arn:aws:iam::123456789012:role/stepwell-{name}"));
    transformed(&Names { api: API, start: START, roles: &roles }, template)
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates").join(name)
}

fn read(name: &str) -> Value {
    parse(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// JSON for people, who review what changes.
fn pretty(value: &Value) -> String {
    let value: serde_json::Value = serde_json::from_str(&value.to_json()).unwrap();
    serde_json::to_string_pretty(&value).unwrap() + "\n"
}

#[test]
fn templates_are_turned_as_reviewed() {
    for name in ["sam", "plain"] {
        let found = turned(&read(&format!("{name}.json"))).unwrap();
        let reviewed = path(&format!("{name}.turned.json"));
        if std::env::var_os("UPDATE_TEMPLATES").is_some() {
            std::fs::write(&reviewed, pretty(&found)).unwrap();
        }
        assert_eq!(pretty(&found), std::fs::read_to_string(&reviewed).unwrap(), "{name}");
        assert_eq!(turned(&found).unwrap(), found, "{name}: turned twice");
        let (before, after) = (ids(&read(&format!("{name}.json"))), ids(&found));
        let gone: Vec<_> = before.difference(&after).collect();
        assert!(gone.iter().all(|id| id.starts_with("ServerlessRestApiDeployment")), "{name}: {gone:?}");
    }
}

fn ids(template: &Value) -> BTreeSet<Arc<str>> {
    at(template, "Resources").as_object().unwrap().keys().cloned().collect()
}

#[test]
fn without_state_machines_nothing_changes() {
    let mut sam = read("sam.json");
    let resources = member_mut(&mut sam, "Resources").and_then(members_mut).unwrap();
    let machines: Vec<_> = resources
        .iter()
        .filter(|(_, resource)| is_step_functions(resource))
        .map(|(id, _)| id.clone())
        .collect();
    for id in machines {
        resources.remove(&id);
    }
    let others = [
        "null",
        "[]",
        "{}",
        r#"{"Resources":[]}"#,
        r#"{"Resources":{"A":null,"B":{"Type":5},"C":{"Type":"AWS::Pipes::Pipe","Properties":{"Target":{"Ref":"M"}}}}}"#,
    ];
    for template in others.into_iter().map(|text| parse(text).unwrap()).chain([sam]) {
        assert_eq!(turned(&template).unwrap().to_json(), template.to_json());
    }
}

/// Checks what is said of a resource beside a state machine `M`.
#[track_caller]
fn refused(resource: &str, expected: &str) {
    let machine =
        r#"{"Type":"AWS::StepFunctions::StateMachine","Properties":{"RoleArn":"r","DefinitionString":"{}"}}"#;
    let template = format!(r#"{{"Resources":{{"M":{machine},"X":{resource}}}}}"#);
    let errors = turned(&parse(&template).unwrap()).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with(expected), "{errors:?}");
}

#[test]
fn what_cannot_be_turned_is_named() {
    let resource = |kind: &str, properties: &str| format!(r#"{{"Type":"{kind}","Properties":{properties}}}"#);
    let check = |kind: &str, properties: &str, property: &str| {
        refused(&resource(kind, properties), &format!("X ({kind}), property {property}"));
    };
    check("AWS::Serverless::StateMachine", "{}", "Type: is not expanded yet");
    check("AWS::StepFunctions::StateMachine", r#"{"Definitoin":{}}"#, "Definitoin: is no property");
    check("AWS::StepFunctions::StateMachine", "[]", "Properties: is no object");
    check("AWS::StepFunctions::StateMachine", r#"{"Definition":{"Fn::If":[1]}}"#, "Definition: Fn::If takes");
    check(
        "AWS::StepFunctions::StateMachineAlias",
        r#"{"DeploymentPreference":{"Type":"LINEAR"}}"#,
        "DeploymentPreference: shifts",
    );
    check("AWS::Pipes::Pipe", r#"{"Target":{"Ref":"M"}}"#, "Target");
    check(
        "AWS::IoT::TopicRule",
        r#"{"TopicRulePayload":{"Actions":[{"StepFunctions":{"StateMachineName":{"Fn::GetAtt":["M","Name"]}}}]}}"#,
        "TopicRulePayload",
    );
    check(
        "AWS::ApiGatewayV2::Integration",
        r#"{"RequestParameters":{"StateMachineArn":{"Ref":"M"}}}"#,
        "RequestParameters",
    );
    check("AWS::CloudWatch::Alarm", r#"{"Dimensions":[{"Value":{"Ref":"M"}}]}"#, "Dimensions");
    check(
        "AWS::Events::Rule",
        r#"{"Targets":{"Fn::If":["C",[{"Arn":{"Ref":"M"}}],[]]}}"#,
        "Targets: has to be a list",
    );
    check("AWS::Events::Rule", r#"{"Targets":[{"Arn":{"Fn::Sub":"${M}:live"}}]}"#, "Targets.Arn");
    check(
        "AWS::Scheduler::Schedule",
        r#"{"Target":{"Arn":{"Fn::Join":[":",[{"Ref":"M"},"1"]]}}}"#,
        "Target.Arn",
    );
    let integration = |operation: &str, template: &str| {
        format!(
            r#"{{"Integration":{{"Uri":"arn:aws:apigateway:r:states:action/{operation}","RequestTemplates":{{"a":{{"Fn::Sub":"{template}"}}}}}}}}"#
        )
    };
    let method = "AWS::ApiGateway::Method";
    check(method, &integration("StopExecution", "${M}"), "Integration.Uri: StopExecution has no counterpart");
    check(method, &integration("StartSyncExecution", "#set($x=1){${M}"), "Integration.RequestTemplates");
}

#[test]
fn what_was_deployed_of_a_changed_api_is_deployed_anew() {
    let check = |template: &str, expected: &str| {
        let renamed = reference::renamed(&parse(template).unwrap(), "D", "DStepwell");
        assert_eq!(renamed.to_json(), expected);
    };
    check(
        r#"{"Resources":{"D":{"Type":"D"},"S":{"DependsOn":["D","E"],"P":{"Ref":"D"},"Q":{"Fn::GetAtt":["D","Id"]}}}}"#,
        r#"{"Resources":{"DStepwell":{"Type":"D"},"S":{"DependsOn":["DStepwell","E"],"P":{"Ref":"DStepwell"},"Q":{"Fn::GetAtt":["DStepwell","Id"]}}}}"#,
    );
    check(
        r#"[{"DependsOn":"D","a":{"Fn::GetAtt":"D.Id"},"b":{"Fn::Sub":"${D}-${DD}"},"c":"D"}]"#,
        r#"[{"DependsOn":"DStepwell","a":{"Fn::GetAtt":"DStepwell.Id"},"b":{"Fn::Sub":"${DStepwell}-${DD}"},"c":"D"}]"#,
    );
}

#[test]
fn a_role_that_nobody_could_assume_is_named() {
    let template = r#"{"Resources":{
        "R":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{"Statement":[
            {"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}}},
        "M":{"Type":"AWS::StepFunctions::StateMachine","Properties":{"RoleArn":{"Fn::GetAtt":["R","Arn"]}}}}}"#;
    let errors = turned(&parse(template).unwrap()).unwrap_err();
    assert!(
        errors[0].starts_with("M (AWS::StepFunctions::StateMachine), property RoleArn: is R"),
        "{errors:?}"
    );
}

#[test]
fn cloudformation_is_told_in_its_form() {
    let roles = [];
    let names = Names { api: API, start: START, roles: &roles };
    let check = |fragment: &str, expected: &str| {
        let event = format!(r#"{{"requestId":"r","transformId":"1::Stepwell","fragment":{fragment}}}"#);
        assert_eq!(answer(&names, &parse(&event).unwrap()), expected);
    };
    check("{}", r#"{"requestId":"r","status":"success","fragment":{}}"#);
    check(
        r#"{"Resources":{"M":{"Type":"AWS::Serverless::StateMachine"}}}"#,
        r#"{"requestId":"r","status":"failure","errorMessage":"M (AWS::Serverless::StateMachine), property Type: is not expanded yet: list Stepwell behind AWS::Serverless-2016-10-31 in Transform"}"#,
    );
}
