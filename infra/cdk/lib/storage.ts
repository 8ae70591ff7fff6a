import * as cdk from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { StepwellProps } from './props';

/** Deliveries of a message before it goes to the dead-letter queue, which the functions are told. */
export const RECEIVES_MAX = 5;

/** The indexes of shared/aws/src/table.rs: name and partition key. */
const INDEXES = [
  ['by-machine', 'lm'],
  ['by-version', 'lv'],
  ['by-alias', 'la'],
] as const;

const text = (name: string): dynamodb.Attribute => ({ name, type: dynamodb.AttributeType.STRING });

/** It holds every execution: a stack that is removed leaves it, and one that could not be made does not. */
const KEPT = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE;

/** The table with everything in it, as shared/aws/src/table.rs has it. */
export function table(scope: Construct, props: StepwellProps): dynamodb.Table {
  const made = new dynamodb.Table(scope, 'Table', {
    partitionKey: text('pk'),
    sortKey: text('sk'),
    billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
    timeToLiveAttribute: 'expires',
    stream: dynamodb.StreamViewType.OLD_IMAGE,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: props.pointInTimeRecovery ?? true },
    deletionProtection: props.deletionProtection ?? false,
    removalPolicy: KEPT,
    ...(props.encryptionKey
      ? { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey: props.encryptionKey }
      : {}),
  });
  for (const [indexName, partition] of INDEXES) {
    made.addGlobalSecondaryIndex({
      indexName,
      partitionKey: text(partition),
      sortKey: text('ls'),
      projectionType: dynamodb.ProjectionType.INCLUDE,
      nonKeyAttributes: ['head', 'brief'],
    });
  }
  return made;
}

/** The bucket of what is too large for the table. */
export function bucket(scope: Construct, props: StepwellProps): s3.Bucket {
  const expiration = props.payloadExpiration ?? cdk.Duration.days(550);
  const made = new s3.Bucket(scope, 'PayloadBucket', {
    ...(props.encryptionKey
      ? { encryption: s3.BucketEncryption.KMS, encryptionKey: props.encryptionKey, bucketKeyEnabled: true }
      : { encryption: s3.BucketEncryption.S3_MANAGED }),
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: KEPT,
    lifecycleRules: [
      // An execution's objects are removed with it (timer). These rules are for what that ever misses.
      { id: 'executions', prefix: 'runs/', expiration },
      { id: 'map-runs', prefix: 'map-runs/', expiration },
      { id: 'uploads', abortIncompleteMultipartUploadAfter: cdk.Duration.days(1) },
    ],
  });
  new s3.CfnBucketPolicy(scope, 'PayloadBucketPolicy', {
    bucket: made.bucketName,
    policyDocument: tlsOnly('s3:*', [made.bucketArn, made.arnForObjects('*')]),
  });
  return made;
}

/** The queues. */
export interface Queues {
  /** Executions' messages. */
  readonly transitions: sqs.Queue;
  /** Messages that no driver could handle. */
  readonly deadLetters: sqs.Queue;
  /** Events that could not be taken in. */
  readonly lostEvents: sqs.Queue;
}

/** Makes the queues. */
export function queues(scope: Construct, props: StepwellProps): Queues {
  const common: sqs.QueueProps = {
    retentionPeriod: cdk.Duration.days(14),
    maxMessageSizeBytes: 1_048_576,
    ...(props.encryptionKey
      ? { encryption: sqs.QueueEncryption.KMS, encryptionMasterKey: props.encryptionKey }
      : { encryption: sqs.QueueEncryption.SQS_MANAGED }),
  };
  const deadLetters = new sqs.Queue(scope, 'DeadLetterQueue', common);
  const transitions = new sqs.Queue(scope, 'TransitionsQueue', {
    ...common,
    // Lambda wants at least the function's timeout; a driver makes it a minute, and goes on renewing that.
    visibilityTimeout: props.stepTimeout ?? cdk.Duration.seconds(900),
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: RECEIVES_MAX },
  });
  const lostEvents = new sqs.Queue(scope, 'LostEventsQueue', common);
  const all = [transitions, deadLetters, lostEvents];
  new sqs.CfnQueuePolicy(scope, 'QueuesPolicy', {
    queues: all.map((queue) => queue.queueUrl),
    policyDocument: tlsOnly(
      'sqs:*',
      all.map((queue) => queue.queueArn),
    ),
  });
  return { transitions, deadLetters, lostEvents };
}

function tlsOnly(action: string, resources: string[]): iam.PolicyDocument {
  const statement = new iam.PolicyStatement({
    sid: 'TlsOnly',
    effect: iam.Effect.DENY,
    principals: [new iam.StarPrincipal()],
    actions: [action],
    resources,
    conditions: { Bool: { 'aws:SecureTransport': 'false' } },
  });
  return new iam.PolicyDocument({ statements: [statement] });
}
