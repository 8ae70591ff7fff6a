"""What the roles of functions and schedules ask for, and whether they may: noted down for `grants.py`.

Ministack decides on each request that a function sends. What AWS's services do in a role's name without a request of its own
is decided here, by the same evaluator and with AWS's outcome where a role may not:

- a function's log lines (`logs:CreateLogStream`, `logs:PutLogEvents`) are dropped;
- an event source mapping, or a destination of asynchronous invocations, is not made; nothing goes to such a destination;
- CreateSchedule needs `iam:PassRole`, and a schedule fires only where its role trusts Scheduler and may invoke its target;
- queues under a key of the operator's need `kms:Decrypt` and `kms:GenerateDataKey`;
- a Function URL needs `lambda:InvokeFunction` beside `lambda:InvokeFunctionUrl`.

Each decision is a line of JSON in the file STEPWELL_DECISIONS, once: who, what, on what, and whether it was allowed.
"""

import contextvars
import dataclasses
import json
import os
import threading

import ministack.core.iam_evaluator as evaluator
import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.eventbridge as eventbridge
import ministack.services.iam as iam
import ministack.services.lambda_svc as functions
import ministack.services.scheduler as scheduler
import ministack.services.sqs as sqs
from ministack.core.responses import error_response_json, get_region

SCHEDULER = "scheduler.amazonaws.com"

_file = os.environ.get("STEPWELL_DECISIONS")
_noted, _lock = set(), threading.Lock()
# What the evaluator was asked first about one action of a request: the context, the policies, and what they say.
_asked = contextvars.ContextVar("asked", default=None)


def note(context, how):
    """Writes down that a principal was `allowed` or `denied`, or allowed `elsewhere`: by what is no policy of its own."""
    line = json.dumps([context.principal_arn, context.action, context.resource_arn, how])
    with _lock:
        if _file and line not in _noted:
            _noted.add(line)
            with open(_file, "a") as file:
                file.write(line + "\n")


# -- Requests --------------------------------------------------------------------------------------


def evaluated(context, policies, *limits, evaluate=evaluator.evaluate):
    result = evaluate(context, policies, *limits)
    # The policies of who asks come first; those of what is asked for may come after.
    if _asked.get() == ():
        _asked.set((context, policies, result.decision))
    return result


def enforced(*given, enforce=evaluator.enforce, **more):
    """Decides on one action of a request, and notes how: `None` is leave to go on."""
    before = _asked.set(())
    try:
        denied = enforce(*given, **more)
        if not _asked.get():
            # The account itself, or nobody.
            return denied
        context, policies, by_role = _asked.get()
    finally:
        _asked.reset(before)
    note(context, "denied" if denied else "allowed" if by_role == "Allow" else "elsewhere")
    return denied or keyed(context, policies) or by_url(context, policies, by_role)


def also(context, policies, action, resource, **keys):
    """One more action that a request needs; gives how it is denied, where it is."""
    about = dataclasses.replace(
        context, action=action, resource_arn=resource, service_context={**context.service_context, **keys}
    )
    result = evaluator.evaluate(about, policies)
    note(about, "allowed" if result.decision == "Allow" else "denied")
    return None if result.decision == "Allow" else result


def by_url(context, policies, by_role):
    """How a call by a Function URL is denied that the caller's own policies allow: it invokes the function as well."""
    if context.action != "lambda:InvokeFunctionUrl" or by_role != "Allow":
        return None
    seen = {"lambda:invokedviafunctionurl": "true"}
    return also(context, policies, "lambda:InvokeFunction", context.resource_arn, **seen)


evaluator.evaluate, evaluator.enforce = evaluated, enforced

# -- What services do in a role's name ---------------------------------------------------------------


def may(role, action, resource, now=True, **keys):
    """Whether a role, by its ARN, may do something; it is noted. What is not done now needs no key yet."""
    account, name = role.split(":")[4], role.rsplit("/", 1)[-1]
    context = evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/service",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context=keys,
    )
    policies = evaluator._gather_role_policies(name, account)
    allowed = evaluator.evaluate(context, policies).decision == "Allow"
    note(context, "allowed" if allowed else "denied")
    return allowed and not (now and keyed(context, policies))


def role_of(function):
    """The role of a function, by its name or ARN."""
    return functions._get_func_record_for_ref(function)[1]["Role"]


def logged(function, request, text, *given, log=functions._emit_lambda_logs, **more):
    config = function.get("config") or function
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    account = config["FunctionArn"].split(":")[4]
    stream = f"arn:aws:logs:{get_region()}:{account}:log-group:{group}:log-stream:{config['Version']}"
    if all(may(config["Role"], f"logs:{action}", stream) for action in ("CreateLogStream", "PutLogEvents")):
        log(function, request, text, *given, **more)


