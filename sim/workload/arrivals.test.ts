import { beforeAll, describe, expect, it } from 'vitest';
import { BranchTable } from '../../control/blocks.ts';
import { exp } from '../../control/math.ts';
import type { Trace } from '../../traces/columns.ts';
import type { TraceSession } from '../../traces/format.ts';
import { readTrace } from '../../traces/read.ts';
import { Stream } from '../kernel/draw.ts';
import { openStarts, pick, rampStarts } from './arrivals.ts';
import { E1, E2, fixtureRequest, fixtureTrace } from './fixture-trace.ts';
import { materialiseWorkload } from './materialise.ts';
import { MidlifeChoice, midlifeEntry, nominalTimes } from './midlife.ts';
import { apiMs } from './pauses.ts';
import { ScriptedFleet } from './scripted-fleet.ts';
import { planSessions } from './session-plan.ts';
import { SessionTemplates } from './session-template.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

/** One session per minute. */
const RATE = 1 / 60_000;
/** Kolmogorov's distribution at 1 %: P(sqrt(n) D > 1.6276) = 0.01 for large n. */
const KOLMOGOROV_99 = 1.6276;

function gapsOf(starts: Float64Array): Float64Array {
  return starts.map((at, i) => at - (i === 0 ? 0 : starts[i - 1]!));
}

function moments(values: Float64Array): { mean: number; cv: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { mean, cv: Math.sqrt(variance) / mean };
}

/** Largest distance between the gaps' distribution and the exponential one of the same rate, times sqrt(n). */
function distanceToExponential(gaps: Float64Array, ratePerMs: number): number {
  const sorted = gaps.slice().sort();
  let worst = 0;
  for (let i = 0; i < sorted.length; i++) {
    const below = 1 - exp(-ratePerMs * sorted[i]!);
    worst = Math.max(worst, Math.abs(below - i / sorted.length), Math.abs(below - (i + 1) / sorted.length));
  }
  return worst * Math.sqrt(sorted.length);
}

describe('open arrivals', () => {
  const open = (process: 'poisson' | 'gamma' | 'fixed', cv?: number) =>
    openStarts(10_000, { mode: 'open', process, ratePerMs: RATE, ...(cv === undefined ? {} : { cv }) }, 1, 42, 0);

  it.each([
    ['poisson', undefined],
    ['gamma', 1],
  ] as const)('%s with CV %s cannot be told from a Poisson process on 10,000 gaps (Kolmogorov-Smirnov, p > 0.01)', (process, cv) => {
    expect(distanceToExponential(gapsOf(open(process, cv)), RATE)).toBeLessThan(KOLMOGOROV_99);
  });

  it('gamma with CV 1.2 can be told from it, and has that CV and the rate', () => {
    const gaps = gapsOf(open('gamma', 1.2));
    expect(distanceToExponential(gaps, RATE)).toBeGreaterThan(KOLMOGOROV_99);
    const { mean, cv } = moments(gaps);
    expect(mean * RATE).toBeCloseTo(1, 1);
    expect(cv).toBeCloseTo(1.2, 1);
  });

  it('fixed arrivals are equidistant, first after one gap, and so is gamma with CV 0', () => {
    expect([...open('fixed').slice(0, 3)]).toEqual([60_000, 120_000, 180_000]);
    expect(open('gamma', 0)).toEqual(open('fixed'));
  });

  it('scale.load multiplies the rate', () => {
    const twice = openStarts(3, { mode: 'open', process: 'fixed', ratePerMs: RATE }, 2, 42, 0);
    expect([...twice]).toEqual([30_000, 60_000, 90_000]);
  });
});

describe('closed arrivals', () => {
  it('spreads cold starts over the ramp, the same for slot k whatever the number of slots', () => {
    const starts = rampStarts(1000, 60_000, 42, 0);
    expect(Math.min(...starts)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...starts)).toBeLessThan(60_000);
    expect(moments(starts).mean).toBeGreaterThan(28_000);
    expect(moments(starts).mean).toBeLessThan(32_000);
    expect(rampStarts(10, 60_000, 42, 0)).toEqual(starts.slice(0, 10));
  });

  it('picks the first index whose running weight exceeds the number', () => {
    const cumulative = Float64Array.of(1, 1, 4);
    expect([0, 0.2499, 0.25, 0.26, 0.9999].map((u) => pick(u, cumulative))).toEqual([0, 0, 2, 2, 2]);
  });
});

function entryOf(session: TraceSession, at: number) {
  const trace = fixtureTrace([session]);
  const options: WorkloadOptions = { ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e6, arrivals: { mode: 'recorded' } };
  const templates = new SessionTemplates(trace, options, planSessions(trace, options), new BranchTable(), (agent) => new Stream(agent));
  const template = templates.of(0, false);
  const times = nominalTimes(trace, templates, template);
  return { span: times.span, ...midlifeEntry(trace, templates, template, times, at) };
}

