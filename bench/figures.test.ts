import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { areaOf } from './areas.ts';
import { type BenchReport, type Figure, figureTable, higher, lower, reached, writeReport } from './figures.ts';
import { median } from './median.ts';
import { selfTimes } from './profile.ts';

const figure = (measured: number | null, goal: Figure['goal']): Figure => ({ name: 'x', unit: 's', measured, goal });

it('says which goal a figure reaches, on the side that is good; a goal itself counts', () => {
  expect([2, 1, 0.9, 0.45, 0.4].map((s) => reached(figure(s, lower(0.9, 0.45))))).toEqual(['no', 'no', 'must', 'stretch', 'stretch']);
  expect([79, 80, 199, 200].map((n) => reached(figure(n, higher(80, 200))))).toEqual(['no', 'must', 'must', 'stretch']);
  expect(reached(figure(299, lower(300)))).toBe('must');
  expect(reached(figure(null, lower(300)))).toBe('not measured');
  expect(reached(figure(Number.NaN, lower(300)))).toBe('not measured');
  expect(reached(figure(1, null))).toBeNull();
});

it('prints must, stretch, measured and reached in this order', () => {
  const lines = figureTable([{ name: 'loop', unit: 'requests/s', measured: 123_456.7, goal: higher(120_000, 300_000) }]).split('\n');
  expect(lines[0]!.trim().split(/\s{2,}/)).toEqual(['figure', 'must', 'stretch', 'measured', 'reached']);
  expect(lines[1]).toMatch(/^loop +120,000 +300,000 +123,457 requests\/s +must$/);
});

it('keeps a report whole: one file, all fields, no temporary left', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kvcast-report-'));
  const report: BenchReport = {
    name: 'goals',
    date: '2026-01-02T03:04:05.000Z',
    node: 'v20.19.0',
    commit: { id: 'abc', dirty: true },
    machine: { cpu: 'c', cores: 2, memoryGiB: 8, freeGiB: 4, loadAverage: [0, 0, 0], platform: 'linux x64' },
    size: 'normal',
    figures: [{ name: 'loop', unit: 's', measured: 0.812345, goal: lower(0.9, 0.45) }],
  };
  for (const name of ['goals', 'goals']) expect(writeReport(folder, { ...report, name })).toBe(join(folder, 'goals.json'));
  expect(readdirSync(folder)).toEqual(['goals.json']);
  const { figures, ...rest } = JSON.parse(readFileSync(join(folder, 'goals.json'), 'utf8'));
  const { figures: _, ...about } = report;
  expect(rest).toEqual(about);
  expect(figures).toEqual([{ name: 'loop', unit: 's', must: 0.9, stretch: 0.45, better: 'lower', measured: 0.8123, reached: 'must' }]);
  rmSync(folder, { recursive: true });
});

it('takes the middle of an odd number and the mean of the middle two of an even one', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 9, 2])).toBe(3);
});

it('gives the time up to the next sample to the frame of the sample', () => {
  const node = (id: number, functionName: string) => ({
    id,
    callFrame: { functionName, scriptId: '0', url: '', lineNumber: 0, columnNumber: 0 },
  });
  const profile = { nodes: [node(1, 'a'), node(2, 'b')], startTime: 0, endTime: 60, samples: [1, 2, 1], timeDeltas: [5, 10, 30] };
  expect(selfTimes(profile, (frame) => frame.functionName)).toEqual([
    { name: 'b', us: 30 },
    { name: 'a', us: 10 },
  ]);
});

it('does not count the time in which another process had the processor', () => {
  const callFrame = { functionName: 'a', scriptId: '0', url: '', lineNumber: 0, columnNumber: 0 };
  const profile = { nodes: [{ id: 1, callFrame }], startTime: 0, endTime: 9, samples: [1, 1, 1], timeDeltas: [0, 200, 50_000] };
  expect(selfTimes(profile, (frame) => frame.functionName)).toEqual([{ name: 'a', us: 1200 }]);
});

it('puts files into areas by the most special prefix', () => {
  const files = ['sim/kernel/calendar.ts', 'control/router/cost-scan.ts', 'sim/engine/jump/host-pool.ts', '(garbage collector)', 'x.ts'];
  expect(files.map(areaOf)).toEqual(['calendar', 'router: scan', 'host tier', 'garbage collection', 'other']);
});