def told(destination, function, event, result, tell=functions._route_async_failure):
    """Tells a queue of an invocation that failed for good."""
    if ":sqs:" not in destination or may(role_of(function), "sqs:SendMessage", destination):
        tell(destination, function, event, result)


# What Lambda needs to read a source (Developer Guide, "Execution role permissions").
READS = {
    "sqs": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    "dynamodb": [
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ],
}


def lacking(role, source, destinations):
    """What a role may not do of what an event source, if there is one, and queues as destinations need."""
    needed = [(action, source) for action in READS[source.split(":")[2]]] if source else []
    queues = [it.get("Destination") or "" for it in (destinations or {}).values()]
    needed += [("sqs:SendMessage", queue) for queue in queues if ":sqs:" in queue]
    return [action for action, resource in needed if not may(role, action, resource, now=False)]


MAPPING = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]


def mapping_created(logical_id, properties, stack, create=MAPPING["create"]):
    source, destinations = properties["EventSourceArn"], properties.get("DestinationConfig")
    if missing := lacking(role_of(properties["FunctionName"]), source, destinations):
        raise ValueError(f"{logical_id}: the function's execution role does not have permissions to call {missing}")
    return create(logical_id, properties, stack)


def invoke_config_put(function, qualifier, data, put=functions._put_event_invoke_config):
    if missing := lacking(role_of(function), None, data.get("DestinationConfig")):
        message = f"The function's execution role does not have permissions to call {missing}"
        return error_response_json("InvalidParameterValueException", message, 400)
    return put(function, qualifier, data)


def schedule_created(name, body, create=scheduler._create_schedule):
    role = body.get("Target", {}).get("RoleArn", "")
    caller = evaluator.caller_arn()
    if ":assumed-role/" in caller:
        own = caller.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rsplit("/", 1)[0]
        if not may(own, "iam:PassRole", role, **{"iam:passedtoservice": SCHEDULER}):
            message = f"User: {caller} is not authorized to perform: iam:PassRole on resource: {role}"
            return scheduler._error(403, "AccessDeniedException", message)
    return create(name, body)


def trusts(role, service, **keys):
    """Whether a role may be assumed by a service."""
    account, name = role.split(":")[4], role.rsplit("/", 1)[-1]
    trust = (iam._roles.get_scoped(account, None, name) or {}).get("AssumeRolePolicyDocument") or "{}"
    trust = json.loads(trust) if isinstance(trust, str) else trust
    ours = [it for it in trust.get("Statement", []) if evaluator._service_principal_matches(it["Principal"], service)]
    root = f"arn:aws:iam::{account}:root"
    context = evaluator.EvalContext(root, "Root", account, "sts:AssumeRole", role, get_region(), service_context=keys)
    return evaluator.evaluate_trust_policy({"Statement": ours}, root, context)


def fired(target, event, rule, *given, invoke=eventbridge._invoke_target):
    """Invokes what a rule or a schedule names; a schedule does it in its role."""
    if role := "ScheduleExpressionTimezone" in rule and target["RoleArn"]:
        group = rule["Arn"].replace(":schedule/", ":schedule-group/").rsplit("/", 1)[0]
        source = {"aws:sourceaccount": rule["Arn"].split(":")[4], "aws:sourcearn": group}
        if not trusts(role, SCHEDULER, **source) or not may(role, "lambda:InvokeFunction", target["Arn"]):
            return
    invoke(target, event, rule, *given)


functions._emit_lambda_logs = logged
functions._route_async_failure = told
functions._put_event_invoke_config = invoke_config_put
MAPPING["create"] = mapping_created
scheduler._create_schedule = schedule_created
eventbridge._invoke_target = fired

# -- Keys of the operator's --------------------------------------------------------------------------

# What must be done with a queue's key, by what is done with the queue.
KEYED = {"sqs:SendMessage": ["kms:GenerateDataKey", "kms:Decrypt"], "sqs:ReceiveMessage": ["kms:Decrypt"]}


def keyed(context, policies):
    """How the key of what is asked for is denied, where it is the operator's; otherwise nothing."""
    queue = context.action in KEYED and sqs._queue_by_arn(context.resource_arn)
    key = queue and queue["attributes"].get("KmsMasterKeyId")
    for action in KEYED[context.action] if key else ():
        if denied := also(context, policies, action, key):
            return denied
    return None
