/** `kvcast check SCENARIO…`: schema and meaning of scenario files, no run. Output: design/cli.md section 2. */
import { formatProblem, type Problem, UserError } from '../control/user-error.ts';
import { alignColumns, type CommandOutput } from './command-output.ts';
import { isSimulated } from './inert-fields.ts';
import { type LoadedScenario, type LoadOptions, loadScenarioSync } from './load-scenario.ts';
import { problemLines } from './problem-place.ts';

export interface CheckOptions extends LoadOptions {
  /** Says what only the simulation knows, e.g. `KV 940,672 + 178,480 host tokens per worker`; may throw UserError (capacity, cells). */
  readonly describe?: (scenario: LoadedScenario) => string | Promise<string>;
}

/** Checks every file; exit 2 if any has an error. */
export async function runCheck(files: readonly string[], options: CheckOptions = {}): Promise<CommandOutput> {
  const rows: string[][] = [];
  const stderr: string[] = [];
  let failed = false;
  for (const file of files) {
    const { verdict, problems } = await checkOne(file, options);
    stderr.push(...problemLines(problems, formatProblem));
    const errors = problems.filter((problem) => problem.severity === 'error').length;
    failed ||= errors > 0;
    rows.push([file, errors > 0 ? `✗ ${errors} ${errors === 1 ? 'error' : 'errors'}` : `✓ ${verdict}`]);
  }
  return { stdout: alignColumns(rows), stderr, exitCode: failed ? 2 : 0 };
}

async function checkOne(file: string, options: CheckOptions): Promise<{ verdict: string; problems: readonly Problem[] }> {
  try {
    const scenario = loadScenarioSync({ file }, options);
    const facts = await options.describe?.(scenario);
    const inert = scenario.inert({ unread: false });
    const parts = [
      `${scenario.arms.length} ${scenario.arms.length === 1 ? 'arm' : 'arms'}`,
      `${scenario.explicitLeaves().filter((leaf) => isSimulated(leaf.path)).length} explicit leaves`,
      ...(facts === undefined || facts === '' ? [] : [facts]),
      ...(inert.length === 0 ? [] : [`${inert.length} inert: ${inert.map((leaf) => `${leaf.path} (${leaf.reason})`).join(', ')}`]),
    ];
    return { verdict: parts.join(', '), problems: scenario.problems };
  } catch (error) {
    if (error instanceof UserError) return { verdict: '', problems: error.problems };
    throw error;
  }
}
