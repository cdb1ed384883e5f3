import { describe, expect, it } from 'vitest';
import { reduceSweep } from '../../sim/experiment/sweep.ts';
import { comparisonText } from './comparison.ts';
import { ansiPaint, noPaint } from './paint.ts';
import { metricRow, resultOf } from './result.fixture.ts';
import { runText } from './run.ts';
import { sweepText } from './sweep.ts';
import { trustLines } from './trust.ts';

function short(text: string): void {
  for (const line of text.split('\n')) {
    expect([...line].length, line).toBeLessThanOrEqual(100);
    expect(line).toBe(line.trimEnd());
  }
}

const LONG = Array.from({ length: 5 }, (_, i) => `sgl-cache-aware-keep-affinity+mooncake-soft-${i}`);

describe('comparison', () => {
  it.each([2, 4, 5])('of %i arms fits into 100 columns', (arms) => {
    short(comparisonText(resultOf(arms), noPaint));
  });
  it('with long names of arms fits as well', () => {
    short(comparisonText(resultOf(5, {}, LONG), noPaint));
  });
  it('answers first: the best improved arm, its difference, the interval, against what', () => {
    const text = comparisonText(resultOf(4), noPaint);
    expect(text.split('\n')[0]).toBe('dynamo-kv+lru: session active time -21.5 % [-22.6, -20.4] against round-robin+lru.');
  });
  it('writes each verdict as word and sign beside its row', () => {
    const text = comparisonText(resultOf(5), noPaint);
    for (const [arm, verdict] of [
      ['round-robin\\+kvcast-soft', '\\? inconclusive'],
      ['dynamo-kv\\+lru', '✓ improved'],
      ['dynamo-kv\\+kvcast-soft', '✗ regressed'],
      ['least-requests\\+mooncake-soft', '= within noise'],
    ])
      expect(text).toMatch(new RegExp(`^  ${arm} .*${verdict}$`, 'm'));
    expect(text).toMatch(/^ {2}round-robin\+lru +731 ±31 +baseline$/m);
  });
  it('names the price of an inconclusive row', () => {
    expect(comparisonText(resultOf(2), noPaint)).toMatch(
      /^ {2}\? round-robin\+kvcast-soft: \+0\.5 % cannot be told from ±1 %; ≈ 20 more replications$/m,
    );
  });
  it('explains the largest avoidable cause under the baseline', () => {
    expect(comparisonText(resultOf(2), noPaint).replace(/\s+/g, ' ')).toContain(
      'Why: under round-robin+lru 24.0 % of prompt tokens were recomputed although another worker held them (routed_elsewhere).',
    );
  });
  it('holds the same characters with and without colour', () => {
    const escapes = new RegExp(`${'\u001b'}\\[\\d+m`, 'g');
    const painted = comparisonText(resultOf(4), ansiPaint);
    expect(painted).toMatch(escapes);
    expect(painted.replace(escapes, '').replace(/ +$/gm, '')).toBe(comparisonText(resultOf(4), noPaint));
  });
  it('survives a single replication: a difference without an interval', () => {
    const one = resultOf(2);
    const bare = resultOf(2, {
      metrics: one.metrics.map((m) => ({ ...m, n: 1, lo: null, hi: null })),
      comparisons: one.comparisons.map((c) => ({
        ...c,
        lo: null,
        hi: null,
        adjusted: { level: 0.95, lo: null, hi: null },
        verdict: null,
        needMore: null,
      })),
      trust: { ...one.trust, replications: 1, planned: 1, stopped: 'fixed' },
    });
    const text = comparisonText(bare, noPaint);
    short(text);
    expect(text).toMatch(/session active time \+0\.500 % \(one replication: no interval\) against/);
    expect(text).not.toMatch(/null|NaN|undefined/);
  });
  it('says so when the primary metric has no value', () => {
    const r = resultOf(2);
    const without = resultOf(2, {
      metrics: r.metrics.map((m) => ({ ...m, n: 0, mean: null, lo: null, hi: null })),
      comparisons: r.comparisons.map((c) => ({ ...c, delta: null, lo: null, hi: null, verdict: null, needMore: null })),
    });
    const text = comparisonText(without, noPaint);
    short(text);
    expect(text.split('\n')[0]).toBe('session active time could not be compared: no replication has a value.');
    expect(text).not.toMatch(/null|NaN|undefined/);
  });
});

describe('a partial result', () => {
  const r = resultOf(2);
  const partial = resultOf(2, { truncated: true, trust: { ...r.trust, replications: 25, planned: 50, stopped: 'interrupted' } });
  it('says PARTIAL in its first line', () => {
    for (const text of [comparisonText(partial, noPaint), runText(partial, noPaint)])
      expect(text.split('\n')[0]).toBe('PARTIAL: first 25 of up to 50 replications per arm; intervals hold for those.');
  });
  it('a whole one does not', () => {
    expect(comparisonText(r, noPaint)).not.toContain('PARTIAL');
  });
});

