"""What only some deployments have: keys that Stepwell issues, tasks that run without a role, roles without a tag, events of status,
a key of the operator's. One machine does all that the roles of functions that run executions are for, by each way in."""

import json
import random

from harness import Deployed, named, policy

# Whoever makes random numbers of it makes what does not shrink, so that it is put into the bucket.
LARGE = 20_000


def large():
    return "".join(random.choices("0123456789abcdef", k=LARGE))


def sfn(operation, **parameters):
    return {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:sfn:{operation}", "Parameters": parameters, "ResultPath": None}


def start(**input):
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Parameters": {"StateMachineArn.$": "$.machine", "Name.$": "$.name", "Input": input},
        "ResultPath": None,
    }


def chain(*states):
    """Named states, one after the other."""
    names = [name for name, _ in states]
    follow = [{"Next": name} for name in names[1:]] + [{"End": True}]
    return {"StartAt": names[0], "States": {name: {**state, **next} for (name, state), next in zip(states, follow)}}


def caught(error, next):
    """A task that must fail: it says so if it does not."""
    return {"Catch": [{"ErrorEquals": [error], "ResultPath": None, "Next": next}]}


class Signed:
    """Requests that are signed with a key of Stepwell's, for the address in AWS, and sent to the emulator's."""

    def client(self, site, key):
        address = site.outputs["KeysUrl"].rstrip("/")
        client = site.seen_by(key["AccessKeyId"], key["SecretAccessKey"])._client("stepfunctions", address)

        def move(request, **_):
            request.url = request.url.replace(address, site.url("KeysUrl"), 1)

        client.meta.events.register("before-send.sfn", move)
        return client

    def manage(self, operation, **members):
        return self.site.invoke(self.site.resources["KeysFunction"], {"operation": operation, **members})

    def keyed(self):
        """A client with a fresh key."""
        key = self.manage("CreateAccessKey", description="tests")["AccessKey"]
        self.addCleanup(self.manage, "DeleteAccessKey", accessKeyId=key["AccessKeyId"])
        return self.client(self.site, key)


class Keys(Signed, Deployed):
    """Where roles have to bear the tag."""

    SITE = "hasty"

    def test_a_key_opens_the_api_until_it_is_deleted(self):
        key = self.manage("CreateAccessKey", description="tests")["AccessKey"]
        keyed = self.client(self.site, key)
        queue = self.queue()
        say = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage"}
        machine = self.machine(
            chain(("Say", {**say, "Parameters": {"QueueUrl": queue, "MessageBody": "said"}})), type="EXPRESS"
        )
        found = keyed.start_sync_execution(stateMachineArn=machine)
        self.assertEqual(found["status"], "SUCCEEDED", found)
        self.assertEqual(self.received(queue), ["said"])
        self.manage("DeleteAccessKey", accessKeyId=key["AccessKeyId"])
        self.refused("UnrecognizedClientException", keyed.list_state_machines)


