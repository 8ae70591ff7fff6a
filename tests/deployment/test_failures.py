"""Functions that die while they work. On a stack of its own, since they are killed."""

from harness import Deployed, named, task


class Deaths(Deployed):
    SITE = "alone"

    def slow(self, queue):
        """A function that tells a queue when it is called, and answers once the queue `go` says so."""
        go = self.queue()
        code = f"""
import boto3, os
sqs = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1",
                   aws_access_key_id="{self.site.account}", aws_secret_access_key="test", aws_session_token=None)

def handler(event, context):
    sqs.send_message(QueueUrl="{queue}", MessageBody=str(event))
    for _ in range(10):
        if sqs.receive_message(QueueUrl="{go}", WaitTimeSeconds=2).get("Messages"):
            return {{"went": True}}
    return {{"went": False}}
"""
        return self.site.function(named("slow"), code, Timeout=60), go

    def killed_while_calling(self, **members):
        """Starts an execution whose function is called, kills `step`; gives the execution, and where calls are told."""
        calls = self.queue()
        function, go = self.slow(calls)
        run = self.start(self.machine(task(function, **members)), {"n": 1})
        self.received(calls)
        self.kill("StepFunction")
        return run, calls, go

    def test_step_dies_while_a_task_is_called(self):
        run, _, _ = self.killed_while_calling()
        found = self.ended(run, "FAILED", patience=150)
        self.assertEqual(found["error"], "Lambda.Unknown")

    def test_what_a_dead_step_left_is_retried(self):
        run, calls, go = self.killed_while_calling(
            Retry=[{"ErrorEquals": ["Lambda.Unknown"], "IntervalSeconds": 1, "MaxAttempts": 2}]
        )
        self.received(calls, patience=150)
        for _ in range(2):
            self.site.client("sqs").send_message(QueueUrl=go, MessageBody="go")
        self.assertEqual(self.ended(run), {"went": True})
