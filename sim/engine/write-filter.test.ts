import { expect, it } from 'vitest';
import { engineConfig } from './worker-fixtures.ts';
import { createWriteFilter, FrequencyFilter, PassFilter } from './write-filter.ts';

const MINUTE = 60_000;

it('admits by frequency: store 1, hit 2, decay 1, hits 2 and 4, decay 3 (retention specification 9.1)', () => {
  const filter = new FrequencyFilter(2, MINUTE);
  const seen: (readonly [frequency: number, admitted: boolean])[] = [];
  const look = (tMs: number): void => void seen.push([filter.frequency(7, tMs), filter.admits(7, tMs)]);
  const pass = (tMs: number): void => {
    filter.pass(7, tMs);
    look(tMs);
  };
  pass(0);
  pass(1);
  look(MINUTE);
  pass(MINUTE + 1);
  pass(MINUTE + 2);
  look(2 * MINUTE);
  expect(seen).toEqual([
    [1, false],
    [2, true],
    [1, false],
    [2, true],
    [4, true],
    [3, true],
  ]);
});

it('forgets a block whose frequency decayed to 0: its next pass is a first one', () => {
  const filter = new FrequencyFilter(2, MINUTE);
  for (const tMs of [0, 1, 2]) filter.pass(7, tMs);
  expect(filter.frequency(7, 3 * MINUTE)).toBe(1);
  expect(filter.frequency(7, 9 * MINUTE)).toBe(0);
  expect(filter.wouldAdmit(7, 9 * MINUTE)).toBe(false);
  filter.pass(7, 9 * MINUTE);
  expect(filter.frequency(7, 9 * MINUTE)).toBe(1);
});

it('keeps the frequency when the block leaves HBM, the passes of selective only while it is there', () => {
  const frequency = new FrequencyFilter(2, MINUTE);
  const passes = new PassFilter(2);
  for (const filter of [frequency, passes]) {
    filter.pass(7, 0);
    expect(filter.wouldAdmit(7, 1)).toBe(true);
    expect(filter.admits(7, 1)).toBe(false);
    filter.left(7);
  }
  expect(frequency.wouldAdmit(7, 1)).toBe(true);
  expect(passes.wouldAdmit(7)).toBe(false);
});

it('is made as the engine is set', () => {
  expect(createWriteFilter(engineConfig({}))).toBeNull();
  expect(createWriteFilter(engineConfig({ hostWrite: 'selective' }))).toBeInstanceOf(PassFilter);
  const strict = createWriteFilter(engineConfig({ hostAdmit: 'frequency', hostAdmitMin: 8 }))!;
  const admitted = [0, 1, 2, 3].map((tMs) => {
    strict.pass(7, tMs);
    return strict.admits(7, tMs);
  });
  expect(admitted).toEqual([false, false, false, true]);
});
