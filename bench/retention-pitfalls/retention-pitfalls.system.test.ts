/** Every pitfall of retention is avoided on both engines, which agree; with its bug in the sources its criterion is not met. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { seededBundle } from '../seeded-bundle.ts';
import { ENGINES, type Engine, type Pitfall } from './pitfall.ts';
import { type PitfallOutcome, pitfallOutcome } from './pitfall-runs.ts';
import { PITFALLS } from './pitfalls.ts';

const root = findPackageRoot();

describe.each(PITFALLS.map((pitfall) => [pitfall.scenario, pitfall] as const))('%s', (scenario, { criterion, bug }) => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvcast-pitfall-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it(criterion, async () => {
    const outcomes = [];
    for (const engine of ENGINES) outcomes.push(await pitfallOutcome(root, scenario, engine));
    const [jump, reference] = outcomes as [PitfallOutcome, PitfallOutcome];
    expect(jump.violations).toEqual([]);
    expect(reference).toEqual(jump);
  });

  it(`is noticed: ${bug.breaks}`, async () => {
    const seeded = await outcomeWith(folder, scenario, bug);
    expect(seeded.violations).not.toEqual([]);
  });
});

/** In a process of its own: the bug must not stay in ours. */
async function outcomeWith(folder: string, scenario: string, bug: Pitfall['bug']): Promise<PitfallOutcome> {
  const file = join(folder, `${scenario}.mjs`);
  writeFileSync(file, await seededBundle(root, 'bench/retention-pitfalls/pitfall-runs.ts', scenario, bug));
  const engine: Engine = bug.engine ?? 'jump';
  const script = `
    const { pitfallOutcome } = await import(${JSON.stringify(pathToFileURL(file).href)});
    console.log(JSON.stringify(await pitfallOutcome(${JSON.stringify(root)}, '${scenario}', '${engine}')));`;
  const { stdout } = await promisify(execFile)('node', ['--input-type=module', '--eval', script], { timeout: 60_000 });
  return JSON.parse(stdout) as PitfallOutcome;
}
