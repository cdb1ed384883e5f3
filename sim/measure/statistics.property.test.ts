import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normal, Stream } from '../kernel/draw.ts';
import { meanInterval, pairedDifference, verdict } from './statistics.ts';
import { sequentialStop } from './stopping.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 2000);
const edge = fc.oneof(fc.double({ min: -5, max: 5, noNaN: true }), fc.constantFrom(-1, 0, 1));

describe('the four verdicts', () => {
  it('are exhaustive, exclusive and symmetric', () => {
    fc.assert(
      fc.property(edge, edge, fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.5, 1, 2), (x, y, share, noise) => {
        const lo = Math.min(x, y);
        const hi = Math.max(x, y);
        const centre = lo + share * (hi - lo);
        const inside = lo >= -noise && hi <= noise;
        const worse = lo > 0 && centre > noise && !inside;
        const better = hi < 0 && centre < -noise && !inside;
        expect([inside, worse, better].filter(Boolean).length).toBeLessThanOrEqual(1);
        const got = verdict({ lo, hi, centre, noise, better: 'lower' });
        expect(got).toBe(inside ? 'within noise' : worse ? 'regressed' : better ? 'improved' : 'inconclusive');
        const mirrored = verdict({ lo: -hi, hi: -lo, centre: -centre, noise, better: 'lower' });
        const opposite = {
          improved: 'regressed',
          regressed: 'improved',
          'within noise': 'within noise',
          inconclusive: 'inconclusive',
        } as const;
        expect(mirrored).toBe(opposite[got]);
        expect(verdict({ lo, hi, centre, noise, better: 'higher' })).toBe(opposite[got]);
      }),
      { numRuns: RUNS },
    );
  });

  it('of a scripted worse arm are `regressed` on every scale and in both directions', () => {
    for (const scale of ['ratio', 'proportion', 'count'] as const) {
      for (const better of ['lower', 'higher'] as const) {
        const a = [0.5, 0.52, 0.51, 0.49];
        const b = a.map((x, i) => (better === 'lower' ? x + 0.2 : x - 0.2) + 0.001 * i);
        expect(pairedDifference(a, b, { scale, better }).verdict, `${scale} ${better}`).toBe('regressed');
        expect(pairedDifference(b, a, { scale, better }).verdict, `${scale} ${better}`).toBe('improved');
      }
    }
  });
});

describe('coverage', () => {
  it('of sequentially stopped intervals on normal data lies in [92.5, 96] % over 10,000 seeded trials', () => {
    const stream = new Stream('7/0/coverage/trials');
    const trials = 10_000;
    let covered = 0;
    let total = 0;
    for (let trial = 0; trial < trials; trial++) {
      const values: number[] = [];
      const at = (n: number): number | null => {
        while (values.length < n) values.push(3 + 0.1 * normal(stream));
        return meanInterval(values).halfWidth;
      };
      const stop = sequentialStop({ min: 10, batch: 5, max: 50, until: 0.05 }, at);
      expect(values.length).toBe(stop.n);
      const { lo, hi } = meanInterval(values);
      if (lo! <= 3 && 3 <= hi!) covered++;
      total += stop.n;
    }
    const share = (100 * covered) / trials;
    expect(share).toBeGreaterThanOrEqual(92.5);
    expect(share).toBeLessThanOrEqual(96);
    // The rule must actually have stopped early in most trials.
    expect(total / trials).toBeLessThan(35);
  });

  it('of independent arms that are equal: at most 7 % of 200 trials are called a change', () => {
    const stream = new Stream('7/0/a-a/trials');
    let alarms = 0;
    for (let trial = 0; trial < 200; trial++) {
      const arm = (): number[] => Array.from({ length: 10 }, () => 100 + 5 * normal(stream));
      const { verdict: word } = pairedDifference(arm(), arm(), { scale: 'ratio', better: 'lower' });
      if (word === 'regressed' || word === 'improved') alarms++;
    }
    expect(alarms / 200).toBeLessThanOrEqual(0.07);
  });
});
