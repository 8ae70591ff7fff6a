"""The AWS CLI, as a process for each command; which one says STEPWELL_AWS."""

import json
import os
import re
import subprocess
import tempfile
import time
import unittest
import uuid

ROLE = "arn:aws:iam::123456789012:role/stepwell"
PASS = '{"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": true}}}'
FAIL = '{"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Broken", "Cause": "as it is told"}}}'
NOT_SERVED = set(os.environ.get("STEPWELL_NOT_SERVED", "").split())
# `sync-` before a loopback host's name names nobody.
ENVIRONMENT = {**os.environ, "AWS_DISABLE_HOST_PREFIX_INJECTION": "true", "AWS_PAGER": ""}


def run(*words):
    command = [os.environ["STEPWELL_AWS"], "stepfunctions", *words]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, stdin=subprocess.DEVNULL)


def needs(*operations):
    missing = NOT_SERVED.intersection(operations)
    return unittest.skipIf(missing, f"not served: {', '.join(sorted(missing))}")


class Commands(unittest.TestCase):
    def aws(self, *words):
        """What a command prints, which must end well: JSON, or nothing."""
        done = run(*words, "--output", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, error, *words):
        done = run(*words)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"({error})", done.stderr)

    def machine(self, definition=PASS, kind="STANDARD", *words):
        name = f"cli-{uuid.uuid4().hex[:12]}"
        return self.aws(
            "create-state-machine", "--name", name, "--definition", definition, "--role-arn", ROLE, "--type", kind, *words
        )["stateMachineArn"]

    def ended(self, execution):
        give_up = time.monotonic() + 60
        while (found := self.aws("describe-execution", "--execution-arn", execution))["status"] == "RUNNING":
            self.assertLess(time.monotonic(), give_up)
        return found

    def test_a_machine(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(PASS)
            file.flush()
            arn = self.machine(f"file://{file.name}", "STANDARD", "--tags", "key=team,value=x")
        found = self.aws("describe-state-machine", "--state-machine-arn", arn)
        self.assertEqual((found["definition"], found["status"]), (PASS, "ACTIVE"))
        self.assertRegex(str(found["creationDate"]), r"^\d{10}\.\d+$|^20\d\d-\d\d-\d\dT.*\.\d{3}")
        self.aws("update-state-machine", "--state-machine-arn", arn, "--definition", FAIL)
        self.aws("tag-resource", "--resource-arn", arn, "--tags", "key=a,value=1")
        self.aws("untag-resource", "--resource-arn", arn, "--tag-keys", "team")
        tags = self.aws("list-tags-for-resource", "--resource-arn", arn)["tags"]
        self.assertEqual(tags, [{"key": "a", "value": "1"}])
        checked = self.aws("validate-state-machine-definition", "--definition", "{}", "--severity", "ERROR")
        self.assertEqual(checked["result"], "FAIL")
        self.aws("delete-state-machine", "--state-machine-arn", arn)

    def test_listings(self):
        arns = {self.machine() for _ in range(3)}
        listed = self.aws("list-state-machines", "--page-size", "2", "--query", "stateMachines[].stateMachineArn")
        self.assertLessEqual(arns, set(listed))
        first = self.aws("list-state-machines", "--max-items", "1")
        self.assertEqual(len(first["stateMachines"]), 1)
        more = self.aws("list-state-machines", "--max-items", "1", "--starting-token", first["NextToken"])
        self.assertNotEqual(first["stateMachines"], more["stateMachines"])

    def test_an_execution(self):
        arn = self.machine()
        execution = self.aws("start-execution", "--state-machine-arn", arn, "--name", "mine", "--input", '{"größe": "😀"}')
        execution = execution["executionArn"]
        self.assertEqual(self.ended(execution)["output"], '{"größe": "😀"}')
        words = ["get-execution-history", "--execution-arn", execution, "--page-size", "2"]
        self.assertEqual([event["id"] for event in self.aws(*words)["events"]], [1, 2, 3, 4])
        said = run(*words, "--query", "events[].[id,type]", "--output", "text")
        self.assertEqual(
            said.stdout.split("\n"), ["1\tExecutionStarted", "2\tPassStateEntered", "3\tPassStateExited", "4\tExecutionSucceeded", ""]
        )
        said = run("list-executions", "--state-machine-arn", arn, "--status-filter", "SUCCEEDED", "--output", "text")
        self.assertTrue(re.match(r"EXECUTIONS\t.*\tmine\t.*\tSUCCEEDED", said.stdout), said.stdout)
        found = self.aws("describe-state-machine-for-execution", "--execution-arn", execution)
        self.assertEqual(found["definition"], PASS)
        self.refused("ExecutionAlreadyExists", "start-execution", "--state-machine-arn", arn, "--name", "mine")
        self.refused("ExecutionDoesNotExist", "describe-execution", "--execution-arn", execution + "x")
        self.refused("StateMachineDoesNotExist", "start-execution", "--state-machine-arn", arn + "x")
        self.refused("InvalidToken", "send-task-heartbeat", "--task-token", "x")

    def test_a_callback_and_a_stop(self):
        child = self.machine()
        task = {
            "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.waitForTaskToken", "End": True,
            "Parameters": {"StateMachineArn": child, "Input": {"token.$": "$$.Task.Token"}},
        }
        parent = self.machine(json.dumps({"StartAt": "Ask", "States": {"Ask": task}}))

        def asked(at):
            """The execution's ARN, and the token of its task: the input of the `at`th execution of the child."""
            execution = self.aws("start-execution", "--state-machine-arn", parent)["executionArn"]
            while len(found := self.aws("list-executions", "--state-machine-arn", child)["executions"]) < at:
                pass
            newest = self.aws("describe-execution", "--execution-arn", found[0]["executionArn"])
            return execution, json.loads(newest["input"])["token"]

        execution, token = asked(1)
        self.aws("send-task-heartbeat", "--task-token", token)
        self.aws("send-task-success", "--task-token", token, "--task-output", "1")
        self.assertEqual(self.ended(execution)["output"], "1")
        execution, token = asked(2)
        self.aws("send-task-failure", "--task-token", token, "--error", "No")
        self.assertEqual(self.ended(execution)["error"], "No")
        execution, _ = asked(3)
        self.aws("stop-execution", "--execution-arn", execution, "--cause", "enough")
        self.assertEqual(self.ended(execution)["cause"], "enough")

    def test_an_express_execution(self):
        arn = self.machine(FAIL, "EXPRESS")
        found = self.aws("start-sync-execution", "--state-machine-arn", arn)
        self.assertEqual((found["status"], found["error"]), ("FAILED", "Broken"))

    @needs("TestState")
    def test_one_state(self):
        found = self.aws("test-state", "--definition", '{"Type": "Pass", "Next": "B"}', "--role-arn", ROLE, "--input", "{}")
        self.assertEqual((found["status"], found["nextState"], found["output"]), ("SUCCEEDED", "B", "{}"))

    @needs("RedriveExecution")
    def test_a_redrive(self):
        arn = self.machine(FAIL)
        execution = self.aws("start-execution", "--state-machine-arn", arn)["executionArn"]
        self.ended(execution)
        self.aws("redrive-execution", "--execution-arn", execution)
        self.assertEqual(self.ended(execution)["redriveCount"], 1)

    @needs("PublishStateMachineVersion", "CreateStateMachineAlias")
    def test_versions_and_aliases(self):
        arn = self.machine()
        version = self.aws("publish-state-machine-version", "--state-machine-arn", arn)["stateMachineVersionArn"]
        routing = f"stateMachineVersionArn={version},weight=100"
        alias = self.aws("create-state-machine-alias", "--name", "live", "--routing-configuration", routing)
        alias = alias["stateMachineAliasArn"]
        self.aws("update-state-machine-alias", "--state-machine-alias-arn", alias, "--description", "d")
        found = self.aws("describe-state-machine-alias", "--state-machine-alias-arn", alias)
        self.assertEqual((found["name"], found["description"]), ("live", "d"))
        listed = self.aws("list-state-machine-aliases", "--state-machine-arn", arn)["stateMachineAliases"]
        self.assertEqual([item["stateMachineAliasArn"] for item in listed], [alias])
        execution = self.aws("start-execution", "--state-machine-arn", alias)["executionArn"]
        self.assertEqual(self.ended(execution)["stateMachineVersionArn"], version)
        self.refused("ConflictException", "delete-state-machine-version", "--state-machine-version-arn", version)
        self.aws("delete-state-machine-alias", "--state-machine-alias-arn", alias)
        self.aws("delete-state-machine-version", "--state-machine-version-arn", version)
        self.assertEqual(self.aws("list-state-machine-versions", "--state-machine-arn", arn)["stateMachineVersions"], [])

    @needs("CreateActivity", "GetActivityTask")
    def test_an_activity(self):
        activity = self.aws("create-activity", "--name", f"cli-{uuid.uuid4().hex[:12]}")["activityArn"]
        self.assertEqual(self.aws("describe-activity", "--activity-arn", activity)["activityArn"], activity)
        listed = self.aws("list-activities", "--page-size", "1", "--query", "activities[].activityArn")
        self.assertIn(activity, listed)
        task = {"Type": "Task", "Resource": activity, "End": True}
        arn = self.machine(json.dumps({"StartAt": "Work", "States": {"Work": task}}))
        execution = self.aws("start-execution", "--state-machine-arn", arn, "--input", "7")["executionArn"]
        found = self.aws("get-activity-task", "--activity-arn", activity, "--worker-name", "me")
        self.assertEqual(found["input"], "7")
        self.aws("send-task-success", "--task-token", found["taskToken"], "--task-output", "8")
        self.assertEqual(self.ended(execution)["output"], "8")
        self.aws("delete-activity", "--activity-arn", activity)

    @needs("ListMapRuns", "DescribeMapRun", "UpdateMapRun")
    def test_a_map_run(self):
        item = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 3600, "End": True}}}
        item["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        state = {"Type": "Map", "ItemProcessor": item, "MaxConcurrency": 1, "End": True}
        arn = self.machine(json.dumps({"StartAt": "Each", "States": {"Each": state}}))
        execution = self.aws("start-execution", "--state-machine-arn", arn, "--input", "[1]")["executionArn"]
        while not (found := self.aws("list-map-runs", "--execution-arn", execution)["mapRuns"]):
            pass
        run_arn = found[0]["mapRunArn"]
        self.aws("update-map-run", "--map-run-arn", run_arn, "--max-concurrency", "2")
        self.assertEqual(self.aws("describe-map-run", "--map-run-arn", run_arn)["maxConcurrency"], 2)
        self.aws("list-executions", "--map-run-arn", run_arn)
        self.aws("stop-execution", "--execution-arn", execution)
