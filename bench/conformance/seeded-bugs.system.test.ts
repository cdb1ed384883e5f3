/** Every seeded bug is noticed by the family that claims to hold the rule; the same bundle without it notices nothing. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededBundle } from '../seeded-bundle.ts';
import type { SeededBug } from './seeded-bug.ts';
import { SEEDED_BUGS } from './seeded-bugs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** File of the replay as one module, with a bug in it or without. */
async function bundled(folder: string, bug: SeededBug | null): Promise<string> {
  const text = await seededBundle(root, 'bench/conformance/conformance.ts', bug?.id ?? 'sound', bug);
  const file = join(folder, `${bug?.id ?? 'sound'}.mjs`);
  writeFileSync(file, text);
  return file;
}

/** Prints the first unexplained case of each family asked for. A process of its own: hundred replays would fill one. */
const RUNNER = `
import { pathToFileURL } from 'node:url';
const [file, root, ...asked] = process.argv.slice(2);
const { SUITES, shippedFolder } = await import(pathToFileURL(file).href);
for (const pair of asked) {
  const [name, wanted] = JSON.parse(pair);
  const suite = await SUITES[name]();
  const family = suite.families(shippedFolder(root, name)).find((f) => f.name === wanted);
  if (family === undefined) throw new Error('suite ' + name + ' has no family ' + wanted);
  await family.prepare?.();
  let found = null;
  for (const outcome of family.replay()) {
    if (outcome.difference === undefined || outcome.rule !== undefined) continue;
    found = { id: outcome.id, field: outcome.difference.field };
    break;
  }
  console.log(JSON.stringify(found));
}
`;

/** First unexplained case per family, null where there is none. */
async function firstDifferences(
  folder: string,
  file: string,
  families: readonly string[],
): Promise<({ id: string; field: string } | null)[]> {
  const runner = join(folder, 'runner.mjs');
  writeFileSync(runner, RUNNER);
  const { stdout } = await promisify(execFile)('node', [runner, file, root, ...families]);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; field: string } | null);
}

const familyOf = ({ suite, family }: SeededBug) => JSON.stringify([suite, family]);

describe('a bug put in on purpose', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvcast-bugs-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(SEEDED_BUGS.map((bug) => [bug.id, bug.breaks, bug] as const))('%s is noticed: %s', async (_id, _breaks, bug) => {
    const found = await firstDifferences(folder, await bundled(folder, bug), [familyOf(bug)]);
    expect(found).toEqual([{ id: expect.any(String), field: expect.any(String) }]);
  });

  it('and without one no family differs that a bug relies on', async () => {
    const families = [...new Set(SEEDED_BUGS.map(familyOf))];
    const found = await firstDifferences(folder, await bundled(folder, null), families);
    expect(found).toEqual(families.map(() => null));
  });

  it('has a name of its own', () => {
    expect(new Set(SEEDED_BUGS.map((bug) => bug.id)).size).toBe(SEEDED_BUGS.length);
    expect(SEEDED_BUGS.length).toBeGreaterThanOrEqual(12);
  });

  it('is refused if its text is not there exactly once, or its file is not replayed', async () => {
    const [bug] = SEEDED_BUGS as [SeededBug];
    await expect(bundled(folder, { ...bug, from: 'no such text' })).rejects.toThrow('text occurs 0 times');
    await expect(bundled(folder, { ...bug, from: 'request' })).rejects.toThrow(/text occurs \d\d+ times/);
    await expect(bundled(folder, { ...bug, file: 'cli.ts' })).rejects.toThrow('is not part of the replay');
  });
});
