import { describe, expect, it } from 'vitest';
import { evaluateMetric, metricValue } from './metric-value.ts';
import { METRICS } from './registry.ts';
import { fixtureRun, fixtureWorker } from './run-fixture.ts';
import type { RunMeasures } from './run-measures.ts';
import { SESSION_STATUS, TurnTable } from './turn-table.ts';

const run = fixtureRun();

/** Hand-computed on the run of run-fixture.ts; a text is the reason why there is no value. */
const EXPECTED: Readonly<Record<string, number | string>> = {
  'turn.ttft': (1 + 0.5) / 2,
  'turn.itl': (100 * 0.02 + 10 * 0.2) / 110,
  'turn.tpot': (2 / 100 + 2 / 10) / 2,
  'turn.e2e': (3 + 2.5) / 2,
  'turn.queue': (0.005 + 0.015 + 0) / 3,
  'turn.slowdown': (1.5 + 2.5) / 2,
  'session.completion': 12.5,
  'session.activeTime': 5.5,
  'session.slowdown': 5.5 / 3,
  'sessions.offered': 3,
  'sessions.completed': 1,
  'sessions.failed': 1,
  'sessions.abandoned': 0,
  'sessions.censored': 1,
  // Turn 1 meets 0.8 s; turn 0 does not, turn 2 was rejected, turn 3 has been late for 30 s.
  'goodput.turns': 1 / 4,
  'goodput.sessions': 0,
  'throughput.output': 112 / 60,
  'throughput.input': 16_000 / 60,
  'kv.hit.hbm': 9000 / 20_000,
  // Turn 1 loads 3,000 tokens, 1,000 of them from disk and 500 from the remote store.
  'kv.hit.host': 3500 / 20_000,
  'kv.hit.disk': 1000 / 20_000,
  'kv.hit.remote': 500 / 20_000,
  'kv.hit.total': 14_000 / 20_000,
  'kv.reuse.existed': 16_000 / 20_000,
  'kv.reuse.captured': 14_060 / 20_000,
  'kv.reuse.delivered': 14_000 / 20_000,
  'kv.hit.byTurn': (10 / 12 + 3 / 4 + 1 / 4) / 3,
  'kv.readWrite': 14_000 / 4000,
  'prefill.amplification': (4000 + 2400) / 4000,
  'tokens.compulsory': 4000,
  'tokens.recomputed.total': 2000 + 400,
  'tokens.recomputed.routing': 1000,
  'tokens.recomputed.inflight': 90,
  'tokens.recomputed.tier': 60,
  'tokens.recomputed.capacity': 500,
  'tokens.recomputed.ttl': 300,
  'tokens.recomputed.claim': 20,
  'tokens.recomputed.dropped': 5,
  'tokens.recomputed.preempted': 10 + 400,
  'tokens.recomputed.fault': 15,
  'kv.duplicateBytes': 'needs the residency ledger',
  'load.imbalance': 1.2727272727,
  'load.cv': 0.2032789,
  'load.jain': 0.9603175,
  'engine.utilization': 440 / (4 * 60_000),
  'engine.preemptions': 6,
  'kv.idlePerActive': 1.5,
  'kv.claimedPerActive': 0.75,
  'kv.occupancy.hbm': 0.8,
  'kv.occupancy.host': 0.4,
  'kv.occupancy.disk': 'not measured',
  'kv.occupancy.remote': 'not measured',
  'kv.pinWaste': 'needs the byte-second ledger of claims',
  // Worker 0: 10 blocks brought up, 6 of them used, of two prefetches that were 250 ms late together, 3 lost.
  'kv.prefetch.bytes': 10_000,
  'kv.prefetch.precision': 0.6,
  'kv.prefetch.waste': 3000,
  'kv.prefetch.lateness': 0.125,
  'kv.evictions.capacity': 40_000,
  'kv.evictions.ttl': 8000,
  'kv.evictions.drop': 'not computed by this version',
  'link.bytes.h2d': 1_200_000,
  'link.bytes.d2h': 2_400_000,
  'link.bytes.diskRead': 4000,
  'link.bytes.diskWrite': 8000,
  'link.bytes.remoteRead': 1200,
  'link.bytes.remoteWrite': 1600,
  'link.utilization.h2d': 0.1,
  'link.utilization.d2h': 0.2,
  'router.decisions': 4,
  'router.staleMiss': 0.25,
  'hints.dropped': 7,
  'claims.refused': 3,
  'claims.clipped': 2,
  'turns.rejected': 1,
  'turns.timedOut': 0,
  'fleet.gpuHours': 32 / 60,
  'cost.usdPerHour': 80.4,
  'cost.usdPerSession': 80.4 / 60,
  'cost.usdPerGoodSession': 'no good session',
  'energy.kWh': ((32 / 60) * (140 + 560 * (110 / 60_000)) * 1.2) / 1000,
  'energy.whPerSession': (32 / 60) * (140 + 560 * (110 / 60_000)) * 1.2,
  // Red got everything, blue nothing.
  'fairness.jain': 0.5,
};

