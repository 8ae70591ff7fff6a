"""The template as `sam build` and `sam deploy` would hand it over: read, its code packed and put into a bucket, deployed."""

import functools
import hashlib
import io
import json
import pathlib
import time
import zipfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra/template.yaml"
SAM = "AWS::Serverless-2016-10-31"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions."""


def _function(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", _function)
# A version such as 2012-10-17 is a text.
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path=TEMPLATE):
    return yaml.load(pathlib.Path(path).read_text(), Loader)


def binary(resource):
    """Which of our functions a resource is: by the name of its binary, as cargo-lambda is told it, or by its folder."""
    properties = (resource.get("Metadata") or {}).get("BuildProperties") or {}
    return properties.get("Binary") or "stepwell-function-" + pathlib.PurePath(resource["Properties"]["CodeUri"]).name


def zipped(files):
    """A package of {name: bytes}, all of them executable. It is not compressed: it goes to this machine alone."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as package:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            package.writestr(entry, content)
    return packed.getvalue()


@functools.cache
def package(binary):
    """The package of a custom runtime, and what it is known by."""
    content = zipped({"bootstrap": pathlib.Path(binary).read_bytes()})
    return content, hashlib.sha256(content).hexdigest()


def folder(path):
    """The files of a function that is a folder of text."""
    path = pathlib.Path(path)
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def unjoined(condition):
    """A condition without Fn::Join: the emulator's conditions do not know it, and its lists are texts there."""
    if isinstance(condition, dict):
        joined = condition.get("Fn::Join")
        return joined[1] if joined else {name: unjoined(member) for name, member in condition.items()}
    return [unjoined(member) for member in condition] if isinstance(condition, list) else condition


class Deployer:
    """Stacks of one account. `clients(service)` gives its clients."""

    def __init__(self, clients, bucket):
        self.clients, self.bucket = clients, bucket
        self.packages = {}
        clients("s3").create_bucket(Bucket=bucket)

    def put(self, content, key=None):
        """Puts an object under the name of its content; gives its key."""
        key = key or hashlib.sha256(content).hexdigest()
        if key not in self.packages:
            self.clients("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
            self.packages[key] = True
        return key

    def package(self, template, binaries):
        """The template with its functions' code where CloudFormation finds it, as `sam package` leaves it."""
        template["Conditions"] = unjoined(template.get("Conditions", {}))
        for name, resource in list(template["Resources"].items()):
            if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
                # The emulator knows no alarms on sums.
                del template["Resources"][name]
            if resource["Type"] == "AWS::Serverless::Function":
                key = self.put(*package(pathlib.Path(binaries) / binary(resource)))
                resource["Properties"]["CodeUri"] = f"s3://{self.bucket}/{key}"
                resource.pop("Metadata", None)
        return template

    def deploy(self, name, template, parameters=(), patience=120):
        """Creates a stack, or updates it; gives its outputs once it stands."""
        cloudformation = self.clients("cloudformation")
        key = self.put(json.dumps(template).encode())
        location = f"{self.clients('s3').meta.endpoint_url}/{self.bucket}/{key}"
        stacks = [stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]]
        operate = cloudformation.update_stack if name in stacks else cloudformation.create_stack
        operate(
            StackName=name,
            TemplateURL=location,
            Capabilities=CAPABILITIES,
            Parameters=[{"ParameterKey": k, "ParameterValue": str(v)} for k, v in dict(parameters).items()],
        )
        give_up = time.monotonic() + patience
        while True:
            stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            status = stack["StackStatus"]
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
            if not status.endswith("_IN_PROGRESS") or time.monotonic() > give_up:
                raise RuntimeError(f"{name}: {status}: {stack.get('StackStatusReason')}\n{self.failures(name)}")
            time.sleep(0.1)

    def failures(self, name):
        """What of a stack failed, one line each."""
        events = self.clients("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        failed = [event for event in events if event.get("ResourceStatusReason")]
        return "\n".join(f"{e['LogicalResourceId']}: {e['ResourceStatusReason']}" for e in reversed(failed))
