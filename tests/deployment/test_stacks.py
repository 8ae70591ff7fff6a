"""State machines that come with a stack: custom resources, the macro that moves an application over, and what is removed."""

import json
import random

import stack
from harness import Deployed, named

SERVERLESS = "AWS::Serverless-2016-10-31"


def says(text):
    return {"StartAt": "Say", "States": {"Say": {"Type": "Pass", "Result": text, "End": True}}}


class Stacks(Deployed):
    def deploy(self, name, template, **parameters):
        deployer = stack.Deployer(self.site.client, f"code-{self.site.account}")
        return deployer.deploy(name, template, parameters)

    def delete(self, name):
        cloudformation = self.site.client("cloudformation")
        arn = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=name)
        found = self.until(
            lambda stack: not stack["StackStatus"].endswith("IN_PROGRESS"),
            lambda: cloudformation.describe_stacks(StackName=arn)["Stacks"][0],
        )
        self.assertEqual(found["StackStatus"], "DELETE_COMPLETE", found.get("StackStatusReason"))

    def run_once(self, machine, input="{}"):
        return self.ended(self.sfn.start_execution(stateMachineArn=machine, input=input)["executionArn"])

    def custom(self, name, definition, **more):
        properties = {
            "ServiceToken": self.site.outputs["ApiFunctionArn"],
            "StateMachineName": name,
            "RoleArn": self.site.role,
            "DefinitionString": json.dumps(definition),
            **more,
        }
        properties = {name: value for name, value in properties.items() if value is not None}
        return {
            "Resources": {"Machine": {"Type": "Custom::StepwellStateMachine", "Properties": properties}},
            "Outputs": {
                "Machine": {"Value": {"Ref": "Machine"}},
                "Name": {"Value": {"Fn::GetAtt": ["Machine", "Name"]}},
            },
        }

    def test_a_machine_is_created_changed_and_removed_with_its_stack(self):
        name, app = named("custom"), named("app")
        made = self.deploy(app, self.custom(name, says("first"), Tags=[{"Key": "team", "Value": "shop"}]))
        self.assertEqual((made["Machine"], made["Name"]), (self.site.arn("states", f"stateMachine:{name}"), name))
        self.assertEqual(self.run_once(made["Machine"]), "first")
        tags = self.sfn.list_tags_for_resource(resourceArn=made["Machine"])["tags"]
        self.assertIn({"key": "team", "value": "shop"}, tags)
        again = self.deploy(app, self.custom(name, says("second")))
        self.assertEqual(again["Machine"], made["Machine"])
        self.assertEqual(self.run_once(made["Machine"]), "second")
        self.delete(app)
        listed = self.until(
            lambda found: name not in found,
            lambda: {machine["name"] for machine in self.sfn.list_state_machines()["stateMachines"]},
        )
        self.assertNotIn(name, listed)

    def test_a_definition_that_lies_in_a_bucket(self):
        """As `sam package` leaves it: an object, or a version of one."""
        s3, bucket = self.site.client("s3"), named("aws-sam-cli-managed-default-tests")
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        put = [s3.put_object(Bucket=bucket, Key="d.json", Body=json.dumps(says(text))) for text in ("old", "new")]
        name, app = named("located"), named("app")
        for location, said in (({"Version": put[0]["VersionId"]}, "old"), ({}, "new")):
            at = {"Bucket": bucket, "Key": "d.json", **location}
            made = self.deploy(app, self.custom(name, None, DefinitionString=None, DefinitionS3Location=at))
            self.assertEqual(self.run_once(made["Machine"]), said)
        self.delete(app)

    def test_a_wrong_definition_fails_its_stack(self):
        broken = {"StartAt": "Nowhere", "States": {"Say": {"Type": "Pass", "End": True}}}
        with self.assertRaisesRegex(RuntimeError, "(?s)ROLLBACK.*Nowhere"):
            self.deploy(named("broken"), self.custom(named("broken"), broken))

    def test_one_transform_line_moves_an_application(self):
        """A template of an application on Step Functions, as AWS SAM's users write it, with the macro added."""
        app = named("moved")
        template = {
            "Transform": [SERVERLESS, "Stepwell"],
            "Resources": {
                "Double": {
                    "Type": "AWS::Serverless::Function",
                    "Properties": {
                        "Runtime": "python3.12",
                        "Handler": "index.handler",
                        "InlineCode": "def handler(event, context): return {'n': event['n'] * 2}",
                    },
                },
                "Orders": {
                    "Type": "AWS::Serverless::StateMachine",
                    "Properties": {
                        "Definition": {
                            "StartAt": "Double",
                            "States": {"Double": {"Type": "Task", "Resource": "${DoubleArn}", "End": True}},
                        },
                        "DefinitionSubstitutions": {"DoubleArn": {"Fn::GetAtt": ["Double", "Arn"]}},
                        "Policies": [{"LambdaInvokePolicy": {"FunctionName": {"Ref": "Double"}}}],
                    },
                },
                "Role": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {
                        "AssumeRolePolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Principal": {"Service": "states.amazonaws.com"},
                                    "Action": "sts:AssumeRole",
                                }
                            ],
                        }
                    },
                },
                "Plain": {
                    "Type": "AWS::StepFunctions::StateMachine",
                    "Properties": {
                        "StateMachineName": f"{app}-plain",
                        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                        "DefinitionString": {"Fn::Sub": json.dumps(says("from ${AWS::StackName}"))},
                    },
                },
            },
            "Outputs": {"Orders": {"Value": {"Ref": "Orders"}}, "Plain": {"Value": {"Fn::GetAtt": ["Plain", "Arn"]}}},
        }
        made = self.deploy(app, template)
        self.assertEqual(self.run_once(made["Orders"], '{"n": 21}'), {"n": 42})
        self.assertEqual(self.run_once(made["Plain"]), f"from {app}")
        self.delete(app)


class Retention(Deployed):
    def test_what_an_expired_execution_leaves_is_removed(self):
        """The emulator's clock does not reach a table's time to live: the item is deleted as DynamoDB would."""
        dynamodb, table = self.site.client("dynamodb"), self.site.resources["Table"]
        s3, bucket = self.site.client("s3"), self.site.resources["PayloadBucket"]
        before = {found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
        # Random, so that it does not shrink: the input, what the child gives, and the output are objects.
        text = "".join(random.choices("0123456789abcdef", k=20_000))
        child = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
        processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **child}
        run = self.start(
            self.machine({"StartAt": "All", "States": {"All": {"Type": "Map", "ItemProcessor": processor, "End": True}}}),
            [text],
        )
        self.ended(run)
        [map_run] = [found["mapRunArn"] for found in self.sfn.list_map_runs(executionArn=run)["mapRuns"]]

        def items():
            return dynamodb.query(
                TableName=table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :run",
                ExpressionAttributeValues={":run": {"S": run}},
            )["Items"]

        meta = self.until(lambda found: "expires" in found, lambda: next(i for i in items() if i["sk"]["S"] == "META"))
        self.assertGreater(len(items()), 1)
        id = next(i["sk"]["S"] for i in items() if i["sk"]["S"].startswith("PAGE#")).split("#")[1]

        def objects():
            found = {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
            return {key for key in found - before if id in key or map_run in key}

        kinds = {key.split("/")[0] for key in objects()}
        self.assertEqual(kinds, {"runs", "map-runs"})
        dynamodb.delete_item(TableName=table, Key={"pk": meta["pk"], "sk": meta["sk"]})
        self.until(lambda left: not left, items)
        self.until(lambda left: not left, objects)
