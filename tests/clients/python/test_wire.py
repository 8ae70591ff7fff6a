"""What lies beneath the operations: headers, error bodies, limits."""

import json
import os
import urllib.parse

from botocore.exceptions import EndpointConnectionError
from harness import PASS, Site, client, named


class Wire(Site):
    def test_an_answer_has_the_headers_that_sdks_look_for(self):
        answer = self.sfn.list_state_machines(maxResults=1)["ResponseMetadata"]
        self.assertEqual(answer["HTTPStatusCode"], 200)
        self.assertRegex(answer["RequestId"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertEqual(answer["HTTPHeaders"]["content-type"], "application/x-amz-json-1.0")

    def test_times_are_seconds_with_a_fraction(self):
        arn = self.machine()
        answer, body = self.post(json.dumps({"stateMachineArn": arn}), "DescribeStateMachine")
        self.assertEqual(answer.status, 200)
        self.assertRegex(body.decode(), r'"creationDate":1\d{9}(\.\d{1,3})?[,}]')

    def test_an_error_is_named_in_its_body(self):
        answer, body = self.post(json.dumps({"stateMachineArn": "x"}), "DescribeStateMachine")
        self.assertEqual(answer.status, 400)
        self.assertTrue(json.loads(body)["__type"].endswith("InvalidArn"))
        for target, body, error in (
            ("Nothing", "{}", "UnknownOperationException"),
            ("ListStateMachines", "[", "SerializationException"),
        ):
            answer, body = self.post(body, target)
            self.assertEqual((answer.status, json.loads(body)["__type"].split("#")[-1]), (400, error))

    def test_a_request_of_more_than_its_limit_is_refused(self):
        answer, body = self.post(b'{"input":"' + b"x" * (2 << 20) + b'"}', "StartExecution")
        self.assertIn(answer.status, (400, 413))
        self.assertIn(b"RequestEntityTooLarge", body)

    def test_a_definition_of_a_megabyte_fits(self):
        states = {"A": {"Type": "Pass", "Comment": "", "End": True}}
        definition = {"StartAt": "A", "States": states}
        states["A"]["Comment"] = "c" * (1_000_000 - len(json.dumps(definition)))
        arn = self.machine(definition)
        found = self.sfn.describe_state_machine(stateMachineArn=arn)
        self.assertEqual(len(found["definition"]), 1_000_000)

    def test_the_prefix_of_a_host_is_the_clients_to_leave_out(self):
        arn = self.machine(PASS, type="EXPRESS")
        endpoint = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL_SFN"])
        # Whichever name the SDK puts there, the server takes it for its own.
        host = f"sync-{endpoint.hostname}:{endpoint.port}"
        body = json.dumps({"stateMachineArn": arn})
        answer, body = self.post(body, "StartSyncExecution", Host=host)
        self.assertEqual((answer.status, json.loads(body)["status"]), (200, "SUCCEEDED"))
        self.assertEqual(
            client(inject_host_prefix=False).start_sync_execution(stateMachineArn=arn)["status"], "SUCCEEDED"
        )

    def test_one_connection_serves_many_calls(self):
        pooled = client(max_pool_connections=1)
        names = [named("m") for _ in range(3)]
        for _ in names:
            pooled.list_state_machines()
        try:
            pooled.list_state_machines()
        except EndpointConnectionError as error:
            self.fail(str(error))
