import { describe, expect, it } from 'vitest';
import type { TraceSession } from '../../traces/format.ts';
import { fixtureTrace } from './fixture-trace.ts';
import { materialiseWorkload } from './materialise.ts';
import { changed, counterfactualPause, type PauseChange, type ToolTime } from './tool-time.ts';
import { PAUSE_KINDS } from './workload.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

const SAME: PauseChange = { scale: 1, shiftMs: 0, floorMs: 0, capMs: Number.POSITIVE_INFINITY };
const NONE: ToolTime = { tool: SAME, tools: [], overlap: 0, resample: 'none' };
const kind = (name: (typeof PAUSE_KINDS)[number]): number => PAUSE_KINDS.indexOf(name);

/** tool, then human, then tool again; the second pause is a human's. */
const SESSION: TraceSession = {
  id: 's',
  agents: [
    {
      id: 'root',
      model: 'm',
      requests: [
        {
          startMs: 0,
          in: 128,
          out: 10,
          runs: [[0, 1]],
          stop: 'tool',
          apiMs: 100,
          tools: [
            { class: 'Bash', ms: 600 },
            { class: 'Read', ms: 300 },
          ],
        },
        { startMs: 1100, in: 192, out: 10, runs: [[0, 2]], stop: 'turn', apiMs: 100, pauseMs: 1000 },
        { startMs: 61_200, in: 256, out: 10, runs: [[0, 3]], stop: 'tool', apiMs: 100, pauseMs: 60_000 },
        { startMs: 65_300, in: 320, out: 10, runs: [[0, 4]], stop: 'turn', apiMs: 100, pauseMs: 4000 },
      ],
    },
  ],
};

function pauses(options: Partial<WorkloadOptions>, seed = 1): number[] {
  const workload = materialiseWorkload(
    fixtureTrace([SESSION]),
    {
      ...WORKLOAD_DEFAULTS,
      blockTokens: 64,
      contextLimit: 1e6,
      resample: 'none',
      arrivals: { mode: 'closed', concurrency: 1, rampUpMs: 0, start: 'cold', respawnMs: 0 },
      ...options,
    },
    seed,
    0,
  );
  return [0, 1, 2, 3].map((turn) => workload.turns.pauseMs(turn));
}

describe('counterfactual tool times (traces 7.7)', () => {
  it('scale, shift, floor and cap in this order, never below 0', () => {
    expect(changed(1000, { scale: 2, shiftMs: -500, floorMs: 0, capMs: 10_000 })).toBe(1500);
    expect(changed(1000, { scale: 0, shiftMs: -500, floorMs: 0, capMs: 10_000 })).toBe(0);
    expect(changed(1000, { scale: 1, shiftMs: 0, floorMs: 3000, capMs: 2000 })).toBe(2000);
    expect(changed(1000, { scale: 1, shiftMs: -5000, floorMs: 250, capMs: 2000 })).toBe(250);
  });

  it('change the kinds named and no other; unknown pauses count as tools', () => {
    const half = { ...NONE, tool: { ...SAME, scale: 0.5 } };
    expect(counterfactualPause(1000, kind('tool'), undefined, half)).toBe(500);
    expect(counterfactualPause(1000, kind('unknown'), undefined, half)).toBe(500);
    expect(counterfactualPause(1000, kind('human'), undefined, half)).toBe(1000);
    expect(counterfactualPause(1000, kind('join'), undefined, half)).toBe(1000);
    expect(counterfactualPause(1000, kind('first'), undefined, half)).toBe(1000);
    expect(counterfactualPause(1000, kind('human'), undefined, { ...half, human: { ...SAME, capMs: 7 } })).toBe(7);
    expect(counterfactualPause(1000, kind('join'), undefined, { ...half, join: { ...SAME, shiftMs: 7 } })).toBe(1007);
  });

  it('change single tools by their own part of a pause', () => {
    expect(pauses({})).toEqual([0, 1000, 60_000, 4000]);
    const tools = [{ name: 'Bash', ...SAME, scale: 0.1 }];
    expect(pauses({ toolTime: { ...NONE, tools } })).toEqual([0, 460, 60_000, 4000]);
    expect(pauses({ toolTime: { ...NONE, tools, tool: { ...SAME, scale: 2 } } })).toEqual([0, 920, 60_000, 8000]);
    expect(pauses({ toolTime: { ...NONE, tools: [{ name: 'Bash', ...SAME, shiftMs: -9000 }] } })).toEqual([0, 400, 60_000, 4000]);
  });

  it('come before the scale and the cap of all pauses', () => {
    const toolTime = { ...NONE, tool: { ...SAME, scale: 0.5 }, human: { ...SAME, shiftMs: 1000 } };
    expect(pauses({ toolTime, scalePause: 2, gapCapMs: 100_000 })).toEqual([0, 1000, 100_000, 4000]);
  });

  it('are drawn from the fit or from the pauses of the trace, by seed, tools only', () => {
    const ecdf = pauses({ toolTime: { ...NONE, resample: 'ecdf' } });
    expect([1000, 4000]).toContain(ecdf[1]);
    expect(ecdf[2]).toBe(60_000);
    const fit = (seed: number) => pauses({ toolTime: { ...NONE, resample: 'fit' } }, seed);
    expect(fit(1)).toEqual(fit(1));
    expect(fit(1)[2]).toBe(60_000);
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => fit(seed)[3])).size).toBeGreaterThan(3);
    const synthetic = pauses({ pauses: 'synthetic' });
    expect(synthetic[2]).not.toBe(60_000);
  });

  it('without change leave the workload hash alone', () => {
    const hash = (options: Partial<WorkloadOptions>) =>
      materialiseWorkload(
        fixtureTrace([SESSION]),
        { ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e6, arrivals: { mode: 'recorded', withoutTimes: 'zero' }, ...options },
        1,
        0,
      ).hash;
    expect(hash({ toolTime: { ...NONE, tool: { ...SAME, scale: 0.5 } } })).not.toBe(hash({}));
  });
});
