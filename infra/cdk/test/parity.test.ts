/** The construct deploys what infra/template.yaml does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as cdk from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sns from 'aws-cdk-lib/aws-sns';
import { type AssumeRoles, Stepwell, type StepwellProps } from '../lib';
import { prebuilt } from './prebuilt';
import { canonical, readTemplate, Resolved, type Json, type Members } from './template';

const TEMPLATE = readTemplate();
const NAME = 'stepwell';

const seconds = (value: string): cdk.Duration => cdk.Duration.seconds(Number(value));
const days = (value: string): cdk.Duration => cdk.Duration.days(Number(value));
const list = (value: string): string[] => value.split(',').filter((item) => item !== '');
const is = (value: string): boolean => value === 'true';

/** The property for each parameter: what a value of the one is in the other; and a value that is not its default. */
const PARAMETERS: Record<string, [string, (value: string, scope: cdk.Stack) => Partial<StepwellProps>]> = {
  Architecture: [
    'x86_64',
    (value) => ({ architecture: value === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64 }),
  ],
  AssumeRoles: ['credentials', (value) => ({ assumeRoles: value as AssumeRoles })],
  AssumableRoles: ['tasks-*', (assumableRoles) => ({ assumableRoles })],
  AssumableRolesAreTagged: ['false', (value) => ({ assumableRolesAreTagged: is(value) })],
  TaskPolicyArns: [
    'arn:aws:iam::123456789012:policy/one,arn:aws:iam::123456789012:policy/two',
    (value, scope) => ({
      taskPolicies: list(value).map((arn) => iam.ManagedPolicy.fromManagedPolicyArn(scope, arn, arn)),
    }),
  ],
  ExpressLogGroups: ['/express/*', (expressLogGroups) => ({ expressLogGroups })],
  DefinitionObjects: ['arn:aws:s3:::mine/*', (value) => ({ definitionObjects: list(value) })],
  IssueKeys: ['true', (value) => ({ issueKeys: is(value) })],
  AccessLogs: ['false', (value) => ({ accessLogs: is(value) })],
  EventStateMachineArn: [
    'arn:aws:states:us-east-1:123456789012:stateMachine:m',
    (eventStateMachineArn) => ({ eventStateMachineArn }),
  ],
  EventSources: ['a,b', (value) => ({ eventSources: list(value) })],
  EventDetailTypes: ['c,d', (value) => ({ eventDetailTypes: list(value) })],
  MacroName: ['', (macroName) => ({ macroName })],
  RetentionDays: ['7', (value) => ({ retention: days(value) })],
  PayloadExpirationDays: ['400', (value) => ({ payloadExpiration: days(value) })],
  PointInTimeRecovery: ['false', (value) => ({ pointInTimeRecovery: is(value) })],
  DeletionProtection: ['true', (value) => ({ deletionProtection: is(value) })],
  KmsKeyArn: [
    'arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef',
    (value, scope) => (value === '' ? {} : { encryptionKey: kms.Key.fromKeyArn(scope, 'Key', value) }),
  ],
  Alarms: ['false', (value) => ({ alarms: is(value) })],
  AlarmTopicArn: [
    'arn:aws:sns:us-east-1:123456789012:t',
    (value, scope) => (value === '' ? {} : { alarmTopic: sns.Topic.fromTopicArn(scope, 'Topic', value) }),
  ],
  QueueAgeAlarmSeconds: ['3600', (value) => ({ queueAgeAlarm: seconds(value) })],
  LogLevel: ['info', (logLevel) => ({ logLevel })],
  LogRetentionDays: ['5', (value) => ({ logRetention: Number(value) })],
  StatusEvents: ['on', (value) => ({ statusEvents: value === 'on' })],
  StepMemory: ['512', (value) => ({ stepMemory: Number(value) })],
  StepTimeout: ['300', (value) => ({ stepTimeout: seconds(value) })],
  CallSecondsMax: ['100', (value) => ({ callMax: seconds(value) })],
  StepBatchSize: ['5', (value) => ({ stepBatchSize: Number(value) })],
  StepBatchWindow: ['1', (value) => ({ stepBatchWindow: seconds(value) })],
  StepConcurrency: ['10', (value) => ({ stepConcurrency: Number(value) })],
  StartMemory: ['129', (value) => ({ startMemory: Number(value) })],
  StartTimeout: ['60', (value) => ({ startTimeout: seconds(value) })],
  ApiMemory: ['130', (value) => ({ apiMemory: Number(value) })],
  ApiTimeout: ['90', (value) => ({ apiTimeout: seconds(value) })],
  CallbackMemory: ['131', (value) => ({ callbackMemory: Number(value) })],
  TimerMemory: ['132', (value) => ({ timerMemory: Number(value) })],
};

/** What is compared: resources by name, and by content what has names of its own on either side. */
interface Content {
  resources: Record<string, Json>;
  sources: Json;
  invocations: Json;
  routes: Json;
  outputs: Json;
}

const SAM = 'AWS::Serverless::';

