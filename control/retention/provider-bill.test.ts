import { describe, expect, it } from 'vitest';
import {
  type ProviderBill,
  type ProviderBlock,
  ProviderCache,
  type ProviderRequest,
  type ProviderTtl,
  providerBreakEven,
} from './provider-bill.ts';

/** A prefix of 100k tokens that grows by 1k per turn, breakpoint at its end; requests at the given starts. */
function bills(ttl: ProviderTtl, startsS: readonly number[]): readonly ProviderBill[] {
  const cache = new ProviderCache();
  return startsS.map((startS, turn) => {
    const blocks: ProviderBlock[] = Array.from({ length: turn + 1 }, (_, i) => ({ id: `p${i}`, tokens: i === 0 ? 100_000 : 1000 }));
    blocks[turn] = { ...blocks[turn]!, ttl };
    return cache.bill({ startMs: startS * 1000, blocks }) as ProviderBill;
  });
}

const sum = (list: readonly ProviderBill[], key: keyof ProviderBill): number => list.reduce((total, bill) => total + bill[key], 0);

describe('provider bill', () => {
  const starts = [0, 60, 460, 2460];

  it('gives the worked bills of 5 min and 1 h', () => {
    const short = bills('5m', starts);
    expect([sum(short, 'units'), sum(short, 'readTokens'), sum(short, 'write5mTokens')]).toEqual([392_500, 100_000, 306_000]);
    const long = bills('1h', starts);
    expect([sum(long, 'units'), sum(long, 'readTokens'), sum(long, 'write1hTokens')]).toEqual([236_300, 303_000, 103_000]);
  });

  it('a ping before the 400 s gap costs 10,100 and saves 116,150', () => {
    const cache = new ProviderCache();
    const request = (startS: number, turns: number): ProviderRequest => ({
      startMs: startS * 1000,
      blocks: Array.from({ length: turns }, (_, i) => ({
        id: `p${i}`,
        tokens: i === 0 ? 100_000 : 1000,
        ...(i === turns - 1 ? { ttl: '5m' as const } : {}),
      })),
    });
    cache.bill(request(0, 1));
    cache.bill(request(60, 2));
    const ping = cache.bill(request(340, 2)) as ProviderBill;
    const after = cache.bill(request(460, 3)) as ProviderBill;
    expect(ping.units).toBeCloseTo(10_100, 6);
    expect(bills('5m', starts)[2]!.units - after.units).toBeCloseTo(116_150, 6);
  });

  it('has the worked break-even points', () => {
    const even = providerBreakEven();
    expect(even.resends5m).toBeCloseTo(0.2778, 4);
    expect(even.resends1h).toBeCloseTo(1.1111, 4);
    expect(even.lapseFor1h).toBeCloseTo(0.652, 3);
    expect(even.pingsPerLapse).toBeCloseTo(11.5, 9);
  });

  const blocks = (n: number, marks: Readonly<Record<number, ProviderTtl>>): ProviderBlock[] =>
    Array.from({ length: n }, (_, i) => ({ id: `b${i}`, tokens: 1000, ...(marks[i] === undefined ? {} : { ttl: marks[i] }) }));

  it('refuses a fifth breakpoint and 1 h after 5 min', () => {
    const cache = new ProviderCache();
    expect(cache.bill({ startMs: 0, blocks: blocks(9, { 1: '5m', 2: '5m', 3: '5m', 4: '5m' }) })).toMatchObject({ write5mTokens: 5000 });
    expect(cache.bill({ startMs: 0, blocks: blocks(9, { 1: '5m', 2: '5m', 3: '5m', 4: '5m', 5: '5m' }) })).toEqual({
      status: 400,
      reason: 'too_many_breakpoints',
    });
    expect(cache.bill({ startMs: 0, blocks: blocks(9, { 1: '5m', 2: '1h' }) })).toEqual({ status: 400, reason: 'ttl_order' });
    expect(cache.bill({ startMs: 0, blocks: blocks(9, { 1: '1h', 5: '5m' }) })).toMatchObject({ readTokens: 5000, write5mTokens: 1000 });
  });

  it('walks back over 20 blocks, not over 21', () => {
    const read = (added: number): number => {
      const cache = new ProviderCache();
      cache.bill({ startMs: 0, blocks: blocks(2, { 1: '5m' }) });
      return (cache.bill({ startMs: 1, blocks: blocks(2 + added, { [1 + added]: '5m' }) }) as ProviderBill).readTokens;
    };
    expect([read(20), read(21)]).toEqual([2000, 0]);
  });

  it('refreshes the entry it reads, also where it stands between breakpoints', () => {
    const cache = new ProviderCache();
    const read = (startS: number, mark: number): number =>
      (cache.bill({ startMs: startS * 1000, blocks: blocks(9, { [mark]: '5m' }) }) as ProviderBill).readTokens;
    expect([read(0, 1), read(200, 5), read(450, 1)]).toEqual([0, 2000, 2000]);
  });

  it('bills a prefix below the minimum as fresh, without an entry', () => {
    const cache = new ProviderCache(4096);
    for (const startMs of [0, 1]) {
      expect(cache.bill({ startMs, blocks: blocks(4, { 3: '5m' }) })).toMatchObject({ readTokens: 0, write5mTokens: 0, freshTokens: 4000 });
    }
  });

  it('starts every clock with the request, refreshes on reads and hits at exactly the TTL', () => {
    const cache = new ProviderCache();
    const read = (startS: number): number =>
      (cache.bill({ startMs: startS * 1000, responseMs: startS * 1000 + 500, blocks: blocks(2, { 1: '5m' }) }) as ProviderBill).readTokens;
    expect(read(0)).toBe(0);
    expect(read(0.4)).toBe(0);
    expect(read(300)).toBe(2000);
    expect(read(600)).toBe(2000);
    expect(read(900.001)).toBe(0);
  });
});
