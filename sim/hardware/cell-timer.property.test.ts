import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStepBatch } from '../engine/step-timer.ts';
import { CellTimer, stepTables } from './cell-timer.ts';
import { cellFile, type StepParameters, type TimingCell } from './cells.ts';

/** Trials per row. The acceptance run uses KVCAST_RUNS=20000. */
const RUNS = Number(process.env['KVCAST_RUNS'] ?? 5000);
/** Invariants are simple relations: fewer trials by default. */
const INVARIANT_RUNS = Math.max(1000, Math.floor(RUNS / 5));
const CELLS = cellFile().cells;

const cell = fc.constantFrom(...CELLS);
const num = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
const parameters = (alpha: fc.Arbitrary<number>): fc.Arbitrary<StepParameters> =>
  fc.record({
    phi: num(0.5, 1.6),
    o0Ms: num(0, 5),
    o1Ms: num(0, 0.1),
    phiPrefill: num(0.5, 2.5),
    deltaMsPerLayer: num(0, 1),
    oReqMs: fc.constant(5),
    skewAlpha: alpha,
  });
const noSkew = fc.constant(0);
const skew = num(0, 0.3);

/** A batch's lengths from D, the shortest and the spread. */
const decodes = fc.record({
  seqs: fc.integer({ min: 1, max: 300 }),
  shortest: fc.integer({ min: 1, max: 20_000 }),
  spread: fc.integer({ min: 0, max: 100_000 }),
});
const kvOf = (d: { seqs: number; shortest: number; spread: number }): { kv: number; longest: number } => ({
  kv: d.seqs * d.shortest + d.spread,
  longest: d.shortest + d.spread,
});

/** The run as a loop of single steps: the obviously right form. */
function loop(timer: CellTimer, steps: number, seqs: number, kv: number, longest: number, chunk: number, resident: number): number[] {
  const batch = createStepBatch(1);
  batch.decodeSeqs = seqs;
  batch.chunkCount = chunk > 0 ? 1 : 0;
  const ends: number[] = [];
  let total = 0;
  // Kahan's correction, so that the comparison sees the closed form's error and not the loop's.
  let lost = 0;
  for (let k = 0; k < steps; k++) {
    batch.decodeKvTokens = kv + k * seqs;
    batch.maxDecodeKvTokens = longest + k;
    batch.chunkTokens[0] = chunk;
    batch.chunkResident[0] = resident + k * chunk;
    const y = timer.stepMs(batch) - lost;
    const t = total + y;
    lost = t - total - y;
    total = t;
    ends.push(total);
  }
  return ends;
}

function compare(timer: CellTimer, ends: readonly number[], offset: number): void {
  const steps = ends.length;
  for (const n of [1, steps >> 1, steps]) {
    if (n === 0) continue;
    const want = ends[n - 1]!;
    expect(Math.abs(timer.runMs(n) - want)).toBeLessThanOrEqual(1e-12 * want);
  }
  // Inverse: between two step ends the count is exact; at a step end it may be one less by one unit in the last place.
  const k = Math.floor(offset * steps);
  const from = k === 0 ? 0 : ends[k - 1]!;
  expect(timer.stepsWithin(from + (ends[k]! - from) * (0.001 + 0.998 * offset))).toBe(k);
  const at = timer.stepsWithin(timer.runMs(k + 1));
  expect(at).toBe(k + 1);
}

describe('the closed form of a run equals the loop over its steps', () => {
  const decodeRow = (alpha: fc.Arbitrary<number>, floorFactor: fc.Arbitrary<number> | null): void => {
    let crossed = 0;
    fc.assert(
      fc.property(
        cell,
        parameters(alpha),
        decodes,
        fc.integer({ min: 1, max: 120 }),
        num(0, 0.999),
        floorFactor ?? fc.constant(0),
        (c, p, d, steps, offset, crossAt) => {
          const { kv, longest } = kvOf(d);
          const { a, b, c: perToken } = c.dec;
          const at = kv + p.skewAlpha * (d.seqs * longest - kv) + crossAt * steps * d.seqs;
          const raised: TimingCell = floorFactor === null ? c : { ...c, dec: { ...c.dec, floor: a + b * d.seqs + perToken * at } };
          const timer = new CellTimer(raised, p, stepTables(c));
          timer.startRun(d.seqs, kv, longest);
          if (timer.run.split > 0 && timer.run.split < steps) crossed++;
          compare(timer, loop(timer, steps, d.seqs, kv, longest, 0, 0), offset);
        },
      ),
      { numRuns: RUNS },
    );
    if (floorFactor !== null) expect(crossed).toBeGreaterThan(0.8 * RUNS);
  };

  it('decode', () => decodeRow(noSkew, null));
  it('decode with skew', () => decodeRow(skew, null));
  it('forced crossing of the floor inside the run', () => decodeRow(skew, num(0.05, 0.95)));

  const chunkRow = (alpha: fc.Arbitrary<number>, alone: boolean): void => {
    fc.assert(
      fc.property(
        cell,
        parameters(alpha),
        decodes,
        fc.integer({ min: 2, max: 8192 }),
        fc.integer({ min: 0, max: 50_000 }),
        fc.integer({ min: 1, max: 24 }),
        num(0, 0.999),
        (c, p, d, chunk, resident, steps, offset) => {
          const { kv, longest } = kvOf(d);
          const timer = new CellTimer(c, p);
          const seqs = alone ? 0 : d.seqs;
          timer.startChunkRun(chunk, resident, seqs, kv, longest);
          compare(timer, loop(timer, steps, seqs, kv, longest, chunk, resident), offset);
        },
      ),
      { numRuns: RUNS },
    );
  };

  it('prefill chunks beside decodes', () => chunkRow(noSkew, false));
  it('prefill chunks beside decodes with skew', () => chunkRow(skew, false));
  it('prefill chunks alone', () => chunkRow(noSkew, true));
});

