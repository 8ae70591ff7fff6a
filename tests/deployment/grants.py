"""What the roles of the template may (`infra/tests/permissions.txt`) against what they asked for in the tests (`decisions.py`).

Each permission is one without which a test fails: it was used, and nothing else would have allowed what it was used for. Those that
no test uses stand in `unused-permissions.txt`, each with its reason. Nothing was denied but what `expected-denials.txt` says.
"""

import collections
import functools
import json
import pathlib
import re

import stack

HERE = pathlib.Path(__file__).resolve().parent
TABLE = stack.ROOT / "infra/tests/permissions.txt"
UNUSED = HERE / "unused-permissions.txt"
DENIALS = HERE / "expected-denials.txt"
OWN = "(the operator's own)"
REGION = "us-east-1"

# The ARN of a resource by what CloudFormation calls it, where that is a name or a URL.
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
}


def lines(path):
    """A list of ours: its lines as columns, each with what is said of it."""
    for line in path.read_text().splitlines():
        entry, _, reason = line.partition(" # ")
        if entry.strip() and not entry.startswith("#"):
            yield tuple(column.strip() for column in entry.split("|")), reason.strip()


def shown(columns):
    return " | ".join(columns)


def holds(condition, parameters, conditions):
    """Whether a condition of the template holds."""
    ((function, given),) = condition.items()
    if function == "Condition":
        return holds(conditions[given], parameters, conditions)
    if function == "Fn::Not":
        return not holds(given[0], parameters, conditions)
    assert function == "Fn::Equals", function
    one, other = (value(it, parameters) for it in given)
    return one == other


def value(expression, parameters):
    if isinstance(expression, dict):
        ((function, given),) = expression.items()
        # A list is its text here, which is empty where the list is.
        return parameters[given] if function == "Ref" else value(given[1], parameters)
    return expression


class Deployed:
    """The table's lines that are in force at a site, with the ARNs that they mean there."""

    def __init__(self, site):
        self.site, self.template = site, stack.read()
        described = site.client("cloudformation").describe_stacks(StackName=site.name)["Stacks"][0]
        given = {it["ParameterKey"]: it["ParameterValue"] for it in described.get("Parameters", [])}
        defaults = {name: str(it.get("Default", "")) for name, it in self.template["Parameters"].items()}
        self.parameters = {**defaults, **given}
        self.resources = {
            it["LogicalResourceId"]: it
            for it in site.client("cloudformation").describe_stack_resources(StackName=site.name)["StackResources"]
        }
        self.roles = {site.resources[id]: id for id, it in self.resources.items() if it["ResourceType"] == "AWS::IAM::Role"}
        self.lines = {line: self.meant(line[2]) for line, _ in lines(TABLE) if self.in_force(line)}

    def in_force(self, line):
        conditions = self.template["Conditions"]
        wanted = re.findall(r"\[(not )?(\w+)\]", line[3] if len(line) > 3 else "")
        return all(holds(conditions[name], self.parameters, conditions) != bool(no) for no, name in wanted)

    def meant(self, resource):
        """The ARNs, with wildcards, of a resource as the table writes it."""
        return re.sub(r"\$\{([\w:.]+)\}", lambda found: self.named(found[1]), resource).split(",")

    def named(self, name):
        fixed = {
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::AccountId": self.site.account,
            "AWS::StackName": self.site.name,
            **self.parameters,
        }
        if name in fixed:
            return fixed[name]
        id, _, attribute = name.partition(".")
        found = self.resources[id]
        if not attribute:
            return found["PhysicalResourceId"]
        name = found["PhysicalResourceId"].rsplit("/")[-1] if "SQS" in found["ResourceType"] else found["PhysicalResourceId"]
        return ARNS[found["ResourceType"]].format(region=REGION, account=self.site.account, name=name)

    def principal(self, arn):
        """Whose permissions a principal of the emulator has: a role of ours, or callers; none if it is a test's."""
        kind, name = arn.split(":")[5].split("/")[:2]
        if kind == "assumed-role":
            return self.roles.get(name)
        return "CallersPolicy" if kind == "user" and self.is_caller(name) else None

    @functools.cache
    def is_caller(self, user):
        attached = self.site.client("iam").list_attached_user_policies(UserName=user)["AttachedPolicies"]
        return self.site.outputs["CallersPolicyArn"] in [policy["PolicyArn"] for policy in attached]

    def allowing(self, role, action, resource):
        """The lines that allow something."""
        return [
            line
            for line, patterns in self.lines.items()
            if line[:2] == (role, action) and any(matches(pattern, resource) for pattern in patterns)
        ]


def matches(pattern, text):
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


