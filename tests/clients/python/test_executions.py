"""Executions: start, describe, list, history, stop, and those that are waited for."""

import concurrent.futures
import datetime
import json

from harness import FAIL, PASS, WAIT, Site, client, named

UNICODE = {"text": "Grüße, мир, 世界, 😀 \u0000 \u2028 \"quoted\" \\ </script>", "größe": 1}


class Executions(Site):
    def test_a_run_from_its_start_to_its_end(self):
        machine, name = self.machine(), named("run")
        started = self.sfn.start_execution(stateMachineArn=machine, name=name, input='{"n": 1.0}')
        found = self.ended(started["executionArn"])
        self.assertEqual(found["status"], "SUCCEEDED")
        self.assertEqual((found["input"], found["output"]), ('{"n": 1.0}', '{"n": 1.0}'))
        self.assertEqual((found["name"], found["stateMachineArn"]), (name, machine))
        self.assertEqual(found["inputDetails"], {"included": True})
        self.assertEqual(found["outputDetails"], {"included": True})
        self.assertEqual(found["redriveCount"], 0)
        self.assertEqual(found["startDate"], started["startDate"])

    def test_times_have_milliseconds(self):
        before = datetime.datetime.now(datetime.timezone.utc)
        machine = self.machine()
        found = [self.ended(self.start(machine)) for _ in range(8)]
        after = datetime.datetime.now(datetime.timezone.utc)
        second = datetime.timedelta(seconds=1)
        for run in found:
            self.assertIsNotNone(run["startDate"].tzinfo)
            self.assertLessEqual(before - second, run["startDate"])
            self.assertLessEqual(run["startDate"], run["stopDate"])
            self.assertLessEqual(run["stopDate"], after + second)
            self.assertEqual(run["startDate"].microsecond % 1000, 0)
        # All eight on a full second would be a strange chance.
        self.assertTrue(any(run["startDate"].microsecond for run in found))

    def test_a_name_is_taken_once(self):
        machine, name = self.machine(WAIT), named("once")
        first = self.sfn.start_execution(stateMachineArn=machine, name=name, input="{}")
        again = self.sfn.start_execution(stateMachineArn=machine, name=name, input="{}")
        self.assertEqual(again["executionArn"], first["executionArn"])
        self.assertEqual(again["startDate"], first["startDate"])
        taken, start = self.sfn.exceptions.ExecutionAlreadyExists, self.sfn.start_execution
        message = self.refused(taken, start, stateMachineArn=machine, name=name, input="[]")
        self.assertEqual(message, f"Execution Already Exists: '{first['executionArn']}'")
        self.sfn.stop_execution(executionArn=first["executionArn"])
        self.refused(taken, start, stateMachineArn=machine, name=name, input="{}")

    def test_what_is_wrong_with_a_start_is_told_by_class(self):
        machine, errors, start = self.machine(), self.sfn.exceptions, self.sfn.start_execution
        self.refused(errors.InvalidExecutionInput, start, stateMachineArn=machine, input="{")
        self.refused(errors.InvalidName, start, stateMachineArn=machine, name="a b")
        self.refused(errors.InvalidArn, start, stateMachineArn="nothing")
        self.refused(errors.StateMachineDoesNotExist, start, stateMachineArn=machine + "x")
        describe = self.sfn.describe_execution
        gone = machine.replace(":stateMachine:", ":execution:") + ":none"
        self.refused(errors.ExecutionDoesNotExist, describe, executionArn=gone)
        self.refused(errors.InvalidArn, describe, executionArn=machine)
        self.refused("ValidationException", start, stateMachineArn=machine, traceHeader="é")

    def test_a_failure_is_data(self):
        found = self.ended(self.start(self.machine(FAIL)))
        self.assertEqual((found["status"], found["error"], found["cause"]), ("FAILED", "Broken", "as it is told"))
        self.assertNotIn("output", found)

    def test_a_stop(self):
        execution = self.start(self.machine(WAIT))
        stopped = self.sfn.stop_execution(executionArn=execution, error="Enough", cause="it took too long")
        found = self.sfn.describe_execution(executionArn=execution)
        self.assertEqual((found["status"], found["error"], found["cause"]), ("ABORTED", "Enough", "it took too long"))
        self.assertEqual(found["stopDate"], stopped["stopDate"])

    def test_text_of_all_kinds_comes_back(self):
        text = json.dumps(UNICODE, ensure_ascii=False)
        found = self.ended(self.start(self.machine(), input=text))
        self.assertEqual(found["input"], text)
        self.assertEqual(json.loads(found["output"]), UNICODE)

    def test_an_input_of_256_kib(self):
        text = json.dumps("ü" * ((256 * 1024 - 2) // 2), ensure_ascii=False)
        self.assertEqual(len(text.encode()), 256 * 1024)
        machine = self.machine()
        found = self.ended(self.start(machine, input=text))
        self.assertEqual(found["output"], text)
        events = self.sfn.get_execution_history(executionArn=found["executionArn"])["events"]
        self.assertEqual(events[-1]["executionSucceededEventDetails"]["output"], text)
        self.refused("ValidationException", self.sfn.start_execution, stateMachineArn=machine, input=text[:-1] + ' "')

    def test_a_history_both_ways_and_in_pages(self):
        execution = self.ended(self.start(self.machine(FAIL), input='{"a":1}'))["executionArn"]
        history = self.sfn.get_paginator("get_execution_history")
        whole = self.sfn.get_execution_history(executionArn=execution)["events"]
        self.assertEqual(
            [event["type"] for event in whole],
            ["ExecutionStarted", "PassStateEntered", "PassStateExited", "FailStateEntered", "ExecutionFailed"],
        )
        self.assertEqual([event["id"] for event in whole], [1, 2, 3, 4, 5])
        self.assertEqual([event["previousEventId"] for event in whole], [0, 0, 2, 3, 4])
        self.assertTrue(all(isinstance(event["timestamp"], datetime.datetime) for event in whole))
        paged = history.paginate(executionArn=execution, PaginationConfig={"PageSize": 2}).build_full_result()
        self.assertEqual(paged["events"], whole)
        back = history.paginate(executionArn=execution, reverseOrder=True, PaginationConfig={"PageSize": 3})
        self.assertEqual(back.build_full_result()["events"], whole[::-1])
        bare = self.sfn.get_execution_history(executionArn=execution, includeExecutionData=False)["events"]
        self.assertNotIn("input", bare[0]["executionStartedEventDetails"])
        page = self.sfn.get_execution_history(executionArn=execution, maxResults=2)
        other = self.ended(self.start(self.machine()))["executionArn"]
        self.refused(
            self.sfn.exceptions.InvalidToken, self.sfn.get_execution_history, executionArn=other,
            nextToken=page["nextToken"],
        )

    def test_a_listing_by_status_and_in_pages(self):
        machine = self.machine(
            {
                "StartAt": "Which",
                "States": {
                    "Which": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "No"}], "Default": "Yes"},
                    "No": {"Type": "Fail"},
                    "Yes": {"Type": "Succeed"},
                },
            }
        )
        all_of_them = [self.start(machine, input=str(n % 3)) for n in range(9)]
        for execution in all_of_them:
            self.ended(execution)
        paginator = self.sfn.get_paginator("list_executions")

        def listed(**members):
            pages = paginator.paginate(stateMachineArn=machine, PaginationConfig={"PageSize": 2}, **members)
            return [run["executionArn"] for run in pages.build_full_result()["executions"]]

        self.assertEqual(set(listed()), set(all_of_them))
        self.assertEqual(set(listed(statusFilter="FAILED")), set(all_of_them[1::3]))
        self.assertEqual(len(listed(statusFilter="SUCCEEDED")), 6)
        self.assertEqual(listed(statusFilter="RUNNING"), [])
        limited = paginator.paginate(stateMachineArn=machine, PaginationConfig={"MaxItems": 5, "PageSize": 2})
        self.assertEqual(len(limited.build_full_result()["executions"]), 5)

    def test_twenty_clients_at_once(self):
        machine = self.machine()

        def started(n):
            try:
                members = {"stateMachineArn": machine, "name": f"same-{n % 5}", "input": "{}"}
                return client().start_execution(**members)["executionArn"]
            except self.sfn.exceptions.ClientError as error:
                # It has ended meanwhile.
                self.assertEqual(error.response["Error"]["Code"], "ExecutionAlreadyExists")
                return None

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            found = set(pool.map(started, range(100))) - {None}
        self.assertEqual(len(found), 5)


