//! Rules and schedules whose targets are state machines: they invoke the function `start`, with an input that names the machine.

use stepwell_expr::{Map, Value};

use super::{Place, Template, at, attribute, items_mut, joined, member_mut, members_mut, object, reference};

/// The role by which schedules and routes invoke `start`. (A rule does so by the function's own policy.)
pub(super) const START_ROLE: &str = "StepwellStartRole";

/// What is read of an event, and put into the target's input under this name.
const EVENT_ID: (&str, &str) = ("stepwellId", "$.id");

impl Template<'_> {
    pub(super) fn rule(&mut self, place: &Place<'_>, rule: &mut Value) {
        status_changes(rule);
        let Some(targets) =
            member_mut(rule, "Properties").and_then(|properties| member_mut(properties, "Targets"))
        else {
            return;
        };
        let Some(targets) = items_mut(targets) else {
            if reference::mentions(targets, &self.startable) {
                self.error(place, "Targets", "has to be a list for a state machine in it to be found");
            }
            return;
        };
        let mut is_turned = false;
        for target in targets.iter_mut() {
            if self.is_startable(at(target, "Arn")) {
                self.rule_target(place, target);
                is_turned = true;
            } else if reference::mentions(at(target, "Arn"), &self.startable) {
                self.error(
                    place,
                    "Targets.Arn",
                    "is put together from a state machine's: use Ref or Fn::GetAtt",
                );
            }
        }
        if is_turned {
            self.permit(place, rule);
        }
    }

    fn rule_target(&mut self, place: &Place<'_>, target: &mut Value) {
        let Some(target) = members_mut(target) else { return };
        let machine = target.get("Arn").cloned().unwrap_or_default();
        target.insert("Arn", self.names.start.into());
        target.remove("RoleArn");
        let (input, path) = (target.remove("Input"), target.remove("InputPath"));
        let transformer = target.remove("InputTransformer");
        let id = || Map::from_iter([(EVENT_ID.0.into(), EVENT_ID.1.into())]);
        let (paths, input) = match (input, path, transformer) {
            (None, None, None) => {
                // The whole event, whose id the function reads itself.
                let parts = vec![
                    start_of(r#"{"stateMachineArn":""#),
                    machine,
                    r#"","event":<aws.events.event.json>}"#.into(),
                ];
                target.insert("InputTransformer", object([("InputTemplate", joined(parts))]));
                return;
            }
            (Some(input), None, None) => (id(), literal(input)),
            (None, Some(path), None) => {
                let mut paths = id();
                paths.insert("stepwellInput", path);
                (paths, "<stepwellInput>".into())
            }
            (None, None, Some(transformer)) => {
                let own = transformer.get("InputPathsMap").cloned().unwrap_or_else(Value::empty_object);
                let Value::Object(own) = own else {
                    return self.error(place, "InputTransformer.InputPathsMap", "is no object");
                };
                let mut paths = (*own).clone();
                paths.insert(EVENT_ID.0, EVENT_ID.1.into());
                (paths, at(&transformer, "InputTemplate").clone())
            }
            _ => {
                return self.error(
                    place,
                    "Targets",
                    "has more than one of Input, InputPath and InputTransformer",
                );
            }
        };
        let parts = vec![
            start_of(r#"{"stateMachineArn":""#),
            machine,
            r#"","eventId":"<stepwellId>","input":"#.into(),
            input,
            "}".into(),
        ];
        let transformer = [("InputPathsMap", paths.into()), ("InputTemplate", joined(parts))];
        target.insert("InputTransformer", object(transformer));
    }

    /// Lets a rule invoke `start`.
    fn permit(&mut self, place: &Place<'_>, rule: &Value) {
        let properties = object([
            ("Action", "lambda:InvokeFunction".into()),
            ("FunctionName", self.names.start.into()),
            ("Principal", "events.amazonaws.com".into()),
            ("SourceArn", attribute(&place.id, "Arn")),
        ]);
        let mut permission = object([("Type", "AWS::Lambda::Permission".into()), ("Properties", properties)]);
        if let (Some(condition), Some(members)) = (rule.get("Condition"), members_mut(&mut permission)) {
            members.insert("Condition", condition.clone());
        }
        self.add(&format!("{}StepwellPermission", place.id), permission);
    }

    pub(super) fn schedule(&mut self, place: &Place<'_>, schedule: &mut Value) {
        let target =
            member_mut(schedule, "Properties").and_then(|properties| member_mut(properties, "Target"));
        let Some(target) = target else { return };
        if !self.is_startable(at(target, "Arn")) {
            if reference::mentions(at(target, "Arn"), &self.startable) {
                self.error(
                    place,
                    "Target.Arn",
                    "is put together from a state machine's: use Ref or Fn::GetAtt",
                );
            }
            return;
        }
        let Some(target) = members_mut(target) else { return };
        let machine = target.get("Arn").cloned().unwrap_or_default();
        let input = target.remove("Input").unwrap_or_else(|| "{}".into());
        let parts = vec![
            start_of(r#"{"stateMachineArn":""#),
            machine,
            // Lambda may invoke the function again with the same input, and starts nothing twice.
            r#"","eventId":"<aws.scheduler.execution-id>","input":"#.into(),
            input,
            "}".into(),
        ];
        target.insert("Arn", self.names.start.into());
        target.insert("RoleArn", attribute(START_ROLE, "Arn"));
        target.insert("Input", joined(parts));
        self.add_start_role();
    }

    /// The role that may invoke `start`, for whoever needs one.
    pub(super) fn add_start_role(&mut self) {
        let document = |statements: Vec<Value>| {
            object([("Version", "2012-10-17".into()), ("Statement", statements.into())])
        };
        let account = object([("aws:SourceAccount", object([("Ref", "AWS::AccountId".into())]))]);
        let trust = document(vec![
            object([
                ("Effect", "Allow".into()),
                ("Principal", object([("Service", "scheduler.amazonaws.com".into())])),
                ("Action", "sts:AssumeRole".into()),
                ("Condition", object([("StringEquals", account)])),
            ]),
            object([
                ("Effect", "Allow".into()),
                ("Principal", object([("Service", "apigateway.amazonaws.com".into())])),
                ("Action", "sts:AssumeRole".into()),
            ]),
        ]);
        let policy = document(vec![object([
            ("Effect", "Allow".into()),
            ("Action", "lambda:InvokeFunction".into()),
            ("Resource", self.names.start.into()),
        ])]);
        let policy = object([("PolicyName", "start".into()), ("PolicyDocument", policy)]);
        let properties = object([("AssumeRolePolicyDocument", trust), ("Policies", vec![policy].into())]);
        self.add(START_ROLE, object([("Type", "AWS::IAM::Role".into()), ("Properties", properties)]));
    }
}

fn start_of(text: &str) -> Value {
    text.into()
}

/// A constant in an input template, in which `<` would begin a variable's name. In JSON it stands in strings alone.
fn literal(input: Value) -> Value {
    match input.as_str() {
        Some(text) => text.replace('<', "\\u003c").into(),
        None => input,
    }
}

/// Stepwell's events of status changes are those of AWS but for their source, which nobody but AWS may name `aws.…`.
fn status_changes(rule: &mut Value) {
    let pattern =
        member_mut(rule, "Properties").and_then(|properties| member_mut(properties, "EventPattern"));
    let Some(sources) = pattern.and_then(|pattern| member_mut(pattern, "source")) else { return };
    let Some(sources) = items_mut(sources) else { return };
    let has = |sources: &[Value], name: &str| sources.iter().any(|source| source.as_str() == Some(name));
    if has(sources, "aws.states") && !has(sources, "stepwell") {
        sources.push("stepwell".into());
    }
}
