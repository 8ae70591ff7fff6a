"""Each role's permissions, one by one: what is granted is in permissions.txt and is used, and what is used is granted.

    UPDATE_PERMISSIONS=1 python -m unittest discover --start-directory infra/tests

writes permissions.txt anew; the difference is reviewed like code.
"""

import json
import os
import pathlib
import re
import unittest

from test_template import ROOT, expanded, several

TABLE = pathlib.Path(__file__).with_name("permissions.txt")
HEAD = "# role | action | resource | condition\n"

# Wildcards within a resource, each with its reason.
WIDE = {
    "${Table.Arn}/index/*": "the table's own three indexes",
    "${Table.Arn}/stream/*": "a stream's name is the time of its making",
    "${PayloadBucket.Arn}/*": "objects of the bucket that is for nothing else",
    "${PayloadBucket.Arn}/runs/*": "what executions hold, not definitions",
    "${PayloadBucket.Arn}/map-runs/*": "what Map Runs hold, not definitions",
    "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${ScheduleGroup}/*": "schedules of our group",
    "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:*": "reads how long any task's function may take",
    "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*": "AWS knows DescribeLogGroups for no single group",
    "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${HttpApi}/*": "the routes of our API",
}

# Operations that Lambda, DynamoDB or S3 make in a function's name, by what asks for them.
BY_SERVICES = {
    "dynamodb:ConditionCheckItem": "checks within TransactWriteItems",
    "dynamodb:DescribeStream": "the event source mapping of timer",
    "dynamodb:GetRecords": "the event source mapping of timer",
    "dynamodb:GetShardIterator": "the event source mapping of timer",
    "dynamodb:ListStreams": "the event source mapping of timer",
    "iam:PassRole": "CreateSchedule names a role",
    "kms:Decrypt": "table, queues, bucket and secret, where the key is the operator's",
    "kms:GenerateDataKey": "table, queues and bucket, where the key is the operator's",
    "lambda:InvokeFunction": "callers and schedules",
    "lambda:InvokeFunctionUrl": "callers",
    "execute-api:Invoke": "callers",
    "s3:GetObjectVersion": "GetObject of a DefinitionS3Location with a Version",
    "sqs:ReceiveMessage": "the event source mapping of step",
    "sqs:GetQueueAttributes": "the event source mapping of step",
}

# Calls whose permission has another name than their operation.
NAMED = {"s3:ListBucket": "ListObjectsV2", "sqs:SendMessage": "SendMessageBatch", "sqs:DeleteMessage": "DeleteMessageBatch"}

# What the ports and handlers may ask AWS for, and the permission for it.
OPERATIONS = {
    "BatchWriteItem": "dynamodb:BatchWriteItem",
    "DeleteItem": "dynamodb:DeleteItem",
    "GetItem": "dynamodb:GetItem",
    "PutItem": "dynamodb:PutItem",
    "Query": "dynamodb:Query",
    "Scan": "dynamodb:Scan",
    "BatchGetItem": "dynamodb:BatchGetItem",
    "TransactGetItems": "dynamodb:GetItem",
    "TransactWriteItems": "dynamodb:ConditionCheckItem",
    "UpdateItem": "dynamodb:UpdateItem",
    "ChangeMessageVisibility": "sqs:ChangeMessageVisibility",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "SendMessageBatch": "sqs:SendMessage",
    "SendMessage": "sqs:SendMessage",
    "PurgeQueue": "sqs:PurgeQueue",
    "CreateSchedule": "scheduler:CreateSchedule",
    "DeleteSchedule": "scheduler:DeleteSchedule",
    "GetSchedule": "scheduler:GetSchedule",
    "UpdateSchedule": "scheduler:UpdateSchedule",
    "CreateLogStream": "logs:CreateLogStream",
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "PutLogEvents": "logs:PutLogEvents",
    "PutEvents": "events:PutEvents",
    "GetSecretValue": "secretsmanager:GetSecretValue",
    "AssumeRole": "sts:AssumeRole",
    "ListObjectsV2": "s3:ListBucket",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "GetFunctionEventInvokeConfig": "lambda:GetFunctionEventInvokeConfig",
    # What tasks call in the role of their machine, not in ours.
}


