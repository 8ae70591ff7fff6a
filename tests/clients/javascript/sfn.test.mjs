// The AWS SDK for JavaScript v3, with nothing set but what the environment says.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import * as sfn from "@aws-sdk/client-sfn";

const ROLE = "arn:aws:iam::123456789012:role/stepwell";
const PASS = { StartAt: "Only", States: { Only: { Type: "Pass", End: true } } };
const FAIL = {
  StartAt: "First",
  States: { First: { Type: "Pass", Next: "Broken" }, Broken: { Type: "Fail", Error: "Broken", Cause: "as it is told" } },
};
const WAIT = { StartAt: "Only", States: { Only: { Type: "Wait", Seconds: 3600, End: true } } };

const notServed = new Set((process.env.STEPWELL_NOT_SERVED ?? "").split(" "));
const client = new sfn.SFNClient({ maxAttempts: 1 });
// `sync-` before a loopback host's name names nobody: the SDK has a setting that leaves it out.
const plain = new sfn.SFNClient({ maxAttempts: 1, disableHostPrefix: true });
after(() => [client, plain].forEach((one) => one.destroy()));

const call = (operation, input = {}, by = client) => by.send(new sfn[`${operation}Command`](input));
const named = (what) => `${what}-${randomUUID().slice(0, 13)}`;

/** A test of operations, left out where the server does not serve one of them. */
function covers(name, operations, body) {
  const missing = operations.filter((operation) => notServed.has(operation));
  test(name, { skip: missing.length ? `not served: ${missing}` : false }, body);
}

async function machine(definition = PASS, members = {}) {
  const input = { name: named("js"), definition: JSON.stringify(definition), roleArn: ROLE, ...members };
  return (await call("CreateStateMachine", input)).stateMachineArn;
}

async function start(stateMachineArn, members = {}) {
  return (await call("StartExecution", { stateMachineArn, ...members })).executionArn;
}

async function until(wanted, look) {
  const giveUp = Date.now() + 60_000;
  for (;;) {
    const found = await look();
    if (wanted(found)) return found;
    assert.ok(Date.now() < giveUp, "it never came");
  }
}

const ended = (executionArn) =>
  until((found) => found.status !== "RUNNING", () => call("DescribeExecution", { executionArn }));

async function all(paginator, key) {
  const items = [];
  for await (const page of paginator) items.push(...page[key]);
  return items;
}

async function refused(kind, promise) {
  const error = await promise.then(() => assert.fail("it was answered"), (error) => error);
  assert.ok(error instanceof kind, `${error.name}: ${error.message}`);
  assert.ok(error instanceof sfn.SFNServiceException);
  assert.equal(error.$metadata.httpStatusCode, 400);
  assert.ok(error.$metadata.requestId);
  return error.message;
}

covers("a state machine", [], async () => {
  const arn = await machine(PASS, { tags: [{ key: "team", value: "größe" }] });
  const found = await call("DescribeStateMachine", { stateMachineArn: arn });
  assert.deepEqual(JSON.parse(found.definition), PASS);
  assert.equal(found.status, "ACTIVE");
  assert.ok(found.creationDate instanceof Date);
  const updated = await call("UpdateStateMachine", { stateMachineArn: arn, definition: JSON.stringify(FAIL) });
  assert.equal((await call("DescribeStateMachine", { stateMachineArn: arn })).revisionId, updated.revisionId);
  await call("TagResource", { resourceArn: arn, tags: [{ key: "a", value: "1" }] });
  await call("UntagResource", { resourceArn: arn, tagKeys: ["team"] });
  assert.deepEqual((await call("ListTagsForResource", { resourceArn: arn })).tags, [{ key: "a", value: "1" }]);
  const listed = await all(sfn.paginateListStateMachines({ client, pageSize: 2 }, {}), "stateMachines");
  assert.ok(listed.some((item) => item.stateMachineArn === arn));
  await call("DeleteStateMachine", { stateMachineArn: arn });
  await refused(sfn.StateMachineDoesNotExist, until(() => false, () => call("DescribeStateMachine", { stateMachineArn: arn })));
  const checked = await call("ValidateStateMachineDefinition", { definition: "{}" });
  assert.equal(checked.result, "FAIL");
});