class Found:
    """What the decisions of a run say."""

    def __init__(self, sites, decisions):
        self.used = collections.Counter()
        self.denied = collections.Counter()
        self.wrong = []
        deployed = {site.account: Deployed(site) for site in sites}
        for who, action, resource, how in map(json.loads, decisions.read_text().splitlines()):
            at = deployed.get(who.split(":")[4])
            role = at and at.principal(who)
            if role:
                self.take(at, role, action, resource, how)

    def take(self, at, role, action, resource, how):
        if how == "denied":
            if role != "CallersPolicy":
                self.denied[role, action, resource, at] += 1
            return
        if how == "elsewhere":
            return
        allowing = at.allowing(role, action, resource)
        own = [line for line in at.lines if line[:2] == (role, OWN)]
        if len(allowing) > 1:
            self.wrong.append(f"allowed twice, so that neither is needed: {[shown(it) for it in allowing]} ({resource})")
        for line in allowing or own:
            self.used[line] += 1
        if not allowing and not own:
            self.wrong.append(f"allowed by what is not in the table: {role} | {action} | {resource}")


def denials(found):
    """Those that nobody expects, in a line each; and the entries of the list of expected ones that were seen."""
    seen, wrong = set(), []
    for role, action, resource, at in found.denied:
        entries = [
            entry
            for entry, _ in lines(DENIALS)
            if entry[:2] == (role, action) and any(matches(pattern, resource) for pattern in at.meant(entry[2]))
        ]
        seen.update(entries)
        if not entries:
            wrong.append(f"denied: {role} | {action} | {resource}")
    return sorted(set(wrong)), seen


def unexpected(sites, decisions):
    """What roles were denied, in a line each, that is not expected."""
    return denials(Found(sites, decisions))[0] if decisions.exists() else []


def judge(sites, decisions):
    """What is wrong after all tests, in a line each; and in a line what was held against each other."""
    found, granted = Found(sites, decisions), {line for line, _ in lines(TABLE)}
    listed = dict(lines(UNUSED))
    denied, seen = denials(found)
    wrong = found.wrong + denied
    wrong += [f"denied to nobody, and expected ({DENIALS.name}): {shown(it)}" for it, _ in lines(DENIALS) if it not in seen]
    unused = granted - set(found.used)
    wrong += [f"granted, and no test needs it: {shown(it)}" for it in sorted(unused - set(listed))]
    wrong += [f"used, so that it need not stand in {UNUSED.name}: {shown(it)}" for it in sorted(set(listed) - unused)]
    wrong += [f"without a reason in {UNUSED.name}: {shown(it)}" for it, reason in listed.items() if not reason]
    said = f"permissions: {len(granted)} granted, {len(granted - unused)} needed, {len(unused)} with a reason why not"
    return wrong, said


# -- Without one of them -----------------------------------------------------------------------------


def text(value):
    """A resource as the table writes it."""
    if isinstance(value, dict):
        ((function, given),) = value.items()
        return {"Ref": "${%s}", "Fn::GetAtt": "${%s}", "Fn::Sub": "%s"}[function] % (
            ".".join(given) if isinstance(given, list) else given
        )
    return value


def several(value):
    return value if isinstance(value, list) else [value]


def reduced(document, action, resource):
    """A policy without a permission, its statements of one resource each; none where it has no such permission."""
    left = []
    for statement in document["Statement"]:
        condition, one, none = statement.get("Fn::If", (None, statement, None))
        for each in several(one["Resource"]):
            actions = [it for it in several(one["Action"]) if (it, text(each)) != (action, resource)]
            # A Sid is one statement's.
            less = {**{k: v for k, v in one.items() if k != "Sid"}, "Action": actions, "Resource": each}
            left += [{"Fn::If": [condition, less, none]} if condition else less] * bool(actions)
    count = lambda statements: sum(
        len(several(it["Action"])) * len(several(it["Resource"]))
        for it in (it.get("Fn::If", (None, it))[1] for it in statements)
    )
    return {**document, "Statement": left} if count(left) < count(document["Statement"]) else None


def withdraw(template, line):
    """Takes a permission of the table, `ROLE | ACTION | RESOURCE`, out of a template."""
    role, action, resource = [column.strip() for column in line.split("|")][:3]
    resources = template["Resources"]
    properties, own = resources[role]["Properties"], {"Ref": role}
    for holder in [properties, *properties.get("Policies", [])]:
        less = "PolicyDocument" in holder and reduced(holder["PolicyDocument"], action, resource)
        if less:
            holder["PolicyDocument"] = less
            return
    for id, policy in resources.items():
        if policy["Type"] != "AWS::IAM::ManagedPolicy":
            continue
        roles = policy["Properties"].get("Roles", [])
        shared = [it for it in roles if own in (it, it.get("Fn::If", [0, 0])[1])]
        less = shared and reduced(policy["Properties"]["PolicyDocument"], action, resource)
        if less:
            # What it has with others it gets by itself, and less.
            inline = {"PolicyName": id, "PolicyDocument": less}
            if "Condition" in policy:
                inline = {"Fn::If": [policy["Condition"], inline, {"Ref": "AWS::NoValue"}]}
            properties["Policies"].append(inline)
            roles.remove(shared[0])
            return
    raise ValueError(f"the template has no permission {line}")
