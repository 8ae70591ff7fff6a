"""Deploys the template into an emulator and runs the tests against it: each module is a process, and all run at once.

    run.py --functions DIR [--only TEXT] [--suites NAME...]        DIR has the five functions' binaries
    run.py --functions DIR --conformance CASES [--cases REGEX]     the executions recorded on AWS
    run.py --functions DIR --serve                                 until interrupted, for a look
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import grants
import stack
from harness import Site, policy

HERE = pathlib.Path(__file__).resolve().parent


def hasten(template):
    """The queue delays by seconds only: what is longer is a schedule."""
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    variables["STEPWELL_QUEUE_DELAY_SECONDS_MAX"] = "3"


# The parameters of the site that has what others leave out: keys of its own, and tasks that run without a role.
OTHERWISE = {
    "IssueKeys": "true",
    "StatusEvents": "on",
    "AssumeRoles": "credentials",
    "AssumableRolesAreTagged": "false",
    "TaskPolicyArns": "arn:aws:iam::888899990000:policy/tasks",
    "KmsKeyArn": "arn:aws:kms:us-east-1:888899990000:key/11112222-3333-4444-5555-666677778888",
}

# The account of each site, what its template has more, and its parameters. Definitions of the examples name the first.
SITES = {
    "shared": ("123456789012", None, {}),
    "alone": ("210987654321", None, {}),
    "spoiled": ("777788889999", None, {}),
    "hasty": ("555566667777", hasten, {"IssueKeys": "true"}),
    "otherwise": ("888899990000", hasten, OTHERWISE),
}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Emulator:
    """The emulator as a process. It ends when this does, however this ends: it reads its standard input."""

    def __init__(self, scratch, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STEPWELL_"))}
        self.log = open(scratch / "emulator.log", "wb")
        self.process = subprocess.Popen(
            [sys.executable, HERE / "emulator.py"],
            env={**clean, "GATEWAY_PORT": str(free_port()), "TMPDIR": str(scratch), "NO_PROXY": "*", **environment},
            cwd=scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.endpoint = self.process.stdout.readline().decode().strip()
        if not self.endpoint:
            raise RuntimeError(f"ministack did not start: {(scratch / 'emulator.log').read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def deploy(endpoint, account, binaries, parameters=(), change=None):
    """Deploys the template for one account; gives its site."""
    site = Site(endpoint, account)
    template = stack.read()
    if change:
        change(template)
    if dict(parameters).get("TaskPolicyArns"):
        tasks = policy({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": site.arn("sqs", "task-*")})
        site.client("iam").create_policy(PolicyName="tasks", PolicyDocument=tasks)
    deployer = stack.Deployer(site.client, f"code-{account}")
    parameters = {
        "Architecture": "x86_64",
        "EventStateMachineArn": site.arn("states", "stateMachine:Started"),
        "LogLevel": "info",
        **dict(parameters),
    }
    site.outputs = deployer.deploy(site.name, deployer.package(template, binaries), parameters)
    return site


def changed(change, withdrawn):
    """What a site's template has more, and a permission less where one is to be taken away."""

    def both(template):
        if change:
            change(template)
        if withdrawn:
            grants.withdraw(template, withdrawn)

    return both


def suite(module, environment, only, scratch):
    """Runs a module of tests; gives its name, whether all passed, what it said and how long it took."""
    began = time.monotonic()
    command = [sys.executable, "-m", "unittest", "-v", module, *(["-k", only] if only else [])]
    done = subprocess.run(command, cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    (scratch / f"{module}.log").write_bytes(done.stdout)
    # Python 3.12 and later say by 5 that no test was chosen.
    return module, done.returncode in (0, 5) or b"\nRan 0 tests" in done.stdout, done.stdout.decode(), time.monotonic() - began


def test(args, described, scratch):
    """Runs the modules; gives whether all passed."""
    if args.without:
        # Much will not come that is waited for.
        os.environ.setdefault("STEPWELL_PATIENCE", "15")
    file = scratch / "sites.json"
    file.write_text(json.dumps(described))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "STEPWELL_SITES": str(file),
        "STEPWELL_DECISIONS": str(scratch / "decisions.jsonl"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "*",
    }
    modules = sorted(file.stem for file in HERE.glob("test_*.py"))
    modules = [module for module in modules if not args.suites or module.removeprefix("test_") in args.suites]
    good = True
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = [pool.submit(suite, module, environment, args.only, scratch) for module in modules]
        for run in concurrent.futures.as_completed(runs):
            module, passed, said, took = run.result()
            good &= passed
            summary = next((line for line in said.splitlines() if line.startswith("Ran ")), "nothing ran")
            print(f"deployment: {module}: {summary.rsplit(' in ')[0]}{'' if passed else ', FAILED'} ({took:.0f} s)")
            if not passed:
                print(said)
            sys.stdout.flush()
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", required=True, type=pathlib.Path)
    parser.add_argument("--scratch", type=pathlib.Path)
    parser.add_argument("--only")
    parser.add_argument("--suites", nargs="*", default=[])
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--conformance", type=pathlib.Path, help="the folder of run.py and its cases")
    parser.add_argument("--cases", help="only cases whose id matches")
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--timeout", type=float, default=60, help="of a recorded case, in seconds")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--without", help="a permission that roles shall not have: ROLE | ACTION | RESOURCE")
    args = parser.parse_args()
    scratch = args.scratch or pathlib.Path(tempfile.mkdtemp(prefix="stepwell-deployment-"))
    scratch.mkdir(parents=True, exist_ok=True)
    scratch = scratch.resolve()
    # Recorded machines have roles that were there when they were recorded, and are not here.
    decisions = scratch / "decisions.jsonl"
    decisions.unlink(missing_ok=True)
    auth = "false" if args.conformance else "true"
    with Emulator(scratch, AUTH=auth, STEPWELL_DECISIONS=str(decisions)) as emulator:
        if args.conformance:
            import recorded

            return recorded.run(args, emulator, scratch)
        began = time.monotonic()
        try:
            sites = deployed(args, emulator.endpoint)
        except RuntimeError as error:
            if not args.without:
                raise
            return noticed([str(error)])
        described = {
            name: {"endpoint": site.endpoint, "account": site.account, "outputs": site.outputs, "name": site.name}
            for name, site in sites.items()
        }
        print(f"deployment: {len(sites)} stacks on {emulator.endpoint} ({time.monotonic() - began:.1f} s)", flush=True)
        if args.serve:
            print(json.dumps(described, indent=1), flush=True)
            try:
                emulator.process.wait()
            except KeyboardInterrupt:
                return 0
        good = test(args, described, scratch)
        if args.without:
            denied = grants.unexpected(sites.values(), decisions)
            return noticed(denied + ["tests fail"] * (not good))
        if not args.suites and not args.only:
            wrong, said = grants.judge(sites.values(), decisions)
            good &= not wrong
            print("\n".join(f"deployment: {line}" for line in [*wrong, said]))
        return 0 if good else 1


def deployed(args, endpoint):
    """Deploys to all sites at once; gives them by their names."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made = [
            pool.submit(deploy, endpoint, account, args.functions, parameters, changed(change, args.without))
            for account, change, parameters in SITES.values()
        ]
        return {name: site.result() for name, site in zip(SITES, made)}


def noticed(signs):
    """Whether it was noticed that a permission is missing, as an exit status."""
    for sign in signs or ["nothing is missing without it"]:
        print(f"deployment: without the permission: {sign}")
    return 0 if signs else 1


if __name__ == "__main__":
    sys.exit(main())
