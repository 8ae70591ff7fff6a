import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { FUNCTIONS, StepwellCode } from '../lib';

/** Functions that were built before, as far as synthesis looks. */
export function prebuilt(): StepwellCode {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'stepwell-cdk-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true }));
  for (const name of FUNCTIONS) {
    fs.writeFileSync(path.join(folder, `${name}.zip`), `the function ${name}`);
  }
  return StepwellCode.fromFolder(folder);
}
