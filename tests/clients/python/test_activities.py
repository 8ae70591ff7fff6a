"""Activities and their workers."""

import concurrent.futures
import json
import threading

from botocore.exceptions import ReadTimeoutError
from harness import Site, client, named, needs

ALL = ("CreateActivity", "DescribeActivity", "ListActivities", "DeleteActivity", "GetActivityTask")
WORKERS, TASKS = 20, 60


@needs(*ALL)
class Activities(Site):
    def activity(self, **members):
        arn = self.sfn.create_activity(**{"name": named("activity"), **members})["activityArn"]
        self.addCleanup(self.sfn.delete_activity, activityArn=arn)
        return arn

    def asking(self, activity, **fields):
        """A machine with a task for workers."""
        task = {"Type": "Task", "Resource": activity, "End": True, **fields}
        return self.machine({"StartAt": "Work", "States": {"Work": task}})

    def test_an_activity_is_described_as_it_was_created(self):
        name = named("described")
        arn = self.activity(name=name, tags=[{"key": "team", "value": "x"}])
        again = self.sfn.create_activity(name=name)
        self.assertEqual(again["activityArn"], arn)
        found = self.sfn.describe_activity(activityArn=arn)
        self.assertEqual((found["name"], found["activityArn"]), (name, arn))
        self.assertEqual(found["creationDate"], again["creationDate"])
        self.assertEqual(self.sfn.list_tags_for_resource(resourceArn=arn)["tags"], [{"key": "team", "value": "x"}])

    def test_a_listing_comes_in_pages(self):
        mine = {self.activity() for _ in range(5)}
        pages = list(self.sfn.get_paginator("list_activities").paginate(PaginationConfig={"PageSize": 2}))
        self.assertTrue(all(len(page["activities"]) <= 2 for page in pages))
        self.assertLessEqual(mine, {item["activityArn"] for page in pages for item in page["activities"]})

    def test_errors_by_class(self):
        errors = self.sfn.exceptions
        gone = self.activity() + "x"
        self.refused(errors.ActivityDoesNotExist, self.sfn.describe_activity, activityArn=gone)
        self.refused(errors.ActivityDoesNotExist, self.sfn.get_activity_task, activityArn=gone)
        self.refused(errors.InvalidArn, self.sfn.describe_activity, activityArn="nothing")
        self.refused(errors.InvalidName, self.sfn.create_activity, name="a b")
        self.sfn.delete_activity(activityArn=gone)

    def test_a_worker_does_a_task(self):
        activity = self.activity()
        execution = self.start(self.asking(activity, HeartbeatSeconds=60), input='{"a": 1}')
        task = self.sfn.get_activity_task(activityArn=activity, workerName="me")
        self.assertEqual(json.loads(task["input"]), {"a": 1})
        self.sfn.send_task_heartbeat(taskToken=task["taskToken"])
        self.sfn.send_task_success(taskToken=task["taskToken"], output='"done"')
        self.assertEqual(self.ended(execution)["output"], '"done"')
        events = self.sfn.get_execution_history(executionArn=execution)["events"]
        started = next(event for event in events if event["type"] == "ActivityStarted")
        self.assertEqual(started["activityStartedEventDetails"]["workerName"], "me")

    def test_a_worker_fails_a_task(self):
        activity = self.activity()
        execution = self.start(self.asking(activity))
        task = self.sfn.get_activity_task(activityArn=activity)
        self.sfn.send_task_failure(taskToken=task["taskToken"], error="Tired", cause="it is late")
        found = self.ended(execution)
        self.assertEqual((found["status"], found["error"], found["cause"]), ("FAILED", "Tired", "it is late"))

    def test_a_worker_that_waits_gets_the_task_when_it_comes(self):
        activity = self.activity()
        machine = self.asking(activity)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client().get_activity_task, activityArn=activity)
            execution = self.start(machine, input="7")
            task = waiting.result(60)
        self.assertEqual(task["input"], "7")
        self.sfn.send_task_success(taskToken=task["taskToken"], output="8")
        self.assertEqual(self.ended(execution)["output"], "8")

    def test_a_worker_that_hangs_up_takes_no_task_with_it(self):
        activity = self.activity()
        machine = self.asking(activity)
        with self.assertRaises(ReadTimeoutError):
            client(read_timeout=0.3).get_activity_task(activityArn=activity)
        execution = self.start(machine, input="7")
        task = client(read_timeout=20).get_activity_task(activityArn=activity)
        self.sfn.send_task_success(taskToken=task["taskToken"], output="8")
        self.assertEqual(self.ended(execution)["output"], "8")

    def test_many_workers_do_each_task_once(self):
        activity = self.activity()
        machine = self.asking(activity)
        done, lock = {}, threading.Lock()

        def work(number):
            mine = client(read_timeout=90)
            while True:
                task = mine.get_activity_task(activityArn=activity, workerName=f"worker-{number}")
                if not task.get("taskToken"):
                    continue
                what = json.loads(task["input"])
                mine.send_task_success(taskToken=task["taskToken"], output=str(number))
                if what == "stop":
                    return
                with lock:
                    done[what] = done.get(what, 0) + 1

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            workers = [pool.submit(work, number) for number in range(WORKERS)]
            runs = [self.start(machine, input=str(number)) for number in range(TASKS)]
            for run in runs:
                self.assertEqual(self.ended(run)["status"], "SUCCEEDED")
            for _ in workers:
                self.start(machine, input='"stop"')
            for worker in workers:
                worker.result(90)
        self.assertEqual(done, {number: 1 for number in range(TASKS)})