describe('mid-life entry', () => {
  it('E1, debiased: D is 50.0 s, and 20 s in, r3 starts after 22.0 s', () => {
    const { span, firstTurn, firstDelayMs } = entryOf(E1, 20_000);
    expect(span).toBe(50_000);
    expect([...firstTurn]).toEqual([3]);
    expect([...firstDelayMs]).toEqual([22_000]);
  });

  it('E1: a request that is under way at the entry starts at once', () => {
    // r2 runs from 14.0 to 16.556 s.
    for (const at of [14_000, 16_555])
      expect(entryOf(E1, at)).toMatchObject({ firstTurn: Int32Array.of(2), firstDelayMs: Float64Array.of(0) });
    expect(entryOf(E1, 16_556)).toMatchObject({ firstTurn: Int32Array.of(3), firstDelayMs: Float64Array.of(25_444) });
  });

  it('E2: before the spawn the agents wait for their trigger; after A has ended the root waits for B with A as its anchor', () => {
    expect(entryOf(E2, 4000)).toMatchObject({
      firstTurn: Int32Array.of(0, 2, 5),
      firstDelayMs: Float64Array.of(0, Number.NaN, Number.NaN),
    });
    // r0 ended at 5.0 s, A starts at 5.5 s, B at 6.0 s.
    expect(entryOf(E2, 5200)).toMatchObject({ firstTurn: Int32Array.of(1, 2, 5), firstDelayMs: Float64Array.of(-200, 300, 800) });
    const slowJoin: TraceSession = {
      id: 's',
      agents: [
        E2.agents[0]!,
        { ...E2.agents[1]!, join: { before: 1, delayMs: 100_000 }, requests: [fixtureRequest(5500, [[20, 25]], { apiMs: 4000 })] },
        E2.agents[2]!,
      ],
    };
    // A: 5.5 to 9.5 s, counted from 109.5 s on; B runs from 6 to 46 s.
    expect(entryOf(slowJoin, 20_000)).toMatchObject({ firstTurn: Int32Array.of(1, -1, 3), firstDelayMs: Float64Array.of(89_500, 0, 0) });
  });
});

describe('closed population of the WEKA sample', () => {
  let trace: Trace;
  beforeAll(async () => {
    trace = await readTrace(new URL('../../traces/samples/weka_dev.jsonl.gz', import.meta.url).pathname);
  });
  const options = (start: 'cold' | 'midlife', concurrency: number): WorkloadOptions => ({
    ...{ ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e9, agents: 'root', gapCapMs: 600_000 },
    arrivals: { mode: 'closed', concurrency, rampUpMs: 60_000, start, respawnMs: 0 },
  });

  it('holds N live sessions at every instant after the ramp', () => {
    const workload = materialiseWorkload(trace, options('cold', 20), 42, 0);
    const live = new Set<number>();
    let instants = 0;
    const fleet = new ScriptedFleet(
      workload,
      (t) => apiMs(trace, workload.turns.request(t)),
      (tMs) => {
        for (const play of live) if (!fleet.loop.isOpen(play)) live.delete(play);
        for (let play = 0; play < workload.plays.count; play++) if (fleet.loop.isOpen(play)) live.add(play);
        // A slot is between two sessions only inside one instant.
        if (tMs > 60_000 && live.size !== 20) instants += fleet.ends.at(-1)!.tMs === tMs ? 0 : 1;
      },
    );
    fleet.run(4 * 3_600_000);
    expect(instants).toBe(0);
    expect(fleet.ends.length).toBeGreaterThan(20);
  });

  it('a mid-life start shows the time averages of a long run: share of time in a request, context, remaining pause, within 3 %', () => {
    // Renewal reward: the average over a long run is the sum over sessions of (state * time in it) / sum of residence times.
    let residence = 0;
    let serving = 0;
    let context = 0;
    let remaining = 0;
    const all = materialiseWorkload(
      trace,
      { ...options('cold', 1), resample: 'none', arrivals: { mode: 'open', process: 'fixed', ratePerMs: 1 } },
      1,
      0,
    );
    for (let t = 0; t < all.turns.count; t++) {
      const service = apiMs(trace, all.turns.request(t));
      const pause = all.turns.pauseMs(t);
      residence += service + pause;
      serving += service;
      context += (service + pause) * all.turns.promptTokens(t);
      remaining += (pause * pause) / 2;
    }
    const midlife = options('midlife', 1);
    const plan = planSessions(trace, midlife);
    const templates = new SessionTemplates(trace, midlife, plan, new BranchTable(), (agent) => new Stream(agent));
    const choice = new MidlifeChoice(trace, templates, plan.eligible, midlife);
    const stream = new Stream('42');
    const n = 100_000;
    let inRequest = 0;
    let entryContext = 0;
    let entryPause = 0;
    for (let i = 0; i < n; i++) {
      const { session, entry } = choice.draw(stream.double(), stream.double());
      if (entry.firstDelayMs[0] === 0) inRequest++;
      entryContext += templates.turns.promptTokens[templates.of(session, false).turnFrom + entry.firstTurn[0]!]!;
      entryPause += entry.firstDelayMs[0]!;
    }
    const ratio = (seen: number, expected: number) => seen / n / (expected / residence);
    for (const r of [ratio(inRequest, serving), ratio(entryContext, context), ratio(entryPause, remaining)]) {
      expect(r).toBeGreaterThan(0.97);
      expect(r).toBeLessThan(1.03);
    }
  });
});
