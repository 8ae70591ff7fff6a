"""Each example of the repository, deployed: its functions in Lambda, its definition as it is, the same output as on one machine."""

import json
import os
import pathlib
import subprocess
import tomllib

import stack
from botocore.exceptions import ClientError
from harness import Deployed

EXAMPLES = stack.ROOT / "examples"


class Examples(Deployed):
    def functions(self, project, **environment):
        """Creates the functions of a project as its stepwell.toml names them."""
        for name, function in project["functions"].items():
            try:
                self.site.function(
                    name,
                    stack.folder(self.folder / function["code"]),
                    function["runtime"],
                    function["handler"],
                    Timeout=function.get("timeout", 10),
                    Environment={"Variables": environment},
                )
            except ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "ResourceConflictException")

    def run_example(self, name, input=None, **environment):
        """Runs an example here; gives its output."""
        self.folder = EXAMPLES / name
        project = tomllib.loads((self.folder / "stepwell.toml").read_text())
        self.functions(project, **environment)
        [(machine, settings)] = project["state_machines"].items()
        arn = self.machine((self.folder / settings["definition"]).read_text(), name=f"{machine}-{input or 'usual'}"[:80])
        file = self.folder / (f"{input}.json" if input else settings["input"])
        return self.ended(self.start(arn, json.loads(file.read_text())))

    def run_locally(self, name, input=None):
        """What `stepwell run` prints for the same."""
        command = [os.environ["STEPWELL"], "run", EXAMPLES / name]
        if input:
            command += ["--input", EXAMPLES / name / f"{input}.json"]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=stack.ROOT).stdout)

    def test_order_processing(self):
        for input in (None, "out-of-stock", "declined"):
            with self.subTest(input):
                self.assertEqual(
                    self.run_example("order-processing", input), self.run_locally("order-processing", input)
                )

    def test_job_poller(self):
        self.assertEqual(self.run_example("job-poller"), self.run_locally("job-poller"))

    def test_card_payment(self):
        dynamodb, sns, sqs = (self.site.client(service) for service in ("dynamodb", "sns", "sqs"))
        dynamodb.create_table(
            TableName="TransactionHistory",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "transactionId", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "transactionId", "KeyType": "HASH"}],
        )
        topic = sns.create_topic(Name="CardPayments")["TopicArn"]
        news = self.queue()
        arn = sqs.get_queue_attributes(QueueUrl=news, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        sqs.set_queue_attributes(
            QueueUrl=news,
            Attributes={
                "Policy": json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "sns.amazonaws.com"},
                                "Action": "sqs:SendMessage",
                                "Resource": arn,
                            }
                        ],
                    }
                )
            },
        )
        output, locally = self.run_example("card-payment"), self.run_locally("card-payment")
        # Locally DynamoDB and SNS are mocks; what a topic calls a message is its own.
        self.assertTrue(output.pop("messageId"))
        locally.pop("messageId")
        self.assertEqual(output, locally)
        [item] = dynamodb.scan(TableName="TransactionHistory")["Items"]
        self.assertEqual((item["amount"], item["currency"]), ({"N": "4900"}, {"S": "EUR"}))
        [message] = self.received(news)
        self.assertEqual(json.loads(message), {"transactionId": "t-1", "reference": output["reference"]})

    def test_approval(self):
        """Its function answers by itself, and knows nothing of signatures: it needs somebody who signs."""
        endpoint = proxy(self)
        self.assertEqual(self.run_example("approval", AWS_ENDPOINT_URL_SFN=endpoint), self.run_locally("approval"))


def proxy(test):
    """Somebody who signs on this machine: gives where."""
    import recorded

    return recorded.forwarder(test.site)


assert pathlib.Path(EXAMPLES).is_dir()
