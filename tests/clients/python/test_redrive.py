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
