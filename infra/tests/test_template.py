"""The template against the code that it deploys, and against our own rules for policies.

    cargo xtask infra
"""

import os
import pathlib
import re
import tomllib
import unittest

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = yaml_parse((ROOT / "infra/template.yaml").read_text())
RESOURCES = TEMPLATE["Resources"]
TABLE_RS = (ROOT / "shared/aws/src/table.rs").read_text()
CONFIG_RS = (ROOT / "shared/aws/src/config.rs").read_text().split("#[cfg(test)]")[0]

# Variables that a deployment has no use for.
FOR_TESTS = {"STEPWELL_QUEUE_DELAY_SECONDS_MAX"}

# Statements that may name every resource, with the reason: the action has no resources.
EVERY_RESOURCE = {}


def expanded():
    """The template as CloudFormation sees it."""
    template = yaml_parse((ROOT / "infra/template.yaml").read_text())
    for function in template["Resources"].values():
        if function["Type"] == "AWS::Serverless::Function":
            function["Properties"]["CodeUri"] = "s3://bucket/key"
    parameters = {name: str(about.get("Default", "")) for name, about in template["Parameters"].items()}
    return Translator({}, Parser()).translate(template, parameters)


def functions():
    return {id: it for id, it in RESOURCES.items() if it["Type"] == "AWS::Serverless::Function"}


def alternatives(value):
    """A value that Fn::If chooses, in all its forms."""
    if isinstance(value, dict) and "Fn::If" in value:
        return [it for branch in value["Fn::If"][1:] for it in alternatives(branch)]
    return [] if value == {"Ref": "AWS::NoValue"} else [value]


def several(value):
    return value if isinstance(value, list) else [value]


class Binaries(unittest.TestCase):
    def test_sam_builds_what_the_profile_says(self):
        built = tomllib.loads((ROOT / "functions/.cargo/config.toml").read_text())["profile"]["release"]
        profile = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["lambda"]
        self.assertEqual(profile.pop("inherits"), "release")
        self.assertEqual(built, profile)


class Table(unittest.TestCase):
    def constant(self, name):
        return re.search(rf'pub const {name}: &str = "(\w+)";', TABLE_RS)[1]

    def test_keys_and_indexes_are_those_of_the_code(self):
        table = RESOURCES["Table"]["Properties"]
        keys = lambda one, other: [
            {"AttributeName": one, "KeyType": "HASH"},
            {"AttributeName": other, "KeyType": "RANGE"},
        ]
        partition, sort, listed = map(self.constant, ["PARTITION", "SORT", "LISTED"])
        self.assertEqual(table["KeySchema"], keys(partition, sort))
        projected = re.search(r"pub const PROJECTED: \[&str; \d\] = \[(.*)\];", TABLE_RS)[1]
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": re.findall(r'"(\w+)"', projected)}
        indexes = re.findall(r'Index \{ name: "([\w-]+)", partition: "(\w+)" \}', TABLE_RS)
        expected = [
            {"IndexName": name, "KeySchema": keys(key, listed), "Projection": projection}
            for name, key in indexes
        ]
        self.assertEqual(len(expected), 3)
        self.assertEqual(table["GlobalSecondaryIndexes"], expected)
        attributes = [partition, sort, listed] + [key for _, key in indexes]
        definitions = [{"AttributeName": name, "AttributeType": "S"} for name in attributes]
        self.assertEqual(table["AttributeDefinitions"], definitions)
        self.assertEqual(table["BillingMode"], "PAY_PER_REQUEST")

    def test_what_expires_and_what_is_streamed(self):
        table = RESOURCES["Table"]["Properties"]
        expires = self.constant("EXPIRES")
        self.assertEqual(table["TimeToLiveSpecification"], {"AttributeName": expires, "Enabled": True})
        self.assertEqual(table["StreamSpecification"], {"StreamViewType": self.constant("STREAM")})
        pattern = RESOURCES["TimerFunction"]["Properties"]["Events"]["Expired"]["Properties"]
        pattern = pattern["FilterCriteria"]["Filters"][0]["Pattern"]
        self.assertIn(f'"OldImage": {{"{expires}": ', pattern)


class Environment(unittest.TestCase):
    def test_what_the_code_reads_is_what_the_template_says(self):
        said = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
        for function in functions().values():
            said |= set(function["Properties"].get("Environment", {}).get("Variables", {}))
        read = set(re.findall(r'"(STEPWELL_\w+)"', CONFIG_RS))
        self.assertGreater(len(read), 12)
        self.assertEqual(said, read - FOR_TESTS)

    def test_a_message_is_received_as_often_as_the_functions_are_told(self):
        told = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["STEPWELL_RECEIVES_MAX"]
        queue = RESOURCES["TransitionsQueue"]["Properties"]
        self.assertEqual(str(queue["RedrivePolicy"]["maxReceiveCount"]), told)
        default = re.search(r"RECEIVES_MAX: u32 = (\d+);", CONFIG_RS)[1]
        self.assertEqual(told, default)

    def test_a_message_is_invisible_as_long_as_step_may_take(self):
        timeout = RESOURCES["StepFunction"]["Properties"]["Timeout"]
        self.assertEqual(RESOURCES["TransitionsQueue"]["Properties"]["VisibilityTimeout"], timeout)


