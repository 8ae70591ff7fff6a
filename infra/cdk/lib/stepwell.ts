import * as cdk from 'aws-cdk-lib';
import type * as apigateway from 'aws-cdk-lib/aws-apigatewayv2';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { alarms } from './alarms';
import { callersPolicy, functionUrl, httpApi, routeArn } from './api';
import { allow, invokedAsynchronously, make, type Made } from './functions';
import { recordReasons } from './nag';
import { AssumeRoles, type StepwellProps } from './props';
import { bucket, queues, RECEIVES_MAX, table, type Queues } from './storage';

const WHOLE_API = ['ConditionCheckItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem'];

/** The META of an execution that had ended is removed, or replaced by another run's or a redrive's. */
const EXPIRED = {
  eventName: ['REMOVE', 'MODIFY'],
  dynamodb: { Keys: { sk: { S: ['META'] } }, OldImage: { expires: { N: [{ exists: true }] } } },
};

/** Operations that start and callback answer, which may be invoked for them. */
const STARTS = ['StartExecution', 'StartSyncExecution'];
const CALLBACKS = ['SendTaskSuccess', 'SendTaskFailure', 'SendTaskHeartbeat'];

/**
 * Stepwell in an AWS account: state machines run by Lambda functions over DynamoDB, SQS and EventBridge Scheduler.
 *
 * It deploys what infra/template.yaml does, and a test holds the two together.
 */
export class Stepwell extends Construct {
  /** Everything that is known of state machines and executions. */
  readonly table: dynamodb.Table;
  /** What is too large for the table. */
  readonly payloadBucket: s3.Bucket;
  /** Executions' messages, those that no driver could handle, and events that could not be taken in. */
  readonly queues: Queues;
  /** Starts executions: target of rules, schedules and direct invocations. */
  readonly startFunction: lambda.Function;
  /** Drives executions. */
  readonly stepFunction: lambda.Function;
  /** Ends long waits, and removes what expired executions leave. */
  readonly timerFunction: lambda.Function;
  /** Takes in what task tokens report. */
  readonly callbackFunction: lambda.Function;
  /** Answers the API, custom resources and the macro of CloudFormation. */
  readonly apiFunction: lambda.Function;
  /** Answers holders of access keys that Stepwell issued (`issueKeys`). */
  readonly keysFunction?: lambda.Function;
  /** The HTTP API, which asks for IAM and waits 30 seconds for an answer. */
  readonly httpApi: apigateway.HttpApi;
  /** The HTTP API's address. */
  readonly endpoint: string;
  /** Function URLs, which ask for IAM, for calls of any length: every operation, and those that start. */
  readonly apiUrl: string;
  readonly startUrl: string;
  /** The address for access keys that Stepwell issued, for AWS_ENDPOINT_URL_SFN (`issueKeys`). */
  readonly keysUrl?: string;
  /** Roles of the functions that call tasks: whom a state machine's role must trust. */
  readonly taskRoles: iam.Role[];
  /** The policy of whoever calls the API. */
  readonly callersPolicy: iam.ManagedPolicy;

