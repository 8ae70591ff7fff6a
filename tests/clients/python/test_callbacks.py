"""Tasks that wait for a token, answered by other processes."""

import json
import subprocess
import sys

from harness import PASS, Site, named

# Another process: it knows the token and what to say, and has no client but its own.
ANSWER = """
import sys, boto3
token, operation, *rest = sys.argv[1:]
sfn = boto3.client("stepfunctions")
members = dict(zip(rest[::2], rest[1::2]))
getattr(sfn, operation)(taskToken=token, **members)
"""


def from_another_process(token, operation, **members):
    words = [word for pair in members.items() for word in pair]
    subprocess.run([sys.executable, "-c", ANSWER, token, operation, *words], check=True, timeout=60)


class Callbacks(Site):
    def waiting(self, **fields):
        """An execution whose task waits, and the token: it is in the input of the execution that the task starts."""
        child = self.machine()
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.waitForTaskToken",
            "Parameters": {"StateMachineArn": child, "Input": {"token.$": "$$.Task.Token"}},
            "End": True,
            **fields,
        }
        execution = self.start(self.machine({"StartAt": "Ask", "States": {"Ask": task}}))
        listed = self.until(bool, lambda: self.sfn.list_executions(stateMachineArn=child)["executions"])
        asked = self.sfn.describe_execution(executionArn=listed[0]["executionArn"])
        return execution, json.loads(asked["input"])["token"]

    def test_success_from_another_process(self):
        execution, token = self.waiting()
        from_another_process(token, "send_task_heartbeat")
        from_another_process(token, "send_task_success", output='{"who": "another"}')
        found = self.ended(execution)
        self.assertEqual((found["status"], json.loads(found["output"])), ("SUCCEEDED", {"who": "another"}))
        errors = self.sfn.exceptions
        self.refused(errors.TaskTimedOut, self.sfn.send_task_success, taskToken=token, output="{}")
        self.refused(errors.TaskTimedOut, self.sfn.send_task_failure, taskToken=token)
        self.refused(errors.TaskTimedOut, self.sfn.send_task_heartbeat, taskToken=token)

    def test_failure_from_another_process(self):
        execution, token = self.waiting()
        from_another_process(token, "send_task_failure", error="Refused", cause="not today")
        found = self.ended(execution)
        self.assertEqual((found["status"], found["error"], found["cause"]), ("FAILED", "Refused", "not today"))

    def test_what_is_no_answer(self):
        execution, token = self.waiting()
        errors = self.sfn.exceptions
        self.refused(errors.InvalidOutput, self.sfn.send_task_success, taskToken=token, output="{")
        self.refused(errors.InvalidToken, self.sfn.send_task_success, taskToken="nobody's", output="{}")
        self.assertEqual(self.sfn.describe_execution(executionArn=execution)["status"], "RUNNING")
        self.sfn.stop_execution(executionArn=execution)

    def test_a_task_that_nobody_answers(self):
        execution, token = self.waiting(TimeoutSeconds=1)
        self.assertEqual(self.ended(execution)["error"], "States.Timeout")
        self.refused(self.sfn.exceptions.TaskTimedOut, self.sfn.send_task_success, taskToken=token, output="{}")

    def test_an_execution_within_another(self):
        child, name = self.machine(PASS), named("parent")
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": child, "Input": {"a": 1}},
            "End": True,
        }
        execution = self.start(self.machine({"StartAt": "Run", "States": {"Run": task}}, name=name))
        found = json.loads(self.ended(execution)["output"])
        self.assertEqual((found["Status"], found["Output"]), ("SUCCEEDED", {"a": 1}))
