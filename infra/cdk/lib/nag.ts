import { CfnResource } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

const IAM5 = 'AwsSolutions-IAM5';
const INDEXES = "The table's own indexes, of which each has its ARN below the table's.";

/** By construct: the rules of cdk-nag's AwsSolutions that are passed over, with the reasons. */
export const REASONS: Record<string, [rule: string, reason: string]> = {
  PayloadBucket: [
    'AwsSolutions-S1',
    "Logging who read which object costs more than the objects. CloudTrail's data events can be turned on for the bucket.",
  ],
  LostEventsQueue: [
    'AwsSolutions-SQS3',
    'It is where what could not be taken in ends up: nobody receives from it, so nothing can fail there.',
  ],
  KeysSecret: [
    'AwsSolutions-SMG4',
    'All access keys are drawn from this secret: a new one would void every key that was handed out. Keys are replaced one by one.',
  ],
  StepFunctionRole: [IAM5, `${INDEXES} And the schedules of its own schedule group, whose names are hashes of what they say.`],
  StartFunctionRole: [IAM5, INDEXES],
  TimerFunctionRole: [
    IAM5,
    "The table's own stream, whose name is the time it was made at, and objects of executions, named after their run.",
  ],
  ApiFunctionRole: [
    IAM5,
    `${INDEXES} And objects of this account that a DefinitionS3Location may name (definitionObjects).`,
  ],
  KeysFunctionRole: [IAM5, INDEXES],
  DataPolicy: [IAM5, "Objects of Stepwell's own bucket, named by the hash of what they hold."],
  TasksPolicy: [
    IAM5,
    'Which roles tasks are called with, and which log groups executions are logged to, state machines say that are not there yet. ' +
      'assumableRoles, the tag stepwell and expressLogGroups bound it. And whether a log group is there, which AWS knows for no single one.',
  ],
  CallersPolicy: [IAM5, "All routes of Stepwell's own HTTP API: it is the policy of whoever may call every operation."],
};

/** Records the reasons where cdk-nag looks for them: as metadata, so that nobody needs cdk-nag who does not use it. */
export function recordReasons(scope: Construct): void {
  for (const [id, [rule, reason]] of Object.entries(REASONS)) {
    const construct = scope.node.tryFindChild(id);
    const resource = construct && (CfnResource.isCfnResource(construct) ? construct : construct.node.defaultChild);
    if (resource && CfnResource.isCfnResource(resource)) {
      resource.addMetadata('cdk_nag', { rules_to_suppress: [{ id: rule, reason }] });
    }
  }
}