class Functions(unittest.TestCase):
    def test_each_is_built_from_its_own_crate(self):
        self.assertEqual(len(functions()), 6)
        for id, function in functions().items():
            folder = (ROOT / "infra" / function["Properties"]["CodeUri"]).resolve()
            package = re.search(r'^name = "(.*)"$', (folder / "Cargo.toml").read_text(), re.M)[1]
            self.assertEqual(function["Metadata"]["BuildMethod"], "rust-cargolambda", id)
            self.assertEqual(function["Metadata"]["BuildProperties"]["Binary"], package, id)

    def test_each_has_a_role_and_a_log_of_its_own(self):
        for id, function in functions().items():
            properties = function["Properties"]
            self.assertEqual(properties["Role"], {"Fn::GetAtt": [f"{id}Role", "Arn"]})
            group = properties["LoggingConfig"]["LogGroup"]["Ref"]
            self.assertEqual(group, id.replace("Function", "LogGroup"))
            self.assertEqual(RESOURCES[group]["Properties"]["RetentionInDays"], {"Ref": "LogRetentionDays"})
            name = properties["FunctionName"]["Fn::Sub"]
            self.assertEqual(RESOURCES[group]["Properties"]["LogGroupName"], {"Fn::Sub": f"/aws/lambda/{name}"})

    def test_those_that_are_known_by_name_have_it(self):
        variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
        own = RESOURCES["ApiFunction"]["Properties"]["Environment"]["Variables"]
        for variable, function in [
            (variables["STEPWELL_TIMER_ARN"], "TimerFunction"),
            (own["STEPWELL_API_ARN"], "ApiFunction"),
        ]:
            name = RESOURCES[function]["Properties"]["FunctionName"]["Fn::Sub"]
            self.assertTrue(variable["Fn::Sub"].endswith(f":function:{name}"))


class Policies(unittest.TestCase):
    def statements(self):
        for id, resource in expanded()["Resources"].items():
            properties = resource.get("Properties", {})
            documents = [it["PolicyDocument"] for it in properties.get("Policies", [])]
            if resource["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
                documents.append(properties["PolicyDocument"])
            for document in documents:
                for statement in document["Statement"]:
                    for chosen in alternatives(statement):
                        yield id, chosen

    def test_every_action_is_named(self):
        count = 0
        for id, statement in self.statements():
            for action in several(statement["Action"]):
                self.assertRegex(action, r"^[a-z0-9-]+:[A-Za-z]+$", id)
                count += 1
        self.assertGreater(count, 40)

    def test_every_statement_names_what_it_is_about(self):
        for id, statement in self.statements():
            self.assertNotIn("NotResource", statement)
            self.assertNotIn("NotAction", statement)
            for resource in several(statement["Resource"]):
                if resource == "*":
                    self.assertIn((id, statement.get("Sid")), EVERY_RESOURCE)

    def test_no_role_is_given_anything_but_by_this_template(self):
        given = {"TaskPolicyArns", "DataPolicy", "TasksPolicy", "KeyPolicy"}
        for id, resource in expanded()["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                for chosen in alternatives(resource["Properties"].get("ManagedPolicyArns", [])):
                    for policy in several(chosen):
                        for arn in alternatives(policy):
                            self.assertIn(arn["Ref"], given, id)


class Contract(unittest.TestCase):
    def test_what_others_rely_on_is_there(self):
        for id in (
            "Table TransitionsQueue DeadLetterQueue LostEventsQueue PayloadBucket ScheduleGroup ScheduleRole StartFunction "
            "StepFunction TimerFunction CallbackFunction ApiFunction HttpApi ApiUrl StartUrl EventRule Macro"
        ).split():
            self.assertIn(id, RESOURCES)

    def test_nobody_calls_unauthenticated_unless_keys_are_issued(self):
        self.assertEqual(RESOURCES["HttpApi"]["Properties"]["Auth"]["DefaultAuthorizer"], "AWS_IAM")
        for id, resource in RESOURCES.items():
            if resource.get("Properties", {}).get("AuthType") == "NONE":
                self.assertEqual((id, resource["Condition"]), ("KeysUrl", "KeysAreIssued"))
            if resource["Type"] == "AWS::Lambda::Permission" and resource["Properties"]["Principal"] == "*":
                self.assertEqual(resource["Condition"], "KeysAreIssued")

    def test_every_parameter_and_output_says_what_it_is(self):
        for name, about in {**TEMPLATE["Parameters"], **TEMPLATE["Outputs"]}.items():
            self.assertIn("Description", about, name)
        groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(TEMPLATE["Parameters"]))


if __name__ == "__main__":
    unittest.main()
