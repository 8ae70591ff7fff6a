import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import * as cdk from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Stepwell, StepwellCode, StepwellStateMachine, type StepwellStateMachineProps } from '../lib';
import { prebuilt } from './prebuilt';

const CODE = prebuilt();
const PASS = { StartAt: 'P', States: { P: { Type: 'Pass', End: true } } };

class World {
  readonly stack = new cdk.Stack(new cdk.App({ analyticsReporting: false }), 'stepwell');
  readonly stepwell = new Stepwell(this.stack, 'Stepwell', { code: CODE });

  machine(props: Omit<StepwellStateMachineProps, 'stepwell'>): StepwellStateMachine {
    return new StepwellStateMachine(this.stack, 'Machine', { stepwell: this.stepwell, ...props });
  }

  template(): Template {
    return Template.fromStack(this.stack);
  }

  /** The properties of the custom resource. */
  properties(): Record<string, any> {
    const found = Object.values(this.template().findResources('Custom::StepwellStateMachine'));
    assert.equal(found.length, 1);
    return found[0]?.['Properties'];
  }
}

test('a definition is an object', () => {
  const world = new World();
  const fn = lambda.Function.fromFunctionArn(world.stack, 'F', 'arn:aws:lambda:us-east-1:123456789012:function:f');
  const group = new logs.LogGroup(world.stack, 'Group');
  const machine = world.machine({
    definition: { StartAt: 'T', States: { T: { Type: 'Task', Resource: fn.functionArn, End: true } } },
    definitionSubstitutions: { table: 'orders' },
    stateMachineName: 'orders',
    stateMachineType: sfn.StateMachineType.EXPRESS,
    logs: { destination: group, level: sfn.LogLevel.ALL, includeExecutionData: true },
    tracingEnabled: true,
  });
  const { ServiceToken, RoleArn, LoggingConfiguration, DefinitionString, ...rest } = world.properties();
  assert.match(JSON.stringify(ServiceToken), /StepwellApiFunction\w+","Arn"/);
  assert.match(JSON.stringify(RoleArn), /MachineRole/);
  assert.match(JSON.stringify(LoggingConfiguration), /"LogGroupArn":.*"IncludeExecutionData":true,"Level":"ALL"/);
  assert.equal(
    DefinitionString,
    `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"${fn.functionArn}","End":true}}}`,
  );
  assert.deepEqual(rest, {
    StateMachineName: 'orders',
    StateMachineType: 'EXPRESS',
    DefinitionSubstitutions: { table: 'orders' },
    TracingConfiguration: { Enabled: true },
  });
  assert.deepEqual(Object.keys(world.stack.resolve(machine.stateMachineArn)), ['Ref']);
  assert.equal(world.stack.resolve(machine.stateMachineName)['Fn::GetAtt'][1], 'Name');
  assert.equal(world.stack.resolve(machine.stateMachineRevisionId)['Fn::GetAtt'][1], 'StateMachineRevisionId');
});

test("a definition is made of the CDK's own states, which bring their permissions", () => {
  const world = new World();
  const fn = new lambda.Function(world.stack, 'F', {
    runtime: lambda.Runtime.NODEJS_22_X,
    handler: 'index.handler',
    code: lambda.Code.fromInline('exports.handler = async () => 1'),
  });
  const invoke = new tasks.LambdaInvoke(world.stack, 'Invoke', { lambdaFunction: fn });
  world.machine({ definitionBody: sfn.DefinitionBody.fromChainable(invoke.next(new sfn.Succeed(world.stack, 'Done'))) });
  assert.match(JSON.stringify(world.properties()['DefinitionString']), /states:::lambda:invoke/);
  world.template().hasResourceProperties('AWS::IAM::Policy', {
    PolicyDocument: Match.objectLike({
      Statement: Match.arrayWith([Match.objectLike({ Action: 'lambda:InvokeFunction', Effect: 'Allow' })]),
    }),
    Roles: [{ Ref: Match.stringLikeRegexp('MachineRole') }],
  });
});

test('a definition is a text or a file', () => {
  const text = new World();
  text.machine({ definitionBody: sfn.DefinitionBody.fromString(JSON.stringify(PASS)) });
  assert.equal(text.properties()['DefinitionString'], JSON.stringify(PASS));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'stepwell-cdk-'));
  const file = path.join(folder, 'pass.asl.json');
  fs.writeFileSync(file, JSON.stringify(PASS));
  const world = new World();
  world.machine({ definitionBody: sfn.DefinitionBody.fromFile(file) });
  const { DefinitionS3Location, DefinitionString } = world.properties();
  assert.equal(DefinitionString, undefined);
  assert.match(JSON.stringify(DefinitionS3Location), /"Bucket":.*cdk-.*-assets-.*"Key":"\w+\.json"/);
  fs.rmSync(folder, { recursive: true });
});

test('one definition is needed', () => {
  const both = { definition: PASS, definitionBody: sfn.DefinitionBody.fromString('{}') };
  for (const props of [{}, both]) {
    assert.throws(() => new World().machine(props), /exactly one of definition and definitionBody/);
  }
});

test("its role trusts the functions that call tasks, and bears the tag that their policies look for", () => {
  const world = new World();
  world.machine({ definition: PASS });
  const role = (id: string): object => ({ 'Fn::GetAtt': [Match.stringLikeRegexp(`Stepwell${id}FunctionRole`), 'Arn'] });
  world.template().hasResourceProperties('AWS::IAM::Role', {
    AssumeRolePolicyDocument: {
      Statement: ['Step', 'Start', 'Api'].map((id) =>
        Match.objectLike({ Action: 'sts:AssumeRole', Principal: { AWS: role(id) } }),
      ),
    },
    Tags: [{ Key: 'stepwell', Value: 'tasks' }],
  });
});