/** Types that the template's `Events` and `HttpApi` become. */
const APART = [
  'AWS::Lambda::EventSourceMapping',
  'AWS::Lambda::EventInvokeConfig',
  'AWS::ApiGatewayV2::Api',
  'AWS::ApiGatewayV2::Route',
  'AWS::ApiGatewayV2::Integration',
  'AWS::ApiGatewayV2::Stage',
];

function ofTemplate(parameters: Record<string, string>): Content {
  const resolved = new Resolved(TEMPLATE, parameters, NAME);
  const resources: Record<string, Json> = {};
  const sources: Json[] = [];
  const invocations: Json[] = [];
  const routes: Json[] = [];
  const defaults = (TEMPLATE.Globals['Function'] as Members) ?? {};
  for (const [id, resource] of Object.entries(resolved.resources())) {
    if (resource.Type === `${SAM}HttpApi`) {
      const { Auth, ...rest } = resource.Properties;
      assert.deepEqual(Auth, { EnableIamAuthorizer: true, DefaultAuthorizer: 'AWS_IAM' });
      resources[id] = canonical(resolved.value(rest) ?? null, {});
      continue;
    }
    if (resource.Type !== `${SAM}Function`) {
      resources[id] = kept(resource, canonical(resolved.value(resource.Properties) ?? null, {}));
      continue;
    }
    const { Events, EventInvokeConfig, CodeUri, Environment, ...rest } = resource.Properties;
    assert.ok(CodeUri);
    const own = ((Environment as Members)?.['Variables'] as Members) ?? {};
    const common = ((defaults['Environment'] as Members)['Variables'] as Members) ?? {};
    const properties = { ...defaults, ...rest, Environment: { Variables: { ...common, ...own } } };
    resources[id] = canonical(resolved.value(properties) ?? null, {});
    const fn = { 'Fn::GetAtt': [id, 'Arn'] };
    for (const event of Object.values((Events as Record<string, Members>) ?? {})) {
      const about = resolved.value(event['Properties'] as Members) as Members;
      if (event['Type'] === 'HttpApi') {
        const { ApiId, Path, Method } = about;
        assert.deepEqual(ApiId, { Ref: 'HttpApi' });
        routes.push(canonical({ route: `${String(Method)} ${String(Path)}`, fn }, {}));
        continue;
      }
      const { Queue, Stream, DestinationConfig, ...source } = about;
      sources.push(
        canonical({ ...source, FunctionName: fn, EventSourceArn: Queue ?? Stream ?? null, ...failing(DestinationConfig) }, {}),
      );
    }
    if (EventInvokeConfig) {
      const { DestinationConfig, ...config } = resolved.value(EventInvokeConfig) as Members;
      invocations.push(canonical({ ...config, FunctionName: { Ref: id }, ...failing(DestinationConfig) }, {}));
    }
  }
  const outputs = Object.entries(TEMPLATE.Outputs)
    .filter(([, output]) => output['Condition'] === undefined || resolved.holds(String(output['Condition'])))
    .map(([key, { Condition: _, ...output }]) => ({ key, ...(resolved.value(output) as Members) }));
  return {
    resources,
    sources: canonical(sources, {}),
    invocations: canonical(invocations, {}),
    routes: canonical(routes, {}),
    outputs: canonical(outputs, {}),
  };
}

/** Where what fails goes, without its kind, which SAM alone wants to know. */
function failing(config: Json | undefined): Members {
  const destination = ((config as Members)?.['OnFailure'] as Members)?.['Destination'];
  return destination === undefined ? {} : { onFailure: destination };
}

/** A resource's properties, and what becomes of it with the stack. */
function kept(resource: { DeletionPolicy?: string; UpdateReplacePolicy?: string }, properties: Json): Json {
  const { DeletionPolicy = 'Delete', UpdateReplacePolicy = 'Delete' } = resource;
  // What the CDK says though CloudFormation would take it so, too; and what CloudFormation takes for said with a key.
  const { Path, ...rest } = properties as Members;
  assert.ok(Path === undefined || Path === '/');
  const { SSEType, ...encryption } = (rest['SSESpecification'] as Members) ?? {};
  assert.ok(SSEType === undefined || SSEType === 'KMS');
  return {
    properties: rest['SSESpecification'] ? { ...rest, SSESpecification: encryption } : rest,
    DeletionPolicy,
    UpdateReplacePolicy,
  };
}

