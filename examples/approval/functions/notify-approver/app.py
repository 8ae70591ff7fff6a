"""NotifyApprover: tells a person that a request waits for them, and how to answer it.

Called with `arn:aws:states:::lambda:invoke.waitForTaskToken`: what it returns is not the task's result. That comes with
SendTaskSuccess or SendTaskFailure.

input   {"taskToken": "…", "request": {"id": "r-7", "what": "a new laptop", "by": "Ada"}, "decide": "approve"}
        "taskToken" is `$$.Task.Token`. "decide" may be "approve" or "reject", for a demonstration without a person:
        then the function sends a heartbeat and the answer itself, to AWS_ENDPOINT_URL_SFN
output  {"notified": true, "decided": "approve"}       "decided" is null if a person has to
answers {"approved": true, "by": "NotifyApprover"}, or the error Rejected
"""
import json
import os
import urllib.request


def handler(event, context):
    token, request = event["taskToken"], event["request"]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_SFN") or os.environ.get("AWS_ENDPOINT_URL")
    decide = event.get("decide") if endpoint else None
    print(f"{request['by']} asks for {request['what']} ({request['id']}). To approve:")
    at = f" --endpoint-url {endpoint}" if endpoint else ""
    print(f"""  aws stepfunctions send-task-success{at} --task-output '{{"approved":true}}' --task-token {token}""")
    if decide is not None:
        send(endpoint, "SendTaskHeartbeat", {"taskToken": token})
    if decide == "approve":
        output = json.dumps({"approved": True, "by": "NotifyApprover"})
        send(endpoint, "SendTaskSuccess", {"taskToken": token, "output": output})
    elif decide == "reject":
        send(endpoint, "SendTaskFailure", {"taskToken": token, "error": "Rejected", "cause": "not this year"})
    return {"notified": True, "decided": decide}


def send(endpoint, operation, body):
    """One call of the Step Functions API on this machine, which asks for no signature."""
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AWSStepFunctions.{operation}"}
    call = urllib.request.Request(endpoint, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(call, timeout=2) as answer:
        answer.read()
