"""Messages that nobody can use, and executions that nobody can drive on. On a stack of its own: functions are killed."""

from harness import PASS, Deployed


class Poison(Deployed):
    SITE = "spoiled"

    def test_a_poison_message_goes_to_the_dead_letter_queue(self):
        sqs, resources = self.site.client("sqs"), self.site.resources
        sqs.send_message(QueueUrl=resources["TransitionsQueue"], MessageBody="no message of ours")
        [found] = self.received(resources["DeadLetterQueue"])
        self.assertEqual(found, "no message of ours")
        # Meanwhile, and after, others are driven.
        self.assertEqual(self.ended(self.start(self.machine(PASS), {"n": 1})), {"n": 1})

    def test_an_execution_that_cannot_go_on_is_parked(self):
        """A page of its journal is damaged while it waits: nobody can drive it on, and somebody must be told."""
        dynamodb, table = self.site.client("dynamodb"), self.site.resources["Table"]
        run = self.start(self.machine({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 6, "End": True}}}))

        def items(kind):
            found = dynamodb.query(
                TableName=table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :run and begins_with(sk, :kind)",
                ExpressionAttributeValues={":run": {"S": run}, ":kind": {"S": kind}},
            )
            return found["Items"]

        [page] = self.until(bool, lambda: items("PAGE#"))
        [body] = [name for name, value in page.items() if "B" in value]
        self.until(lambda waits: waits, self.all_wait)
        dynamodb.put_item(TableName=table, Item={**page, body: {"B": b"\xff" * 40}})
        # Whoever has driven it would remember.
        self.kill("StepFunction")
        [meta] = self.until(lambda found: "parked" in found[0], lambda: items("META"))
        self.assertIn("page 1: its checksum", meta["parked"]["M"]["why"]["S"])
        self.assertEqual(self.sfn.describe_execution(executionArn=run)["status"], "RUNNING")
        found = self.received(self.site.resources["DeadLetterQueue"], patience=300)
        self.assertEqual(len(found), 1)

    def all_wait(self):
        """Whether no message of the queue is being worked on, and one waits for its time."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        found = self.site.client("sqs").get_queue_attributes(
            QueueUrl=self.site.resources["TransitionsQueue"], AttributeNames=names
        )["Attributes"]
        return [found[name] for name in names] == ["0", "0", "1"]
