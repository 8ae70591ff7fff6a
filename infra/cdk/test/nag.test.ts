/** cdk-nag's AwsSolutions, with the reason for each rule that is passed over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as cdk from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import * as sns from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks } from 'cdk-nag';
import { Stepwell, StepwellStateMachine } from '../lib';
import { REASONS } from '../lib/nag';
import { prebuilt } from './prebuilt';

function findings(reasoned: boolean): string[] {
  const app = new cdk.App({ analyticsReporting: false });
  const stack = new cdk.Stack(app, 'stepwell');
  const alarmTopic = sns.Topic.fromTopicArn(stack, 'Topic', 'arn:aws:sns:us-east-1:123456789012:t');
  const machine = 'arn:aws:states:us-east-1:123456789012:stateMachine:m';
  const props = { code: prebuilt(), issueKeys: true, statusEvents: true, eventStateMachineArn: machine, alarmTopic };
  const stepwell = new Stepwell(stack, 'Stepwell', props);
  new StepwellStateMachine(stack, 'Machine', {
    stepwell,
    definition: { StartAt: 'P', States: { P: { Type: 'Pass', End: true } } },
  });
  if (!reasoned) {
    for (const construct of stepwell.node.findAll()) {
      if (cdk.CfnResource.isCfnResource(construct)) {
        construct.addMetadata('cdk_nag', undefined);
      }
    }
  }
  cdk.Aspects.of(app).add(new AwsSolutionsChecks());
  const annotations = Annotations.fromStack(stack);
  const all = [
    ...annotations.findError('*', Match.stringLikeRegexp('AwsSolutions-')),
    ...annotations.findWarning('*', Match.stringLikeRegexp('AwsSolutions-|CdkNag')),
  ];
  return all.map((finding) => `${finding.id} ${String(finding.entry.data).split('\n')[0]}`);
}

test('nothing is found but what has its reason', () => {
  assert.deepEqual(findings(true), []);
});

test('each reason is for something that would be found', () => {
  const found = findings(false).map((finding) => finding.split(' ')[0]?.split('/')[3]);
  const resources = new Set(found);
  assert.deepEqual([...resources].sort(), Object.keys(REASONS).sort());
});
