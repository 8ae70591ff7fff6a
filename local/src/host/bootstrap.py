"""Runs one Python handler over the Lambda Runtime API.

stepwell feeds this file to `python -` on standard input, so that nothing has to be written to disk. Only the
standard library is used, and of it only what a warm call needs; the rest is imported when an error has to be told.
When the connection to stepwell ends, so does this process.
"""
import json
import os
import socket
import sys
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
TASK_ROOT = os.environ["LAMBDA_TASK_ROOT"]
# Up to Python 3.11 AWS's runtime answers in ASCII; from 3.12 on in UTF-8.
ASCII = os.environ.get("AWS_EXECUTION_ENV", "").rpartition("python3.")[2].isdigit() and (
    int(os.environ["AWS_EXECUTION_ENV"].rpartition("python3.")[2]) < 12
)


class Connection:
    """One kept-alive HTTP/1.1 connection to the host, which answers with a content-length always."""

    def __init__(self):
        host, _, port = API.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def exchange(self, method, path, body=b""):
        head = (
            f"{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: {API}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)
        status = self.reader.readline().split(b" ", 2)
        if len(status) < 2:
            raise ConnectionError("the host is gone")
        headers = {}
        while True:
            name, colon, value = self.reader.readline().partition(b":")
            if not colon:
                break
            headers[name.lower().decode()] = value.strip().decode("utf-8", "replace")
        length = int(headers.get("content-length", 0))
        return int(status[1]), headers, self.reader.read(length)


class Failure(Exception):
    """What is wrong before the handler can run, in AWS's words."""

    def __init__(self, error_type, message, trace=()):
        super().__init__(message)
        self.payload = {
            "errorMessage": message,
            "errorType": error_type,
            "requestId": "",
            "stackTrace": list(trace),
        }


class Context:
    """The second argument of a handler."""

    def __init__(self, headers):
        environ = os.environ
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.identity = None
        self.client_context = None
        if "lambda-runtime-client-context" in headers:
            self.client_context = ClientContext(json.loads(headers["lambda-runtime-client-context"]))
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class ClientContext:
    """`context.client_context`: attributes of what the caller sent."""

    def __init__(self, sent):
        self.client = sent.get("client")
        self.custom = sent.get("custom")
        self.env = sent.get("env")


def stack_trace(error):
    import traceback

    frames = list(traceback.extract_tb(error.__traceback__))
    while frames and (frames[0].filename == "<stdin>" or "importlib" in frames[0].filename):
        del frames[0]
    return [f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' + (f"    {f.line}\n" if f.line else "") for f in frames]


def describe(error, request_id):
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": stack_trace(error),
    }


def tell(payload):
    """Logs a failure the way AWS's runtime does."""
    text = f"[ERROR] {payload['errorType']}: {payload['errorMessage']}\n"
    if payload["stackTrace"]:
        text += "Traceback (most recent call last):\n" + "".join(payload["stackTrace"])
    sys.stdout.write(text)


def load(name):
    """The function that `module.function` names."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise Failure(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
        )
    from importlib import import_module

    # Instead of the working directory, which a program that comes from standard input has there.
    sys.path[:] = [TASK_ROOT, *filter(None, sys.path)]
    module_name = module_name.replace("/", ".")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise Failure("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from None
    except SyntaxError as error:
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        message = f"Syntax error in module '{module_name}': {error}"
        raise Failure("Runtime.UserCodeSyntaxError", message, [where]) from None
    except Exception as error:
        payload = describe(error, "")
        raise Failure(payload["errorType"], payload["errorMessage"], payload["stackTrace"]) from None
    if not hasattr(module, function_name):
        raise Failure(
            "Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'"
        )
    if "logging" in sys.modules:
        # On AWS the root logger has a handler before the user's module is loaded.
        logging = sys.modules["logging"]
        if not logging.getLogger().handlers:
            handler = logging.StreamHandler(sys.stdout)
            handler.setFormatter(logging.Formatter("[%(levelname)s]\t%(message)s"))
            logging.getLogger().addHandler(handler)
    return getattr(module, function_name)


def plain(value):
    if type(value).__name__ == "Decimal":
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encode(value):
    return json.dumps(value, default=plain, ensure_ascii=ASCII).encode("utf-8", "surrogatepass")


def answer(handler, headers, body):
    """Calls the handler: the path to answer on, and what."""
    request_id = headers["lambda-runtime-aws-request-id"]
    try:
        try:
            event = json.loads(body) if body else {}
        except ValueError as error:
            raise Failure("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
        result = handler(event, Context(headers))
        try:
            return "response", encode(result)
        except (TypeError, ValueError, RecursionError) as error:
            raise Failure("Runtime.MarshalError", f"Unable to marshal response: {error}") from None
    except Failure as failure:
        payload = dict(failure.payload, requestId=request_id)
    except Exception as error:
        payload = describe(error, request_id)
    tell(payload)
    return "error", encode(payload)


def serve():
    connection = Connection()
    try:
        handler = load(os.environ["_HANDLER"])
    except Failure as failure:
        tell(failure.payload)
        connection.exchange("POST", "init/error", encode(failure.payload))
        return 1
    while True:
        status, headers, body = connection.exchange("GET", "invocation/next")
        if status != 200:
            return 1
        if "lambda-runtime-trace-id" in headers:
            os.environ["_X_AMZN_TRACE_ID"] = headers["lambda-runtime-trace-id"]
        kind, payload = answer(handler, headers, body)
        request_id = headers["lambda-runtime-aws-request-id"]
        connection.exchange("POST", f"invocation/{request_id}/{kind}", payload)


try:
    CODE = serve()
except OSError:
    CODE = 1
sys.stdout.flush()
os._exit(CODE)
