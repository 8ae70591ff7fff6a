"""RedriveExecution."""

import datetime
import json

from harness import FAIL, Site, needs


@needs("RedriveExecution")
class Redrive(Site):
    def test_an_execution_goes_on_where_it_failed(self):
        execution = self.ended(self.start(self.machine(FAIL)))["executionArn"]
        found = self.sfn.describe_execution(executionArn=execution)
        self.assertEqual((found["redriveStatus"], found["redriveCount"]), ("REDRIVABLE", 0))
        redriven = self.sfn.redrive_execution(executionArn=execution, clientToken="mine")
        self.assertIsInstance(redriven["redriveDate"], datetime.datetime)
        again = self.sfn.redrive_execution(executionArn=execution, clientToken="mine")
        self.assertEqual(again["redriveDate"], redriven["redriveDate"])
        found = self.ended(execution)
        self.assertEqual((found["status"], found["redriveCount"]), ("FAILED", 1))
        self.assertEqual(found["redriveDate"], redriven["redriveDate"])
        events = self.sfn.get_execution_history(executionArn=execution)["events"]
        self.assertEqual(
            [event["type"] for event in events[4:]],
            ["ExecutionFailed", "ExecutionRedriven", "ExecutionFailed"],
        )
        self.assertEqual(events[5]["executionRedrivenEventDetails"], {"redriveCount": 1})

    def test_what_ended_well_is_not_redriven(self):
        execution = self.ended(self.start(self.machine()))["executionArn"]
        errors = self.sfn.exceptions
        self.refused(errors.ExecutionNotRedrivable, self.sfn.redrive_execution, executionArn=execution)
        self.refused(errors.ExecutionDoesNotExist, self.sfn.redrive_execution, executionArn=execution + "x")

    def test_a_map_run_goes_on(self):
        states = {"Wait": {"Type": "Wait", "Seconds": 2, "End": True}}
        processor = {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Wait",
            "States": states,
        }
        each = {"Type": "Map", "ItemProcessor": processor, "End": True}
        machine = self.machine({"StartAt": "Each", "States": {"Each": each}})
        execution = self.start(machine, input="[1, 2]")
        look = lambda: self.sfn.list_map_runs(executionArn=execution)["mapRuns"]
        arn = self.until(bool, look)[0]["mapRunArn"]
        self.sfn.stop_execution(executionArn=execution)
        self.sfn.redrive_execution(executionArn=execution)
        found = self.ended(execution)
        self.assertEqual((found["status"], json.loads(found["output"])), ("SUCCEEDED", [1, 2]))
        run = self.sfn.describe_map_run(mapRunArn=arn)
        self.assertEqual((run["status"], run["redriveCount"]), ("SUCCEEDED", 1))
        self.assertIsInstance(run["redriveDate"], datetime.datetime)
        self.assertEqual(run["itemCounts"]["pendingRedrive"], 0)
        self.assertEqual(run["executionCounts"]["failuresNotRedrivable"], 0)
        events = self.sfn.get_execution_history(executionArn=execution)["events"]
        redriven = [event for event in events if event["type"] == "MapRunRedriven"]
        self.assertEqual(
            [event["mapRunRedrivenEventDetails"] for event in redriven],
            [{"mapRunArn": arn, "redriveCount": 1}],
        )

    def test_a_task_is_tried_again(self):
        child = self.machine(FAIL)
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": child},
            "End": True,
        }
        execution = self.ended(self.start(self.machine({"StartAt": "Run", "States": {"Run": task}})))["executionArn"]
        good = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
        self.sfn.update_state_machine(stateMachineArn=child, definition=good)
        self.sfn.redrive_execution(executionArn=execution)
        self.assertEqual(self.ended(execution)["status"], "SUCCEEDED")
