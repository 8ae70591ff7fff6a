"""What the tests share: a site that the template was deployed to, its clients, machines and functions to make there.

`run.py` deploys the sites and names them in the file STEPWELL_SITES.
"""

import functools
import json
import os
import pathlib
import signal
import sys
import time
import unittest
import uuid

import boto3
import stack
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"
# Nothing that is waited for takes this long, in seconds.
PATIENCE = float(os.environ.get("STEPWELL_PATIENCE", "90"))
ENDED = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}
PASS = {"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}}


def named(what):
    """A name that no other test has."""
    return f"{what}-{uuid.uuid4().hex[:12]}"


def task(function, **members):
    """A machine of one task, which calls a function."""
    state = {"Type": "Task", "Resource": function, "End": True, **members}
    return {"StartAt": "Only", "States": {"Only": state}}


class Site:
    """An account of the emulator, and the stack in it."""

    def __init__(self, endpoint, account, outputs=None, name="stepwell", key=None):
        self.endpoint, self.account, self.outputs, self.name = endpoint, account, outputs or {}, name
        self.key = key or (account, "test", None)

    @functools.cache
    def client(self, service, **config):
        """A client of the emulator, as the account's root or whoever this site is seen by."""
        return self._client(service, self.endpoint, **config)

    def _client(self, service, endpoint, **config):
        key, secret, token = self.key
        return boto3.session.Session().client(
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                inject_host_prefix=False,
                read_timeout=120,
                **config,
            ),
        )

    def seen_by(self, key, secret, token=None):
        """The same site with other credentials."""
        return Site(self.endpoint, self.account, self.outputs, self.name, (key, secret, token))

    @functools.cached_property
    def api(self):
        """Where the HTTP API answers here. (What the stack says is its name in AWS.)"""
        host = self.outputs["Endpoint"].split("//")[1]
        return f"{self.endpoint}/_aws/execute-api/{host.split('.')[0]}/$default"

    def url(self, output):
        """Where a Function URL answers here."""
        return f"{self.endpoint}/_aws/lambda-url/{self.outputs[output].split('//')[1].split('.')[0]}"

    @functools.cached_property
    def sfn(self):
        """A client of the deployed Step Functions API, signed for its HTTP API as `stepwell proxy` does."""
        return self.signed(self.api, "execute-api")

    def signed(self, endpoint, service):
        """A client of the deployed API at `endpoint`, whose requests are signed for `service`."""
        client = self._client("stepfunctions", endpoint)

        def sign(params, **_):
            params["context"]["signing"] = {"signing_name": service, "region": REGION}

        client.meta.events.register("before-call", sign)
        return client

    @functools.cached_property
    def resources(self):
        """The physical id of each of the stack's resources."""
        found = self.client("cloudformation").describe_stack_resources(StackName=self.name)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def arn(self, service, resource):
        return f"arn:aws:{service}:{REGION}:{self.account}:{resource}"

    @functools.cached_property
    def role(self):
        """A role that state machines of the tests have: it may call what tests make, and nothing of Stepwell's own."""
        statements = [
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": self.arn("lambda", "function:*")},
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": self.arn("sqs", "*")},
            {"Effect": "Allow", "Action": "sns:Publish", "Resource": self.arn("sns", "*")},
            {"Effect": "Allow", "Action": "dynamodb:*Item", "Resource": self.arn("dynamodb", "table/Transaction*")},
        ]
        return self.make_role("state-machine", statements)

    def make_role(self, name, statements, trusted=None, tags=("stepwell",)):
        """A role that the account's own may assume, with one policy; it may be there already."""
        iam = self.client("iam")
        trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": trusted or self.account}})
        try:
            tagged = [{"Key": tag, "Value": "yes"} for tag in tags]
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tagged)
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityAlreadyExists":
                raise
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=policy(*statements))
        return f"arn:aws:iam::{self.account}:role/{name}"

    def may(self, role, actions, resources):
        """Which actions a role of the stack may take on at least one of these resources."""
        arn = f"arn:aws:iam::{self.account}:role/{self.resources[role]}"
        simulate = self.client("iam").simulate_principal_policy
        answers = [simulate(PolicySourceArn=arn, ActionNames=actions, ResourceArns=[each]) for each in resources]
        results = [result for answer in answers for result in answer["EvaluationResults"]]
        return {result["EvalActionName"] for result in results if result["EvalDecision"] == "allowed"}

    def asked(self, action):
        """The roles of the stack that were allowed an action, as far as the emulator has noted."""
        lines = pathlib.Path(os.environ["STEPWELL_DECISIONS"]).read_text().splitlines()
        allowed = {who.split("/")[1] for who, what, _, how in map(json.loads, lines) if (what, how) == (action, "allowed")}
        return {id for id, name in self.resources.items() if name in allowed}

    def function(self, name, code, runtime="python3.12", handler="app.handler", **members):
        """Creates a function of {file: bytes} or of a text in Python; gives its ARN.

        It brings the runtime that `stepwell run` gives functions: the emulator's own does not tell an error's type.
        """
        files = {"app.py": code.encode()} if isinstance(code, str) else code
        made = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler=handler,
            Role=self.make_role("functions", []),
            Code={"ZipFile": stack.zipped({**files, **runtime_files(runtime)})},
            **{"Timeout": 30, **members},
        )
        return made["FunctionArn"]

    def invoke(self, function, event, **members):
        """Invokes a function; gives its result."""
        event = event if isinstance(event, (str, bytes)) else json.dumps(event)
        answer = self.client("lambda").invoke(FunctionName=function, Payload=event, **members)
        result = answer["Payload"].read()
        if "FunctionError" in answer:
            raise AssertionError(f"{function}: {result.decode()}")
        return json.loads(result) if result else None

    def logs(self, group):
        """Every line of a log group, oldest first."""
        found = []
        for page in self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group):
            found += page["events"]
        return [event["message"] for event in sorted(found, key=lambda event: event["timestamp"])]


