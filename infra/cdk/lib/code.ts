import * as fs from 'node:fs';
import * as path from 'node:path';
import * as lambda from 'aws-cdk-lib/aws-lambda';

/** The functions, by what each is built from: the package `stepwell-function-NAME`. */
export const FUNCTIONS = ['start', 'step', 'timer', 'callback', 'api'] as const;

/** One of the functions. */
export type FunctionName = (typeof FUNCTIONS)[number];

/** Where the functions' binaries come from. */
export abstract class StepwellCode {
  /**
   * Builds them with cargo-lambda, each by itself, when the app is synthesised. It takes minutes the first time.
   *
   * @param checkout the folder of Stepwell's own Cargo.toml
   */
  static fromSource(checkout: string): StepwellCode {
    return new SourceCode(path.resolve(checkout));
  }

  /**
   * Takes binaries that were built before: `FOLDER/NAME.zip`, or what `cargo lambda build` (with `--output-format zip` or
   * without) leaves in `target/lambda`.
   *
   * @param folder with one of those for each of the functions
   */
  static fromFolder(folder: string): StepwellCode {
    return new FolderCode(path.resolve(folder));
  }

  /** The code of one function. */
  abstract of(name: FunctionName, architecture: lambda.Architecture): lambda.Code;
}

class SourceCode extends StepwellCode {
  constructor(private readonly checkout: string) {
    super();
    if (!fs.existsSync(path.join(checkout, 'functions', 'step', 'Cargo.toml'))) {
      throw new Error(`${checkout} is no checkout of Stepwell: there is no functions/step/Cargo.toml`);
    }
  }

  override of(name: FunctionName, architecture: lambda.Architecture): lambda.Code {
    const crate = `stepwell-function-${name}`;
    // By architecture: two stacks of one app may differ in it.
    const output = path.join(this.checkout, 'target', `lambda-${architecture.name}`);
    const how = ['--profile', 'lambda', '--locked', '--package', crate, '--lambda-dir', output];
    const command = ['cargo', 'lambda', 'build', ...how];
    if (architecture === lambda.Architecture.ARM_64) {
      command.push('--arm64');
    }
    return lambda.Code.fromCustomCommand(path.join(output, crate), command, {
      commandOptions: { cwd: this.checkout },
    });
  }
}

class FolderCode extends StepwellCode {
  constructor(private readonly folder: string) {
    super();
  }

  override of(name: FunctionName): lambda.Code {
    const crate = `stepwell-function-${name}`;
    const places = [`${name}.zip`, path.join(crate, 'bootstrap.zip'), path.join(crate, 'bootstrap')];
    const found = places.find((place) => fs.existsSync(path.join(this.folder, place)));
    if (found === undefined) {
      throw new Error(`${this.folder} has the function ${name} in none of these: ${places.join(', ')}`);
    }
    const asset = found.endsWith('.zip') ? found : path.dirname(found);
    return lambda.Code.fromAsset(path.join(this.folder, asset));
  }
}