describe('every metric of the registry on a hand-computed run', () => {
  it('is covered by the table', () => {
    expect(Object.keys(EXPECTED).sort()).toEqual(METRICS.map((m) => m.name).sort());
  });

  it.each(Object.entries(EXPECTED))('%s', (name, want) => {
    const got = evaluateMetric(name, run);
    if (typeof want === 'string') expect(got).toMatchObject({ value: null, reason: want });
    else expect(got.value).toBeCloseTo(want, want > 1000 ? 6 : 7);
  });
});

describe('aggregates and tags', () => {
  it('quantiles are R-7 over the items, med is p(50)', () => {
    expect(metricValue('turn.ttft.p(25)', run)).toBe(0.625);
    expect(metricValue('turn.ttft.med', run)).toBe(0.75);
    expect(metricValue('turn.ttft.min', run)).toBe(0.5);
    expect(metricValue('turn.ttft.max', run)).toBe(1);
    expect(metricValue('turn.ttft.sum', run)).toBe(1.5);
    expect(evaluateMetric('turn.ttft.p(99)', run).n).toBe(2);
  });

  it('gaps between tokens come from the sketch, within 0.5 %', () => {
    expect(Math.abs(metricValue('turn.itl.p(50)', run)! / 0.02 - 1)).toBeLessThan(0.005);
    expect(Math.abs(metricValue('turn.itl.p(99)', run)! / 0.2 - 1)).toBeLessThan(0.005);
    expect([metricValue('turn.itl.min', run), metricValue('turn.itl.max', run)]).toEqual([0.02, 0.2]);
    expect(evaluateMetric('turn.itl.p(99)', run).n).toBe(110);
    expect(evaluateMetric('turn.itl{class:tool}', run).reason).toContain('not kept by class');
  });

  it('class, tenant and pool narrow the items', () => {
    expect(metricValue('turn.ttft{class:tool}', run)).toBe(0.5);
    expect(metricValue('turn.e2e{class:first,tool}', run)).toBe(2.75);
    expect(metricValue('kv.hit.hbm{class:first}', run)).toBe(9000 / 16_000);
    expect(metricValue('turn.ttft{pool:left}', run)).toBe(0.75);
    expect(evaluateMetric('turn.ttft{pool:right}', run)).toMatchObject({ value: null, n: 0 });
    expect(metricValue('sessions.offered{tenant:blue}', run)).toBe(2);
    expect(metricValue('load.imbalance{pool:right}', run)).toBeCloseTo(140 / 120, 12);
    expect(metricValue('engine.preemptions{pool:left}', run)).toBe(1);
    expect(metricValue('turns.rejected{class:tool}', run)).toBe(0);
  });

  it('a window leaves out what arrived or started before it, and after the tail', () => {
    const late = fixtureRun({ window: { fromMs: 5000, toMs: 60_000 }, sessionToMs: 25_000 });
    expect(metricValue('turn.ttft', late)).toBe(0.5);
    expect(metricValue('kv.hit.total', late)).toBe(4000 / 8000);
    expect(metricValue('sessions.offered', late)).toBe(1);
    expect(metricValue('session.completion', late)).toBeNull();
  });

  it('an expression that does not bind is our mistake', () => {
    expect(() => metricValue('turn.tfft', run)).toThrow('turn.tfft');
  });
});