def runtime_files(name):
    """A bootstrap for functions in Python or for Node.js."""
    script = "runtime.py" if name.startswith("python") else "runtime.mjs"
    interpreter = f"{sys.executable} -" if name.startswith("python") else "node --input-type=module -"
    start = (
        "#!/bin/sh\n"
        f"export AWS_EXECUTION_ENV=AWS_Lambda_{name}\n"
        'export AWS_LAMBDA_LOG_GROUP_NAME="/aws/lambda/$AWS_LAMBDA_FUNCTION_NAME"\n'
        f"exec {interpreter} < {script}\n"
    )
    source = stack.ROOT / "local/src/host" / script.replace("runtime", "bootstrap")
    return {"bootstrap": start.encode(), script: source.read_bytes()}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def sites():
    """The deployed sites by their names."""
    described = json.loads(pathlib.Path(os.environ["STEPWELL_SITES"]).read_text())
    return {name: Site(**site) for name, site in described.items()}


class Deployed(unittest.TestCase):
    """Tests of a deployed Stepwell. A class says in SITE which."""

    SITE = "shared"

    @classmethod
    def setUpClass(cls):
        cls.site = sites()[cls.SITE]
        cls.sfn = cls.site.sfn

    def machine(self, definition=PASS, **members):
        """Creates a state machine; gives its ARN. It goes when the test ends."""
        members = {"name": named("machine"), "roleArn": self.site.role, **members}
        text = definition if isinstance(definition, str) else json.dumps(definition)
        arn = self.sfn.create_state_machine(definition=text, **members)["stateMachineArn"]
        self.addCleanup(self.sfn.delete_state_machine, stateMachineArn=arn)
        return arn

    def start(self, machine, input=None, **members):
        """Starts an execution; gives its ARN."""
        if input is not None:
            members["input"] = json.dumps(input)
        return self.sfn.start_execution(stateMachineArn=machine, **members)["executionArn"]

    def until(self, wanted, look, patience=PATIENCE):
        """What `look` gives once `wanted` holds for it."""
        give_up = time.monotonic() + patience
        while not wanted(found := look()):
            self.assertLess(time.monotonic(), give_up, f"it never came: {str(found)[:3000]}")
            time.sleep(0.05)
        return found

    def ended(self, execution, status="SUCCEEDED", patience=PATIENCE):
        """Waits for an execution's end, which must be this one; gives its output, or its description if it failed."""
        found = self.until(
            lambda found: found["status"] in ENDED,
            lambda: self.sfn.describe_execution(executionArn=execution),
            patience,
        )
        told = {name: found.get(name) for name in ("status", "error", "cause", "output")}
        self.assertEqual(found["status"], status, told)
        return json.loads(found["output"]) if status == "SUCCEEDED" else found

    def history(self, execution):
        """All events of an execution."""
        pages = self.sfn.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def event(self, execution, kind):
        """Waits for the first event of a type; gives it."""
        events = self.until(
            lambda events: any(event["type"] == kind for event in events), lambda: self.history(execution)
        )
        return next(event for event in events if event["type"] == kind)

    def queue(self, **attributes):
        """Creates a queue; gives its URL."""
        sqs = self.site.client("sqs")
        url = sqs.create_queue(QueueName=named("queue"), Attributes=attributes)["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=url)
        return url

    def received(self, url, count=1, patience=PATIENCE):
        """Waits for messages; gives their bodies."""
        sqs, found = self.site.client("sqs"), []

        def receive():
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message["Body"])
            return found

        return self.until(lambda found: len(found) >= count, receive, patience)

    def processes(self, function):
        """The processes that the emulator runs for a function."""
        name, found = self.site.resources[function].encode(), []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                told = dict(line.split(b"=", 1) for line in environment if b"=" in line)
            except OSError:
                continue
            ours = told.get(b"AWS_ENDPOINT_URL", b"").decode() == self.site.endpoint
            ours = ours and told.get(b"STEPWELL_ACCOUNT_ID", b"").decode() == self.site.account
            if ours and told.get(b"AWS_LAMBDA_FUNCTION_NAME") == name:
                found.append(int(folder.name))
        return found

    def kill(self, function):
        victims = self.processes(function)
        self.assertTrue(victims)
        for process in victims:
            os.kill(process, signal.SIGKILL)

    def refused(self, code, call, **members):
        """Makes a call that must fail; gives its message."""
        with self.assertRaises(ClientError) as caught:
            call(**members)
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code, error)
        return error["Message"]