describe('invariants of a step', () => {
  const step = (timer: CellTimer, seqs: number, kv: number, longest: number, chunks: readonly (readonly [number, number])[]): number => {
    const batch = createStepBatch(4);
    batch.decodeSeqs = seqs;
    batch.decodeKvTokens = kv;
    batch.maxDecodeKvTokens = longest;
    batch.chunkCount = chunks.length;
    chunks.forEach(([n, p], j) => {
      batch.chunkTokens[j] = n;
      batch.chunkResident[j] = p;
    });
    return timer.stepMs(batch);
  };
  const shape = fc.record({
    d: decodes,
    chunk: fc.integer({ min: 2, max: 8000 }),
    resident: fc.integer({ min: 0, max: 100_000 }),
    more: fc.integer({ min: 1, max: 20_000 }),
  });

  it('is non-decreasing in K, L_max and p', () => {
    fc.assert(
      fc.property(cell, parameters(skew), shape, (c, p, s) => {
        const timer = new CellTimer(c, p);
        const { kv, longest } = kvOf(s.d);
        const base = step(timer, s.d.seqs, kv, longest, [[s.chunk, s.resident]]);
        expect(step(timer, s.d.seqs, kv + s.more, longest, [[s.chunk, s.resident]])).toBeGreaterThanOrEqual(base);
        expect(step(timer, s.d.seqs, kv + s.more, longest + s.more, [[s.chunk, s.resident]])).toBeGreaterThanOrEqual(base);
        expect(step(timer, s.d.seqs, kv, longest + s.more, [[s.chunk, s.resident]])).toBeGreaterThanOrEqual(base);
        expect(step(timer, s.d.seqs, kv, longest, [[s.chunk, s.resident + s.more]])).toBeGreaterThanOrEqual(base);
      }),
      { numRuns: INVARIANT_RUNS },
    );
  });

  it('is non-decreasing in n where the linear table is', () => {
    fc.assert(
      fc.property(cell, parameters(skew), shape, (c, p, s) => {
        const timer = new CellTimer(c, p);
        const tables = stepTables(c);
        const { kv, longest } = kvOf(s.d);
        const to = Math.min(16384, s.d.seqs + s.chunk + s.more) - s.d.seqs;
        for (let n = s.d.seqs; n < s.d.seqs + to; n++) fc.pre(tables.lin[n + 1]! >= tables.lin[n]!);
        const base = step(timer, s.d.seqs, kv, longest, [[s.chunk, s.resident]]);
        expect(step(timer, s.d.seqs, kv, longest, [[to, s.resident]])).toBeGreaterThanOrEqual(base);
      }),
      { numRuns: Math.min(RUNS, 300) },
    );
  });

  it('never shortens by more than 0.1 % when a chunk is added', () => {
    fc.assert(
      fc.property(cell, parameters(skew), shape, (c, p, s) => {
        const timer = new CellTimer(c, p);
        const { kv, longest } = kvOf(s.d);
        const without = step(timer, s.d.seqs, kv, longest, []);
        expect(step(timer, s.d.seqs, kv, longest, [[s.chunk, s.resident]])).toBeGreaterThanOrEqual(without * 0.999);
      }),
      { numRuns: INVARIANT_RUNS },
    );
  });

  it('a run is additive', () => {
    fc.assert(
      fc.property(cell, parameters(skew), decodes, fc.nat(500), fc.nat(500), (c, p, d, first, second) => {
        const timer = new CellTimer(c, p);
        const { kv, longest } = kvOf(d);
        timer.startRun(d.seqs, kv, longest);
        const whole = timer.runMs(first + second);
        const head = timer.runMs(first);
        timer.startRun(d.seqs, kv + first * d.seqs, longest + first);
        expect(Math.abs(head + timer.runMs(second) - whole)).toBeLessThanOrEqual(1e-12 * whole);
      }),
      { numRuns: INVARIANT_RUNS },
    );
  });

  it('scales with all its factors', () => {
    fc.assert(
      fc.property(cell, parameters(skew), shape, (c, p, s) => {
        // A power of two, so that the relation is exact.
        const doubled = {
          ...p,
          phi: 2 * p.phi,
          o0Ms: 2 * p.o0Ms,
          o1Ms: 2 * p.o1Ms,
          phiPrefill: 2 * p.phiPrefill,
          deltaMsPerLayer: 2 * p.deltaMsPerLayer,
        };
        const { kv, longest } = kvOf(s.d);
        const one = step(new CellTimer(c, p), s.d.seqs, kv, longest, [[s.chunk, s.resident]]);
        expect(step(new CellTimer(c, doubled), s.d.seqs, kv, longest, [[s.chunk, s.resident]])).toBe(2 * one);
      }),
      { numRuns: INVARIANT_RUNS },
    );
  });

  it('does not depend on the skew weight when all lengths are equal', () => {
    fc.assert(
      fc.property(cell, parameters(skew), decodes, (c, p, d) => {
        const one = step(new CellTimer(c, p), d.seqs, d.seqs * d.shortest, d.shortest, []);
        const other = step(new CellTimer(c, { ...p, skewAlpha: 0 }), d.seqs, d.seqs * d.shortest, d.shortest, []);
        expect(one).toBe(other);
      }),
      { numRuns: INVARIANT_RUNS },
    );
  });
});
