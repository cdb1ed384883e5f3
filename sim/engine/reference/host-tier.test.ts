import { describe, expect, it } from 'vitest';
import { HostTier } from './host-tier.ts';

function tier(capacity: number, storeThreshold = 1) {
  const removed: number[] = [];
  const totals = { hostEvictedBlocks: 0, hostSkippedFullBlocks: 0, hostSkippedPresentBlocks: 0 };
  return { host: new HostTier(capacity, storeThreshold, totals, (key) => removed.push(key)), removed, totals };
}

function filled(capacity: number, keys: readonly number[]) {
  const made = tier(capacity);
  made.host.offer(keys, 0);
  made.host.ready(keys);
  return made;
}

describe('host tier', () => {
  it('is readable when the copy has arrived, up to the first hole', () => {
    const { host } = tier(4);
    host.offer([1, 2], 0);
    expect(host.find([1, 2, 3], 0)).toBe(0);
    host.ready([1, 2]);
    expect(host.find([1, 2, 3], 0)).toBe(2);
    expect(host.find([1, 2, 3], 1)).toBe(1);
    expect(host.find([3, 1, 2], 0)).toBe(0);
  });

  it('a lookup touches the whole chain, tail first, so that the head ends youngest', () => {
    const { host, removed } = filled(5, [1, 2, 3, 8, 9]);
    host.find([1, 2, 3, 4], 0);
    expect([...host.slots.keys()]).toEqual([8, 9, 3, 2, 1]);
    host.offer([20, 21, 22], 0);
    expect(removed).toEqual([8, 9, 3]);
  });

  it('skips and touches what is present', () => {
    const { host, totals } = filled(4, [1, 2, 3]);
    expect(host.offer([1, 4], 0)).toEqual({ keys: [4], full: false });
    expect([...host.slots.keys()]).toEqual([2, 3, 1, 4]);
    expect(totals.hostSkippedPresentBlocks).toBe(1);
  });

  it('never evicts what is read, being written or offered itself, and takes all or nothing', () => {
    const { host, removed, totals } = filled(4, [1, 2, 3]);
    host.pin([1], 1);
    host.offer([4], 0);
    expect(host.offer([3, 5, 6], 0)).toEqual({ keys: [], full: true });
    expect(totals.hostSkippedFullBlocks).toBe(2);
    expect(host.offer([3, 5], 0)).toEqual({ keys: [5], full: false });
    expect(removed).toEqual([2]);
    expect(host.offer([3, 6], 0)).toEqual({ keys: [], full: true });
    host.pin([1], -1);
    expect(host.offer([3, 6], 0)).toEqual({ keys: [6], full: false });
    expect(removed).toEqual([2, 1]);
  });

  it('stores at the second lookup under a threshold of 2', () => {
    const { host } = tier(4, 2);
    host.find([1, 2], 0);
    expect(host.offer([1, 2], 0)).toEqual({ keys: [], full: false });
    host.find([1, 2], 1);
    expect(host.offer([1, 2], 0).keys).toEqual([2]);
  });

  it('refuses to lose count', () => {
    const { host } = filled(2, [1]);
    expect(() => host.pin([7], 1)).toThrow('pinned block 7 is gone');
    expect(() => host.ready([1])).toThrow('block 1 was not being written');
  });
});
