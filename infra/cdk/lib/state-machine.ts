import * as cdk from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Stepwell } from './stepwell';

/** What a state machine logs of its executions. */
export interface StepwellLogOptions {
  /** One of the log groups that Stepwell may log to (`expressLogGroups`). */
  readonly destination: logs.ILogGroup;
  /** @default sfn.LogLevel.ERROR */
  readonly level?: sfn.LogLevel;
  /** @default false */
  readonly includeExecutionData?: boolean;
}

/** What there is to say of a state machine. */
export interface StepwellStateMachineProps {
  /** The deployment that runs it. */
  readonly stepwell: Stepwell;
  /**
   * Its definition, as sfn.StateMachine takes it: `sfn.DefinitionBody.fromString`, `fromFile` or `fromChainable`. Exactly one of
   * `definitionBody` and `definition` is needed.
   */
  readonly definitionBody?: sfn.DefinitionBody;
  /** Its definition as an object: Amazon States Language. */
  readonly definition?: Record<string, unknown>;
  /**
   * What stands for `${name}` in the definition.
   * @default nothing
   */
  readonly definitionSubstitutions?: Record<string, string>;
  /**
   * Its name, which is final.
   * @default one that is made from the stack's name and the construct's
   */
  readonly stateMachineName?: string;
  /**
   * Its type, which is final.
   * @default sfn.StateMachineType.STANDARD
   */
  readonly stateMachineType?: sfn.StateMachineType;
  /**
   * The role that its tasks are called with. One that is given has to trust `stepwell.taskRoles` and bear the tag `stepwell`.
   * @default a new one
   */
  readonly role?: iam.IRole;
  /** @default it logs nothing */
  readonly logs?: StepwellLogOptions;
  /** @default false */
  readonly tracingEnabled?: boolean;
}

/** Operations that read. */
const READS = [
  'DescribeExecution',
  'DescribeMapRun',
  'DescribeStateMachine',
  'DescribeStateMachineAlias',
  'DescribeStateMachineForExecution',
  'GetExecutionHistory',
  'ListExecutions',
  'ListMapRuns',
  'ListStateMachineAliases',
  'ListStateMachineVersions',
  'ListTagsForResource',
];

/** A state machine that Stepwell runs. */
export class StepwellStateMachine extends Construct implements iam.IGrantable {
  /** Its ARN. */
  readonly stateMachineArn: string;
  /** Its name. */
  readonly stateMachineName: string;
  /** The id of its revision, which changes with its definition and role. */
  readonly stateMachineRevisionId: string;
  /** The role that its tasks are called with. */
  readonly role: iam.IRole;
  /** The same role: what tasks call is granted to the state machine. */
  readonly grantPrincipal: iam.IPrincipal;

  private readonly stepwell: Stepwell;

  constructor(scope: Construct, id: string, props: StepwellStateMachineProps) {
    super(scope, id);
    this.stepwell = props.stepwell;
    this.role = props.role ?? this.newRole(props.stepwell);
    this.grantPrincipal = this.role.grantPrincipal;
    const type = props.stateMachineType ?? sfn.StateMachineType.STANDARD;
    const resource = new cdk.CustomResource(this, 'Resource', {
      serviceToken: props.stepwell.apiFunction.functionArn,
      resourceType: 'Custom::StepwellStateMachine',
      properties: {
        ...this.definition(props),
        RoleArn: this.role.roleArn,
        StateMachineType: type,
        ...(props.stateMachineName ? { StateMachineName: props.stateMachineName } : {}),
        ...(props.definitionSubstitutions ? { DefinitionSubstitutions: props.definitionSubstitutions } : {}),
        ...(props.logs ? { LoggingConfiguration: logging(props.logs) } : {}),
        ...(props.tracingEnabled ? { TracingConfiguration: { Enabled: true } } : {}),
      },
    });
    // Calls of it need what the deployment's functions are made of, and its role as it was meant.
    resource.node.addDependency(props.stepwell, this.role);
    this.stateMachineArn = resource.ref;
    this.stateMachineName = resource.getAttString('Name');
    this.stateMachineRevisionId = resource.getAttString('StateMachineRevisionId');
  }

  /** Lets `identity` call operations, for all state machines of the deployment: its API knows no permissions for one. */
  grant(identity: iam.IGrantable, ...operations: string[]): iam.Grant {
    return this.stepwell.grant(identity, ...operations);
  }

  /** Lets `identity` start executions. */
  grantStartExecution(identity: iam.IGrantable): iam.Grant {
    return this.grant(identity, 'StartExecution');
  }

  /** Lets `identity` start executions and wait for their output. */
  grantStartSyncExecution(identity: iam.IGrantable): iam.Grant {
    return this.grant(identity, 'StartSyncExecution');
  }

  /** Lets `identity` let executions go on that ended without success. */
  grantRedriveExecution(identity: iam.IGrantable): iam.Grant {
    return this.grant(identity, 'RedriveExecution');
  }

  /** Lets `identity` read state machines and executions. */
  grantRead(identity: iam.IGrantable): iam.Grant {
    return this.grant(identity, ...READS);
  }

  /** Lets `identity` report what became of tasks with a token. */
  grantTaskResponse(identity: iam.IGrantable): iam.Grant {
    return this.grant(identity, 'SendTaskSuccess', 'SendTaskFailure', 'SendTaskHeartbeat');
  }

  private newRole(stepwell: Stepwell): iam.Role {
    const trusted = stepwell.taskRoles.map((role) => new iam.ArnPrincipal(role.roleArn));
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.CompositePrincipal(...trusted) });
    // By this the functions' policies know it (`assumableRolesAreTagged`).
    cdk.Tags.of(role).add('stepwell', 'tasks');
    return role;
  }

  private definition(props: StepwellStateMachineProps): Record<string, unknown> {
    const { definition, definitionBody } = props;
    if ((definition === undefined) === (definitionBody === undefined)) {
      throw new Error(`${this.node.path}: exactly one of definition and definitionBody is needed`);
    }
    if (definitionBody === undefined) {
      return { DefinitionString: cdk.Stack.of(this).toJsonString(definition) };
    }
    if (definitionBody instanceof sfn.ChainDefinitionBody) {
      const graph = new sfn.StateGraph(definitionBody.chainable.startState, `definition of ${this.node.path}`);
      graph.policyStatements.forEach((statement) => this.role.addToPrincipalPolicy(statement));
      return { DefinitionString: cdk.Stack.of(this).toJsonString(graph.toGraphJson()) };
    }
    // What lies in a bucket is read by the function that creates the state machine.
    const bound = definitionBody.bind(this, this.stepwell.apiFunction.grantPrincipal, {});
    if (bound.definitionS3Location) {
      const { bucket, key, version } = bound.definitionS3Location;
      return { DefinitionS3Location: { Bucket: bucket, Key: key, ...(version ? { Version: version } : {}) } };
    }
    return { DefinitionString: bound.definitionString };
  }
}

function logging(options: StepwellLogOptions): Record<string, unknown> {
  return {
    Destinations: [{ CloudWatchLogsLogGroup: { LogGroupArn: options.destination.logGroupArn } }],
    IncludeExecutionData: options.includeExecutionData ?? false,
    Level: options.level ?? sfn.LogLevel.ERROR,
  };
}