def shown(value):
    """What CloudFormation makes of a value, as the template's author writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(shown(it) for it in value)
    if isinstance(value, dict) and len(value) == 1:
        (function, argument), = value.items()
        if function == "Fn::Sub":
            return argument
        if function == "Ref":
            return "${%s}" % argument
        if function == "Fn::GetAtt":
            return "${%s}" % ".".join(argument)
    return json.dumps(value, sort_keys=True)


def branches(value, condition=""):
    """A value that Fn::If chooses, in all its forms, each with what it depends on."""
    if isinstance(value, dict) and "Fn::If" in value:
        name, yes, no = value["Fn::If"]
        return branches(yes, f"{condition}[{name}] ") + branches(no, f"{condition}[not {name}] ")
    return [] if value == {"Ref": "AWS::NoValue"} else [(value, condition)]


def conditions(statement, if_):
    """When a statement holds: its conditions in all their forms; where there is none, that too is one."""
    value = statement.get("Condition", "")
    if isinstance(value, dict) and "Fn::If" in value:
        name, yes, no = value["Fn::If"]
        none = {"Ref": "AWS::NoValue"}
        forms = [(yes, f"{if_}[{name}] "), (no, f"{if_}[not {name}] ")]
        return [("" if form == none else form, or_) for form, or_ in forms]
    return [(value, if_)]


def granted():
    """All that the template allows: who may, what, on what, when."""
    resources = expanded()["Resources"]
    lines = set()

    def add(role, document, condition):
        for statement in document["Statement"]:
            for chosen, if_ in branches(statement, condition):
                assert chosen["Effect"] == "Allow", (role, chosen)
                for when, or_ in conditions(chosen, if_):
                    for action in several(chosen["Action"]):
                        for resource in several(chosen["Resource"]):
                            lines.add((role, action, shown(resource), (or_ + shown(when)).strip()))

    for id, resource in resources.items():
        properties, condition = resource.get("Properties", {}), ""
        if "Condition" in resource:
            condition = f"[{resource['Condition']}] "
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties.get("Policies", []):
                add(id, policy["PolicyDocument"], condition)
            for several_, if_ in branches(properties.get("ManagedPolicyArns", []), condition):
                for policy in several(several_):
                    for one, or_ in branches(policy, if_):
                        if one["Ref"] in resources:
                            add(id, resources[one["Ref"]]["Properties"]["PolicyDocument"], or_)
                        else:
                            lines.add((id, "(the operator's own)", shown(one), or_.strip()))
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            for one in properties.get("Roles", []):
                for role, if_ in branches(one):
                    add(role["Ref"], properties["PolicyDocument"], if_ + condition)
            if "Roles" not in properties:
                add(id, properties["PolicyDocument"], condition)
    return sorted(lines)


def sources():
    """The code of the functions, without its tests."""
    for folder in ("shared/aws/src", "shared/integrations/src"):
        for file in sorted((ROOT / folder).rglob("*.rs")):
            yield file.read_text().split("#[cfg(test)]")[0]


def spoken(operation):
    """How code may name an operation: as AWS does, or as a method."""
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower().replace("_v2", "v2")
    return rf"\b{operation}\b|\.{snake}\("


class Permissions(unittest.TestCase):
    maxDiff = None

    def test_they_are_those_of_the_table(self):
        text = HEAD + "".join(" | ".join(line).rstrip(" |") + "\n" for line in granted())
        if os.environ.get("UPDATE_PERMISSIONS"):
            TABLE.write_text(text)
        self.assertEqual(TABLE.read_text(), text)

    def test_every_wildcard_has_its_reason(self):
        seen = set()
        for role, action, resource, _ in granted():
            self.assertNotIn("*", action, role)
            if "*" in resource:
                self.assertIn(resource, WIDE, (role, action))
                seen.add(resource)
        self.assertEqual(seen, set(WIDE), "a reason without a wildcard")

    def test_wherever_names_are_a_parameter_something_else_narrows_them(self):
        for role, action, resource, condition in granted():
            if "${AssumableRoles}" in resource:
                self.assertEqual(action, "sts:AssumeRole")
                is_narrow = "aws:ResourceTag/stepwell" in condition
                self.assertTrue(is_narrow or "[not RolesAreTagged]" in condition, (role, condition))
            if resource == "${DefinitionObjects}":
                self.assertIn("aws:ResourceAccount", condition, role)

    def test_no_role_may_give_itself_more(self):
        for role, action, resource, condition in granted():
            if action == "iam:PassRole":
                self.assertEqual(resource, "${ScheduleRole.Arn}", role)
                self.assertIn("scheduler.amazonaws.com", condition, role)
            elif not action.startswith("("):
                self.assertNotIn(action.split(":")[0], {"iam", "organizations", "cloudformation"}, role)

    def test_what_is_granted_is_used(self):
        code = "\n".join(sources())
        for action in sorted({action for _, action, _, _ in granted() if not action.startswith("(")}):
            if action not in BY_SERVICES:
                operation = NAMED.get(action, action.split(":")[1])
                self.assertTrue(re.search(spoken(operation), code), f"nothing uses {action}")

    def test_what_is_used_is_granted(self):
        """Operations of the services that the ports stand on, where the code names them."""
        may = {action for _, action, _, _ in granted()}
        code = "\n".join(sources())
        used = {action for operation, action in OPERATIONS.items() if re.search(spoken(operation), code)}
        self.assertGreater(len(used), 15)
        self.assertEqual(used - may, set(), "used, and not granted")
        # Whatever is sent by its name in a header is one of these, or a task's own call.
        for prefix, operation in re.findall(r'"(DynamoDB_20120810|AmazonSQS|Logs_20140328|AWSEvents)\.([A-Z]\w+)"', code):
            self.assertIn(operation, OPERATIONS, prefix)


if __name__ == "__main__":
    unittest.main()
