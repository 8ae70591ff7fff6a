"""Who may do what: the emulator obeys policies, so each function works with its own role or not at all."""


from harness import Deployed, named, policy, task


class Callers(Deployed):
    def user(self, *statements, attached=()):
        """The site as a fresh user of the account sees it."""
        iam, name = self.site.client("iam"), named("user")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy(*statements))
        for arn in attached:
            iam.attach_user_policy(UserName=name, PolicyArn=arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.site.seen_by(key["AccessKeyId"], key["SecretAccessKey"])

    def api_is_refused(self, sfn):
        with self.assertRaises(Exception) as caught:
            sfn.list_state_machines()
        code = caught.exception.response["Error"]["Code"]
        self.assertIn(code, ("AccessDeniedException", "InvalidSignatureException"))

    def test_nobody(self):
        self.api_is_refused(self.user().sfn)

    def test_a_wrong_secret(self):
        user = self.user(attached=[self.site.outputs["CallersPolicyArn"]])
        key, secret, _ = user.key
        self.api_is_refused(self.site.seen_by(key, secret[::-1]).sfn)
        user.sfn.list_state_machines()

    def test_the_policy_of_callers_is_enough(self):
        user = self.user(attached=[self.site.outputs["CallersPolicyArn"]])
        machine = self.machine()
        for sfn in (user.sfn, user.signed(user.url("ApiUrl"), "lambda"), user.signed(user.url("StartUrl"), "lambda")):
            run = sfn.start_execution(stateMachineArn=machine)["executionArn"]
            self.ended(run)
        invoked = user.invoke(self.site.resources["StartFunction"], {"stateMachineArn": machine})
        self.ended(invoked["executionArn"])
        with self.assertRaisesRegex(AssertionError, "InvalidToken"):
            user.invoke(self.site.resources["CallbackFunction"], {"taskToken": "nothing", "output": "{}"})
        # What is behind the API is not theirs.
        self.refused("AccessDeniedException", user.client("dynamodb").scan, TableName=self.site.resources["Table"])

    def test_one_route_alone(self):
        api = self.site.resources["HttpApi"]
        user = self.user(
            {
                "Effect": "Allow",
                "Action": "execute-api:Invoke",
                "Resource": self.site.arn("execute-api", f"{api}/*/POST/StartExecution"),
            }
        )
        start = user.signed(f"{user.api}/StartExecution", "execute-api")
        self.ended(start.start_execution(stateMachineArn=self.machine())["executionArn"])
        self.api_is_refused(user.sfn)


class Roles(Deployed):
    def function_of(self):
        return self.site.function(named("echo"), "def handler(event, context): return event")

    def refused_task(self, **members):
        """Runs a task whose role may not; gives how it failed."""
        machine = self.machine(task(self.function_of()), **members)
        return self.ended(self.start(machine, {"n": 1}), "FAILED")

    def test_a_machine_calls_with_its_own_role(self):
        role = self.site.make_role(named("powerless"), [])
        found = self.refused_task(roleArn=role)
        self.assertIn("lambda:InvokeFunction", found["cause"])

    def test_a_role_that_does_not_trust_stepwell(self):
        allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
        role = self.site.make_role(named("stranger"), [allowed], trusted="999999999999")
        found = self.refused_task(roleArn=role)
        self.assertIn("AssumeRole", found["cause"])

    def test_a_role_that_is_not_for_stepwell(self):
        """Without its tag a role is nothing that Stepwell's functions may assume (AssumableRolesAreTagged)."""
        allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
        role = self.site.make_role(named("untagged"), [allowed], tags=())
        found = self.refused_task(roleArn=role)
        self.assertIn("AssumeRole", found["cause"])

    def test_a_task_with_credentials_of_its_own(self):
        allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
        role = self.site.make_role(named("for-the-task"), [allowed])
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
        powerless = self.site.make_role(named("powerless"), [assume])
        machine = self.machine(task(self.function_of(), Credentials={"RoleArn": role}), roleArn=powerless)
        self.assertEqual(self.ended(self.start(machine, {"n": 1})), {"n": 1})

    def test_no_function_may_more_than_it_needs(self):
        """Each function's role against the actions that would harm most, and those of its neighbours."""
        resources = self.site.resources
        actions = [
            "dynamodb:DeleteTable",
            "dynamodb:Scan",
            "iam:PassRole",
            "lambda:InvokeFunction",
            "s3:DeleteObject",
            "scheduler:CreateSchedule",
            "sqs:PurgeQueue",
            "sqs:ReceiveMessage",
        ]
        allowed = {
            "StepFunctionRole": {"sqs:ReceiveMessage", "s3:DeleteObject"},
            "StartFunctionRole": {"s3:DeleteObject"},
            "CallbackFunctionRole": {"s3:DeleteObject"},
            "ApiFunctionRole": {"s3:DeleteObject"},
            "TimerFunctionRole": {"s3:DeleteObject"},
        }
        on = [
            self.site.arn("dynamodb", f"table/{resources['Table']}"),
            self.site.arn("sqs", resources["TransitionsQueue"].rsplit("/")[-1]),
            self.site.arn("lambda", "function:anything"),
            f"arn:aws:s3:::{resources['PayloadBucket']}/runs/anything",
            self.site.arn("scheduler", "schedule/default/anything"),
            self.site.arn("iam", "role/anything"),
        ]
        for role, expected in allowed.items():
            with self.subTest(role):
                self.assertEqual(self.site.may(role, actions, on), expected)
