"""What the tests share: a client that anybody would have, names of one's own, machines to start.

`cargo xtask clients` starts the server and says where it is in AWS_ENDPOINT_URL_SFN. STEPWELL_NOT_SERVED names operations
that this server does not serve.
"""

import http.client
import json
import os
import time
import unittest
import urllib.parse
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/stepwell"
PASS = {"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "Only", "States": {"Only": {"Type": "Wait", "Seconds": 3600, "End": True}}}
FAIL = {
    "StartAt": "First",
    "States": {
        "First": {"Type": "Pass", "Next": "Broken"},
        "Broken": {"Type": "Fail", "Error": "Broken", "Cause": "as it is told"},
    },
}

_NOT_SERVED = set(os.environ.get("STEPWELL_NOT_SERVED", "").split())

# Nothing that is waited for takes this long, in seconds.
PATIENCE = 60


def needs(*operations):
    """Leaves a test out where the server does not serve these; the chore counts operations, so that none is forgotten."""
    missing = _NOT_SERVED.intersection(operations)
    return unittest.skipIf(missing, f"not served: {', '.join(sorted(missing))}")


def named(what):
    """A name that no other test has."""
    return f"{what}-{uuid.uuid4().hex[:12]}"


def client(**config):
    """A client with nothing set but what the environment says. A failing call is not repeated."""
    return boto3.client("stepfunctions", config=Config(retries={"total_max_attempts": 1}, **config))


class Site(unittest.TestCase):
    """Tests with a client."""

    @classmethod
    def setUpClass(cls):
        cls.sfn = client()

    def machine(self, definition=PASS, **members):
        """Creates a state machine; gives its ARN. It goes when the test ends."""
        members = {"name": named("machine"), "roleArn": ROLE, **members}
        text = definition if isinstance(definition, str) else json.dumps(definition)
        arn = self.sfn.create_state_machine(definition=text, **members)["stateMachineArn"]
        self.addCleanup(self.sfn.delete_state_machine, stateMachineArn=arn)
        return arn

    def start(self, machine, **members):
        """Starts an execution; gives its ARN."""
        return self.sfn.start_execution(stateMachineArn=machine, **members)["executionArn"]

    def post(self, body, target="ListStateMachines", **headers):
        """A request that no client would send; the response and its body."""
        endpoint = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL_SFN"])
        connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=30)
        self.addCleanup(connection.close)
        headers = {"X-Amz-Target": f"AWSStepFunctions.{target}", "Content-Type": "application/x-amz-json-1.0", **headers}
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        return answer, answer.read()

    def until(self, wanted, look):
        """What `look` gives once `wanted` holds for it. (The API has no waiters.)"""
        give_up = time.monotonic() + PATIENCE
        while not wanted(found := look()):
            self.assertLess(time.monotonic(), give_up, f"it never came: {found}")
            time.sleep(0.02)
        return found

    def ended(self, execution):
        """Waits for an execution's end; gives its description."""
        return self.until(
            lambda found: found["status"] != "RUNNING",
            lambda: self.sfn.describe_execution(executionArn=execution),
        )

    def refused(self, error, call, **members):
        """Makes a call that must fail with the class `error` of the client's exceptions; gives its message.

        A string stands for an error that the model of the API does not declare.
        """
        kind = ClientError if isinstance(error, str) else error
        with self.assertRaises(kind) as caught:
            call(**members)
        body = caught.exception.response
        if isinstance(error, str):
            self.assertEqual(body["Error"]["Code"], error)
        self.assertTrue(body["ResponseMetadata"]["RequestId"])
        self.assertEqual(body["ResponseMetadata"]["HTTPStatusCode"], 400)
        return body["Error"]["Message"]
