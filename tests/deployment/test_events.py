"""Executions that something else than a call of the API starts: events, direct invocations, a Function URL, a REST route."""

import json
import uuid

from harness import Deployed, named


class Events(Deployed):
    def runs(self, machine):
        return self.sfn.list_executions(stateMachineArn=machine)["executions"]

    def rule(self, machine, source):
        """A rule that starts a machine for each event of a source."""
        events, name = self.site.client("events"), named("rule")
        function = self.site.arn("lambda", f"function:{self.site.resources['StartFunction']}")
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))
        transformer = {
            "InputPathsMap": {"event": "$"},
            "InputTemplate": json.dumps({"stateMachineArn": machine, "event": "<event>"}).replace('"<event>"', "<event>"),
        }
        events.put_targets(Rule=name, Targets=[{"Id": "start", "Arn": function, "InputTransformer": transformer}])
        self.site.client("lambda").add_permission(
            FunctionName=function,
            StatementId=name,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=self.site.arn("events", f"rule/{name}"),
        )
        self.addCleanup(events.delete_rule, Name=name)
        self.addCleanup(events.remove_targets, Rule=name, Ids=["start"])

    def test_an_event_starts_an_execution_that_its_id_names(self):
        machine, source = self.machine(), named("shop")
        self.rule(machine, source)
        sent = self.site.client("events").put_events(
            Entries=[{"Source": source, "DetailType": "order", "Detail": '{"order": 1}'}]
        )["Entries"][0]
        [run] = self.until(bool, lambda: self.runs(machine))
        self.assertEqual(run["name"], sent["EventId"])
        self.assertEqual(self.ended(run["executionArn"])["detail"], {"order": 1})

    def test_the_rule_of_the_template(self):
        """The parameter EventStateMachineArn names the machine, which may be made later."""
        machine = self.machine(name="Started")
        sent = self.site.client("events").put_events(
            Entries=[{"Source": "stepwell.start", "DetailType": "any", "Detail": '{"by": "rule"}'}]
        )["Entries"][0]
        [run] = self.until(bool, lambda: self.runs(machine))
        self.assertEqual(run["name"], sent["EventId"])
        self.assertEqual(self.ended(run["executionArn"])["detail"], {"by": "rule"})

    def test_an_event_that_is_delivered_twice_starts_once(self):
        machine = self.machine()
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "source": "shop",
            "detail-type": "order",
            "account": self.site.account,
            "time": "2026-01-01T00:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {"order": 2},
        }
        for _ in range(2):
            self.site.invoke(self.site.resources["StartFunction"], {"stateMachineArn": machine, "event": event})
        [run] = self.until(bool, lambda: self.runs(machine))
        self.assertEqual(run["name"], event["id"])
        self.ended(run["executionArn"])
        self.site.invoke(self.site.resources["StartFunction"], {"stateMachineArn": machine, "event": event})
        self.assertEqual(len(self.runs(machine)), 1)


    def test_an_event_that_nobody_can_take_in_is_kept(self):
        queue = self.site.resources["LostEventsQueue"]
        for function in ("StartFunction", "CallbackFunction"):
            lost = {"event": named("lost")}
            self.site.invoke(self.site.resources[function], {**lost, "taskToken": None}, InvocationType="Event")
            [told] = self.until(
                bool,
                lambda: [body for body in self.received(queue) if lost["event"] in body],
            )
            self.assertEqual(json.loads(told)["requestPayload"], {**lost, "taskToken": None})


class Invocations(Deployed):
    def test_the_start_function_itself(self):
        machine, name = self.machine(), named("direct")
        started = self.site.invoke(
            self.site.resources["StartFunction"], {"stateMachineArn": machine, "name": name, "input": {"n": 1}}
        )
        self.assertTrue(started["executionArn"].endswith(f":{name}"))
        self.assertEqual(self.ended(started["executionArn"]), {"n": 1})

    def test_a_function_url(self):
        for output in ("ApiUrl", "StartUrl"):
            with self.subTest(output):
                client = self.site.signed(self.site.url(output), "lambda")
                machine = self.machine()
                run = client.start_execution(stateMachineArn=machine, input='{"by": "url"}')["executionArn"]
                self.assertEqual(self.ended(run), {"by": "url"})

    def test_a_route_of_a_rest_api(self):
        """The event of a Lambda proxy integration (version 1.0), its body as AWS's own integration has it."""
        machine = self.machine()
        body = {"stateMachineArn": machine, "input": json.dumps({"by": "route"})}
        answer = self.site.invoke(
            self.site.resources["StartFunction"],
            {
                "version": "1.0",
                "resource": "/orders",
                "path": "/orders",
                "httpMethod": "POST",
                "headers": {"Content-Type": "application/json"},
                "multiValueHeaders": {"Content-Type": ["application/json"]},
                "requestContext": {"accountId": self.site.account, "apiId": "a", "stage": "p", "httpMethod": "POST"},
                "body": json.dumps(body),
                "isBase64Encoded": False,
            },
        )
        self.assertEqual(answer["statusCode"], 200, answer)
        self.assertEqual(self.ended(json.loads(answer["body"])["executionArn"]), {"by": "route"})
