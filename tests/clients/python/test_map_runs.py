"""Map Runs."""

import datetime
import json

from harness import Site, needs

ALL = ("ListMapRuns", "DescribeMapRun", "UpdateMapRun")


def each(states, **fields):
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Item", "States": states}
    state = {"Type": "Map", "ItemProcessor": processor, "Label": "Each", "End": True, **fields}
    return {"StartAt": "Each", "States": {"Each": state}}


@needs(*ALL)
class MapRuns(Site):
    def map_run(self, execution):
        return self.until(bool, lambda: self.sfn.list_map_runs(executionArn=execution)["mapRuns"])[0]

    def test_a_run_and_its_children(self):
        machine = self.machine(each({"Item": {"Type": "Pass", "End": True}}, MaxConcurrency=2))
        execution = self.start(machine, input=json.dumps(list(range(7))))
        found = self.ended(execution)
        self.assertEqual((found["status"], json.loads(found["output"])), ("SUCCEEDED", list(range(7))))
        listed = self.map_run(execution)
        self.assertEqual(listed["executionArn"], execution)
        self.assertIsInstance(listed["startDate"], datetime.datetime)
        arn = listed["mapRunArn"]
        run = self.sfn.describe_map_run(mapRunArn=arn)
        self.assertEqual((run["status"], run["maxConcurrency"]), ("SUCCEEDED", 2))
        self.assertEqual((run["itemCounts"]["total"], run["itemCounts"]["succeeded"]), (7, 7))
        self.assertEqual((run["executionCounts"]["total"], run["executionCounts"]["failed"]), (7, 0))
        pages = self.sfn.get_paginator("list_executions").paginate(mapRunArn=arn, PaginationConfig={"PageSize": 3})
        children = pages.build_full_result()["executions"]
        self.assertEqual(len(children), 7)
        child = self.sfn.describe_execution(executionArn=children[0]["executionArn"])
        self.assertEqual(child["mapRunArn"], arn)
        self.assertEqual(self.sfn.list_executions(mapRunArn=arn, statusFilter="FAILED")["executions"], [])
        runs = self.sfn.get_paginator("list_map_runs").paginate(executionArn=execution).build_full_result()
        self.assertEqual([item["mapRunArn"] for item in runs["mapRuns"]], [arn])
        message = self.refused(
            self.sfn.exceptions.ValidationException, self.sfn.update_map_run, mapRunArn=arn, maxConcurrency=1
        )
        self.assertTrue(message)

    def test_limits_change_while_it_runs(self):
        item = {"Item": {"Type": "Wait", "Seconds": 3600, "End": True}}
        execution = self.start(self.machine(each(item, MaxConcurrency=1)), input="[1, 2, 3]")
        arn = self.map_run(execution)["mapRunArn"]
        describe = self.sfn.describe_map_run
        self.until(lambda run: run["executionCounts"]["running"] == 1, lambda: describe(mapRunArn=arn))
        self.sfn.update_map_run(mapRunArn=arn, maxConcurrency=3, toleratedFailureCount=2)
        run = self.until(lambda run: run["executionCounts"]["running"] == 3, lambda: describe(mapRunArn=arn))
        self.assertEqual((run["maxConcurrency"], run["toleratedFailureCount"]), (3, 2))
        self.sfn.stop_execution(executionArn=execution)
        self.until(lambda run: run["status"] == "ABORTED", lambda: describe(mapRunArn=arn))

    def test_what_is_no_map_run(self):
        gone = "arn:aws:states:us-east-1:123456789012:mapRun:none/Each:00000000-0000-0000-0000-000000000000"
        self.refused(self.sfn.exceptions.ResourceNotFound, self.sfn.describe_map_run, mapRunArn=gone)
        self.refused(self.sfn.exceptions.InvalidArn, self.sfn.describe_map_run, mapRunArn="nothing")
