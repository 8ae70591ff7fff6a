// Runs one Node.js handler over the Lambda Runtime API.
//
// stepwell feeds this file to `node --input-type=module -` on standard input, so that nothing has to be written to
// disk. Only Node's own modules are used. When the connection to stepwell ends, so does this process.
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const { env } = process;
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1, noDelay: true });

function exchange(method, where, body = "") {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const request = http.request(
      { host, port, agent, method, path: `/2018-06-01/runtime/${where}`, headers },
      (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() }),
        );
        response.on("error", reject);
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

// An error as AWS's runtime tells it. Anything may be thrown.
function describe(error) {
  if (error instanceof Error || (error?.name !== undefined && error?.message !== undefined && error?.stack !== undefined)) {
    return {
      errorType: String(error.name),
      errorMessage: String(error.message),
      trace: String(error.stack ?? "").split("\n"),
    };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function failure(name, message, stack) {
  const error = new Error(message);
  error.name = name;
  error.stack = stack ?? `${name}: ${message}`;
  return error;
}

function tell(payload) {
  console.error(`[ERROR] ${payload.trace.length ? payload.trace.join("\n") : `${payload.errorType}: ${payload.errorMessage}`}`);
}

function isModule(file) {
  if (file.endsWith(".mjs")) return true;
  if (file.endsWith(".cjs")) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, "package.json");
    if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, "utf8")).type === "module";
    if (folder === path.dirname(folder)) return false;
  }
}

async function importFile(file) {
  if (isModule(file)) return import(pathToFileURL(file).href);
  try {
    return createRequire(file)(file);
  } catch (error) {
    if (error?.code === "ERR_REQUIRE_ESM" || error?.code === "ERR_REQUIRE_ASYNC_MODULE") return import(pathToFileURL(file).href);
    throw error;
  }
}

// The function that `folder/file.name` or `file.nested.name` stands for.
async function load(handler) {
  const base = path.basename(handler);
  const dot = base.indexOf(".");
  if (dot <= 0 || dot === base.length - 1) throw failure("Runtime.MalformedHandlerName", `Bad handler ${handler}`);
  const stem = path.resolve(env.LAMBDA_TASK_ROOT, path.dirname(handler), base.slice(0, dot));
  const file = [".js", ".mjs", ".cjs"].map((suffix) => stem + suffix).find((name) => existsSync(name));
  if (!file) throw failure("Runtime.ImportModuleError", `Error: Cannot find module '${path.relative(env.LAMBDA_TASK_ROOT, stem)}'`);
  let found;
  try {
    found = await importFile(file);
  } catch (error) {
    if (error instanceof SyntaxError) throw failure("Runtime.UserCodeSyntaxError", `SyntaxError: ${error.message}`, error.stack);
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") {
      throw failure("Runtime.ImportModuleError", `Error: ${error.message}`, error.stack);
    }
    throw error;
  }
  const names = base.slice(dot + 1).split(".");
  const named = (root) => names.reduce((value, name) => value?.[name], root);
  const target = named(found) ?? named(found.default);
  if (target === undefined) throw failure("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  if (typeof target !== "function") throw failure("Runtime.HandlerNotFound", `${handler} is not a function`);
  return target;
}

function contextOf(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const clientContext = headers["lambda-runtime-client-context"];
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    clientContext: clientContext === undefined ? undefined : JSON.parse(clientContext),
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

// What to do once the event loop has nothing left: the answer of a callback that waits for it, or of none at all.
let whenIdle;

process.on("beforeExit", () => {
  const action = whenIdle;
  whenIdle = undefined;
  action?.();
});

// The result of one call. `resolve` and `reject` count once; what comes after the first is ignored.
function call(handler, event, context) {
  return new Promise((resolve, reject) => {
    const finish = (error, result) => (error === undefined || error === null ? resolve(result) : reject(error));
    const callback = (error, result) => {
      if (error !== undefined && error !== null) return reject(error);
      if (!context.callbackWaitsForEmptyEventLoop) return resolve(result);
      whenIdle = () => resolve(result);
    };
    context.done = finish;
    context.succeed = resolve;
    context.fail = (error) => reject(error ?? "handled");
    whenIdle = () => resolve(null);
    const returned = handler(event, context, callback);
    if (typeof returned?.then === "function") {
      whenIdle = () => reject(failure("Runtime.NodeJsExit", "The handler's promise was neither resolved nor rejected"));
      returned.then(resolve, reject);
    }
  });
}

async function answer(handler, { headers, body }) {
  try {
    const event = body === "" ? {} : JSON.parse(body);
    const result = await call(handler, event, contextOf(headers));
    let text;
    try {
      text = JSON.stringify(result === undefined ? null : result) ?? "null";
    } catch (error) {
      throw failure("Runtime.MarshalError", `Unable to stringify response body: ${error.message}`);
    }
    return ["response", text];
  } catch (error) {
    const payload = describe(error);
    tell(payload);
    return ["error", JSON.stringify(payload)];
  } finally {
    whenIdle = undefined;
  }
}

let requestId;

// An error that no one can catch any more: tell it, then leave as AWS's runtime does.
function die(error, code) {
  const payload = describe(error);
  tell(payload);
  const where = requestId === undefined ? "init/error" : `invocation/${requestId}/error`;
  const leave = () => process.exit(code);
  exchange("POST", where, JSON.stringify(payload)).then(leave, leave);
}

process.on("uncaughtException", (error) => die(error, 129));
process.on("unhandledRejection", (reason) => {
  const { errorMessage, trace } = describe(reason);
  const told = reason instanceof Error ? `${reason.name}: ${errorMessage}` : errorMessage;
  die(failure("Runtime.UnhandledPromiseRejection", told, trace.length ? trace.join("\n") : undefined), 128);
});

async function serve() {
  let handler;
  try {
    handler = await load(env._HANDLER);
  } catch (error) {
    const payload = describe(error);
    tell(payload);
    await exchange("POST", "init/error", JSON.stringify(payload));
    process.exit(1);
  }
  for (;;) {
    const next = await exchange("GET", "invocation/next");
    if (next.status !== 200) process.exit(1);
    requestId = next.headers["lambda-runtime-aws-request-id"];
    env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"];
    const [kind, payload] = await answer(handler, next);
    await exchange("POST", `invocation/${requestId}/${kind}`, payload);
    requestId = undefined;
  }
}

serve().catch(() => process.exit(1));
