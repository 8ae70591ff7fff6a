"""ministack, as these tests need it. `python emulator.py` serves on loopback until its standard input ends.

The port is GATEWAY_PORT; it prints its address once it listens. What ministack lacks of what the template uses is added
here, and told in README.md: routes that an HTTP API's OpenAPI body names, macros, and OnSuccess destinations.
"""

import contextvars
import json
import os
import socket
import sys
import threading
import time

PORT = os.environ.setdefault("GATEWAY_PORT", "4566")
ENDPOINT = f"http://127.0.0.1:{PORT}"
os.environ.update(
    BIND_HOST="127.0.0.1",
    MINISTACK_HOST="127.0.0.1",
    # Functions are processes, and find the emulator's services here.
    LAMBDA_EXECUTOR="local",
    AWS_ENDPOINT_URL=ENDPOINT,
    # Signatures are verified and policies obeyed, those of functions too.
    AUTH=os.environ.get("AUTH", "true"),
    # Nothing else is listened on.
    IOT_MTLS_ENABLED="false",
    SFTP_ENABLED="false",
    LOG_LEVEL=os.environ.get("LOG_LEVEL", "WARNING"),
)

import ministack.app as app  # noqa: E402
import ministack.core.iam_actions as iam_actions  # noqa: E402
import ministack.core.lambda_runtime as runtime  # noqa: E402
import ministack.services.apigateway as apigateway  # noqa: E402
import ministack.services.cloudformation.changesets as changesets  # noqa: E402
import ministack.services.cloudformation.engine as engine  # noqa: E402
import ministack.services.cloudformation.handlers as handlers  # noqa: E402
import ministack.services.cloudformation.provisioners as provisioners  # noqa: E402
import ministack.services.eventbridge as eventbridge  # noqa: E402
import ministack.services.lambda_svc as functions  # noqa: E402
import ministack.services.scheduler as scheduler  # noqa: E402
from ministack.core.responses import get_account_id, get_region, new_uuid  # noqa: E402

# Schedules are looked at every second instead of every ten.
scheduler._SCHEDULE_TICK_INTERVAL = eventbridge._SCHEDULER_TICK_INTERVAL = 1


def drain(worker, first_line_wait=0.002, idle_confirm=0.002, hard_cap=0.05, drain=runtime.Worker._drain_stderr_bounded):
    """A function that logs nothing is not waited for: what it logs later comes with its next invocation."""
    return drain(worker, first_line_wait, idle_confirm, hard_cap)


runtime.Worker._drain_stderr_bounded = drain

# What comes to AWS comes by TLS, and policies ask for that; here it comes by loopback.
app.pin_request_origin = lambda address, _secure, pin=app.pin_request_origin: pin(address, True)

# -- Permissions ---------------------------------------------------------------------------------


def permission(service, method, path, *given, action=iam_actions.extract_iam_action, **more):
    """What a request needs to be allowed: SQS has no permissions of its own for batches, but Lambda for its configurations."""
    if service == "lambda" and method == "GET" and path.endswith("/event-invoke-config"):
        return "lambda:GetFunctionEventInvokeConfig"
    needed = action(service, method, path, *given, **more)
    return needed.removesuffix("Batch") if needed and needed.startswith("sqs:") else needed


def resource(service, method, path, headers, body, *given, arn=iam_actions.extract_resource_arn, **more):
    """What a request is about: a schedule stands in its own group, not always in the one that is there by default."""
    found = arn(service, method, path, headers, body, *given, **more)
    if service == "logs" and found == "*":
        # As AWS says it where it refuses DescribeLogGroups.
        return f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group::log-stream:"
    if service != "scheduler" or ":schedule/default/" not in found:
        return found
    try:
        group = json.loads(body or b"{}").get("GroupName")
    except ValueError:
        group = None
    for query in (*given, *more.values()):
        if isinstance(query, dict) and query.get("groupName"):
            named = query["groupName"]
            group = named[0] if isinstance(named, list) else named
    return found.replace(":schedule/default/", f":schedule/{group or 'default'}/")


def tags(service, action, body, parameters, *, about=iam_actions.request_tag_context):
    """What policies may ask of a request: also where the events come from that it puts."""
    found = about(service, action, body, parameters)
    if action == "events:PutEvents":
        sources = {entry.get("Source") for entry in json.loads(body).get("Entries", [])}
        found = {**found, "events:source": sources.pop() if len(sources) == 1 else sorted(sources)}
    return found


iam_actions.extract_iam_action, iam_actions.extract_resource_arn = permission, resource
iam_actions.request_tag_context = tags

