import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { StepwellProps } from './props';
import type { Queues } from './storage';

/** What is watched. */
export interface Watched {
  readonly queues: Queues;
  readonly tableName: string;
  readonly scheduleGroup: string;
  readonly functions: Record<string, lambda.IFunction>;
}

/** The alarms of infra/template.yaml. */
export function alarms(scope: Construct, props: StepwellProps, watched: Watched): void {
  const actions = props.alarmTopic ? [props.alarmTopic.topicArn] : undefined;
  const common = {
    evaluationPeriods: 1,
    comparisonOperator: 'GreaterThanThreshold',
    treatMissingData: 'notBreaching',
    ...(actions ? { alarmActions: actions, okActions: actions } : {}),
  };
  const one = (
    id: string,
    alarmDescription: string,
    [namespace, metricName, name, value]: [string, string, string, string],
    statistic: string,
    threshold = 0,
  ): cloudwatch.CfnAlarm =>
    new cloudwatch.CfnAlarm(scope, id, {
      ...common,
      alarmDescription,
      namespace,
      metricName,
      dimensions: [{ name, value }],
      statistic,
      period: 300,
      threshold,
    });
  const { deadLetters, lostEvents, transitions } = watched.queues;
  const visible = (queue: string): [string, string, string, string] => [
    'AWS/SQS',
    'ApproximateNumberOfMessagesVisible',
    'QueueName',
    queue,
  ];
  one(
    'DeadLetterQueueAlarm',
    'Messages that no driver could handle. Their executions stay RUNNING until the messages are sent again',
    visible(deadLetters.queueName),
    'Maximum',
  );
  one(
    'LostEventsQueueAlarm',
    'Events that start, callback or timer could not take in',
    visible(lostEvents.queueName),
    'Maximum',
  );
  one(
    'QueueAgeAlarm',
    'Executions wait for a driver',
    ['AWS/SQS', 'ApproximateAgeOfOldestMessage', 'QueueName', transitions.queueName],
    'Maximum',
    props.queueAgeAlarm?.toSeconds() ?? 1800,
  );
  one(
    'SchedulesAlarm',
    'Long waits that EventBridge Scheduler gave up',
    ['AWS/Scheduler', 'InvocationDroppedCount', 'ScheduleGroup', watched.scheduleGroup],
    'Sum',
  );
  one(
    'TableThrottlesAlarm',
    'The table takes no more writes; drivers try again',
    ['AWS/DynamoDB', 'WriteThrottleEvents', 'TableName', watched.tableName],
    'Sum',
  );
  const summed = (id: string, alarmDescription: string, metricName: string): cloudwatch.CfnAlarm =>
    new cloudwatch.CfnAlarm(scope, id, {
      ...common,
      alarmDescription,
      threshold: 0,
      metrics: [
        { id: 'all', label: metricName, expression: `SUM([${Object.keys(watched.functions).join(', ')}])` },
        ...Object.entries(watched.functions).map(([name, fn]) => ({
          id: name,
          returnData: false,
          metricStat: {
            metric: {
              namespace: 'AWS/Lambda',
              metricName,
              dimensions: [{ name: 'FunctionName', value: fn.functionName }],
            },
            period: 300,
            stat: 'Sum',
          },
        })),
      ],
    });
  summed('ErrorsAlarm', 'A function failed', 'Errors');
  summed('ThrottlesAlarm', 'A function was not run because too many run at once', 'Throttles');
}
