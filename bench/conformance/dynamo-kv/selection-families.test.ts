import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dynamoParams } from '../../../control/router/dynamo-options.ts';
import { replayFamily } from '../conformance.ts';
import { readRecording, recordingFile } from '../recording-file.ts';
import { type BookingCase, replayBooking } from './booking-replay.ts';
import { type LoopCase, replayLoop } from './loop-replay.ts';
import { selectionFamilies } from './selection-families.ts';
import { replaySelector, type SelectorCase } from './selector-replay.ts';

const VECTORS = join(dirname(fileURLToPath(import.meta.url)), 'vectors');

function first<T>(name: string, fits: (one: T) => boolean): T {
  for (const one of readRecording<T>(recordingFile(VECTORS, name)!)) if (fits(one)) return one;
  throw new Error(`no such case in ${name}`);
}

describe('selector, booking and loop of Dynamo 1.6.1', () => {
  for (const family of selectionFamilies(VECTORS)) {
    it(`${family.name}: every case is equal`, () => {
      const report = replayFamily('dynamo-kv', family);
      expect(report.firstDifference).toBeUndefined();
      expect(report.explained).toEqual({});
      expect([report.equal, report.cases > 90]).toEqual([report.cases, true]);
    });
  }

  it('a file of another form is refused with its line', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kvcast-selection-'));
    writeFileSync(join(folder, 'loop.jsonl'), '\n{"id":"loop/1","ranks":[],"config":{}}\n');
    const [family] = selectionFamilies(folder);
    expect(() => [...family!.replay()]).toThrow(/E_RECORDING .*loop\.jsonl:2.*got no ops, expected a case of family loop/);
    rmSync(folder, { recursive: true });
  });

  it('an unknown folder holds no family', () => {
    expect(selectionFamilies('/nowhere')).toEqual([]);
  });
});

describe('a changed recording is noticed', () => {
  it('in the last digit of a cost', () => {
    const one = first<SelectorCase>(
      'selector',
      ({ out, preferred_taints }) => (out.costs?.length ?? 0) > 2 && preferred_taints === undefined,
    );
    const costs = one.out.costs!.map(([w, r, cost], i) => [w, r, i === 2 ? cost * (1 + 2 ** -52) + 2 ** -1074 : cost] as const);
    expect(replaySelector(one).difference).toBeUndefined();
    expect(replaySelector({ ...one, out: { ...one.out, costs } }).difference?.field).toBe('costs[2]');
  });

  it('in a tie that lost a rank, in a probability, in an error', () => {
    const tie = first<SelectorCase>('selector', ({ out }) => (out.best?.length ?? 0) > 1);
    expect(replaySelector({ ...tie, out: { ...tie.out, best: tie.out.best!.slice(1) } }).difference?.field).toMatch(/^best/);
    const soft = first<SelectorCase>('selector', ({ out }) => (out.prob?.length ?? 0) > 1 && out.prob![0]! > 1e-3);
    const prob = soft.out.prob!.map((p) => p * (1 + 1e-11));
    expect(replaySelector({ ...soft, out: { ...soft.out, prob } }).difference?.field).toMatch(/^prob/);
    const failed = first<SelectorCase>('selector', ({ out }) => out.error === 'PinnedWorkerOverloaded');
    expect(replaySelector({ ...failed, out: { error: 'NoEndpoints' } }).difference?.field).toBe('error');
  });

  it('in a load and in a row of the loop', () => {
    const booking = first<BookingCase>('booking', () => true);
    const ops = booking.ops.map((op, i) =>
      i === 0 ? { ...op, loads: op.loads!.map(([w, r, P, ...rest]) => [w!, r!, P! + 1, ...rest]) } : op,
    );
    expect(replayBooking({ ...booking, ops }).difference?.field).toBe('op 0 add loads[0][2]');
    const loop = first<LoopCase>('loop', () => true);
    const at = loop.ops.findIndex(({ op }) => op === 'request');
    const changed = loop.ops.map((op, i) => (i === at ? { ...op, booked_tokens: op.booked_tokens! + 1 } : op));
    expect(replayLoop({ ...loop, ops: changed }).difference?.field).toBe(`op ${at} request booked_tokens`);
  });
});

describe('Dynamo options', () => {
  it('become parameters of the preset; a hierarchical cache has a multiplier of its own', () => {
    expect(dynamoParams({})).toEqual({});
    expect(dynamoParams({ shared_cache_type: 'hicache', overlap_score_credit: 2 })).toEqual({ m: 0.5, c: 2 });
    expect(dynamoParams({ shared_cache_multiplier: 0, shared_cache_type: 'hicache' })).toEqual({ m: 0 });
    expect(dynamoParams({ conditional_disagg_enabled: true } as never)).toEqual({});
  });
});
