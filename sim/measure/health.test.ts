import { describe, expect, it } from 'vitest';
import { backlogGrows, type HealthFacts, healthWarnings } from './health.ts';
import { meanInterval } from './statistics.ts';

/** Each warning: facts that raise it, the repaired twin that does not, and what it says. */
const CASES: readonly (readonly [code: string, bad: HealthFacts, good: HealthFacts, message: RegExp, remedy: RegExp])[] = [
  [
    'W_CI_WIDE',
    { primary: { relativeHalfWidth: 0.1271, interval: meanInterval([90, 110, 95]) } },
    { primary: { relativeHalfWidth: 0.1, interval: meanInterval([90, 110, 95]) } },
    /12\.7 % \(limit 10 %\)/,
    /--reps \d+/,
  ],
  ['W_REPS_FEW', { replications: 4 }, { replications: 5 }, /4 replications/, /run\.replications\.min/],
  [
    'W_WARMUP_SHORT',
    { steady: { warmupMs: 60_000, settledMs: 90_000 } },
    { steady: { warmupMs: 90_000, settledMs: 90_000 }, longestTtlMs: 60_000 },
    /warm-up 1m .* 1m30s/,
    /run\.warmup to 1m30s/,
  ],
  [
    'W_WARMUP_SHORT',
    { steady: { warmupMs: 60_000, settledMs: null }, longestTtlMs: 300_000 },
    { steady: { warmupMs: 300_000, settledMs: null }, longestTtlMs: 300_000 },
    /longest TTL, 5m/,
    /5m/,
  ],
  [
    'W_HORIZON_SHORT',
    { windowMs: 3_599_000, longestTtlMs: 1_200_000 },
    { windowMs: 3_600_000, longestTtlMs: 1_200_000, medianSessionSpanMs: 1000 },
    /59m59s .* 3 x the longest TTL, 1h/,
    /run\.horizon/,
  ],
  [
    'W_TTL_UNTESTED',
    { pauses: { count: 1000, aboveTtl: 4, gapCapMs: 600_000 }, longestTtlMs: 3_600_000 },
    { pauses: { count: 1000, aboveTtl: 10, gapCapMs: Infinity }, longestTtlMs: 3_600_000 },
    /^0\.4 % of pauses exceed 1h \(limit 1 %\)$/,
    /^Remove workload\.trace\.gapCap \(10m\) or use a trace with longer pauses$/,
  ],
  [
    'W_SATURATED',
    { load: { offered: 1000, served: 979, backlog: [] } },
    { load: { offered: 1000, served: 980, backlog: [5, 6, 5, 6, 5, 6] } },
    /2\.1 % of offered/,
    /throughput/,
  ],
  [
    'W_TAIL_THIN',
    { quantiles: [{ expr: 'turn.ttft.p(99)', q: 0.99, samples: 499 }] },
    { quantiles: [{ expr: 'turn.ttft.p(99)', q: 0.99, samples: 500 }] },
    /turn\.ttft\.p\(99\) rests on 499 .*limit 500/,
    /workload\.sessions/,
  ],
  [
    'W_CENSORED',
    { sessions: { offered: 1000, censored: 62, excluded: 0 } },
    { sessions: { offered: 1000, censored: 50, excluded: 0 } },
    /^6\.2 % of sessions open at the horizon \(limit 5 %\)$/,
    /run\.horizon/,
  ],
  [
    'W_DOMINANT',
    { dominance: { largestSession: 0.21, topPercent: 0.21 } },
    { dominance: { largestSession: 0.2, topPercent: 0.3 } },
    /one session holds 21\.0 %/,
    /seed/,
  ],
  [
    'W_DOMINANT',
    { dominance: { largestSession: 0.1, topPercent: 0.31 } },
    { dominance: { largestSession: 0.1, topPercent: 0.3 } },
    /top 1 %/,
    /sessions/,
  ],
  [
    'W_TIES',
    { ties: [{ expr: 'turn.ttft.mean', change: -1.4, noise: 1 }] },
    { ties: [{ expr: 'turn.ttft.mean', change: -1, noise: 1 }] },
    /turn\.ttft\.mean changes by 1\.4/,
    /spread/,
  ],
  [
    'W_REGIME',
    { regime: { extrapolated: 0.04, thrashing: 0.02 } },
    { regime: { extrapolated: 0.03, thrashing: 0.02 } },
    /6\.0 % of GPU time/,
    /order of magnitude/,
  ],
  [
    'W_EXCLUDED',
    { sessions: { offered: 94, censored: 0, excluded: 6 } },
    { sessions: { offered: 95, censored: 0, excluded: 5 } },
    /6\.0 % of sessions excluded/,
    /contextLimit/,
  ],
  ['W_PRESSURE_NONE', { evictedBlocks: [0, 0] }, { evictedBlocks: [0, 1] }, /no block was evicted/, /capacity or add load/],
  [
    'W_HOST_CHURN',
    {
      writeThrough: [
        { hbmBlocks: 100, hostBlocks: 400 },
        { hbmBlocks: 100, hostBlocks: 99 },
      ],
    },
    { writeThrough: [{ hbmBlocks: 100, hostBlocks: 100 }] },
    /write-through will churn: the host tier holds 99 blocks, HBM 100/,
    /hostWrite: lazy/,
  ],
  [
    'W_TIER_CHURN',
    {
      lowerThrough: [
        { tier: 'disk', blocks: 400, aboveBlocks: 100 },
        { tier: 'remote', blocks: 799, aboveBlocks: 800 },
      ],
    },
    { lowerThrough: [{ tier: 'disk', blocks: 100, aboveBlocks: 100 }] },
    /write-through will churn: tiers\.remote holds 799 blocks, the tier above 800/,
    /fill: writeBack/,
  ],
  [
    'W_HOST_FILTER',
    { frequencyFilter: { least: 8, decayMs: 60_000, storedBlocks: 0 } },
    { frequencyFilter: { least: 8, decayMs: 60_000, storedBlocks: 1 } },
    /no block reached frequency 8 \(decay 1m\)/,
    /hostAdmitMin/,
  ],
];

