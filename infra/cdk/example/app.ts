/** Stepwell and a state machine, in one stack: `npx cdk synth`, with binaries in FUNCTIONS or built by cargo-lambda. */
import * as path from 'node:path';
import * as cdk from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { Stepwell, StepwellCode, StepwellStateMachine } from '../lib';

const app = new cdk.App();
const stack = new cdk.Stack(app, 'stepwell');
const built = process.env['FUNCTIONS'];
const code = built ? StepwellCode.fromFolder(built) : StepwellCode.fromSource(path.join(__dirname, '../../..'));
const stepwell = new Stepwell(stack, 'Stepwell', { code });
const greeting = new StepwellStateMachine(stack, 'Greeting', {
  stepwell,
  definition: {
    QueryLanguage: 'JSONata',
    StartAt: 'Greet',
    States: { Greet: { Type: 'Pass', Output: "{% 'Hello, ' & $states.input.name %}", End: true } },
  },
});
new cdk.CfnOutput(stack, 'Greeting Arn', { value: greeting.stateMachineArn });
cdk.Aspects.of(app).add(new AwsSolutionsChecks());
