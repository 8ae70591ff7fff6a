"""Express executions: asynchronous and synchronous, with their lines in CloudWatch Logs."""

import json

from harness import Deployed, named, task


class Express(Deployed):
    def logged(self, definition, level="ALL", data=True):
        """Creates an Express machine with a log group; gives both."""
        group = f"/aws/vendedlogs/states/{named('express')}"
        self.site.client("logs").create_log_group(logGroupName=group)
        destination = {"cloudWatchLogsLogGroup": {"logGroupArn": self.site.arn("logs", f"log-group:{group}:*")}}
        machine = self.machine(
            definition,
            type="EXPRESS",
            loggingConfiguration={"level": level, "includeExecutionData": data, "destinations": [destination]},
        )
        return machine, group

    def lines(self, group, last):
        """The lines of a log group once one of a type is there."""
        found = self.until(
            lambda lines: any(line["type"] == last for line in lines),
            lambda: [json.loads(line) for line in self.site.logs(group) if line.startswith("{")],
        )
        return sorted(found, key=lambda line: int(line["id"]))

    def test_asynchronous(self):
        function = self.site.function(named("hello"), "def handler(event, context): return {'hello': event['name']}")
        machine, group = self.logged(task(function))
        run = self.start(machine, {"name": "Ada"})
        lines = self.lines(group, "ExecutionSucceeded")
        self.assertEqual(
            [line["type"] for line in lines],
            [
                "ExecutionStarted",
                "TaskStateEntered",
                "LambdaFunctionScheduled",
                "LambdaFunctionStarted",
                "LambdaFunctionSucceeded",
                "TaskStateExited",
                "ExecutionSucceeded",
            ],
        )
        self.assertEqual({line["execution_arn"] for line in lines}, {run})
        self.assertEqual(json.loads(lines[0]["details"]["input"]), {"name": "Ada"})
        self.assertEqual(json.loads(lines[-1]["details"]["output"]), {"hello": "Ada"})

    def test_errors_alone_are_logged(self):
        machine, group = self.logged(
            {
                "StartAt": "P",
                "States": {"P": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Fail", "Error": "Broken", "Cause": "it is"}},
            },
            level="ERROR",
            data=False,
        )
        self.start(machine, {"secret": 1})
        lines = self.lines(group, "ExecutionFailed")
        self.assertNotIn("PassStateEntered", {line["type"] for line in lines})
        self.assertNotIn("secret", json.dumps(lines))

    def test_synchronous(self):
        function = self.site.function(named("twice"), "def handler(event, context): return event['n'] * 2")
        machine = self.machine(task(function), type="EXPRESS")
        found = self.sfn.start_sync_execution(stateMachineArn=machine, input='{"n": 21}')
        self.assertEqual((found["status"], found["output"]), ("SUCCEEDED", "42"))
        self.assertIn("billedDurationInMilliseconds", found["billingDetails"])
        url = self.site.signed(self.site.url("StartUrl"), "lambda")
        found = url.start_sync_execution(stateMachineArn=machine, input='{"n": 4}')
        self.assertEqual((found["status"], found["output"]), ("SUCCEEDED", "8"))

    def test_synchronous_and_failing(self):
        machine = self.machine({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}}, type="EXPRESS")
        found = self.sfn.start_sync_execution(stateMachineArn=machine)
        self.assertEqual((found["status"], found["error"], found["cause"]), ("FAILED", "E", "C"))
