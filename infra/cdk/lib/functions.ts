import * as cdk from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { FunctionName } from './code';
import type { StepwellProps } from './props';

/** What one of the functions is made with. */
export interface Making {
  /**
   * The construct's id, as in infra/template.yaml: `Step` of `StepFunction`, `StepLogGroup`, `StepFunctionRole`; in lower case the last
   * part of its name.
   */
  readonly id: string;
  /** What it is built from. */
  readonly code: FunctionName;
  readonly description: string;
  readonly roleDescription: string;
  readonly memorySize: number;
  readonly timeout: cdk.Duration;
  /** What it may do besides writing its log. */
  readonly statements: iam.PolicyStatement[];
  readonly managedPolicies?: iam.IManagedPolicy[];
  readonly environment: Record<string, string>;
}

/** A function with its role and log group. */
export interface Made {
  readonly fn: lambda.Function;
  readonly role: iam.Role;
}

/** A statement with an id, as all of the template's have one. */
export function allow(
  sid: string,
  actions: string[],
  resources: string[],
  conditions?: Record<string, Record<string, unknown>>,
): iam.PolicyStatement {
  return new iam.PolicyStatement({ sid, actions, resources, ...(conditions ? { conditions } : {}) });
}

/** Makes a function that may do what is said, and no more. */
export function make(scope: Construct, name: string, props: StepwellProps, making: Making): Made {
  const suffix = making.id.toLowerCase();
  const logGroup = new logs.LogGroup(scope, `${making.id}LogGroup`, {
    logGroupName: `/aws/lambda/${name}-${suffix}`,
    retention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
    removalPolicy: cdk.RemovalPolicy.DESTROY,
  });
  const log = allow('Log', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroup.logGroupArn]);
  const role = new iam.Role(scope, `${making.id}FunctionRole`, {
    description: making.roleDescription,
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    ...(making.managedPolicies?.length ? { managedPolicies: making.managedPolicies } : {}),
    inlinePolicies: { [suffix]: new iam.PolicyDocument({ statements: [log, ...making.statements], minimize: false }) },
  });
  const architecture = props.architecture ?? lambda.Architecture.ARM_64;
  const fn = new lambda.Function(scope, `${making.id}Function`, {
    functionName: `${name}-${suffix}`,
    description: making.description,
    runtime: lambda.Runtime.PROVIDED_AL2023,
    handler: 'bootstrap',
    code: props.code.of(making.code, architecture),
    architecture,
    memorySize: making.memorySize,
    timeout: making.timeout,
    role,
    logGroup,
    environment: making.environment,
  });
  return { fn, role };
}

/** What comes asynchronously is tried three times within six hours, and then goes to a queue. */
export function invokedAsynchronously(scope: Construct, id: string, fn: lambda.Function, onFailureArn: string): void {
  new lambda.CfnEventInvokeConfig(scope, id, {
    functionName: fn.functionName,
    qualifier: '$LATEST',
    maximumRetryAttempts: 2,
    maximumEventAgeInSeconds: 21_600,
    destinationConfig: { onFailure: { destination: onFailureArn } },
  });
}