describe('health warnings', () => {
  it.each(CASES)('%s fires, and stays silent in its repaired twin', (code, bad, good, message, remedy) => {
    const [warning, ...others] = healthWarnings(bad);
    expect(others).toEqual([]);
    expect(warning?.code).toBe(code);
    expect(warning?.message).toMatch(message);
    expect(warning?.remedy).toMatch(remedy);
    expect(healthWarnings(good)).toEqual([]);
  });

  it('say nothing about what is not known', () => {
    expect(healthWarnings({})).toEqual([]);
  });

  it('come in the order of the specification', () => {
    const all = healthWarnings({ evictedBlocks: [0], replications: 1, sessions: { offered: 1, censored: 1, excluded: 1 } });
    expect(all.map((w) => w.code)).toEqual(['W_REPS_FEW', 'W_CENSORED', 'W_EXCLUDED', 'W_PRESSURE_NONE']);
  });
});

describe('a backlog', () => {
  const noise = (i: number): number => ((i * 7919) % 13) - 6;

  it('grows when its last third lies above both others', () => {
    expect(backlogGrows(Array.from({ length: 60 }, (_, i) => i + noise(i)))).toBe(true);
  });

  it('does not grow when it only filled at the start, or is level, or too short to tell', () => {
    expect(backlogGrows(Array.from({ length: 60 }, (_, i) => Math.min(20, 2 * i) + noise(i)))).toBe(false);
    expect(backlogGrows(Array.from({ length: 60 }, (_, i) => 20 + noise(i)))).toBe(false);
    expect(backlogGrows([1, 2, 3])).toBe(false);
  });
});