# -- Numbers that are parameters -----------------------------------------------------------------

# CloudFormation makes numbers of a parameter's text where a resource wants them; ministack hands the text on.
NUMBERS = {
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "MaximumConcurrency",
    "MaximumEventAgeInSeconds",
    "MaximumRetryAttempts",
    "MemorySize",
    "RetentionInDays",
    "Timeout",
}


def numbered(value, name=None):
    if isinstance(value, dict):
        return {key: numbered(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [numbered(member) for member in value]
    return int(value) if name in NUMBERS and isinstance(value, str) and value.isdigit() else value


for kind in ("Function", "EventSourceMapping", "EventInvokeConfig"):
    handler = provisioners._RESOURCE_HANDLERS[f"AWS::Lambda::{kind}"]
    for act in ("create", "update"):
        if act in handler:
            handler[act] = lambda *given, act=handler[act], **more: act(*map(numbered, given), **more)

# -- An HTTP API's body -------------------------------------------------------------------------

API = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]


def api_created(logical_id, properties, stack, create=API["create"]):
    """Creates an HTTP API with the routes and integrations of its OpenAPI body, of which ministack takes no notice."""
    made = create(logical_id, properties, stack)
    routes(made[0], properties.get("Body") or {})
    return made


def api_updated(physical_id, old, new, stack, logical_id=None, update=API["update"]):
    made = update(physical_id, old, new, stack, logical_id=logical_id)
    apigateway._routes[made[0]], apigateway._integrations[made[0]] = {}, {}
    routes(made[0], new.get("Body") or {})
    return made


def routes(api, body):
    schemes = body.get("components", {}).get("securitySchemes", {})
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            integration = operation.get("x-amazon-apigateway-integration")
            if integration is None:
                continue
            # An OpenAPI integration names the invocation; the API's own, the function.
            arn = integration["uri"].split("/functions/")[-1].removesuffix("/invocations")
            answer = apigateway._create_integration(
                api,
                {
                    "integrationType": "AWS_PROXY",
                    "integrationUri": arn,
                    "payloadFormatVersion": str(integration.get("payloadFormatVersion", "1.0")),
                    "timeoutInMillis": integration.get("timeoutInMillis", 30000),
                },
            )
            signed = any(
                schemes.get(name, {}).get("x-amazon-apigateway-authtype") == "awsSigv4"
                for wanted in operation.get("security", [])
                for name in wanted
            )
            verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            key = path if path == "$default" or path == "/$default" else f"{verb} {path}"
            apigateway._create_route(
                api,
                {
                    "routeKey": key.removeprefix("/") if key.endswith("$default") else key,
                    "target": f"integrations/{json.loads(answer[2])['integrationId']}",
                    "authorizationType": "AWS_IAM" if signed else "NONE",
                },
            )


API["create"], API["update"] = api_created, api_updated

# -- Who calls a Function URL ---------------------------------------------------------------------


def url_event(url, account, region, method, path, headers, body, query, *, event=functions._build_function_url_event, **more):
    """The event of a Function URL with AWS_IAM says who signed, as an HTTP API's does."""
    built = event(url, account, region, method, path, headers, body, query, **more)
    caller = None if more.get("anonymous") else apigateway._iam_caller_identity_v2(headers, query)
    if caller:
        built["requestContext"]["authorizer"] = {"iam": caller}
    return built


def enforced(service, action, *given, enforce=app._enforce_data_plane, **more):
    """A Function URL that asks for no IAM does not look at signatures: they are its function's."""
    is_open = (more.get("service_context") or {}).get("lambda:FunctionUrlAuthType") == "NONE"
    return None if is_open else enforce(service, action, *given, **more)


functions._build_function_url_event, app._enforce_data_plane = url_event, enforced

# -- What a secret is called ----------------------------------------------------------------------

SECRET = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]


def secret_created(logical_id, properties, stack, create=SECRET["create"]):
    """A Ref to a secret is its ARN; ministack gives its name."""
    _, attributes = create(logical_id, properties, stack)
    return attributes["Arn"], attributes


SECRET["create"] = secret_created

# -- Macros --------------------------------------------------------------------------------------

# The function of each macro, by account and name.
macros = {}


def macro_created(_logical_id, properties, _stack):
    macros[get_account_id(), properties["Name"]] = properties["FunctionName"]
    return properties["Name"], {}


def macro_updated(_physical_id, _old, new, stack, **_):
    return macro_created(None, new, stack)