describe('goodput', () => {
  it('counts completed sessions whose turns are good, per hour', () => {
    const easy = fixtureRun({ objectives: { turn: [{ metric: 'turn.ttft', op: '<', bound: 5 }], session: [] } });
    expect(metricValue('goodput.sessions', easy)).toBe(60);
    expect(metricValue('cost.usdPerGoodSession', easy)).toBeCloseTo(80.4 / 60, 12);
    const slow = { metric: 'session.completion', op: '<', bound: 10 } as const;
    const both = fixtureRun({ objectives: { turn: [{ metric: 'turn.ttft', op: '<', bound: 5 }], session: [slow] } });
    expect(metricValue('goodput.sessions', both)).toBe(0);
  });

  it('without objectives asks that turns finish', () => {
    const none = fixtureRun({ objectives: { turn: [], session: [] } });
    // Finished 2, rejected 1; the cut one cannot be judged.
    expect(evaluateMetric('goodput.turns', none)).toMatchObject({ value: 2 / 3, n: 3 });
    expect(metricValue('goodput.sessions', none)).toBe(60);
  });
});

describe('worked values of the specification', () => {
  it('prompt 12,000, HBM 8,000, host 2,000: .6667, .1667, miss .1667', () => {
    const turns = new TurnTable(() => 12_000);
    turns.arrived(0, 0);
    turns.admitted(0, 1, 8000, 2000);
    const one = fixtureRun({ turns });
    expect(metricValue('kv.hit.hbm', one)).toBeCloseTo(0.6667, 4);
    expect(metricValue('kv.hit.host', one)).toBeCloseTo(0.1667, 4);
    expect(1 - metricValue('kv.hit.total', one)!).toBeCloseTo(0.1667, 4);
  });

  it('4 workers x 8 GPUs x 1.5 h = 48 GPU-hours, 120 USD, 1.25 USD per session; 23.3856 kWh, 243.6 Wh per session', () => {
    const hours = 5_400_000;
    const sessions: RunMeasures['sessions'] = {
      count: 96,
      startMs: new Float64Array(96),
      endMs: new Float64Array(96).fill(1000),
      activeMs: new Float64Array(96).fill(1000),
      status: new Uint8Array(96).fill(SESSION_STATUS.completed),
    };
    const worker = fixtureWorker('main', { busyMs: 0.62 * hours }, { provisionedMs: hours, hostBytes: 0 });
    const day = fixtureRun({
      sessions,
      workers: [worker, worker, worker, worker],
      window: { fromMs: 0, toMs: hours },
      rateWindowMs: hours,
      cost: { hostUsdPerGiBHour: 0, powerPue: 1 },
    });
    expect(metricValue('fleet.gpuHours', day)).toBe(48);
    expect(metricValue('cost.usdPerHour', day)! * 1.5).toBe(120);
    expect(metricValue('cost.usdPerSession', day)).toBe(1.25);
    expect(metricValue('energy.kWh', day)).toBeCloseTo(23.3856, 10);
    expect(metricValue('energy.whPerSession', day)).toBeCloseTo(243.6, 10);
    expect(evaluateMetric('link.utilization.h2d', day).reason).toBe('no worker has a host tier');
  });
});

describe('identities', () => {
  it('tier shares and the miss sum to one; compulsory and recomputed sum to what was prefilled', () => {
    const share = (tier: string): number => metricValue(`kv.hit.${tier}`, run)!;
    expect(share('hbm') + share('host') + share('disk') + share('remote')).toBeCloseTo(share('total'), 12);
    const prefilled = metricValue('prefill.amplification', run)! * metricValue('tokens.compulsory', run)!;
    expect(metricValue('tokens.compulsory', run)! + metricValue('tokens.recomputed.total', run)!).toBeCloseTo(prefilled, 9);
  });

  it('offered sessions are those of all terminal states', () => {
    const count = (state: string): number => metricValue(`sessions.${state}`, run)!;
    expect(count('offered')).toBe(count('completed') + count('failed') + count('censored'));
  });
});
