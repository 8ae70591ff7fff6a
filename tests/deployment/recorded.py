"""The executions recorded on AWS, run against the deployed API through boto3, as `cargo xtask conformance` does locally.

Whoever recorded them had their functions in Lambda; here the functions call the recordings' own stub of Lambda, as their
environment tells them: AWS_ENDPOINT_URL_LAMBDA. The runner signs for Step Functions; a forwarder between signs for the
HTTP API, as `stepwell proxy` does.
"""

import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse

import run as deployment
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from harness import REGION

ACCOUNT = "123456789012"
# Functions of the template that make calls to Lambda.
CALLERS = ("StartFunction", "StepFunction", "TimerFunction", "CallbackFunction", "ApiFunction")


def forwarder(site):
    """Serves the deployed API on loopback, signing what it passes on; gives its address."""
    target = urllib.parse.urlsplit(site.api)
    credentials = Credentials(*site.key)
    kept = threading.local()

    class Forwarder(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            named = {name: self.headers[name] for name in ("Content-Type", "X-Amz-Target") if self.headers[name]}
            request = AWSRequest("POST", f"{site.api}/", data=body, headers=named)
            SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
            answer, said = self.ask(f"{target.path}/", body, dict(request.headers))
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() in ("content-type", "x-amzn-requestid", "x-amzn-errortype"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def ask(self, path, body, headers):
            for _ in range(2):
                if not hasattr(kept, "connection"):
                    kept.connection = http.client.HTTPConnection(target.hostname, target.port, timeout=120)
                try:
                    kept.connection.request("POST", path, body, headers)
                    answer = kept.connection.getresponse()
                    return answer, answer.read()
                except (http.client.HTTPException, ConnectionError):
                    del kept.connection
            raise ConnectionError("the emulator does not answer")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forwarder)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def run(args, emulator, scratch):
    port = deployment.free_port()

    def call_the_stub(template):
        for name in CALLERS:
            properties = template["Resources"][name]["Properties"]
            variables = properties.setdefault("Environment", {}).setdefault("Variables", {})
            variables["AWS_ENDPOINT_URL_LAMBDA"] = f"http://127.0.0.1:{port}"

    site = deployment.deploy(emulator.endpoint, ACCOUNT, args.functions, change=call_the_stub)
    results = args.results or scratch / "results.json"
    command = [sys.executable, "run.py", "--endpoint", forwarder(site), "--cases", "cases", "--lambda-port", str(port)]
    # Queues, topics, tables, log groups are the emulator's.
    command += ["--aux", emulator.endpoint, "--access-key", ACCOUNT, "--account", ACCOUNT]
    command += ["--json", str(results), "--jobs", str(args.jobs), "--timeout", str(args.timeout)]
    if args.cases:
        command += ["--only", args.cases]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "*"}
    print(f"deployment: the recorded executions against {site.api}", flush=True)
    # Its exit status says whether all were exact; which may fail is for the chore to say.
    subprocess.run([*command, "-v"], cwd=args.conformance, env=environment)
    return 0 if results.exists() and json.loads(results.read_text())["results"] else 1
