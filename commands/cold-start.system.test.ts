/** What a command loads: V8's coverage names every file of the bundle that ran, the source maps name the modules in it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { CLI, emptyFolder, kvcast } from './command-line.fixture.ts';

/** Sources that a command loads, relative to the project. */
async function loaded(args: readonly string[]): Promise<string[]> {
  const coverage = emptyFolder();
  const { code, stderr } = await kvcast(args, { env: { NODE_V8_COVERAGE: coverage } });
  expect(code, stderr).toBe(0);
  const modules = new Set<string>();
  for (const file of readdirSync(coverage)) {
    const { result } = JSON.parse(readFileSync(join(coverage, file), 'utf8')) as { result: { url: string }[] };
    for (const { url } of result) {
      if (!url.startsWith('file:') || dirname(fileURLToPath(url)) !== dirname(CLI)) continue;
      const { sources } = JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, 'utf8')) as { sources: string[] };
      for (const source of sources) modules.add(source.replace(/^(\.\.\/)+/, ''));
    }
  }
  return [...modules].sort();
}

const SIMULATOR = ['traces/readers/', 'sim/cluster/', 'sim/engine/', 'sim/workload/', 'control/plane', 'reports/text/comparison'];

/** A table of defaults; it imports nothing. */
const LIGHT = 'sim/workload/workload-options.ts';

function heavy(modules: readonly string[]): string[] {
  return modules.filter((module) => module !== LIGHT && SIMULATOR.some((folder) => module.startsWith(folder)));
}

it('the check finds the simulator where there is one', async () => {
  const modules = await loaded([
    'run',
    'quickstart',
    '--reps',
    '1',
    '--jobs',
    '1',
    '--set',
    'workload.sessions=1',
    '-q',
    '--out',
    emptyFolder(),
  ]);
  for (const folder of SIMULATOR)
    expect(
      modules.some((module) => module.startsWith(folder)),
      folder,
    ).toBe(true);
});

it('--help, --version and no command at all load the front door only', async () => {
  for (const args of [['--help'], ['--version'], [], ['run', '--help']]) {
    const modules = await loaded(args);
    expect(modules).toContain('cli.ts');
    expect(heavy(modules), args.join(' ')).toEqual([]);
    expect(modules.filter((module) => module.startsWith('scenarios/load'))).toEqual([]);
  }
});

it('check, schema, presets and help load no simulator, no readers of traces and no charts', async () => {
  for (const args of [['check', 'quickstart'], ['check', 'mooncake-8', 'agents-64'], ['schema'], ['presets'], ['help', 'metrics']]) {
    const modules = await loaded(args);
    expect(modules).toContain('scenarios/load-scenario.ts');
    expect(heavy(modules), args.join(' ')).toEqual([]);
  }
});

it('a run without threads loads no thread pool', async () => {
  const args = ['run', 'quickstart', '--reps', '1', '--set', 'workload.sessions=1', '-q', '--out', emptyFolder()];
  const pool = 'sim/experiment/thread-executor.ts';
  expect(await loaded([...args, '--jobs', '1'])).not.toContain(pool);
  expect(await loaded([...args, '--jobs', '2'])).toContain(pool);
});
