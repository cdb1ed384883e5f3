import { describe, expect, it } from 'vitest';
import { BlockPool, type Claim, VICTIM } from './block-pool.ts';

function pool(blocks: number) {
  const log: string[] = [];
  const totals = { hbmEvictedBlocks: 0, hbmExpiredBlocks: 0, claimsBroken: 0, claimsExpired: 0, duplicateBlocks: 0 };
  const made = new BlockPool({
    blocks,
    appendHashless: false,
    totals,
    stored: (key, parent) => log.push(`+${key}<${parent}`),
    removed: (key) => log.push(`-${key}`),
    claimsBroken: (session, count) => log.push(`broken ${count} of ${session}`),
  });
  return { pool: made, log, totals };
}

/** Takes blocks, gives block i the key keys[i] and releases them in the given order, so that it is also the queue order. */
function cache(made: BlockPool, keys: readonly number[]): number[] {
  const blocks = made.take(keys.length);
  keys.forEach((key, i) => {
    made.enter(blocks[i]!, key, -1);
  });
  made.release(blocks);
  return blocks;
}

const claim = (facts: Partial<Claim> = {}): Claim => ({
  session: 1,
  victimClass: VICTIM.soft,
  untilMs: 100,
  refreshMs: undefined,
  onExpiry: 'trueLastAccess',
  worn: false,
  floorsBelow: false,
  ...facts,
});

describe('block pool', () => {
  it('hands out fresh blocks in order and keeps hash-less ones in front of cached ones', () => {
    const { pool: p } = pool(7);
    const blocks = p.take(4);
    expect(blocks).toEqual([1, 2, 3, 4]);
    p.enter(1, 10, -1);
    p.enter(2, 11, 10);
    p.release([4, 3, 2, 1]);
    expect(p.queue.toArray()).toEqual([4, 3, 5, 6, 2, 1]);
    expect(p.free).toBe(6);
    expect(p.take(5)).toEqual([4, 3, 5, 6, 2]);
    expect([p.lookup(10), p.lookup(11)]).toEqual([1, -1]);
  });

  it('returns the oldest of several copies and removes each with its own event', () => {
    const { pool: p, log, totals } = pool(5);
    cache(p, [7]);
    p.touch([1], 0);
    const second = p.take(1);
    p.enter(second[0]!, 7, -1);
    expect(p.lookup(7)).toBe(1);
    expect(totals.duplicateBlocks).toBe(1);
    p.release([1]);
    p.release(second);
    p.take(4);
    expect(log).toEqual(['+7<-1', '+7<-1', '-7', '-7']);
  });

  it('refuses to release what nobody holds and to take what is not free', () => {
    const { pool: p } = pool(3);
    expect(() => p.release([1])).toThrow('without a reference');
    expect(() => p.take(3)).toThrow('3 blocks wanted, 2 free');
  });

  it('resets only when nothing is referenced', () => {
    const { pool: p } = pool(4);
    cache(p, [1, 2]);
    p.touch([1], 0);
    expect(p.reset()).toBe(false);
    p.release([1]);
    expect(p.reset()).toBe(true);
    expect([p.cached, p.copies.size, p.lookup(1)]).toEqual([0, 0, -1]);
  });
});