describe('thin quantiles', () => {
  const withSamples = (samples: number) => {
    const r = resultOf(2);
    return resultOf(2, { metrics: r.metrics.map((m) => (m.expr === 'turn.ttft.p(99)' ? { ...m, samples } : m)) });
  };
  it('carry a dagger with its legend when fewer than five samples lie beyond', () => {
    for (const text of [comparisonText(withSamples(499), noPaint), runText(withSamples(499), noPaint)]) {
      expect(text).toMatch(/TTFT p99, s .*†/);
      expect(text).toMatch(/^† fewer than 5 samples per replication beyond the quantile\.$/m);
    }
    expect(comparisonText(withSamples(500), noPaint)).not.toContain('†');
  });
  it('are not available when not even one lies beyond', () => {
    for (const text of [comparisonText(withSamples(99), noPaint), runText(withSamples(99), noPaint)])
      expect(text).toMatch(/TTFT p99, s .*n\/a \(99 samples\)/);
    expect(comparisonText(withSamples(100), noPaint)).not.toContain('n/a');
  });
});

describe('run', () => {
  it.each([1, 2, 5])('of %i arms fits into 100 columns', (arms) => {
    short(runText(resultOf(arms, { command: 'run', comparisons: [] }), noPaint));
  });
  it('answers with the primary metric, its interval and how it stopped', () => {
    const text = runText(resultOf(1, { command: 'run', comparisons: [] }), noPaint);
    expect(text.split('\n')[0]).toBe('round-robin+lru: session active time 731 ±31 s, 10 replications (stopped: max).');
    expect(text).toMatch(/^ {2}session active time, s +731 +\[700, 762\]$/m);
    expect(text).toContain('Terminal states: 480 sessions offered = 472 completed + 8 censored');
    expect(text, 'no marks to explain').not.toContain('Marks judge');
  });
});

describe('trust lines', () => {
  it('name level, adjustment, volume and hash', () => {
    const text = trustLines(resultOf(4), noPaint).join('\n');
    short(text);
    expect(text).toContain('± 95 %, t(9). Marks judge the paired difference from the baseline at 98.3 % (Bonferroni, 3 arms),');
    expect(text).toContain(
      '10 paired replications (stopped: max), 432 M prompt tokens each, censored 0.'.replace('censored 0', 'censored 8'),
    );
    expect(text).toContain('result 7c41f0a2');
    expect(text.split('\n').at(-1)).toBe('Reproduce: kvcast compare by-hand --seed 42');
  });
  it('say which sessions of the trace did not fit, and which fields and warnings there are', () => {
    const r = resultOf(2);
    const lines = trustLines(
      resultOf(2, {
        workload: { ...r.workload, sessionsExcluded: 23, sessionsTruncated: 58 },
        inert: [{ path: 'fleet.pools.main.tiers.host.read', value: 1, origin: 'file', reason: 'host.size is 0B' }],
        health: [
          { code: 'W_CENSORED', value: 1, limit: 1, message: 'm', remedy: 'r' },
          { code: 'W_CENSORED', value: 1, limit: 1, message: 'm', remedy: 'r' },
        ],
        incomplete: [{ arm: 'a', replication: 0, reason: 'time' }],
      }),
      noPaint,
    );
    const text = lines.join('\n');
    short(text);
    expect(text).toContain('trace sessions above the context limit: 58 cut short, 23 left out');
    expect(text).toContain('inert 1: fleet.pools.main.tiers.host.read (host.size is 0B)');
    expect(text).toContain('warnings 1: W_CENSORED');
    expect(text).toContain('incomplete 1');
  });
  it('break a long command so that it can be pasted', () => {
    const reproduce = `kvcast compare a ${Array.from({ length: 8 }, (_, i) => `--set fleet.pools.main.workers=${i}`).join(' ')} --seed 42`;
    const text = trustLines(resultOf(2, { reproduce }), noPaint).join('\n');
    short(text);
    const pasted = text.slice(text.indexOf('Reproduce: ') + 11).replace(/ \\\n +/g, ' ');
    expect(pasted).toBe(reproduce);
  });
});

describe('sweep', () => {
  const sweep = (arms: number, labels: readonly string[], names?: readonly string[]) => {
    const points = labels.map((label, i) => {
      const r = resultOf(arms, { command: 'sweep' }, names);
      const metrics = [...r.metrics, ...r.arms.map((a) => metricRow(a.name, ['cost.usdPerHour', 'USD/h', 60, 0], 1 + i))];
      const shifted = metrics.map((m) => ({
        ...m,
        values: m.values.map((v, k) => v! * (1 + i / 10) + k * 0.01),
        mean: m.mean! * (1 + i / 10),
      }));
      return { values: { 'kvcast-soft.ttl': label }, result: { ...r, metrics: shifted } };
    });
    return reduceSweep([{ label: 'kvcast-soft.ttl', path: 'p', values: labels }], points, ['session.activeTime.mean', 'cost.usdPerHour']);
  };
  it.each([1, 2, 4, 5])('of %i arms fits into 100 columns', (arms) => {
    short(sweepText(sweep(arms, ['1m', '5m', '15m']), noPaint));
  });
  it('with long names of arms fits as well', () => {
    short(sweepText(sweep(5, ['1m', '5m'], LONG), noPaint));
  });
  it('has one row per point and arm, names the best and marks it', () => {
    const text = sweepText(sweep(2, ['1m', '5m']), noPaint);
    expect(text.match(/^ +\d+m {2}round-robin/gm)).toHaveLength(4);
    expect(text.split('\n')[0]).toMatch(/^kvcast-soft\.ttl 1m \(round-robin\+kvcast-soft\) gives the best session active time, /);
    expect(text).toMatch(/1m {2}round-robin\+kvcast-soft .* best .*◆$/m);
    expect(text).toContain('◆ Pareto: session active time against cost.');
  });
});
