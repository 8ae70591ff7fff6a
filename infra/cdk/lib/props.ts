import type * as cdk from 'aws-cdk-lib';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { StepwellCode } from './code';

/** Whose permissions tasks call with. */
export enum AssumeRoles {
  /** A state machine's role is assumed for its tasks, as Step Functions does. */
  MACHINE = 'machine',
  /** Only the role that a task's Credentials name; all other calls are made by the functions' own roles. */
  CREDENTIALS = 'credentials',
}

/** What there is to say of a deployment. All but `code` has a default: that of the parameter in infra/template.yaml. */
export interface StepwellProps {
  /** Where the functions' binaries come from. */
  readonly code: StepwellCode;
  /**
   * What the names of functions, log groups and the schedule group begin with.
   * @default the stack's name
   */
  readonly name?: string;
  /**
   * What the functions are built for. arm64 costs a fifth less.
   * @default lambda.Architecture.ARM_64
   */
  readonly architecture?: lambda.Architecture;

  /**
   * Whose permissions tasks call with.
   * @default AssumeRoles.MACHINE
   */
  readonly assumeRoles?: AssumeRoles;
  /**
   * Names, with wildcards, of this account's roles that may be assumed for tasks.
   * @default '*'
   */
  readonly assumableRoles?: string;
  /**
   * Whether only roles that bear the tag `stepwell` (of any value) may be assumed. Otherwise whoever may create a state machine
   * can use every role that trusts this account as a whole.
   * @default true
   */
  readonly assumableRolesAreTagged?: boolean;
  /**
   * What tasks may do that run without a role of their own (see `assumeRoles`).
   * @default none
   */
  readonly taskPolicies?: iam.IManagedPolicy[];
  /**
   * Names, with wildcards, of the log groups that state machines may log to.
   * @default '/aws/vendedlogs/states/*'
   */
  readonly expressLogGroups?: string;
  /**
   * ARNs, with wildcards, of this account's objects that a DefinitionS3Location may name.
   * @default where the SAM CLI and the CDK put what they package
   */
  readonly definitionObjects?: string[];

  /**
   * Whether to serve a second address, which asks for no IAM but for access keys that Stepwell itself issues.
   * @default false
   */
  readonly issueKeys?: boolean;
  /**
   * Whether the HTTP API logs who called what.
   * @default true
   */
  readonly accessLogs?: boolean;
  /**
   * The state machine that events start which match `eventSources` and `eventDetailTypes`.
   * @default none
   */
  readonly eventStateMachineArn?: string;
  /**
   * Sources of the events on the default bus that start it.
   * @default ['stepwell.start']
   */
  readonly eventSources?: string[];
  /**
   * Their detail-types.
   * @default any
   */
  readonly eventDetailTypes?: string[];
  /**
   * The CloudFormation macro that turns the state machines of a template into Stepwell's. One name can be there once for an
   * account and region; '' = none.
   * @default 'Stepwell'
   */
  readonly macroName?: string;

  /**
   * How long an execution is kept after its end.
   * @default 90 days
   */
  readonly retention?: cdk.Duration;
  /**
   * After how long an execution's object is removed whatever happens. Keep it over the longest execution (365 days) and
   * `retention` together.
   * @default 550 days
   */
  readonly payloadExpiration?: cdk.Duration;
  /**
   * Whether the table can be restored to any second of the last 35 days.
   * @default true
   */
  readonly pointInTimeRecovery?: boolean;
  /**
   * Whether DynamoDB refuses to delete the table. With the stack it is never deleted.
   * @default false
   */
  readonly deletionProtection?: boolean;
  /**
   * A key for table, queues, objects and the keys' secret.
   * @default keys of AWS's own, which cost nothing
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Whether to make alarms.
   * @default true
   */
  readonly alarms?: boolean;
  /**
   * Where alarms are sent to.
   * @default they are only seen in CloudWatch
   */
  readonly alarmTopic?: sns.ITopic;
  /**
   * How old the oldest message may become before it is an alarm. A wait of 15 minutes rests in the queue, and so does what a
   * driver works on, so less than 30 may cry for nothing.
   * @default 30 minutes
   */
  readonly queueAgeAlarm?: cdk.Duration;
  /**
   * What the functions log, such as `info` or `warn,stepwell_engine=debug`.
   * @default 'warn'
   */
  readonly logLevel?: string;
  /**
   * How long the functions' logs are kept.
   * @default logs.RetentionDays.ONE_MONTH
   */
  readonly logRetention?: logs.RetentionDays;
  /**
   * Whether to put an event on the default bus (source `stepwell`) whenever a Standard execution's status changes. A million of
   * them cost a dollar.
   * @default false
   */
  readonly statusEvents?: boolean;

  /**
   * Megabytes for the function that drives executions.
   * @default 256
   */
  readonly stepMemory?: number;
  /**
   * How long it may take for a batch of messages. The queue's visibility is the same.
   * @default 15 minutes
   */
  readonly stepTimeout?: cdk.Duration;
  /**
   * How long it waits for a task's synchronous call at most.
   * @default 10 minutes
   */
  readonly callMax?: cdk.Duration;
  /**
   * Messages that it gets at once at most.
   * @default 10
   */
  readonly stepBatchSize?: number;
  /**
   * How long it waits for a batch to fill. More is cheaper and slower.
   * @default not at all
   */
  readonly stepBatchWindow?: cdk.Duration;
  /**
   * How many of it run at once at most, of the account's concurrent functions.
   * @default 100
   */
  readonly stepConcurrency?: number;
  /**
   * Megabytes for the function that starts executions and runs synchronous ones.
   * @default 256
   */
  readonly startMemory?: number;
  /**
   * How long it may take. A synchronous execution takes up to 300 seconds.
   * @default 330 seconds
   */
  readonly startTimeout?: cdk.Duration;
  /**
   * Megabytes for the function that answers the API.
   * @default 256
   */
  readonly apiMemory?: number;
  /**
   * How long it may take. GetActivityTask waits for 60 seconds, a synchronous execution for up to 300.
   * @default 330 seconds
   */
  readonly apiTimeout?: cdk.Duration;
  /**
   * Megabytes for the function that takes in what task tokens report.
   * @default 256
   */
  readonly callbackMemory?: number;
  /**
   * Megabytes for the function that ends long waits, and removes what expired executions leave.
   * @default 128
   */
  readonly timerMemory?: number;

  /**
   * Whether the stack has the outputs of infra/template.yaml, under the same names, which `stepwell proxy --stack` reads. A stack can
   * have them once.
   * @default true
   */
  readonly outputs?: boolean;
}
