"""The calls that Terraform's AWS provider makes for its resources, in its order and with its members.

Facts of the provider (its 6th major version): a plan validates a changed definition; every read of a machine also lists
its tags and versions; an update is looked at until it shows; a deletion is looked at until the machine is gone. Go's SDK
sends no `false` for a flag, but does send texts that are empty.
"""

import json

from harness import PASS, ROLE, Site, named, needs

OTHER = {**PASS, "Comment": "another"}
VERSIONS = ("ListStateMachineVersions", "PublishStateMachineVersion")


class Provider(Site):
    def plan(self, definition, kind="STANDARD"):
        checked = self.sfn.validate_state_machine_definition(definition=json.dumps(definition), type=kind)
        return checked["result"], checked["diagnostics"]

    def apply(self, definition, **members):
        """Creates a machine; gives its ARN, which is the resource's id."""
        self.assertEqual(self.plan(definition)[0], "OK")
        machine = self.sfn.create_state_machine(
            definition=json.dumps(definition), name=named("terraform"), roleArn=ROLE, type="STANDARD", **members
        )["stateMachineArn"]
        self.addCleanup(self.sfn.delete_state_machine, stateMachineArn=machine)
        return machine

    def read(self, machine):
        """What the provider keeps as its state."""
        found = self.sfn.describe_state_machine(stateMachineArn=machine)
        versions = self.sfn.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]
        tags = self.sfn.list_tags_for_resource(resourceArn=machine)["tags"]
        return {
            "definition": json.loads(found["definition"]),
            "description": found.get("description"),
            "encryption": found.get("encryptionConfiguration"),
            "logging": found.get("loggingConfiguration"),
            "name": found["name"],
            "revision": found.get("revisionId"),
            "role": found["roleArn"],
            "status": found["status"],
            "tags": {tag["key"]: tag["value"] for tag in tags},
            "tracing": found.get("tracingConfiguration"),
            "type": found["type"],
            "version": versions[0]["stateMachineVersionArn"] if versions else None,
        }

    def destroy(self, machine):
        self.sfn.delete_state_machine(stateMachineArn=machine)
        gone = self.sfn.exceptions.StateMachineDoesNotExist

        def status():
            try:
                return self.sfn.describe_state_machine(stateMachineArn=machine)["status"]
            except gone:
                return None

        self.until(lambda found: found is None, status)

    def test_a_plan_shows_what_is_wrong_with_a_definition(self):
        for kind in ("STANDARD", "EXPRESS"):
            self.assertEqual(self.plan(PASS, kind), ("OK", []))
        result, diagnostics = self.plan({"StartAt": "None", "States": {}})
        self.assertEqual(result, "FAIL")
        for diagnostic in diagnostics:
            self.assertLessEqual({"severity", "code", "message"}, set(diagnostic))

    @needs(*VERSIONS)
    def test_a_state_machine(self):
        machine = self.apply(PASS, tags=[{"key": "Name", "value": "one"}])
        first = self.read(machine)
        self.assertEqual((first["definition"], first["type"], first["status"]), (PASS, "STANDARD", "ACTIVE"))
        self.assertEqual((first["tags"], first["version"]), ({"Name": "one"}, None))
        self.assertEqual(first["logging"], {"level": "OFF", "includeExecutionData": False})
        self.assertEqual(first["tracing"], {"enabled": False})
        self.assertEqual(self.read(machine), first, "a second plan finds no difference")

        self.assertEqual(self.plan(OTHER)[0], "OK")
        update = {"stateMachineArn": machine, "definition": json.dumps(OTHER), "roleArn": ROLE}
        update["tracingConfiguration"] = {"enabled": True}
        self.sfn.update_state_machine(**update)
        self.sfn.untag_resource(resourceArn=machine, tagKeys=["Name"])
        self.sfn.tag_resource(resourceArn=machine, tags=[{"key": "Team", "value": "two"}])
        second = self.read(machine)
        self.assertEqual((second["definition"], second["tracing"]), (OTHER, {"enabled": True}))
        self.assertEqual((second["tags"], second["logging"]), ({"Team": "two"}, first["logging"]))
        self.assertTrue(second["revision"])
        self.assertEqual(self.read(machine), second)
        self.destroy(machine)
        self.destroy(machine)

    @needs(*VERSIONS)
    def test_a_machine_that_publishes(self):
        machine = self.apply(PASS, publish=True)
        self.assertEqual(self.read(machine)["version"], machine + ":1")
        update = {"stateMachineArn": machine, "definition": json.dumps(OTHER), "roleArn": ROLE}
        self.sfn.update_state_machine(**update, publish=True, versionDescription="")
        self.assertEqual(self.read(machine)["version"], machine + ":2")
        listed = self.sfn.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]
        self.assertEqual(len(listed), 2, "the data source of versions")
        self.destroy(machine)

    @needs(*VERSIONS, "CreateStateMachineAlias", "UpdateStateMachineAlias", "DeleteStateMachineAlias")
    def test_an_alias(self):
        machine = self.apply(PASS, publish=True)
        routing = [{"stateMachineVersionArn": machine + ":1", "weight": 100}]
        alias = self.sfn.create_state_machine_alias(name="live", description="", routingConfiguration=routing)
        arn = alias["stateMachineAliasArn"]
        describe = self.sfn.describe_state_machine_alias
        found = describe(stateMachineAliasArn=arn)
        self.assertEqual((found["name"], found["routingConfiguration"]), ("live", routing))
        self.assertEqual(found.get("description", ""), "")
        self.sfn.update_state_machine_alias(stateMachineAliasArn=arn, description="mine")
        found = describe(stateMachineAliasArn=arn)
        self.assertEqual((found["description"], found["routingConfiguration"]), ("mine", routing))
        listed = self.sfn.list_state_machine_aliases(stateMachineArn=machine)["stateMachineAliases"]
        self.assertEqual([item["stateMachineAliasArn"] for item in listed], [arn], "the data source of aliases")
        self.sfn.delete_state_machine_alias(stateMachineAliasArn=arn)
        self.refused(self.sfn.exceptions.ResourceNotFound, describe, stateMachineAliasArn=arn)
        self.destroy(machine)

    @needs("CreateActivity", "DescribeActivity", "DeleteActivity")
    def test_an_activity(self):
        name = named("terraform")
        arn = self.sfn.create_activity(name=name, tags=[{"key": "Name", "value": "one"}])["activityArn"]
        found = self.sfn.describe_activity(activityArn=arn)
        self.assertEqual(found["name"], name)
        self.sfn.untag_resource(resourceArn=arn, tagKeys=["Name"])
        self.sfn.tag_resource(resourceArn=arn, tags=[{"key": "Team", "value": "two"}])
        self.assertEqual(self.sfn.list_tags_for_resource(resourceArn=arn)["tags"], [{"key": "Team", "value": "two"}])
        self.sfn.delete_activity(activityArn=arn)
        self.refused(self.sfn.exceptions.ActivityDoesNotExist, self.sfn.describe_activity, activityArn=arn)