  constructor(scope: Construct, id: string, props: StepwellProps) {
    super(scope, id);
    const stack = cdk.Stack.of(this);
    const name = props.name ?? stack.stackName;
    this.table = table(this, props);
    this.payloadBucket = bucket(this, props);
    this.queues = queues(this, props);
    const group = new scheduler.CfnScheduleGroup(this, 'ScheduleGroup', { name });
    // By its name: the timer function has this variable too, and cannot wait for itself.
    const timerArn = functionArn(stack, `${name}-timer`);
    const scheduleRole = this.scheduleRole(group, timerArn);
    const environment: Record<string, string> = {
      STEPWELL_ACCOUNT_ID: stack.account,
      STEPWELL_TABLE: this.table.tableName,
      STEPWELL_QUEUE_URL: this.queues.transitions.queueUrl,
      STEPWELL_BUCKET: this.payloadBucket.bucketName,
      STEPWELL_SCHEDULE_GROUP: group.ref,
      STEPWELL_SCHEDULE_ROLE_ARN: scheduleRole.roleArn,
      STEPWELL_TIMER_ARN: timerArn,
      STEPWELL_RETENTION_DAYS: String(props.retention?.toDays() ?? 90),
      STEPWELL_RECEIVES_MAX: String(RECEIVES_MAX),
      STEPWELL_CALL_SECONDS_MAX: String(props.callMax?.toSeconds() ?? 600),
      STEPWELL_ASSUME_ROLES: props.assumeRoles ?? AssumeRoles.MACHINE,
      STEPWELL_STATUS_EVENTS: props.statusEvents ? 'on' : 'off',
      STEPWELL_LOG: props.logLevel ?? 'warn',
    };
    const step = this.step(name, props, environment, group, scheduleRole);
    const start = this.start(name, props, environment);
    const callback = this.callback(name, props, environment);
    const timer = this.timer(name, props, environment);
    const api = this.api(name, props, environment, start.fn, [step.role, start.role]);
    this.stepFunction = step.fn;
    this.startFunction = start.fn;
    this.callbackFunction = callback.fn;
    this.timerFunction = timer.fn;
    this.apiFunction = api.fn;
    const keys = props.issueKeys ? this.keys(name, props, environment) : undefined;
    const driving = [step.role, start.role, api.role, ...(keys ? [keys.made.role] : [])];
    this.dataPolicy([...driving, callback.role]);
    this.keyPolicy(props, [...driving, callback.role, timer.role]);
    this.tasksPolicy(props, driving);

    const answering = { start: start.fn, callback: callback.fn, api: api.fn };
    this.httpApi = httpApi(this, name, props, answering);
    this.endpoint = `https://${this.httpApi.apiId}.execute-api.${stack.region}.${stack.urlSuffix}`;
    this.apiUrl = functionUrl(this, 'ApiUrl', api.fn).attrFunctionUrl;
    this.startUrl = functionUrl(this, 'StartUrl', start.fn).attrFunctionUrl;
    this.callersPolicy = callersPolicy(this, this.httpApi, answering);
    this.eventRule(props);
    if (props.macroName !== '') {
      new cdk.CfnMacro(this, 'Macro', {
        name: props.macroName ?? 'Stepwell',
        description: "Turns the Step Functions state machines of a template into Stepwell's",
        functionName: api.fn.functionArn,
      });
    }
    if (keys) {
      this.keysFunction = keys.made.fn;
      this.keysUrl = functionUrl(this, 'KeysUrl', keys.made.fn, true).attrFunctionUrl;
    }
    this.taskRoles = driving;
    if (props.alarms ?? true) {
      const functions = { start: start.fn, step: step.fn, timer: timer.fn, callback: callback.fn, api: api.fn };
      const { tableName } = this.table;
      alarms(this, props, { queues: this.queues, tableName, scheduleGroup: group.ref, functions });
    }
    if (props.outputs ?? true) {
      this.outputs([step, start, api], keys);
    }
    recordReasons(this);
  }

  /**
   * Lets `grantee` call operations of the API, such as `DescribeExecution`, for all state machines of this deployment: through the HTTP
   * API's route of each, and where `start` or `callback` answers it by invoking that.
   */
  grant(grantee: iam.IGrantable, ...operations: string[]): iam.Grant {
    const routes = operations.map((operation) => routeArn(this.httpApi, `*/POST/${operation}`));
    const granted = iam.Grant.addToPrincipal({ grantee, actions: ['execute-api:Invoke'], resourceArns: routes });
    const invoked = [
      ...(operations.some((operation) => STARTS.includes(operation)) ? [this.startFunction] : []),
      ...(operations.some((operation) => CALLBACKS.includes(operation)) ? [this.callbackFunction] : []),
    ];
    return invoked.reduce((grant, fn) => grant.combine(fn.grantInvoke(grantee)), granted);
  }

  private data(...actions: string[]): iam.PolicyStatement {
    return allow(
      'Table',
      actions.map((action) => `dynamodb:${action}`),
      [this.table.tableArn],
    );
  }

