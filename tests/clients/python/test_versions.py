"""Versions and aliases."""

import collections
import datetime
import json

from harness import PASS, ROLE, Site, named, needs

VERSIONS = ("PublishStateMachineVersion", "ListStateMachineVersions", "DeleteStateMachineVersion")
ALIASES = (
    "CreateStateMachineAlias", "DescribeStateMachineAlias", "ListStateMachineAliases", "UpdateStateMachineAlias",
    "DeleteStateMachineAlias",
)


def result(value):
    return json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Pass", "Result": value, "End": True}}})


@needs(*VERSIONS)
class Versions(Site):
    def test_versions_are_numbered_and_stay(self):
        machine = self.machine(result(1))
        first = self.sfn.publish_state_machine_version(stateMachineArn=machine, description="the first")
        self.assertEqual(first["stateMachineVersionArn"], f"{machine}:1")
        self.assertIsInstance(first["creationDate"], datetime.datetime)
        again = self.sfn.publish_state_machine_version(stateMachineArn=machine)
        self.assertEqual(again["stateMachineVersionArn"], f"{machine}:1")
        updated = self.sfn.update_state_machine(stateMachineArn=machine, definition=result(2), publish=True)
        self.assertEqual(updated["stateMachineVersionArn"], f"{machine}:2")
        listed = self.sfn.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]
        self.assertEqual([item["stateMachineVersionArn"] for item in listed], [f"{machine}:2", f"{machine}:1"])
        page = self.sfn.list_state_machine_versions(stateMachineArn=machine, maxResults=1)
        rest = self.sfn.list_state_machine_versions(stateMachineArn=machine, nextToken=page["nextToken"])
        self.assertEqual(page["stateMachineVersions"] + rest["stateMachineVersions"], listed)
        found = self.sfn.describe_state_machine(stateMachineArn=f"{machine}:1")
        self.assertEqual((found["definition"], found["description"]), (result(1), "the first"))
        for version, output in ((":1", "1"), (":2", "2"), ("", "2")):
            run = self.ended(self.start(machine + version))
            self.assertEqual(run["output"], output)
            self.assertEqual(run.get("stateMachineVersionArn"), machine + version if version else None)
        runs = self.sfn.list_executions(stateMachineArn=f"{machine}:1")["executions"]
        self.assertEqual([run["stateMachineVersionArn"] for run in runs], [f"{machine}:1"])
        self.sfn.delete_state_machine_version(stateMachineVersionArn=f"{machine}:1")
        self.refused(
            self.sfn.exceptions.StateMachineDoesNotExist, self.sfn.describe_state_machine,
            stateMachineArn=f"{machine}:1",
        )

    def test_a_machine_can_begin_with_a_version(self):
        created = self.sfn.create_state_machine(
            name=named("published"), definition=json.dumps(PASS), roleArn=ROLE, publish=True, versionDescription="one"
        )
        self.addCleanup(self.sfn.delete_state_machine, stateMachineArn=created["stateMachineArn"])
        self.assertEqual(created["stateMachineVersionArn"], created["stateMachineArn"] + ":1")

    def test_a_revision_that_has_passed_is_not_published(self):
        machine = self.machine(result(1))
        revision = self.sfn.update_state_machine(stateMachineArn=machine, definition=result(2))["revisionId"]
        self.sfn.update_state_machine(stateMachineArn=machine, definition=result(3))
        self.refused(
            self.sfn.exceptions.ConflictException, self.sfn.publish_state_machine_version, stateMachineArn=machine,
            revisionId=revision,
        )


@needs(*VERSIONS, *ALIASES)
class Aliases(Site):
    def two(self):
        machine = self.machine(result(1))
        one = self.sfn.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
        updated = self.sfn.update_state_machine(stateMachineArn=machine, definition=result(2), publish=True)
        return machine, one, updated["stateMachineVersionArn"]

    def test_an_alias_and_its_weights(self):
        machine, one, two = self.two()
        routing = [{"stateMachineVersionArn": one, "weight": 50}, {"stateMachineVersionArn": two, "weight": 50}]
        alias = self.sfn.create_state_machine_alias(name="PROD", routingConfiguration=routing, description="both")
        arn = alias["stateMachineAliasArn"]
        self.assertEqual(arn, f"{machine}:PROD")
        found = self.sfn.describe_state_machine_alias(stateMachineAliasArn=arn)
        self.assertEqual((found["name"], found["description"]), ("PROD", "both"))
        self.assertEqual(found["routingConfiguration"], routing)
        runs = [self.ended(self.start(arn)) for _ in range(40)]
        outputs = collections.Counter(run["output"] for run in runs)
        self.assertEqual(set(outputs), {"1", "2"}, "forty throws of a coin")
        for run in runs:
            self.assertEqual(run["stateMachineAliasArn"], arn)
            self.assertEqual(run["stateMachineVersionArn"], one if run["output"] == "1" else two)
        listed = self.sfn.get_paginator("list_executions").paginate(
            stateMachineArn=arn, PaginationConfig={"PageSize": 7}
        )
        listed = listed.build_full_result()["executions"]
        self.assertEqual({run["executionArn"] for run in listed}, {run["executionArn"] for run in runs})
        only = [{"stateMachineVersionArn": two, "weight": 100}]
        updated = self.sfn.update_state_machine_alias(stateMachineAliasArn=arn, routingConfiguration=only)
        self.assertIsInstance(updated["updateDate"], datetime.datetime)
        self.assertEqual(self.ended(self.start(arn))["output"], "2")
        self.sfn.delete_state_machine_alias(stateMachineAliasArn=arn)
        self.refused(
            self.sfn.exceptions.ResourceNotFound, self.sfn.describe_state_machine_alias, stateMachineAliasArn=arn
        )

    def test_listings_and_refusals(self):
        machine, one, two = self.two()
        create, errors = self.sfn.create_state_machine_alias, self.sfn.exceptions
        arns = [
            create(name=f"a{n}", routingConfiguration=[{"stateMachineVersionArn": one, "weight": 100}])["stateMachineAliasArn"]
            for n in range(3)
        ]
        page = self.sfn.list_state_machine_aliases(stateMachineArn=machine, maxResults=2)
        rest = self.sfn.list_state_machine_aliases(stateMachineArn=machine, nextToken=page["nextToken"])
        listed = page["stateMachineAliases"] + rest["stateMachineAliases"]
        self.assertEqual({item["stateMachineAliasArn"] for item in listed}, set(arns))
        self.assertEqual(self.sfn.list_state_machine_aliases(stateMachineArn=two)["stateMachineAliases"], [])
        self.refused(
            errors.ConflictException, self.sfn.delete_state_machine_version, stateMachineVersionArn=one
        )
        half = [{"stateMachineVersionArn": one, "weight": 50}]
        self.refused(errors.ValidationException, create, name="half", routingConfiguration=half)
        other = [{"stateMachineVersionArn": two, "weight": 100}]
        self.refused(errors.ConflictException, create, name="a0", routingConfiguration=other)
