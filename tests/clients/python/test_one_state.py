"""TestState."""

import json

from harness import ROLE, Site, client, needs

TASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "f", "Payload.$": "$"},
    "OutputPath": "$.Payload",
    "Catch": [{"ErrorEquals": ["Tired"], "Next": "Sorry"}],
    "Next": "After",
}


@needs("TestState")
class OneState(Site):
    def setUp(self):
        self.sync = client(inject_host_prefix=False)

    def tried(self, state, **members):
        return self.sync.test_state(definition=json.dumps(state), **members)

    def test_a_pass_state(self):
        state = {"Type": "Pass", "Parameters": {"b.$": "$.a"}, "Next": "Then"}
        found = self.tried(state, roleArn=ROLE, input='{"a": 1}', inspectionLevel="DEBUG")
        self.assertEqual((found["status"], found["nextState"]), ("SUCCEEDED", "Then"))
        self.assertEqual(json.loads(found["output"]), {"b": 1})
        self.assertEqual(json.loads(found["inspectionData"]["afterParameters"]), {"b": 1})

    def test_a_task_with_a_mock(self):
        answer = json.dumps({"Payload": "seven", "StatusCode": 200})
        found = self.tried(TASK, input="{}", mock={"result": answer})
        self.assertEqual((found["status"], found["nextState"], found["output"]), ("SUCCEEDED", "After", '"seven"'))
        found = self.tried(TASK, input="{}", mock={"errorOutput": {"error": "Tired", "cause": "late"}})
        self.assertEqual((found["status"], found["nextState"], found["error"]), ("CAUGHT_ERROR", "Sorry", "Tired"))

    def test_refusals(self):
        errors = self.sync.exceptions
        self.refused(errors.InvalidDefinition, self.sync.test_state, definition='{"Type": "No"}', roleArn=ROLE)
        state = json.dumps({"Type": "Succeed"})
        self.refused(errors.InvalidExecutionInput, self.sync.test_state, definition=state, roleArn=ROLE, input="{")