covers("an execution", [], async () => {
  const arn = await machine(FAIL);
  const input = JSON.stringify({ text: "Grüße, 世界, 😀 \u2028", number: 1 });
  const started = await call("StartExecution", { stateMachineArn: arn, name: "mine", input });
  const found = await ended(started.executionArn);
  assert.deepEqual([found.status, found.error, found.cause], ["FAILED", "Broken", "as it is told"]);
  assert.equal(found.input, input);
  assert.equal(found.startDate.getTime(), started.startDate.getTime());
  const { executionArn } = started;
  const types = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "FailStateEntered", "ExecutionFailed"];
  const events = await all(sfn.paginateGetExecutionHistory({ client, pageSize: 2 }, { executionArn }), "events");
  assert.deepEqual(events.map((event) => event.type), types);
  const own = await call("DescribeStateMachineForExecution", { executionArn });
  assert.equal(own.stateMachineArn, arn);
  const filter = { stateMachineArn: arn, statusFilter: "FAILED" };
  const listed = await all(sfn.paginateListExecutions({ client, pageSize: 1 }, filter), "executions");
  assert.deepEqual(listed.map((item) => item.name), ["mine"]);
});

covers("times have milliseconds", [], async () => {
  const arn = await machine();
  const runs = await Promise.all(Array.from({ length: 8 }, async () => ended(await start(arn))));
  assert.ok(runs.some((run) => run.startDate.getMilliseconds() !== 0), "all eight on a full second");
});

covers("errors are classes", [], async () => {
  const arn = await machine(WAIT);
  const execution = await start(arn, { name: "once", input: "{}" });
  assert.equal(await start(arn, { name: "once", input: "{}" }), execution);
  const message = await refused(sfn.ExecutionAlreadyExists, start(arn, { name: "once", input: "[]" }));
  assert.equal(message, `Execution Already Exists: '${execution}'`);
  await refused(sfn.InvalidExecutionInput, start(arn, { input: "{" }));
  await refused(sfn.InvalidName, start(arn, { name: "a b" }));
  await refused(sfn.InvalidArn, call("DescribeExecution", { executionArn: "nothing" }));
  await refused(sfn.ExecutionDoesNotExist, call("DescribeExecution", { executionArn: `${execution}x` }));
  await refused(sfn.InvalidDefinition, machine({}));
  await refused(sfn.InvalidToken, call("SendTaskSuccess", { taskToken: "x", output: "{}" }));
  await call("StopExecution", { executionArn: execution, error: "Enough" });
  assert.equal((await ended(execution)).error, "Enough");
});

covers("256 KiB", [], async () => {
  const input = JSON.stringify("x".repeat(256 * 1024 - 2));
  assert.equal((await ended(await start(await machine(), { input }))).output, input);
});

covers("an execution that is waited for", [], async () => {
  const stateMachineArn = await machine(FAIL, { type: "EXPRESS" });
  const found = await call("StartSyncExecution", { stateMachineArn }, plain);
  assert.deepEqual([found.status, found.error], ["FAILED", "Broken"]);
  assert.equal(typeof found.billingDetails.billedMemoryUsedInMB, "number");
  await refused(sfn.StateMachineTypeNotSupported, call("StartSyncExecution", { stateMachineArn: await machine() }, plain));
});

covers("a callback", [], async () => {
  const child = await machine();
  const task = {
    Type: "Task", Resource: "arn:aws:states:::states:startExecution.waitForTaskToken", End: true,
    Parameters: { StateMachineArn: child, Input: { "token.$": "$$.Task.Token" } },
  };
  const parent = await machine({ StartAt: "Ask", States: { Ask: task } });
  const asked = async (count) => {
    const execution = await start(parent);
    const list = () => call("ListExecutions", { stateMachineArn: child });
    const { executions } = await until((found) => found.executions.length === count, list);
    const { input } = await call("DescribeExecution", { executionArn: executions[0].executionArn });
    return [execution, JSON.parse(input).token];
  };
  const [good, first] = await asked(1);
  await call("SendTaskHeartbeat", { taskToken: first });
  await call("SendTaskSuccess", { taskToken: first, output: "1" });
  assert.equal((await ended(good)).output, "1");
  await refused(sfn.TaskTimedOut, call("SendTaskSuccess", { taskToken: first, output: "2" }));
  const [bad, second] = await asked(2);
  await call("SendTaskFailure", { taskToken: second, error: "No" });
  assert.equal((await ended(bad)).error, "No");
});

covers("a redrive", ["RedriveExecution"], async () => {
  const executionArn = await start(await machine(FAIL));
  await ended(executionArn);
  assert.ok((await call("RedriveExecution", { executionArn })).redriveDate instanceof Date);
  assert.equal((await ended(executionArn)).redriveCount, 1);
  const good = (await ended(await start(await machine()))).executionArn;
  await refused(sfn.ExecutionNotRedrivable, call("RedriveExecution", { executionArn: good }));
});