  private listings(): iam.PolicyStatement {
    return allow('Listings', ['dynamodb:Query'], [`${this.table.tableArn}/index/*`]);
  }

  private sending(sid: string, queue: keyof Queues): iam.PolicyStatement {
    return allow(sid, ['sqs:SendMessage'], [this.queues[queue].queueArn]);
  }

  private scheduleRole(group: scheduler.CfnScheduleGroup, timerArn: string): iam.Role {
    return new iam.Role(this, 'ScheduleRole', {
      description: "EventBridge Scheduler invokes Stepwell's timer function",
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': cdk.Stack.of(this).account, 'aws:SourceArn': group.attrArn },
        },
      }),
      inlinePolicies: {
        timer: new iam.PolicyDocument({
          statements: [new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [timerArn] })],
        }),
      },
    });
  }

  private step(
    name: string,
    props: StepwellProps,
    environment: Record<string, string>,
    group: scheduler.CfnScheduleGroup,
    scheduleRole: iam.Role,
  ): Made {
    const stack = cdk.Stack.of(this);
    const bus = stack.formatArn({ service: 'events', resource: 'event-bus', resourceName: 'default' });
    const schedules = stack.formatArn({ service: 'scheduler', resource: 'schedule', resourceName: `${group.ref}/*` });
    const made = make(this, name, props, {
      id: 'Step',
      code: 'step',
      description: 'Drives executions',
      roleDescription: "Stepwell's function that drives executions",
      memorySize: props.stepMemory ?? 256,
      timeout: props.stepTimeout ?? cdk.Duration.seconds(900),
      environment,
      ...(props.taskPolicies ? { managedPolicies: props.taskPolicies } : {}),
      statements: [
        this.data(...WHOLE_API),
        this.listings(),
        allow(
          'Queue',
          ['ChangeMessageVisibility', 'DeleteMessage', 'GetQueueAttributes', 'ReceiveMessage', 'SendMessage'].map(
            (action) => `sqs:${action}`,
          ),
          [this.queues.transitions.queueArn],
        ),
        allow(
          'Schedules',
          ['scheduler:CreateSchedule'],
          [schedules],
        ),
        // How long a task's function may take, and where its asynchronous invocations are told of.
        allow(
          'LongTasks',
          ['lambda:GetFunctionConfiguration', 'lambda:GetFunctionEventInvokeConfig'],
          [functionArn(stack, '*')],
        ),
        allow('ScheduleRole', ['iam:PassRole'], [scheduleRole.roleArn], {
          StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' },
        }),
        ...(props.statusEvents
          ? [allow('StatusEvents', ['events:PutEvents'], [bus], { StringEquals: { 'events:source': 'stepwell' } })]
          : []),
      ],
    });
    new lambda.EventSourceMapping(this, 'Transitions', {
      target: made.fn,
      eventSourceArn: this.queues.transitions.queueArn,
      batchSize: props.stepBatchSize ?? 10,
      maxBatchingWindow: props.stepBatchWindow ?? cdk.Duration.seconds(0),
      reportBatchItemFailures: true,
      maxConcurrency: props.stepConcurrency ?? 100,
    });
    return made;
  }

  private start(name: string, props: StepwellProps, environment: Record<string, string>): Made {
    const made = make(this, name, props, {
      id: 'Start',
      code: 'start',
      description: 'Starts executions, and runs synchronous ones',
      roleDescription: "Stepwell's function that starts executions, and runs synchronous ones",
      memorySize: props.startMemory ?? 256,
      timeout: props.startTimeout ?? cdk.Duration.seconds(330),
      environment: { ...environment, STEPWELL_STATE_MACHINE_ARN: props.eventStateMachineArn ?? '' },
      ...(props.taskPolicies ? { managedPolicies: props.taskPolicies } : {}),
      statements: [
        // A synchronous execution's tasks may call the whole API.
        this.data(...WHOLE_API),
        this.listings(),
        this.sending('Queue', 'transitions'),
        this.sending('LostEvents', 'lostEvents'),
      ],
    });
    invokedAsynchronously(this, 'StartInvocations', made.fn, this.queues.lostEvents.queueArn);
    return made;
  }

  private callback(name: string, props: StepwellProps, environment: Record<string, string>): Made {
    const made = make(this, name, props, {
      id: 'Callback',
      code: 'callback',
      description: 'Takes in what task tokens report',
      roleDescription: "Stepwell's function that takes in what task tokens report",
      memorySize: props.callbackMemory ?? 256,
      timeout: cdk.Duration.seconds(30),
      environment,
      statements: [
        this.data('GetItem', 'PutItem', 'Query'),
        this.sending('Queue', 'transitions'),
        this.sending('LostEvents', 'lostEvents'),
      ],
    });
    invokedAsynchronously(this, 'CallbackInvocations', made.fn, this.queues.lostEvents.queueArn);
    return made;
  }

  private timer(name: string, props: StepwellProps, environment: Record<string, string>): Made {
    const { payloadBucket, queues, table } = this;
    const made = make(this, name, props, {
      id: 'Timer',
      code: 'timer',
      description: 'Ends long waits, and removes what expired executions leave',
      roleDescription: "Stepwell's function that ends long waits and removes what expired executions leave",
      memorySize: props.timerMemory ?? 128,
      timeout: cdk.Duration.seconds(60),
      environment,
      statements: [
        this.data('BatchWriteItem', 'DeleteItem', 'GetItem', 'Query'),
        allow(
          'Stream',
          ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'].map((action) => `dynamodb:${action}`),
          [`${table.tableArn}/stream/*`],
        ),
        allow(
          'Objects',
          ['s3:DeleteObject'],
          [payloadBucket.arnForObjects('runs/*'), payloadBucket.arnForObjects('map-runs/*')],
        ),
        allow('ObjectsOfARun', ['s3:ListBucket'], [payloadBucket.bucketArn], {
          StringLike: { 's3:prefix': ['runs/*', 'map-runs/*'] },
        }),
        this.sending('Queue', 'transitions'),
        this.sending('LostEvents', 'lostEvents'),
      ],
    });
    // A schedule removes itself once it has fired: what this function could not do with it goes to the queue, and step does it.
    invokedAsynchronously(this, 'TimerInvocations', made.fn, queues.transitions.queueArn);
    new lambda.EventSourceMapping(this, 'Expired', {
      target: made.fn,
      eventSourceArn: table.tableStreamArn,
      startingPosition: lambda.StartingPosition.TRIM_HORIZON,
      batchSize: 100,
      // Nobody waits for it, and records that the filter passes over cost nothing.
      maxBatchingWindow: cdk.Duration.seconds(60),
      bisectBatchOnError: true,
      reportBatchItemFailures: true,
      retryAttempts: 100,
      onFailure: { bind: () => ({ destination: queues.lostEvents.queueArn }) },
      filters: [{ pattern: JSON.stringify(EXPIRED) }],
    });
    return made;
  }

  private api(
    name: string,
    props: StepwellProps,
    environment: Record<string, string>,
    start: lambda.Function,
    roles: iam.Role[],
  ): Made {
    const stack = cdk.Stack.of(this);
    const objects = props.definitionObjects ?? [
      'arn:aws:s3:::aws-sam-cli-managed-default-*/*',
      'arn:aws:s3:::cdk-*-assets-*/*',
    ];
    const made = make(this, name, props, {
      id: 'Api',
      code: 'api',
      description: 'Answers the Step Functions API, custom resources and the macro of CloudFormation',
      roleDescription: "Stepwell's function that answers the Step Functions API",
      memorySize: props.apiMemory ?? 256,
      timeout: props.apiTimeout ?? cdk.Duration.seconds(330),
      environment,
      ...(props.taskPolicies ? { managedPolicies: props.taskPolicies } : {}),
      statements: [
        this.data(...WHOLE_API),
        this.listings(),
        this.sending('Queue', 'transitions'),
        allow('Definitions', ['s3:GetObject', 's3:GetObjectVersion'], objects, {
          StringEquals: { 'aws:ResourceAccount': stack.account },
        }),
      ],
    });
    // What the macro writes into templates.
    made.fn.addEnvironment('STEPWELL_API_ARN', functionArn(stack, `${name}-api`));
    made.fn.addEnvironment('STEPWELL_START_ARN', start.functionArn);
    made.fn.addEnvironment('STEPWELL_ROLE_ARNS', [...roles, made.role].map((role) => role.roleArn).join(','));
    return made;
  }

  private keys(
    name: string,
    props: StepwellProps,
    environment: Record<string, string>,
  ): { made: Made; secret: secretsmanager.CfnSecret } {
    const secret = new secretsmanager.CfnSecret(this, 'KeysSecret', {
      description: 'What the access keys that Stepwell issues are drawn from',
      ...(props.encryptionKey ? { kmsKeyId: props.encryptionKey.keyArn } : {}),
      generateSecretString: {
        secretStringTemplate: '{}',
        generateStringKey: 'root',
        passwordLength: 64,
        excludePunctuation: true,
      },
    });
    const made = make(this, name, props, {
      id: 'Keys',
      code: 'api',
      description: 'Answers the Step Functions API to holders of access keys that Stepwell issued',
      roleDescription: "Stepwell's function that answers holders of its access keys",
      memorySize: props.apiMemory ?? 256,
      timeout: props.apiTimeout ?? cdk.Duration.seconds(330),
      environment: { ...environment, STEPWELL_KEYS_SECRET_ARN: secret.ref },
      ...(props.taskPolicies ? { managedPolicies: props.taskPolicies } : {}),
      statements: [
        this.data(...WHOLE_API),
        this.listings(),
        this.sending('Queue', 'transitions'),
        allow('Secret', ['secretsmanager:GetSecretValue'], [secret.ref]),
      ],
    });
    return { made, secret };
  }

  private dataPolicy(roles: iam.Role[]): void {
    this.managed('DataPolicy', "What Stepwell's executions keep outside of the table", roles, [
      allow('Objects', ['s3:GetObject', 's3:PutObject'], [this.payloadBucket.arnForObjects('*')]),
      // What was put for a write that was not done.
      allow('ObjectsThatNothingNames', ['s3:DeleteObject'], [this.payloadBucket.arnForObjects('runs/*')]),
    ]);
  }

  private keyPolicy(props: StepwellProps, roles: iam.Role[]): void {
    if (!props.encryptionKey) {
      return;
    }
    this.managed('KeyPolicy', "The key that Stepwell's data is encrypted with", roles, [
      allow('Key', ['kms:Decrypt', 'kms:GenerateDataKey'], [props.encryptionKey.keyArn]),
    ]);
  }

  private tasksPolicy(props: StepwellProps, roles: iam.Role[]): void {
    const stack = cdk.Stack.of(this);
    const assumable = stack.formatArn({
      service: 'iam',
      region: '',
      resource: 'role',
      resourceName: props.assumableRoles ?? '*',
    });
    const isTagged = props.assumableRolesAreTagged ?? true;
    const tagged = { Null: { 'aws:ResourceTag/stepwell': 'false' } };
    const logGroup = (resourceName: string) =>
      stack.formatArn({ service: 'logs', resource: 'log-group', resourceName, arnFormat: cdk.ArnFormat.COLON_RESOURCE_NAME });
    const logGroups = logGroup(props.expressLogGroups ?? '/aws/vendedlogs/states/*');
    this.managed('TasksPolicy', "What Stepwell's functions that run executions may do for them", roles, [
      allow('Roles', ['sts:AssumeRole'], [assumable], isTagged ? tagged : undefined),
      allow('ExpressLogs', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroups]),
      // Whether the log group of a loggingConfiguration is there. AWS knows this action for no single group.
      allow('LogGroups', ['logs:DescribeLogGroups'], [logGroup('*')]),
    ]);
  }

  private managed(id: string, description: string, roles: iam.Role[], statements: iam.PolicyStatement[]): void {
    const document = new iam.PolicyDocument({ statements, minimize: false });
    new iam.ManagedPolicy(this, id, { description, roles, document });
  }

  private eventRule(props: StepwellProps): void {
    if (!props.eventStateMachineArn) {
      return;
    }
    const rule = new events.CfnRule(this, 'EventRule', {
      description: 'Events that start executions in Stepwell',
      eventPattern: {
        source: props.eventSources ?? ['stepwell.start'],
        ...(props.eventDetailTypes?.length ? { 'detail-type': props.eventDetailTypes } : {}),
      },
      // The function starts eventStateMachineArn, under the event's id: an event that is delivered twice starts nothing twice.
      targets: [{ id: 'start', arn: this.startFunction.functionArn }],
    });
    new lambda.CfnPermission(this, 'EventRulePermission', {
      functionName: this.startFunction.functionName,
      action: 'lambda:InvokeFunction',
      principal: 'events.amazonaws.com',
      sourceArn: rule.attrArn,
    });
  }

  private outputs(roles: [Made, Made, Made], keys?: { made: Made; secret: secretsmanager.CfnSecret }): void {
    const stack = cdk.Stack.of(this);
    const [step, start, api] = roles;
    const all: Record<string, [string, string] | undefined> = {
      Endpoint: [this.endpoint, 'The Step Functions API, signed for execute-api; calls up to 30 seconds'],
      ApiUrl: [this.apiUrl, 'The same, signed for lambda; calls of any length'],
      StartUrl: [this.startUrl, 'StartExecution and StartSyncExecution, signed for lambda'],
      KeysUrl: keys && [this.keysUrl ?? '', 'The Step Functions API, signed with access keys that Stepwell issued'],
      KeysFunctionArn: keys && [
        keys.made.fn.functionArn,
        'The function that creates, lists and deletes those keys when it is invoked',
      ],
      KeysSecretArn: keys && [keys.secret.ref, 'Where those keys come from'],
      StartFunctionArn: [
        this.startFunction.functionArn,
        'Target of rules, schedules and direct invocations that start executions',
      ],
      StepFunctionArn: [this.stepFunction.functionArn, 'Drives executions'],
      TimerFunctionArn: [this.timerFunction.functionArn, 'Ends long waits'],
      CallbackFunctionArn: [this.callbackFunction.functionArn, 'Takes in what task tokens report'],
      ApiFunctionArn: [
        this.apiFunction.functionArn,
        'ServiceToken of Custom::StepwellStateMachine, -Version, -Alias and -Activity',
      ],
      StartFunctionRoleArn: [start.role.roleArn, "Whom a state machine's role must trust"],
      StepFunctionRoleArn: [step.role.roleArn, "Whom a state machine's role must trust"],
      ApiFunctionRoleArn: [api.role.roleArn, "Whom a state machine's role must trust"],
      KeysFunctionRoleArn: keys && [keys.made.role.roleArn, "Whom a state machine's role must trust"],
      CallersPolicyArn: [this.callersPolicy.managedPolicyArn, 'The managed policy of whoever calls the API'],
      TableName: [this.table.tableName, 'The table with all executions'],
      TransitionsQueueUrl: [this.queues.transitions.queueUrl, "The queue of executions' messages"],
      DeadLetterQueueUrl: [this.queues.deadLetters.queueUrl, 'The queue of messages that no driver could handle'],
      LostEventsQueueUrl: [this.queues.lostEvents.queueUrl, 'The queue of events that could not be taken in'],
      PayloadBucketName: [this.payloadBucket.bucketName, 'The bucket of what is too large for the table'],
    };
    for (const [key, output] of Object.entries(all)) {
      if (output) {
        const [value, description] = output;
        const made = new cdk.CfnOutput(this, `Output${key}`, {
          value,
          description,
          exportName: `${stack.stackName}-${key}`,
        });
        made.overrideLogicalId(key);
      }
    }
  }
}

function functionArn(stack: cdk.Stack, name: string): string {
  return stack.formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: name,
    arnFormat: cdk.ArnFormat.COLON_RESOURCE_NAME,
  });
}
