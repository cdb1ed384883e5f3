import { expect, test } from 'vitest';
import { checkProfile, classOf, isBusy, type QueueProfile, queueKey, singleClass } from './queue-profile.ts';

test('keys of the router specification 6.3', () => {
  const fcfs = [queueKey('fcfs', 10, 0, 1), queueKey('fcfs', 14, 5, 1), queueKey('fcfs', 14, 4, 1)];
  expect(fcfs).toEqual([-10, -9, -10]);
  expect([queueKey('wspt', 0, 0, 2000), queueKey('wspt', 0, 0, 500), queueKey('wspt', 0, 9, 4000)]).toEqual([5e-4, 2e-3, 2.5e-3]);
  expect([queueKey('wspt', 0, 0, 0), queueKey('lcfs', 14, 4, 1)]).toEqual([1, 18]);
});

test('busy is strictly above a threshold, and a rank of unknown size is hardly ever busy by fraction', () => {
  const one = singleClass('fcfs', 1).classes[0]!;
  expect([isBusy(one, 8192, 8192), isBusy(one, 8193, 8192), isBusy(one, 1_000_000, 0), isBusy(one, 10_000_001, 0)]).toEqual([
    false,
    true,
    false,
    true,
  ]);
  const zero = singleClass('fcfs', 0).classes[0]!;
  expect([isBusy(zero, 0, 8192), isBusy(zero, 1, 8192)]).toEqual([false, true]);
  const both = { ...one, busyTokens: 100 };
  expect([isBusy(both, 100, 8192), isBusy(both, 101, 8192), isBusy(both, 41, 40)]).toEqual([false, true, true]);
  expect(isBusy(singleClass('fcfs', null).classes[0]!, 1e9, 1)).toBe(false);
});

const PROFILE: QueueProfile = {
  defaultFamily: 'standard',
  buckets: [
    { name: 'short', minTokens: 0 },
    { name: 'long', minTokens: 500 },
  ],
  classes: [
    { name: 'c1', family: 'standard', bucket: 'short', order: 'fcfs', quantumTokens: 1 },
    { name: 'c2', family: 'standard', bucket: 'long', order: 'fcfs', quantumTokens: 1 },
    { name: 'c3', family: 'latency', bucket: 'short', order: 'wspt', quantumTokens: 1 },
    { name: 'c4', family: 'latency', bucket: 'long', order: 'wspt', quantumTokens: 1 },
    { name: 'batch', order: 'fcfs', quantumTokens: 1 },
  ],
};

test('a class is found by its name outside families, else by family and bucket of uncached tokens', () => {
  checkProfile(PROFILE);
  const found = (asked: string | undefined, uncached: number) => PROFILE.classes[classOf(PROFILE, asked, uncached)]!.name;
  expect([found(undefined, 0), found(undefined, 499), found(undefined, 500), found('nobody', 9999)]).toEqual(['c1', 'c1', 'c2', 'c2']);
  expect([found('latency', 499), found('latency', 500), found('batch', 1e6), found('c3', 10)]).toEqual(['c3', 'c4', 'batch', 'c1']);
});

test('a profile that cannot work is refused with its reason', () => {
  const wrong = (change: Partial<QueueProfile>) => () => checkProfile({ ...PROFILE, ...change });
  expect(wrong({ classes: [] })).toThrow('at least one');
  expect(wrong({ defaultFamily: 'gold' })).toThrow('default family gold has no class');
  expect(wrong({ buckets: [{ name: 'short', minTokens: 5 }] })).toThrow('begins at 0');
  expect(wrong({ classes: PROFILE.classes.slice(0, 3) })).toThrow('family latency has no class for bucket long');
  expect(wrong({ classes: [{ ...PROFILE.classes[0]!, quantumTokens: 0 }] })).toThrow('quantum 0');
  expect(wrong({ buckets: [...PROFILE.buckets!, { name: 'same', minTokens: 500 }] })).toThrow('same');
});
