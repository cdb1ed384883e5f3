import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadScenario } from '../scenarios/load-scenario.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { policyCatalogue } from '../sim/experiment/policy-catalogue.ts';
import { fixtureRequest, fixtureTrace } from '../sim/workload/fixture-trace.ts';
import { estimatedApiMs } from '../sim/workload/pauses.ts';
import { meanContextTokens } from './retention-results.ts';

it('an open session holds its contexts weighted by how long it holds them, up to the context limit', () => {
  const requests = [
    fixtureRequest(0, [[0, 9]]),
    fixtureRequest(100_000, [[0, 19]], { pauseMs: 90_000 }),
    fixtureRequest(300_000, [[0, 99]], { pauseMs: 10_000 }),
  ];
  const trace = fixtureTrace([{ id: 's', agents: [{ id: 'root', model: 'm', requests }] }]);
  const lives = [90_000 + estimatedApiMs(640, 10), 10_000 + estimatedApiMs(1280, 10)];
  const expected = (640 * lives[0]! + 1280 * lives[1]!) / (lives[0]! + lives[1]!);
  expect(meanContextTokens(trace, 2000)).toBeCloseTo(expected, 9);
  expect(meanContextTokens(trace, 10_000)).toBeGreaterThan(expected);
});

it('the committed tables are of the shipped scenario: every arm at every pressure', async () => {
  const root = findPackageRoot();
  const text = readFileSync(join(root, 'docs/results/retention.md'), 'utf8');
  const { arms } = await loadScenario({ file: 'retention/pressure' }, { policies: policyCatalogue(), packageRoot: root });
  for (const { name } of arms)
    expect(
      text.split('\n').filter((line) => line.startsWith(`| \`${name}\` |`)),
      name,
    ).toHaveLength(6);
});