def macro_deleted(physical_id, _properties):
    macros.pop((get_account_id(), physical_id), None)


provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Macro"] = {
    "create": macro_created,
    "update": macro_updated,
    "delete": macro_deleted,
}


def transformed(template, provided_params=None, *more, transform=engine._apply_transforms, **options):
    """Puts a template through the account's macros and AWS's transforms that it names, in their order."""
    names = engine.declared_transforms(template)
    if not any((get_account_id(), name) in macros for name in names):
        return transform(template, provided_params, *more, **options)
    template = {key: value for key, value in template.items() if key != "Transform"}
    for name in names:
        function = macros.get((get_account_id(), name))
        if function is None:
            template = transform({**template, "Transform": name}, provided_params, *more, **options)
            if isinstance(template, engine._TransformFailed):
                return template
            continue
        parameters = engine._transform_parameters(template, provided_params, None)
        event = {
            "region": get_region(),
            "accountId": get_account_id(),
            "fragment": template,
            "transformId": f"{get_account_id()}::{name}",
            "params": {},
            "requestId": new_uuid(),
            "templateParameterValues": parameters,
        }
        record, config, _ = functions._get_func_record_for_ref(function)
        answer = functions._execute_function_with_config_scope(
            functions._execution_record_for_config(record, config), event
        )
        body = answer.get("body")
        if answer.get("error") or not isinstance(body, dict) or body.get("status") != "success":
            return engine._TransformFailed(template, f"Transform {name} failed with: {body}")
        if body.get("requestId") != event["requestId"]:
            return engine._TransformFailed(template, f"Transform {name} answered another request")
        template = body["fragment"]
    return template


handlers._apply_transforms = changesets._apply_transforms = transformed

# -- OnSuccess destinations ----------------------------------------------------------------------


# The id of the request that is answered, which is the invocation's: its destination is told of it.
request = contextvars.ContextVar("request", default=None)


async def dispatched(method, path, headers, body, query, id, dispatch=app._dispatch_service_request):
    request.set(id)
    return await dispatch(method, path, headers, body, query, id)


app._dispatch_service_request = dispatched


def invoked(function, event):
    """Executes a function in a thread of its own, again where it fails, and tells its destination how it ended.

    ministack's own does the same without OnSuccess, and without what a record says of the invocation.
    """
    config = function.get("config") or function
    settings = function.get("event_invoke_config") or (function.get("event_invoke_configs") or {}).get("$LATEST") or {}
    destinations = settings.get("DestinationConfig") or {}
    tries = 1 + int(settings.get("MaximumRetryAttempts", 2))
    scope, id = contextvars.copy_context(), request.get() or new_uuid()

    def run():
        for attempt in range(1, tries + 1):
            result = functions._execute_function(function, event)
            if not result.get("error"):
                break
            if attempt < tries:
                time.sleep(0.2 * attempt)
        failed = bool(result.get("error"))
        destination = destinations.get("OnFailure" if failed else "OnSuccess", {}).get("Destination")
        if not destination:
            return
        context = {"statusCode": 200, "executedVersion": "$LATEST"}
        if failed:
            context["functionError"] = "Unhandled"
        record = {
            "version": "1.0",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "requestContext": {
                "requestId": id,
                "functionArn": config["FunctionArn"] + ":$LATEST",
                "condition": "RetriesExhausted" if failed else "Success",
                "approximateInvokeCount": attempt,
            },
            "requestPayload": event,
            "responseContext": context,
            "responsePayload": result.get("body"),
        }
        if ":lambda:" not in destination:
            # A queue or a topic. Ministack's own says the same of an invocation that failed.
            if not failed:
                raise NotImplementedError(f"OnSuccess to what is no function: {destination}")
            return functions._route_async_failure(destination, config["FunctionName"], event, result)
        found, target, _ = functions._get_func_record_for_ref(destination)
        invoked(functions._execution_record_for_config(found, target), record)

    threading.Thread(target=scope.run, args=(run,), daemon=True).start()


functions.invoke_async_with_retry = invoked

# -- What roles may --------------------------------------------------------------------------------

if os.environ["AUTH"] == "true":
    import decisions  # noqa: F401

# -- Serving -------------------------------------------------------------------------------------


def announce():
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(PORT))) == 0:
                print(ENDPOINT, flush=True)
                return
        time.sleep(0.05)


def watch():
    sys.stdin.read()
    runtime.reset()
    os._exit(0)


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    threading.Thread(target=announce, daemon=True).start()
    threading.Thread(target=watch, daemon=True).start()
    app.main()
