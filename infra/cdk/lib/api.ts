import * as cdk from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { allow } from './functions';
import type { StepwellProps } from './props';

/** What answers. */
export interface Answering {
  readonly start: lambda.Function;
  readonly callback: lambda.Function;
  readonly api: lambda.Function;
}

/** What of a call the HTTP API's log tells. */
const ACCESS_LOG = {
  time: '$context.requestTime',
  requestId: '$context.requestId',
  route: '$context.routeKey',
  status: '$context.status',
  latency: '$context.responseLatency',
  caller: '$context.identity.userArn',
  address: '$context.identity.sourceIp',
  error: '$context.error.message',
};

/** The HTTP API, which asks for IAM. */
export function httpApi(
  scope: Construct,
  name: string,
  props: StepwellProps,
  { start, callback, api }: Answering,
): apigateway.HttpApi {
  const made = new apigateway.HttpApi(scope, 'HttpApi', {
    apiName: name,
    description: 'The Step Functions API of Stepwell',
    createDefaultStage: false,
    defaultAuthorizer: new HttpIamAuthorizer(),
  });
  const integrations = {
    start: new HttpLambdaIntegration('Start', start),
    callback: new HttpLambdaIntegration('Callback', callback),
    api: new HttpLambdaIntegration('Api', api),
  };
  const route = (path: string, integration: HttpLambdaIntegration): void => {
    made.addRoutes({ path, methods: [apigateway.HttpMethod.POST], integration });
  };
  route('/', integrations.api);
  route('/{operation}', integrations.api);
  for (const operation of ['StartExecution', 'StartSyncExecution']) {
    route(`/${operation}`, integrations.start);
  }
  for (const operation of ['SendTaskSuccess', 'SendTaskFailure', 'SendTaskHeartbeat']) {
    route(`/${operation}`, integrations.callback);
  }
  const stage = new apigateway.HttpStage(scope, 'HttpApiStage', {
    httpApi: made,
    stageName: '$default',
    autoDeploy: true,
  });
  if (props.accessLogs ?? true) {
    const accessLogGroup = new logs.LogGroup(scope, 'AccessLogGroup', {
      logGroupName: `/aws/vendedlogs/apis/${name}`,
      retention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });
    (stage.node.defaultChild as apigateway.CfnStage).accessLogSettings = {
      destinationArn: accessLogGroup.logGroupArn,
      format: JSON.stringify(ACCESS_LOG),
    };
  }
  return made;
}

/** A Function URL that asks for IAM, or, with `isOpen`, for nothing: the function itself does. */
export function functionUrl(scope: Construct, id: string, fn: lambda.Function, isOpen = false): lambda.CfnUrl {
  const url = new lambda.CfnUrl(scope, id, {
    targetFunctionArn: fn.functionArn,
    authType: isOpen ? 'NONE' : 'AWS_IAM',
    invokeMode: 'BUFFERED',
  });
  if (isOpen) {
    new lambda.CfnPermission(scope, `${id}Permission`, {
      functionName: fn.functionName,
      action: 'lambda:InvokeFunctionUrl',
      principal: '*',
      functionUrlAuthType: 'NONE',
    });
    new lambda.CfnPermission(scope, `${id}InvokePermission`, {
      functionName: fn.functionName,
      action: 'lambda:InvokeFunction',
      principal: '*',
      invokedViaFunctionUrl: true,
    });
  }
  return url;
}

/** The managed policy of whoever calls the API. */
export function callersPolicy(
  scope: Construct,
  made: apigateway.HttpApi,
  { start, callback, api }: Answering,
): iam.ManagedPolicy {
  return new iam.ManagedPolicy(scope, 'CallersPolicy', {
    description: "Calls of Stepwell's API",
    document: new iam.PolicyDocument({
      minimize: false,
      statements: [
        allow('HttpApi', ['execute-api:Invoke'], [routeArn(made, '*')]),
        allow('FunctionUrls', ['lambda:InvokeFunctionUrl'], [api.functionArn, start.functionArn], {
          StringEquals: { 'lambda:FunctionUrlAuthType': 'AWS_IAM' },
        }),
        allow('ByFunctionUrlsOnly', ['lambda:InvokeFunction'], [api.functionArn], {
          Bool: { 'lambda:InvokedViaFunctionUrl': 'true' },
        }),
        allow('Functions', ['lambda:InvokeFunction'], [start.functionArn, callback.functionArn]),
      ],
    }),
  });
}

/** Stage, method and path of a route, or of all with `*`. */
export function routeArn(made: apigateway.HttpApi, route: string): string {
  return cdk.Stack.of(made).formatArn({ service: 'execute-api', resource: made.apiId, resourceName: route });
}