test('a role that is given is taken', () => {
  const world = new World();
  const role = iam.Role.fromRoleArn(world.stack, 'Given', 'arn:aws:iam::123456789012:role/given');
  const machine = world.machine({ definition: PASS, role });
  assert.equal(world.properties()['RoleArn'], 'arn:aws:iam::123456789012:role/given');
  assert.equal(machine.role, role);
});

test('it may stand in another stack', () => {
  const app = new cdk.App({ analyticsReporting: false });
  const stepwell = new Stepwell(new cdk.Stack(app, 'stepwell'), 'Stepwell', { code: CODE });
  const stack = new cdk.Stack(app, 'application');
  const machine = new StepwellStateMachine(stack, 'Machine', { stepwell, definition: PASS });
  machine.grantStartExecution(new iam.User(stack, 'User'));
  const [resource] = Object.values(Template.fromStack(stack).findResources('Custom::StepwellStateMachine'));
  assert.match(JSON.stringify(resource?.['Properties'].ServiceToken), /Fn::ImportValue.*StepwellApiFunction/);
  assert.deepEqual(stack.dependencies.map((other) => other.stackName), ['stepwell']);
});

test('who may call it is granted by operation', () => {
  const check = (grant: (machine: StepwellStateMachine, user: iam.User) => iam.Grant, operations: string[], fn?: string): void => {
    const world = new World();
    const user = new iam.User(world.stack, 'User');
    assert.ok(grant(world.machine({ definition: PASS }), user).success);
    const policies = world.template().findResources('AWS::IAM::Policy', {
      Properties: { Users: [{ Ref: Match.stringLikeRegexp('User') }] },
    });
    const [policy] = Object.values(policies);
    const statements = policy?.['Properties'].PolicyDocument.Statement;
    const routes = JSON.stringify(statements[0]).match(/\/\*\/POST\/\w+/g) ?? [];
    assert.equal(statements[0].Action, 'execute-api:Invoke');
    assert.deepEqual(
      routes,
      operations.map((operation) => `/*/POST/${operation}`),
    );
    assert.equal(statements.length, fn === undefined ? 1 : 2);
    if (fn !== undefined) {
      assert.equal(statements[1].Action, 'lambda:InvokeFunction');
      assert.match(JSON.stringify(statements[1].Resource), new RegExp(`Stepwell${fn}Function`));
    }
  };
  check((machine, user) => machine.grantStartExecution(user), ['StartExecution'], 'Start');
  check((machine, user) => machine.grantStartSyncExecution(user), ['StartSyncExecution'], 'Start');
  check((machine, user) => machine.grantRedriveExecution(user), ['RedriveExecution']);
  const responses = ['SendTaskSuccess', 'SendTaskFailure', 'SendTaskHeartbeat'];
  check((machine, user) => machine.grantTaskResponse(user), responses, 'Callback');
  check((machine, user) => machine.grant(user, 'StopExecution'), ['StopExecution']);
});

test('binaries are found where cargo-lambda leaves them, or missed by name', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'stepwell-cdk-'));
  const code = StepwellCode.fromFolder(folder);
  assert.throws(() => code.of('step', lambda.Architecture.ARM_64), /the function step in none of these/);
  for (const [file, name] of [
    ['step.zip', 'step'],
    ['stepwell-function-start/bootstrap.zip', 'start'],
    ['stepwell-function-api/bootstrap', 'api'],
  ] as const) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), 'x');
    assert.ok(code.of(name, lambda.Architecture.ARM_64));
  }
  fs.rmSync(folder, { recursive: true });
  assert.throws(() => StepwellCode.fromSource(os.tmpdir()), /no checkout of Stepwell/);
});

test('binaries are built by cargo-lambda, each by itself', () => {
  const checkout = fs.mkdtempSync(path.join(os.tmpdir(), 'stepwell-cdk-'));
  const bin = path.join(checkout, 'bin');
  for (const folder of ['bin', 'functions/step']) {
    fs.mkdirSync(path.join(checkout, folder), { recursive: true });
  }
  fs.writeFileSync(path.join(checkout, 'functions/step/Cargo.toml'), '');
  const cargo = `#!/bin/sh
echo "$PWD: $*" >> "${checkout}/asked"
mkdir -p "$9/$7" && echo "$7" > "$9/$7/bootstrap"
`;
  fs.writeFileSync(path.join(bin, 'cargo'), cargo, { mode: 0o755 });
  const before = process.env['PATH'];
  process.env['PATH'] = `${bin}:${before}`;
  try {
    const stack = new cdk.Stack(new cdk.App({ analyticsReporting: false }), 'stepwell');
    new Stepwell(stack, 'Stepwell', { code: StepwellCode.fromSource(checkout) });
    const functions = Object.values(Template.fromStack(stack).findResources('AWS::Lambda::Function'));
    assert.equal(new Set(functions.map((fn) => JSON.stringify(fn['Properties'].Code))).size, 5);
  } finally {
    process.env['PATH'] = before;
  }
  const asked = fs.readFileSync(path.join(checkout, 'asked'), 'utf8').trim().split('\n').sort();
  const command = (name: string): string =>
    `${checkout}: lambda build --profile lambda --locked --package stepwell-function-${name} ` +
    `--lambda-dir ${checkout}/target/lambda-arm64 --arm64`;
  assert.deepEqual(asked, ['api', 'callback', 'start', 'step', 'timer'].map(command));
  fs.rmSync(checkout, { recursive: true });
});
