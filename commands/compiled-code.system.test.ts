/** The built command starts from kept code and says the same as the bundle that is loaded module by module. */
import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { emptyFolder, kvcast } from './command-line.fixture.ts';

const RUN = ['run', 'quickstart', '--arm', 'dynamo-kv+lru', '--reps', '1', '--jobs', '1', '--set', 'workload.sessions=4', '-q', '--json'];

it('first, second and damaged start and the start by modules print the same', async () => {
  const cache = emptyFolder();
  const run = async (env: Record<string, string> = {}): Promise<string> => {
    const { code, stdout, stderr } = await kvcast([...RUN, '--out', emptyFolder()], { env: { XDG_CACHE_HOME: cache, ...env } });
    expect(code, stderr).toBe(0);
    return stdout;
  };
  const first = await run();
  const folder = join(cache, 'kvcast/code');
  const [name] = readdirSync(folder);
  const path = join(folder, name!);
  utimesSync(path, 1, 1);
  expect(await run()).toBe(first);
  expect(statSync(path).mtimeMs, 'the kept code was refused').toBe(1000);
  writeFileSync(path, 'damaged');
  expect(await run()).toBe(first);
  expect(statSync(path).size).toBeGreaterThan(100_000);
  expect(await run({ NODE_V8_COVERAGE: emptyFolder() })).toBe(first);
});

it('mistakes and help keep no code', async () => {
  const cache = emptyFolder();
  for (const args of [
    ['run', '--help'],
    ['run', 'no-such-scenario'],
    ['compare', '--no-such-flag'],
  ])
    await kvcast(args, { env: { XDG_CACHE_HOME: cache } });
  expect(() => readdirSync(join(cache, 'kvcast/code'))).toThrow('ENOENT');
});
