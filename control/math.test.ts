import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cos, exp, log, pow, sin, tanh } from './math.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 2000);
const bits = new DataView(new ArrayBuffer(8));

/** Position of a double on the number line, so that neighbours differ by one. */
function ordinal(x: number): bigint {
  bits.setFloat64(0, x === 0 ? 0 : x);
  const raw = bits.getBigInt64(0);
  return raw < 0n ? -(raw & 0x7fffffffffffffffn) : raw;
}

/** Distance in units in the last place. */
function ulps(a: number, b: number): number {
  if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const d = ordinal(a) - ordinal(b);
  return Number(d < 0n ? -d : d);
}

const real = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });

describe('transcendental functions', () => {
  it('are within 2 ulp of Math on random inputs', () => {
    const check = (name: string, input: fc.Arbitrary<number>, ours: (x: number) => number, theirs: (x: number) => number): void => {
      fc.assert(
        fc.property(input, (x) => {
          expect(ulps(ours(x), theirs(x)), `${name}(${x})`).toBeLessThanOrEqual(2);
        }),
        { numRuns: RUNS },
      );
    };
    check('exp', real(-700, 700), exp, Math.exp);
    check('exp', real(-1, 1), exp, Math.exp);
    check('log', real(1e-300, 1e300), log, Math.log);
    check('log', real(0.5, 2), log, Math.log);
    check('sin', real(-1e6, 1e6), sin, Math.sin);
    check('cos', real(-1e6, 1e6), cos, Math.cos);
    check('tanh', real(-25, 25), tanh, Math.tanh);
    fc.assert(
      fc.property(real(1e-6, 1e6), real(-40, 40), (x, y) => {
        expect(ulps(pow(x, y), x ** y), `pow(${x}, ${y})`).toBeLessThanOrEqual(2);
      }),
      { numRuns: RUNS },
    );
  });

  it('keep the exact cases exact', () => {
    expect([exp(0), log(1), pow(2, 10), pow(7, 0), sin(0), cos(0), tanh(0)]).toEqual([1, 0, 1024, 1, 0, 1, 0]);
    expect([exp(-Infinity), exp(Infinity), log(0), tanh(Infinity)]).toEqual([0, Infinity, -Infinity, 1]);
    expect(log(-1)).toBeNaN();
  });

  it('tell one double from the next', () => {
    expect(ulps(1, 1 + Number.EPSILON)).toBe(1);
    expect(ulps(-Number.MIN_VALUE, Number.MIN_VALUE)).toBe(2);
  });
});