class Otherwise(Signed, Deployed):
    SITE = "otherwise"

    def everything(self, *more):
        """A machine that calls with its function's role, with another, and the whole API; its input."""
        queue = self.site.client("sqs").create_queue(QueueName=named("task"))["QueueUrl"]
        other = self.queue()
        may_send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": self.site.arn("sqs", "queue-*")}
        role = self.site.make_role(named("untagged"), [may_send], tags=())
        say = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "ResultPath": None}
        missing = f"/aws/vendedlogs/states/{named('missing')}"
        logging = {
            "Level": "ALL",
            "Destinations": [
                {"CloudWatchLogsLogGroup": {"LogGroupArn": self.site.arn("logs", f"log-group:{missing}:*")}}
            ],
        }
        definition = chain(
            ("Own", {**say, "Parameters": {"QueueUrl": queue, "MessageBody": "own"}}),
            ("Other", {**say, "Parameters": {"QueueUrl": other, "MessageBody": "other"}, "Credentials": {"RoleArn": role}}),
            ("Read", sfn("describeExecution", **{"ExecutionArn.$": "$.run"})),
            ("History", sfn("getExecutionHistory", **{"ExecutionArn.$": "$.run"})),
            ("List", sfn("listExecutions", **{"StateMachineArn.$": "$.machine"})),
            ("Publish", sfn("publishStateMachineVersion", **{"StateMachineArn.$": "$.machine"})),
            ("Create", sfn("createActivity", **{"Name.$": "$.name"})),
            ("Delete", sfn("deleteActivity", **{"ActivityArn.$": "$.activity"})),
            ("Start", start(**{"text.$": "$.text"})),
            # Its input is put before it is known that this name is taken.
            ("Again", {**start(**{"other.$": "$.text"}), **caught("StepFunctions.ExecutionAlreadyExistsException", "Log")}),
            ("Unexpected", {"Type": "Fail", "Error": "Unexpected"}),
        )
        definition["States"]["Unexpected"].pop("End")
        log = sfn(
            "createStateMachine",
            **{
                "Name.$": "$.name",
                "RoleArn": role,
                "Definition": json.dumps(chain(("P", {"Type": "Pass"}))),
                "LoggingConfiguration": logging,
            },
        )
        log = {**log, **caught("Sfn.InvalidLoggingConfigurationException", "Done"), "Next": "Unexpected"}
        definition["States"].update(chain(*more, ("Done", {"Type": "Pass", "Result": "done"}))["States"])
        definition["States"]["Log"] = log
        if more:
            log["Catch"][0]["Next"] = more[0][0]
        machine, name = self.machine(), named("started")
        run = self.start(machine, {"text": large()})
        input = {
            "machine": machine,
            "name": name,
            "activity": self.site.arn("states", f"activity:{name}"),
            "run": run,
            "text": large(),
        }
        self.ended(run)
        return definition, input, [queue, other]

    def synchronously(self, client):
        definition, input, queues = self.everything()
        group = f"/aws/vendedlogs/states/{named('express')}"
        self.site.client("logs").create_log_group(logGroupName=group)
        destination = {"cloudWatchLogsLogGroup": {"logGroupArn": self.site.arn("logs", f"log-group:{group}:*")}}
        logging = {"level": "ALL", "includeExecutionData": False, "destinations": [destination]}
        machine = self.machine(definition, type="EXPRESS", loggingConfiguration=logging)
        found = client.start_sync_execution(stateMachineArn=machine, input=json.dumps(input))
        told = {name: found.get(name) for name in ("status", "error", "cause", "output")}
        self.assertEqual(told, {"status": "SUCCEEDED", "error": None, "cause": None, "output": '"done"'})
        self.assertEqual([self.received(queue) for queue in queues], [["own"], ["other"]])
        self.until(lambda lines: any("ExecutionSucceeded" in line for line in lines), lambda: self.site.logs(group))

    def test_by_a_key(self):
        self.synchronously(self.keyed())

    def test_by_the_api(self):
        self.synchronously(self.site.signed(self.site.url("ApiUrl"), "lambda"))

    def test_by_start(self):
        self.synchronously(self.site.signed(self.site.url("StartUrl"), "lambda"))

    def test_by_step(self):
        """The same in a Standard execution, which waits as well: for a time, and for somebody with a token."""
        queue = self.site.client("sqs").create_queue(QueueName=named("task"))["QueueUrl"]
        definition, input, queues = self.everything(
            ("Wait", {"Type": "Wait", "Seconds": 5}),
            (
                "Ask",
                {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                    "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
                },
            ),
            ("Grow", {"Type": "Pass", "Parameters": {"text.$": "States.Format('{}{}', $, $)"}}),
        )
        run = self.start(self.machine(definition), input)
        [token] = self.received(queue)
        self.site.invoke(self.site.resources["CallbackFunction"], {"taskToken": token, "output": json.dumps(large())})
        self.assertEqual(self.ended(run), "done")
        self.assertEqual([self.received(queue) for queue in queues], [["own"], ["other"]])

    def test_events_of_status(self):
        """They are on the default bus, from whoever changed the status."""
        events, source, queue = self.site.client("events"), named("status"), self.queue()
        arn = self.site.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
        self.site.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy(allowed)})
        machine = self.machine()
        pattern = {"source": ["stepwell"], "detail": {"stateMachineArn": [machine]}}
        events.put_rule(Name=source, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=source, Targets=[{"Id": "queue", "Arn": arn}])
        self.addCleanup(events.delete_rule, Name=source)
        self.addCleanup(events.remove_targets, Rule=source, Ids=["queue"])
        for client in (self.sfn, self.keyed(), self.site.signed(self.site.url("StartUrl"), "lambda")):
            self.ended(client.start_execution(stateMachineArn=machine)["executionArn"])
        told = [json.loads(body)["detail"]["status"] for body in self.received(queue, count=6)]
        self.assertEqual(sorted(told), ["RUNNING"] * 3 + ["SUCCEEDED"] * 3)
