//! What boto3 checks before it sends anything: the constraints of the API's model that it knows.

use serde_json::Value;

/// Members that an operation must have.
const REQUIRED: &[(&str, &[&str])] = &[
    ("CreateActivity", &["name"]),
    ("CreateStateMachine", &["name", "definition", "roleArn"]),
    ("CreateStateMachineAlias", &["name", "routingConfiguration"]),
    ("DeleteActivity", &["activityArn"]),
    ("DeleteStateMachine", &["stateMachineArn"]),
    ("DeleteStateMachineAlias", &["stateMachineAliasArn"]),
    ("DeleteStateMachineVersion", &["stateMachineVersionArn"]),
    ("DescribeActivity", &["activityArn"]),
    ("DescribeExecution", &["executionArn"]),
    ("DescribeMapRun", &["mapRunArn"]),
    ("DescribeStateMachine", &["stateMachineArn"]),
    ("DescribeStateMachineAlias", &["stateMachineAliasArn"]),
    ("DescribeStateMachineForExecution", &["executionArn"]),
    ("GetActivityTask", &["activityArn"]),
    ("GetExecutionHistory", &["executionArn"]),
    ("ListMapRuns", &["executionArn"]),
    ("ListStateMachineAliases", &["stateMachineArn"]),
    ("ListStateMachineVersions", &["stateMachineArn"]),
    ("ListTagsForResource", &["resourceArn"]),
    ("PublishStateMachineVersion", &["stateMachineArn"]),
    ("RedriveExecution", &["executionArn"]),
    ("SendTaskFailure", &["taskToken"]),
    ("SendTaskHeartbeat", &["taskToken"]),
    ("SendTaskSuccess", &["taskToken", "output"]),
    ("StartExecution", &["stateMachineArn"]),
    ("StartSyncExecution", &["stateMachineArn"]),
    ("StopExecution", &["executionArn"]),
    ("TagResource", &["resourceArn", "tags"]),
    ("TestState", &["definition"]),
    ("UntagResource", &["resourceArn", "tagKeys"]),
    ("UpdateMapRun", &["mapRunArn"]),
    ("UpdateStateMachine", &["stateMachineArn"]),
    ("UpdateStateMachineAlias", &["stateMachineAliasArn"]),
    ("ValidateStateMachineDefinition", &["definition"]),
];

/// Texts that have at least one character, apart from all whose name ends in `Arn` or `Token`.
const NOT_EMPTY: [&str; 8] =
    ["name", "definition", "key", "kmsKeyId", "workerName", "stateName", "errorCausedByState", "tagKeys"];

/// What boto3 finds wrong with the parameters of a call, in its words.
pub(crate) fn faults(operation: &str, params: &Value) -> Option<String> {
    let mut faults = vec![];
    let required = REQUIRED.iter().find(|(name, _)| *name == operation).map_or(&[][..], |(_, names)| names);
    for name in required.iter().filter(|name| params.get(name).is_none()) {
        faults.push(format!("Missing required parameter in input: \"{name}\""));
    }
    if let Value::Object(members) = params {
        for (name, value) in members {
            check(name, name, value, &mut faults);
        }
    }
    (!faults.is_empty()).then(|| format!("Parameter validation failed:\n{}", faults.join("\n")))
}

fn check(path: &str, name: &str, value: &Value, faults: &mut Vec<String>) {
    match value {
        Value::Null => faults.push(format!(
            "Invalid type for parameter {path}, value: None, type: <class 'NoneType'>, valid types: {}",
            type_of(name)
        )),
        Value::String(text) if text.is_empty() && is_not_empty(name) => {
            faults.push(format!("Invalid length for parameter {path}, value: 0, valid min length: 1"));
        }
        Value::Number(number) => {
            let min = if name == "kmsDataKeyReusePeriodSeconds" { 60.0 } else { 0.0 };
            if number.as_f64().is_some_and(|number| number < min) {
                faults.push(format!(
                    "Invalid value for parameter {path}, value: {number}, valid min value: {min}"
                ));
            }
        }
        Value::Array(items) => {
            if items.is_empty() && name == "routingConfiguration" {
                faults.push(format!("Invalid length for parameter {path}, value: 0, valid min length: 1"));
            }
            for (at, item) in items.iter().enumerate() {
                check(&format!("{path}[{at}]"), name, item, faults);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                check(&format!("{path}.{name}"), name, value, faults);
            }
        }
        _ => {}
    }
}

fn is_not_empty(name: &str) -> bool {
    NOT_EMPTY.contains(&name) || name.ends_with("Arn") || name.ends_with("Token")
}

/// The Python types that a member may have.
fn type_of(name: &str) -> &'static str {
    match name {
        "tags" | "tagKeys" | "routingConfiguration" | "destinations" => "<class 'list'>, <class 'tuple'>",
        "maxResults" | "weight" | "maxConcurrency" | "toleratedFailureCount" => "<class 'int'>",
        "publish" | "reverseOrder" | "includeExecutionData" | "enabled" => "<class 'bool'>",
        name if name.ends_with("Configuration") || name == "mock" => "<class 'dict'>",
        _ => "<class 'str'>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_told_as_boto3_does() {
        let check = |operation: &str, params: Value, expected: &[&str]| {
            let expected = (!expected.is_empty())
                .then(|| format!("Parameter validation failed:\n{}", expected.join("\n")));
            assert_eq!(faults(operation, &params), expected, "{operation} {params}");
        };
        check("ListStateMachines", json!({"maxResults": 0}), &[]);
        check("TagResource", json!({"resourceArn": "a", "tags": [{"key": "k", "value": ""}]}), &[]);
        check(
            "ListStateMachines",
            json!({"nextToken": "", "maxResults": -1}),
            &[
                "Invalid length for parameter nextToken, value: 0, valid min length: 1",
                "Invalid value for parameter maxResults, value: -1, valid min value: 0",
            ],
        );
        check(
            "TagResource",
            json!({"tags": [{"key": null}]}),
            &[
                "Missing required parameter in input: \"resourceArn\"",
                "Invalid type for parameter tags[0].key, value: None, type: <class 'NoneType'>, valid types: \
                 <class 'str'>",
            ],
        );
        check(
            "CreateStateMachineAlias",
            json!({"name": "a", "routingConfiguration": []}),
            &["Invalid length for parameter routingConfiguration, value: 0, valid min length: 1"],
        );
    }
}