describe('claims', () => {
  it('take victims by class, then by queue order', () => {
    const { pool: p } = pool(7);
    const [a, b, c, d, e] = cache(p, [1, 2, 3, 4, 5]) as [number, number, number, number, number];
    p.claim(a, claim({ victimClass: VICTIM.lease }), 'max');
    p.claim(b, claim(), 'max');
    p.demote(d);
    expect(p.take(6)).toEqual([6, d, c, e, b, a]);
  });

  it('break the earliest deadline of a class first, then queue order, and tell whose they were', () => {
    const { pool: p, log, totals } = pool(6);
    const [a, b, c, d, e] = cache(p, [1, 2, 3, 4, 5]) as [number, number, number, number, number];
    p.claim(a, claim({ session: 1, untilMs: 90 }), 'max');
    p.claim(b, claim({ session: 2, untilMs: 50 }), 'max');
    p.claim(c, claim({ session: 2, untilMs: 50 }), 'max');
    p.claim(d, claim({ session: 2, untilMs: 90 }), 'max');
    p.claim(e, claim({ session: 3, untilMs: 1, victimClass: VICTIM.lease }), 'max');
    log.length = 0;
    expect(p.take(5)).toEqual([b, c, a, d, e]);
    expect(log.filter((entry) => entry.startsWith('broken'))).toEqual(['broken 2 of 2', 'broken 1 of 1', 'broken 1 of 2', 'broken 1 of 3']);
    expect(totals).toMatchObject({ claimsBroken: 5, hbmEvictedBlocks: 5 });
  });

  it('count in free and never refuse an allocation: ten leased blocks serve one request (retention 4.1)', () => {
    const { pool: p, totals } = pool(11);
    for (const block of cache(p, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])) p.claim(block, claim({ victimClass: VICTIM.lease }), 'max');
    expect(p.free).toBe(10);
    expect(p.claimedFree()).toBe(10);
    expect(p.take(10)).toHaveLength(10);
    expect(totals.claimsBroken).toBe(10);
  });

  it('fall back to the true last access when they expire (retention 7, trtllm example with trueLastAccess)', () => {
    const { pool: p } = pool(5);
    const [y, z1, z2, w] = p.take(4) as [number, number, number, number];
    [y, z1, z2, w].forEach((block, key) => {
      p.enter(block, key, -1);
    });
    p.release([y]);
    p.claim(y, claim({ untilMs: 10 }), 'max');
    p.release([z1]);
    p.release([z2]);
    p.expire(12);
    p.release([w]);
    expect(p.take(4)).toEqual([y, z1, z2, w]);
  });

  it('move their deadline on a hit, never backwards, and only while they live', () => {
    const { pool: p } = pool(4);
    const [a, b, c] = cache(p, [1, 2, 3]) as [number, number, number];
    p.claim(a, claim({ untilMs: 100, refreshMs: 30 }), 'max');
    p.claim(b, claim({ untilMs: 100 }), 'max');
    p.touch([a, b, c], 60);
    expect(p.claims.get(a)!.untilMs).toBe(100);
    p.touch([a, b, c], 80);
    expect([p.claims.get(a)!.untilMs, p.claims.get(b)!.untilMs, p.claims.has(c)]).toEqual([110, 100, false]);
    p.expire(110);
    p.touch([a], 111);
    expect(p.claims.size).toBe(0);
    expect(p.nextExpiryMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it('drop unreferenced copies at the deadline and referenced ones at release', () => {
    const { pool: p, log, totals } = pool(5);
    const [a, b, c] = cache(p, [1, 2, 3]) as [number, number, number];
    for (const block of [a, b, c]) p.claim(block, claim({ untilMs: 10, onExpiry: 'drop' }), 'max');
    p.touch([b], 5);
    log.length = 0;
    expect(p.nextExpiryMs()).toBe(10);
    p.expire(10);
    expect(log).toEqual(['-1', '-3']);
    expect(p.queue.toArray()).toEqual([c, a, 4]);
    expect(p.lookup(2)).toBe(b);
    p.release([b]);
    expect(log).toEqual(['-1', '-3', '-2']);
    expect(p.queue.toArray()).toEqual([b, c, a, 4]);
    expect(totals).toMatchObject({ claimsExpired: 3, hbmExpiredBlocks: 3, hbmEvictedBlocks: 0 });
  });

  it('keep a referenced expired copy that is claimed again', () => {
    const { pool: p } = pool(3);
    const [a] = cache(p, [1]) as [number];
    p.claim(a, claim({ untilMs: 10, onExpiry: 'drop' }), 'max');
    p.touch([a], 5);
    p.expire(10);
    p.claim(a, claim({ untilMs: 20, onExpiry: 'drop' }), 'max');
    p.release([a]);
    expect(p.lookup(1)).toBe(a);
  });

  it('combine by mode', () => {
    const { pool: p } = pool(3);
    const [a] = cache(p, [1]) as [number];
    p.claim(a, claim({ untilMs: 50, victimClass: VICTIM.lease }), 'fixed');
    p.claim(a, claim({ untilMs: 80 }), 'fixed');
    expect(p.claims.get(a)).toMatchObject({ untilMs: 50, victimClass: VICTIM.lease });
    p.claim(a, claim({ untilMs: 40, session: 9 }), 'max');
    expect(p.claims.get(a)).toMatchObject({ untilMs: 50, victimClass: VICTIM.lease, session: 9 });
    p.claim(a, claim({ untilMs: 40 }), 'replace');
    expect(p.claims.get(a)).toMatchObject({ untilMs: 40, victimClass: VICTIM.soft });
    p.demote(a);
    expect(p.claims.size).toBe(0);
    p.touch([a], 0);
    expect(p.garbage.size).toBe(0);
  });
});
