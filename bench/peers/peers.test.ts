import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPackageRoot } from '../../scenarios/presets.ts';
import { type WekaSession, withListedIds, writeChains } from './peer-inputs.ts';
import { type PeerResult, peersTable } from './peers.ts';
import { LOOP_ALONE, WORKLOADS } from './programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-peers-test-'));
let inputs: ReturnType<typeof writeChains>;
beforeAll(() => {
  inputs = writeChains(join(findPackageRoot(), 'traces/samples'), folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Step {
  readonly input: number;
  readonly new: number;
  readonly output: number;
  readonly gap: number;
}

function stepsOf(path: string): Step[][] {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { steps: Step[] }).steps);
}

describe('inputs of the peers', () => {
  it('hold every request once, with its tokens', () => {
    const chains = stepsOf(inputs.agentChains.path);
    expect(chains.flat().length).toBe(WORKLOADS.find((w) => w.trace === 'agents')!.requests);
    expect(chains.flat().reduce((sum, s) => sum + s.input, 0)).toBe(1_140_256_630);
    expect(stepsOf(inputs.mooncakeChains.path).flat().length).toBe(WORKLOADS.find((w) => w.trace === 'mooncake')!.requests);
  });

  it('share no more than the step before has', () => {
    for (const steps of [...stepsOf(inputs.mooncakeChains.path), ...stepsOf(inputs.agentChains.path)]) {
      expect(steps[0]!.new).toBe(steps[0]!.input);
      for (const [i, s] of steps.entries()) {
        expect(s.new).toBeGreaterThanOrEqual(0);
        expect(s.gap).toBeGreaterThanOrEqual(0);
        if (i > 0) expect(s.input - s.new).toBeLessThanOrEqual(steps[i - 1]!.input + 512);
      }
    }
  });

  it('list ids one by one and name every model', () => {
    const inner = { t: 0, in: 70, out: 1, model: 'small', hash_ids: [[9, 9]] as const };
    const given: WekaSession = {
      models: ['large'],
      requests: [
        {
          t: 0,
          in: 330,
          out: 5,
          model: 'large',
          hash_ids: [
            [1, 3],
            [7, 8],
          ],
        },
        { t: 1, in: 0, out: 0, requests: [inner] },
      ],
    };
    const session = JSON.parse(withListedIds(given)) as WekaSession;
    expect(session.models).toEqual(['large', 'small']);
    expect(session.requests[0]!.hash_ids).toEqual([1, 2, 3, 7, 8]);
    expect(session.requests[1]!.requests![0]!.hash_ids).toEqual([9]);
  });
});

it('says whether a bar is reached, and why a peer has no figures', () => {
  const base = { requests: 12_031, hitShare: 0.3, runs: 1, wallS: 2, rssMiB: 100, wallRatio: 2, loopRatio: null, status: 'ok' };
  const workload = WORKLOADS[0]!.name;
  const results: PeerResult[] = [
    { ...base, workload, program: 'AISimulate + Dynamo router', cpuS: 25, cpuRatio: 25, loopS: 50, loopRatio: 201 },
    { ...base, workload, program: 'inference-lab', cpuS: 5, cpuRatio: 5.9 },
    { ...base, workload, program: LOOP_ALONE, cpuS: 3.125, cpuRatio: null, loopS: 0.25, loopRatio: 1 },
    { ...base, workload, program: 'kvcast, cold', cpuS: null, cpuRatio: null, status: 'exit 2: no' },
  ];
  const text = peersTable(results);
  expect(text).toMatch(/AISimulate.*50.*201.*>= 25: yes, loop >= 200: yes/);
  expect(text).toMatch(/event loop alone.*0\.25/);
  expect(text).not.toContain('3.125');
  expect(text).toMatch(/inference-lab.*>= 6: no/);
  expect(text).toContain('kvcast, cold: exit 2: no');
});