function ofConstruct(props: (scope: cdk.Stack) => Partial<StepwellProps>): Content {
  const app = new cdk.App({ analyticsReporting: false });
  const stack = new cdk.Stack(app, NAME);
  const stepwell = new Stepwell(stack, 'Stepwell', { code: prebuilt(), ...props(stack) });
  const ids: Record<string, string> = {};
  for (const construct of stepwell.node.findAll()) {
    if (cdk.CfnResource.isCfnResource(construct)) {
      const id = construct.node.path.slice(stepwell.node.path.length + 1).replace(/\/Resource$/, '');
      ids[stack.resolve(construct.logicalId)] = id;
    }
  }
  const template = app.synth().getStackByName(NAME).template;
  const resources: Record<string, Json> = {};
  const apart: Record<string, [string, Members][]> = Object.fromEntries(APART.map((type) => [type, []]));
  let routePermissions = 0;
  for (const [logicalId, resource] of Object.entries<any>(template.Resources)) {
    const id = ids[logicalId] ?? logicalId;
    const properties = (canonical(resource.Properties ?? {}, ids) ?? {}) as Members;
    if (resource.Type in apart) {
      apart[resource.Type]?.push([logicalId, resource.Properties]);
    } else if (resource.Type === 'AWS::Lambda::Permission' && properties['Principal'] === 'apigateway.amazonaws.com') {
      routePermissions += 1;
    } else if (resource.Type === 'AWS::Lambda::Function') {
      const { Code, ...rest } = properties;
      assert.ok(Code);
      resources[id] = rest;
    } else {
      resources[id] = kept(resource, properties);
    }
  }
  const of = (type: string): [string, Members][] => apart[type] ?? [];
  const [[, api] = [], [, stage] = []] = [of('AWS::ApiGatewayV2::Api')[0], of('AWS::ApiGatewayV2::Stage')[0]];
  const { ProtocolType, ...rest } = api ?? {};
  assert.equal(ProtocolType, 'HTTP');
  assert.deepEqual([stage?.['StageName'], stage?.['AutoDeploy']], ['$default', true]);
  const log = stage?.['AccessLogSettings'];
  resources['HttpApi'] = canonical({ ...rest, ...(log ? { AccessLogSettings: log } : {}) }, ids);
  const integrations = new Map(of('AWS::ApiGatewayV2::Integration'));
  const routes = of('AWS::ApiGatewayV2::Route').map(([, route]) => {
    assert.equal(route['AuthorizationType'], 'AWS_IAM');
    const [, [, target]] = (route['Target'] as { 'Fn::Join': [string, [string, { Ref: string }]] })['Fn::Join'];
    const integration = integrations.get(target.Ref);
    assert.deepEqual(
      [integration?.['IntegrationType'], integration?.['PayloadFormatVersion']],
      ['AWS_PROXY', '2.0'],
    );
    return { route: route['RouteKey'] ?? null, fn: integration?.['IntegrationUri'] ?? null };
  });
  assert.equal(routePermissions, routes.length);
  const sources = of('AWS::Lambda::EventSourceMapping').map(([, { DestinationConfig, ...source }]) => ({
    ...source,
    FunctionName: { 'Fn::GetAtt': [(source['FunctionName'] as { Ref: string }).Ref, 'Arn'] },
    ...failing(DestinationConfig),
  }));
  const invocations = of('AWS::Lambda::EventInvokeConfig').map(([, { DestinationConfig, Qualifier, ...config }]) => {
    assert.equal(Qualifier, '$LATEST');
    return { ...config, ...failing(DestinationConfig) };
  });
  const outputs = Object.entries<any>(template.Outputs).map(([key, output]) => ({ key, ...output }));
  return {
    resources,
    sources: canonical(sources as Json, ids),
    invocations: canonical(invocations as Json, ids),
    routes: canonical(routes as Json, ids),
    outputs: canonical(outputs as Json, ids),
  };
}

function check(parameters: Record<string, string>): void {
  const known = Object.entries(TEMPLATE.Parameters).map(([name, about]) => [name, String(about['Default'])]);
  const values: Record<string, string> = { ...Object.fromEntries(known), ...parameters };
  const expected = ofTemplate(values);
  const made = ofConstruct((scope) =>
    Object.entries(parameters).reduce(
      (props, [name, value]) => ({ ...props, ...PARAMETERS[name]?.[1](value, scope) }),
      {} as Partial<StepwellProps>,
    ),
  );
  assert.deepEqual(Object.keys(made.resources).sort(), Object.keys(expected.resources).sort());
  const differ = Object.keys(expected.resources).filter(
    (id) => JSON.stringify(made.resources[id]) !== JSON.stringify(expected.resources[id]),
  );
  const only = (resources: Record<string, Json>): Json =>
    Object.fromEntries(differ.map((id) => [id, resources[id] ?? null]));
  assert.deepEqual(only(made.resources), only(expected.resources));
  const { resources: _, ...others } = expected;
  const { resources: __, ...rest } = made;
  assert.deepEqual(rest, others);
}

test('there is a property for each parameter', () => {
  assert.deepEqual(Object.keys(PARAMETERS).sort(), Object.keys(TEMPLATE.Parameters).sort());
});

test('what nothing is said of is as in the template', () => check({}));

test('what everything is said of is as in the template', () => {
  const values = Object.entries(PARAMETERS).map(([name, [value]]) => [name, value]);
  check({ ...Object.fromEntries(values), Alarms: 'true', AccessLogs: 'true', MacroName: 'Other' });
});

test('what is left out is left out as in the template', () => {
  check({ IssueKeys: 'true', Alarms: 'false', AccessLogs: 'false', MacroName: '', PointInTimeRecovery: 'false' });
});
