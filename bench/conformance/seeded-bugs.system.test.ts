/** Every seeded bug is noticed by the family that claims to hold the rule; the same bundle without it notices nothing. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SEEDED_BUGS, type SeededBug } from './seeded-bugs.ts';
import type { CaseOutcome, ConformanceSuite } from './suite.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The replay as one module, with a bug in it or without. */
async function bundled(
  folder: string,
  bug: SeededBug | null,
): Promise<Pick<typeof import('./conformance.ts'), 'SUITES' | 'shippedFolder'>> {
  let seeded = 0;
  const result = await build({
    entryPoints: [join(root, 'bench/conformance/conformance.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    plugins: [
      {
        name: 'seeded-bug',
        setup: ({ onLoad }) => {
          onLoad({ filter: /\.ts$/ }, ({ path }) => {
            if (bug === null || path !== join(root, bug.file)) return undefined;
            const parts = readFileSync(path, 'utf8').split(bug.from);
            if (parts.length !== 2) throw new Error(`${bug.id}: text occurs ${parts.length - 1} times in ${bug.file}, expected once`);
            seeded++;
            return { contents: parts.join(bug.to), loader: 'ts' };
          });
        },
      },
    ],
  });
  if (bug !== null && seeded !== 1) throw new Error(`${bug.id}: ${bug.file} is not part of the replay`);
  const file = join(folder, `${bug?.id ?? 'sound'}.mjs`);
  writeFileSync(file, result.outputFiles[0]!.contents);
  return import(/* @vite-ignore */ pathToFileURL(file).href);
}

/** First unexplained case of a family. */
function firstDifferent(suite: ConformanceSuite, folder: string, name: string): CaseOutcome | undefined {
  const family = suite.families(folder).find((candidate) => candidate.name === name);
  if (family === undefined) throw new Error(`suite ${suite.name} has no family ${name}`);
  for (const outcome of family.replay()) if (outcome.difference !== undefined && outcome.rule === undefined) return outcome;
  return undefined;
}

describe('a bug put in on purpose', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvcast-bugs-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(SEEDED_BUGS.map((bug) => [bug.id, bug.breaks, bug] as const))('%s is noticed: %s', async (_id, _breaks, bug) => {
    const { SUITES, shippedFolder } = await bundled(folder, bug);
    const suite = await SUITES[bug.suite]!();
    expect(firstDifferent(suite, shippedFolder(root, bug.suite), bug.family)).toMatchObject({ difference: { field: expect.any(String) } });
  });

  it('and without one no family differs that a bug relies on', async () => {
    const { SUITES, shippedFolder } = await bundled(folder, null);
    for (const key of new Set(SEEDED_BUGS.map(({ suite, family }) => JSON.stringify([suite, family])))) {
      const [name, family] = JSON.parse(key) as [string, string];
      expect(firstDifferent(await SUITES[name]!(), shippedFolder(root, name), family), key).toBeUndefined();
    }
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