class Express(Site):
    def setUp(self):
        # `sync-` before a loopback host's name names nobody: SDKs have a setting that leaves it out.
        self.sync = client(inject_host_prefix=False)
        self.express = self.machine(FAIL, type="EXPRESS")

    def test_an_execution_that_is_waited_for(self):
        machine = self.machine(PASS, type="EXPRESS")
        found = self.sync.start_sync_execution(stateMachineArn=machine, name="mine", input='{"a":1}')
        self.assertEqual((found["status"], found["output"], found["name"]), ("SUCCEEDED", '{"a":1}', "mine"))
        self.assertIn(":express:", found["executionArn"])
        self.assertIsInstance(found["billingDetails"]["billedDurationInMilliseconds"], int)
        self.assertLessEqual(found["startDate"], found["stopDate"])

    def test_its_failure_is_data(self):
        found = self.sync.start_sync_execution(stateMachineArn=self.express)
        self.assertEqual((found["status"], found["error"]), ("FAILED", "Broken"))

    def test_standard_machines_are_not_waited_for(self):
        self.refused(
            self.sfn.exceptions.StateMachineTypeNotSupported, self.sync.start_sync_execution,
            stateMachineArn=self.machine(),
        )

    def test_one_that_nobody_waits_for(self):
        first = self.sfn.start_execution(stateMachineArn=self.express, name="twice")
        second = self.sfn.start_execution(stateMachineArn=self.express, name="twice")
        self.assertNotEqual(first["executionArn"], second["executionArn"])
        self.refused(
            self.sfn.exceptions.StateMachineTypeNotSupported, self.sfn.list_executions, stateMachineArn=self.express
        )
