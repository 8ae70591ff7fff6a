"""Executions on the deployed functions: waits, callbacks, maps, nested executions, activities, large payloads."""

import concurrent.futures
import datetime
import json
import random

from harness import Deployed, named, task


class Executions(Deployed):
    def test_a_run_from_its_start_to_its_end(self):
        machine, name = self.machine(), named("run")
        started = self.sfn.start_execution(stateMachineArn=machine, name=name, input='{"n": 1.0}')
        self.ended(started["executionArn"])
        found = self.sfn.describe_execution(executionArn=started["executionArn"])
        self.assertEqual((found["name"], found["input"], found["output"]), (name, '{"n": 1.0}', '{"n": 1.0}'))
        self.assertEqual(found["startDate"], started["startDate"])
        kinds = [event["type"] for event in self.history(started["executionArn"])]
        self.assertEqual(kinds, ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"])
        listed = self.until(
            bool, lambda: self.sfn.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]
        )
        self.assertEqual([run["name"] for run in listed], [name])

    def test_many_at_once(self):
        function = self.site.function(named("double"), "def handler(event, context): return {'n': event['n'] * 2}")
        machine = self.machine(task(function))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(lambda n: self.start(machine, {"n": n}), range(24)))
        self.assertEqual([self.ended(run)["n"] for run in runs], [n * 2 for n in range(24)])

    def test_a_wait_that_the_queue_delays(self):
        machine = self.machine({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 2, "End": True}}})
        run = self.start(machine)
        self.ended(run)
        entered, left = (self.event(run, f"WaitState{what}")["timestamp"] for what in ("Entered", "Exited"))
        self.assertGreaterEqual(left - entered, datetime.timedelta(seconds=2))

    def test_retry_backs_off_and_succeeds(self):
        function = self.site.function(
            named("third-time"),
            "def handler(event, context):\n"
            "    if event['retry'] < 2: raise ValueError('not yet')\n"
            "    return event",
        )
        machine = self.machine(
            task(
                function,
                Parameters={"retry.$": "$$.State.RetryCount"},
                Retry=[{"ErrorEquals": ["ValueError"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1}],
            )
        )
        run = self.start(machine)
        self.assertEqual(self.ended(run), {"retry": 2})
        self.assertEqual(sum(event["type"] == "LambdaFunctionFailed" for event in self.history(run)), 2)

    def test_a_payload_of_200_kilobytes_stays_out_of_the_table(self):
        function = self.site.function(
            named("large"), "def handler(event, context): return {'text': 'x' * 200_000, 'n': len(event['text'])}"
        )
        run = self.start(self.machine(task(function)), {"text": "y" * 200_000})
        output = self.ended(run)
        self.assertEqual((len(output["text"]), output["n"]), (200_000, 200_000))
        items = self.site.client("dynamodb").query(
            TableName=self.site.resources["Table"],
            KeyConditionExpression="pk = :run",
            ExpressionAttributeValues={":run": {"S": run}},
        )["Items"]
        self.assertTrue(items)
        self.assertLess(len(str(items)), 20_000)

    def test_stopped(self):
        run = self.start(self.machine({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}))
        self.event(run, "WaitStateEntered")
        self.sfn.stop_execution(executionArn=run, error="Enough", cause="of this")
        found = self.ended(run, "ABORTED")
        self.assertEqual((found["error"], found["cause"]), ("Enough", "of this"))

    def test_redriven(self):
        queue = self.queue()
        machine = self.machine(
            {
                "StartAt": "Say",
                "States": {
                    "Say": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
                        "End": True,
                    }
                },
            }
        )
        run = self.start(machine)
        [token] = self.received(queue)
        self.sfn.send_task_failure(taskToken=token, error="No", cause="not now")
        self.assertEqual(self.ended(run, "FAILED")["error"], "No")
        self.sfn.redrive_execution(executionArn=run)
        [second] = self.received(queue)
        self.sfn.send_task_success(taskToken=second, output='"yes"')
        self.assertEqual(self.ended(run), "yes")


