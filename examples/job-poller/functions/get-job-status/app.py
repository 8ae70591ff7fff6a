"""GetJobStatus: asks the batch system how a job is doing.

input   what SubmitJob or the last poll gave
output  the same with "polls" one higher, "progress" in per cent, and "status":
        RUNNING until there were "pollsNeeded" polls, then SUCCEEDED, or FAILED if "fail" is true
"""


def handler(event, context):
    polls, needed = event["polls"] + 1, max(1, event["pollsNeeded"])
    if polls < needed:
        status = "RUNNING"
    else:
        status = "FAILED" if event["fail"] else "SUCCEEDED"
    progress = min(100, 100 * polls // needed)
    print(f"{event['jobId']}: {status}, {progress} %")
    return {**event, "status": status, "polls": polls, "progress": progress}
