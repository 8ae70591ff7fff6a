"""State machines: create, update, describe, list, delete, tags, validation."""

import datetime
import json

from harness import PASS, ROLE, WAIT, Site, named

OTHER = json.dumps({**PASS, "Comment": "another"})


class Machines(Site):
    def test_a_machine_is_described_as_it_was_created(self):
        name = named("described")
        logging = {"level": "OFF", "includeExecutionData": False}
        definition = json.dumps(PASS, indent=2)
        created = self.sfn.create_state_machine(
            name=name, definition=definition, roleArn=ROLE, type="STANDARD", loggingConfiguration=logging,
            tracingConfiguration={"enabled": False}, tags=[{"key": "team", "value": "größe"}],
        )
        arn = created["stateMachineArn"]
        self.addCleanup(self.sfn.delete_state_machine, stateMachineArn=arn)
        self.assertTrue(arn.endswith(f":stateMachine:{name}"), arn)
        found = self.sfn.describe_state_machine(stateMachineArn=arn)
        self.assertEqual(found["definition"], definition)
        self.assertEqual((found["name"], found["type"], found["status"]), (name, "STANDARD", "ACTIVE"))
        self.assertEqual(found["roleArn"], ROLE)
        self.assertEqual(found["loggingConfiguration"], logging)
        self.assertEqual(found["tracingConfiguration"], {"enabled": False})
        self.assertIsInstance(found["creationDate"], datetime.datetime)
        self.assertEqual(found["creationDate"], created["creationDate"])
        self.assertNotIn("revisionId", found)
        again = self.sfn.create_state_machine(name=name, definition=definition, roleArn=ROLE)
        self.assertEqual(again["stateMachineArn"], arn)
        bare = self.sfn.describe_state_machine(stateMachineArn=arn, includedData="METADATA_ONLY")
        self.assertEqual(bare["definition"], "{}")

    def test_another_machine_of_that_name_is_refused(self):
        name = named("taken")
        arn = self.machine(name=name)
        errors = self.sfn.exceptions
        message = self.refused(
            errors.StateMachineAlreadyExists, self.sfn.create_state_machine, name=name, definition=OTHER, roleArn=ROLE
        )
        self.assertIn(arn, message)

    def test_what_is_wrong_with_a_machine_is_told_by_class(self):
        errors, create = self.sfn.exceptions, self.sfn.create_state_machine
        definition = json.dumps(PASS)
        self.refused(errors.InvalidName, create, name="a b", definition=definition, roleArn=ROLE)
        message = self.refused(errors.InvalidDefinition, create, name=named("m"), definition="{}", roleArn=ROLE)
        self.assertTrue(message.startswith("Invalid State Machine Definition: '"), message)
        self.refused(errors.InvalidArn, create, name=named("m"), definition=definition, roleArn="nobody")
        describe = self.sfn.describe_state_machine
        self.refused(errors.InvalidArn, describe, stateMachineArn="arn:aws:states")
        gone = "arn:aws:states:us-east-1:123456789012:stateMachine:there-is-none"
        self.refused(errors.StateMachineDoesNotExist, describe, stateMachineArn=gone)

    def test_an_update_gives_a_revision(self):
        arn = self.machine()
        updated = self.sfn.update_state_machine(stateMachineArn=arn, definition=OTHER)
        self.assertIsInstance(updated["updateDate"], datetime.datetime)
        found = self.sfn.describe_state_machine(stateMachineArn=arn)
        self.assertEqual(found["definition"], OTHER)
        self.assertEqual(found["revisionId"], updated["revisionId"])
        self.refused(
            self.sfn.exceptions.MissingRequiredParameter, self.sfn.update_state_machine, stateMachineArn=arn
        )

    def test_an_execution_keeps_the_definition_that_it_started_with(self):
        arn = self.machine(WAIT)
        execution = self.start(arn)
        self.sfn.update_state_machine(stateMachineArn=arn, definition=OTHER)
        found = self.sfn.describe_state_machine_for_execution(executionArn=execution)
        self.assertEqual(json.loads(found["definition"]), WAIT)
        self.assertEqual(found["stateMachineArn"], arn)
        self.sfn.stop_execution(executionArn=execution)

    def test_variables_are_told(self):
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "A",
            "States": {
                "A": {"Type": "Pass", "Assign": {"b": 1}, "Next": "B"},
                "B": {"Type": "Succeed", "Output": "{% $b %}"},
            },
        }
        found = self.sfn.describe_state_machine(stateMachineArn=self.machine(definition))
        self.assertEqual(found["variableReferences"], {"B": ["b"]})

    def test_a_listing_comes_in_pages(self):
        arns = {self.machine() for _ in range(5)}
        pages = list(self.sfn.get_paginator("list_state_machines").paginate(PaginationConfig={"PageSize": 2}))
        self.assertTrue(all(len(page["stateMachines"]) <= 2 for page in pages))
        listed = [machine["stateMachineArn"] for page in pages for machine in page["stateMachines"]]
        self.assertEqual(len(listed), len(set(listed)))
        self.assertLessEqual(arns, set(listed))
        self.refused(self.sfn.exceptions.InvalidToken, self.sfn.list_state_machines, nextToken="00")

    def test_a_deleted_machine_is_gone(self):
        arn = self.machine()
        self.sfn.delete_state_machine(stateMachineArn=arn)
        gone = self.sfn.exceptions.StateMachineDoesNotExist

        def is_gone():
            try:
                return self.sfn.describe_state_machine(stateMachineArn=arn)["status"]
            except gone:
                return "GONE"

        self.until(lambda status: status == "GONE", is_gone)
        self.refused(gone, self.sfn.start_execution, stateMachineArn=arn)

    def test_tags(self):
        arn = self.machine(tags=[{"key": "a", "value": "1"}])
        self.sfn.tag_resource(resourceArn=arn, tags=[{"key": "b", "value": ""}, {"key": "a", "value": "2"}])
        tags = self.sfn.list_tags_for_resource(resourceArn=arn)["tags"]
        self.assertEqual({tag["key"]: tag["value"] for tag in tags}, {"a": "2", "b": ""})
        self.sfn.untag_resource(resourceArn=arn, tagKeys=["a", "none"])
        self.assertEqual(self.sfn.list_tags_for_resource(resourceArn=arn)["tags"], [{"key": "b", "value": ""}])
        gone = arn + "x"
        self.refused(self.sfn.exceptions.ResourceNotFound, self.sfn.list_tags_for_resource, resourceArn=gone)
        many = [{"key": f"k{n}", "value": "v"} for n in range(51)]
        self.refused(self.sfn.exceptions.TooManyTags, self.sfn.tag_resource, resourceArn=arn, tags=many)

    def test_validation(self):
        validate = self.sfn.validate_state_machine_definition
        self.assertEqual(validate(definition=json.dumps(PASS))["result"], "OK")
        bad = {**PASS, "StartAt": "None"}
        found = validate(definition=json.dumps(bad), type="EXPRESS", severity="ERROR", maxResults=1)
        self.assertEqual(found["result"], "FAIL")
        self.assertEqual(found["diagnostics"][0]["severity"], "ERROR")
        self.assertEqual(found["diagnostics"][0]["code"], "MISSING_TRANSITION_TARGET")
        self.assertEqual(found["diagnostics"][0]["location"], "/StartAt")