class Callbacks(Deployed):
    def waiting(self, **members):
        """An execution that waits for a token; gives both."""
        queue = self.queue()
        machine = self.machine(
            task(
                "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                Parameters={"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
                **members,
            )
        )
        run = self.start(machine)
        [token] = self.received(queue)
        return run, token

    def test_success_by_the_api(self):
        run, token = self.waiting()
        self.sfn.send_task_heartbeat(taskToken=token)
        self.sfn.send_task_success(taskToken=token, output='{"approved": true}')
        self.assertEqual(self.ended(run), {"approved": True})
        # The same again is answered as the first; another outcome is too late.
        self.sfn.send_task_success(taskToken=token, output='{"approved": true}')
        self.refused("TaskTimedOut", self.sfn.send_task_success, taskToken=token, output='{"approved": false}')

    def test_failure_by_the_api(self):
        run, token = self.waiting()
        self.sfn.send_task_failure(taskToken=token, error="Rejected", cause="not this year")
        found = self.ended(run, "FAILED")
        self.assertEqual((found["error"], found["cause"]), ("Rejected", "not this year"))

    def test_by_the_callback_function_itself(self):
        run, token = self.waiting()
        self.told(token, '"direct"')
        self.assertEqual(self.ended(run), "direct")

    def test_a_heartbeat_that_does_not_come(self):
        run, _ = self.waiting(HeartbeatSeconds=1)
        found = self.ended(run, "FAILED")
        self.assertEqual(found["error"], "States.Timeout")

    def test_a_function_that_takes_long_tells_of_its_end(self):
        """It may take longer than a call is waited for, so it is invoked asynchronously, and its destination is told."""
        function = self.site.function(
            named("long"),
            "import time\ndef handler(event, context): time.sleep(1); return {'n': event['n'] + 1}",
            Timeout=700,
        )
        callback = {"Destination": self.site.outputs["CallbackFunctionArn"]}
        self.site.client("lambda").put_function_event_invoke_config(
            FunctionName=function,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnSuccess": callback, "OnFailure": callback},
        )
        run = self.start(self.machine(task(function)), {"n": 1})
        self.assertEqual(self.ended(run), {"n": 2})

    def told(self, token, output):
        """What SendTaskSuccess does, by the function that does nothing else."""
        return self.site.invoke(self.site.resources["CallbackFunction"], {"taskToken": token, "output": output})

    def test_whoever_comes_too_late_leaves_nothing(self):
        """Of callbacks and drivers that write at once one is first: what the others have put into the bucket they remove."""
        s3, bucket = self.site.client("s3"), self.site.resources["PayloadBucket"]
        queue, count = self.queue(), 6
        say = task(
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            Parameters={"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
        )["States"]["Only"]
        each = {
            "StartAt": "Ask",
            "States": {
                "Ask": {**say, "Next": "Grow"},
                "Grow": {"Type": "Pass", "Parameters": {"text.$": "States.Format('{}{}', $, $)"}, "Next": "Small"},
                "Small": {"Type": "Pass", "Result": 1, "End": True},
            },
        }
        each["States"]["Ask"].pop("End")
        machine = self.machine({"StartAt": "All", "States": {"All": {"Type": "Map", "ItemProcessor": each, "End": True}}})

        def text():
            return json.dumps("".join(random.choices("0123456789abcdef", k=20_000)))

        def once():
            run = self.start(machine, [0] * count)
            tokens = self.received(queue, count)
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda token: self.told(token, text()), tokens))
            self.assertEqual(self.ended(run), [1] * count)
            return run

        # Who comes too late is for the emulator to say: nobody does in some rounds.
        late = {"CallbackFunctionRole", "StepFunctionRole"}
        run = self.until(lambda _: late <= self.site.asked("s3:DeleteObject"), once)
        items = self.site.client("dynamodb").query(
            TableName=self.site.resources["Table"],
            ConsistentRead=True,
            KeyConditionExpression="pk = :run",
            ExpressionAttributeValues={":run": {"S": run}},
        )["Items"]
        id = next(item["sk"]["S"] for item in items if item["sk"]["S"].startswith("PAGE#")).split("#")[1]
        named_ = {value["S"] for item in items for name, value in item.items() if name.endswith("body") and "S" in value}
        left = s3.list_objects_v2(Bucket=bucket, Prefix=f"runs/{id}").get("Contents", [])
        self.assertEqual({found["Key"].rsplit("/")[-1] for found in left}, named_)

    def test_an_unknown_token(self):
        self.refused("InvalidToken", self.sfn.send_task_success, taskToken="nothing", output="{}")


class Maps(Deployed):
    def test_inline(self):
        function = self.site.function(named("square"), "def handler(event, context): return event * event")
        machine = self.machine(
            {
                "StartAt": "All",
                "States": {
                    "All": {"Type": "Map", "MaxConcurrency": 3, "ItemProcessor": task(function), "End": True}
                },
            }
        )
        self.assertEqual(self.ended(self.start(machine, list(range(12)))), [n * n for n in range(12)])

    def test_distributed(self):
        function = self.site.function(named("cube"), "def handler(event, context): return event ** 3")
        machine = self.machine(
            {
                "StartAt": "All",
                "States": {
                    "All": {
                        "Type": "Map",
                        "Label": "All",
                        "MaxConcurrency": 4,
                        "ItemProcessor": {
                            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                            **task(function),
                        },
                        "End": True,
                    }
                },
            }
        )
        run = self.start(machine, list(range(10)))
        self.assertEqual(self.ended(run), [n**3 for n in range(10)])
        [map_run] = self.sfn.list_map_runs(executionArn=run)["mapRuns"]
        found = self.sfn.describe_map_run(mapRunArn=map_run["mapRunArn"])
        self.assertEqual((found["status"], found["itemCounts"]["succeeded"]), ("SUCCEEDED", 10))


class Nested(Deployed):
    def test_a_parent_waits_for_its_child(self):
        child = self.machine({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": {"child": 1}, "End": True}}})
        parent = self.machine(
            task(
                "arn:aws:states:::states:startExecution.sync:2",
                Parameters={
                    "StateMachineArn": child,
                    "Input": {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id"},
                },
                OutputPath="$.Output",
            )
        )
        self.assertEqual(self.ended(self.start(parent)), {"child": 1})

    def test_a_child_that_fails(self):
        child = self.machine({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Broken", "Cause": "it is"}}})
        parent = self.machine(
            task("arn:aws:states:::states:startExecution.sync", Parameters={"StateMachineArn": child})
        )
        found = self.ended(self.start(parent), "FAILED")
        self.assertEqual(found["error"], "States.TaskFailed")
        self.assertEqual(json.loads(found["cause"])["Error"], "Broken")


class Activities(Deployed):
    def test_a_worker_takes_a_task(self):
        activity = self.sfn.create_activity(name=named("activity"))["activityArn"]
        self.addCleanup(self.sfn.delete_activity, activityArn=activity)
        run = self.start(self.machine(task(activity)), {"work": 1})
        taken = self.until(
            lambda taken: taken.get("taskToken"),
            lambda: self.sfn.get_activity_task(activityArn=activity, workerName="here"),
        )
        self.assertEqual(json.loads(taken["input"]), {"work": 1})
        self.sfn.send_task_success(taskToken=taken["taskToken"], output='"done"')
        self.assertEqual(self.ended(run), "done")