covers("one state", ["TestState"], async () => {
  const definition = JSON.stringify({ Type: "Pass", Result: { a: 1 }, Next: "Then" });
  const found = await call("TestState", { definition, roleArn: ROLE, inspectionLevel: "DEBUG" }, plain);
  assert.deepEqual([found.status, found.nextState, JSON.parse(found.output)], ["SUCCEEDED", "Then", { a: 1 }]);
  assert.equal(found.inspectionData.input, "{}");
});

covers("versions and aliases", ["PublishStateMachineVersion", "CreateStateMachineAlias"], async () => {
  const stateMachineArn = await machine();
  const { stateMachineVersionArn } = await call("PublishStateMachineVersion", { stateMachineArn });
  const { stateMachineVersions } = await call("ListStateMachineVersions", { stateMachineArn });
  assert.deepEqual(stateMachineVersions.map((item) => item.stateMachineVersionArn), [stateMachineVersionArn]);
  const routingConfiguration = [{ stateMachineVersionArn, weight: 100 }];
  const { stateMachineAliasArn } = await call("CreateStateMachineAlias", { name: "live", routingConfiguration });
  await call("UpdateStateMachineAlias", { stateMachineAliasArn, description: "mine" });
  const alias = await call("DescribeStateMachineAlias", { stateMachineAliasArn });
  assert.deepEqual([alias.description, alias.routingConfiguration], ["mine", routingConfiguration]);
  const { stateMachineAliases } = await call("ListStateMachineAliases", { stateMachineArn });
  assert.equal(stateMachineAliases.length, 1);
  const run = await ended(await start(stateMachineAliasArn));
  assert.deepEqual([run.stateMachineAliasArn, run.stateMachineVersionArn], [stateMachineAliasArn, stateMachineVersionArn]);
  await refused(sfn.ConflictException, call("DeleteStateMachineVersion", { stateMachineVersionArn }));
  await call("DeleteStateMachineAlias", { stateMachineAliasArn });
  await call("DeleteStateMachineVersion", { stateMachineVersionArn });
});

covers("activities", ["CreateActivity", "GetActivityTask"], async () => {
  const { activityArn } = await call("CreateActivity", { name: named("js") });
  assert.equal((await call("DescribeActivity", { activityArn })).activityArn, activityArn);
  const listed = await all(sfn.paginateListActivities({ client, pageSize: 1 }, {}), "activities");
  assert.ok(listed.some((item) => item.activityArn === activityArn));
  const task = { Type: "Task", Resource: activityArn, End: true };
  const arn = await machine({ StartAt: "Work", States: { Work: task } });
  const runs = await Promise.all(Array.from({ length: 20 }, (_, n) => start(arn, { input: `${n}` })));
  const done = await Promise.all(
    runs.map(async () => {
      const { taskToken, input } = await call("GetActivityTask", { activityArn, workerName: "js" });
      await call("SendTaskSuccess", { taskToken, output: input });
      return Number(input);
    }),
  );
  assert.deepEqual(done.sort((a, b) => a - b), [...runs.keys()]);
  await Promise.all(runs.map(async (run, n) => assert.equal((await ended(run)).output, `${n}`)));
  await call("DeleteActivity", { activityArn });
  await refused(sfn.ActivityDoesNotExist, call("DescribeActivity", { activityArn }));
});

covers("a Map Run", ["ListMapRuns", "DescribeMapRun", "UpdateMapRun"], async () => {
  const ItemProcessor = {
    ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" },
    StartAt: "Item",
    States: { Item: { Type: "Wait", Seconds: 3600, End: true } },
  };
  const arn = await machine({ StartAt: "Each", States: { Each: { Type: "Map", ItemProcessor, MaxConcurrency: 1, End: true } } });
  const executionArn = await start(arn, { input: "[1, 2]" });
  const list = () => all(sfn.paginateListMapRuns({ client }, { executionArn }), "mapRuns");
  const [{ mapRunArn }] = await until((found) => found.length > 0, list);
  await call("UpdateMapRun", { mapRunArn, maxConcurrency: 2 });
  const describe = () => call("DescribeMapRun", { mapRunArn });
  const run = await until((found) => found.executionCounts.running === 2, describe);
  assert.equal(run.maxConcurrency, 2);
  const children = await all(sfn.paginateListExecutions({ client }, { mapRunArn }), "executions");
  assert.equal(children.length, 2);
  await call("StopExecution", { executionArn });
  await until((found) => found.status === "ABORTED", describe);
});
