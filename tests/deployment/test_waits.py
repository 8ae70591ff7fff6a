"""Waits that are longer than the queue delays: EventBridge Scheduler, and the function timer."""

import base64
import datetime
import json
import re

from harness import Deployed

UTC = datetime.timezone.utc
CALLED = ("TimerFunction", "StepFunction")


def wait(**how):
    return {"StartAt": "W", "States": {"W": {"Type": "Wait", "End": True, **how}}}


class Schedules(Deployed):
    """On a site whose queue delays by a few seconds at most, so that seconds are as good as days."""

    SITE = "hasty"

    def schedules(self):
        """The schedules that stand, each as it was made."""
        scheduler, group = self.site.client("scheduler"), self.site.resources["ScheduleGroup"]
        names = [found["Name"] for found in scheduler.list_schedules(GroupName=group)["Schedules"]]
        return [scheduler.get_schedule(GroupName=group, Name=name) for name in names]

    def of(self, run):
        """The schedules that wake an execution: their messages name it."""
        return [
            found
            for found in self.schedules()
            if run.encode() in base64.b64decode(json.loads(found["Target"]["Input"])["message"] + "==")
        ]

    def test_a_wait_goes_through_the_scheduler(self):
        before = self.timer_runs()
        run = self.start(self.machine(wait(Seconds=8)))
        self.ended(run)
        entered, left = (self.event(run, f"WaitState{what}")["timestamp"] for what in ("Entered", "Exited"))
        self.assertGreaterEqual(left - entered, datetime.timedelta(seconds=8))
        # Its schedule had the timer function send what woke it, and is gone.
        self.until(lambda runs: runs > before, self.timer_runs)
        self.assertEqual(self.of(run), [])

    def timer_runs(self):
        """How often the function timer was invoked."""
        return sum(line.startswith("START ") for line in self.site.logs(self.site.resources["TimerLogGroup"]))


class LongWaits(Deployed):
    schedules, of = Schedules.schedules, Schedules.of

    def test_a_year(self):
        now = datetime.datetime.now(UTC)
        until = now + datetime.timedelta(days=364, hours=7, minutes=11)
        until = until.replace(microsecond=0)
        run = self.start(self.machine(wait(Timestamp=until.strftime("%Y-%m-%dT%H:%M:%SZ"))))
        [found] = self.until(bool, lambda: self.of(run))
        at = re.fullmatch(r"at\((.*)\)", found["ScheduleExpression"]).group(1)
        ahead = until - datetime.datetime.fromisoformat(at).replace(tzinfo=UTC)
        self.assertTrue(datetime.timedelta(minutes=1) <= ahead <= datetime.timedelta(minutes=14), ahead)
        self.assertEqual(found.get("ScheduleExpressionTimezone", "UTC"), "UTC")
        self.assertEqual(found["FlexibleTimeWindow"], {"Mode": "OFF"})
        self.assertEqual(found["ActionAfterCompletion"], "DELETE")
        self.assertEqual(found["GroupName"], self.site.resources["ScheduleGroup"])
        target, resources = found["Target"], self.site.resources
        self.assertEqual(target["Arn"], self.site.arn("lambda", f"function:{resources['TimerFunction']}"))
        self.assertTrue(target["RoleArn"].endswith(f"role/{resources['ScheduleRole']}"), target["RoleArn"])
        self.assertEqual(json.loads(target["Input"])["due"], int(until.timestamp() * 1000))
        self.assertGreaterEqual(target["RetryPolicy"]["MaximumRetryAttempts"], 100)

        # Stopped, the execution is over; what its schedule sends one day means nothing.
        self.sfn.stop_execution(executionArn=run)
        self.ended(run, "ABORTED")
        before = self.history(run)
        early = {**json.loads(target["Input"]), "due": int(now.timestamp() * 1000)}
        self.site.invoke(resources["TimerFunction"], early)
        self.ended(self.start(self.machine()))
        self.assertEqual(self.history(run), before)

    def test_the_role_of_schedules_may_invoke_the_timer_and_nothing_else(self):
        functions = {name: self.site.arn("lambda", f"function:{self.site.resources[name]}") for name in CALLED}
        actions = ["lambda:InvokeFunction", "sqs:SendMessage"]
        may = {name: self.site.may("ScheduleRole", actions, [arn]) for name, arn in functions.items()}
        self.assertEqual(may, {"TimerFunction": {"lambda:InvokeFunction"}, "StepFunction": set()})
