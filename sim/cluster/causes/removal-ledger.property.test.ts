import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_RANGE, RemovalLedger } from './removal-ledger.ts';

interface Fact {
  readonly sinceMs: number;
  readonly atMs: number;
  readonly reason: number;
  readonly tier: number;
  readonly rank: number;
}

const BLOCKS = 40;

/** One fact per block: the latest. */
class NaiveLedger {
  readonly blocks = new Map<number, Fact>();

  record(from: number, to: number, fact: Fact): void {
    for (let x = from; x < to; x++) if (!((this.blocks.get(x)?.atMs ?? -1) > fact.atMs)) this.blocks.set(x, fact);
  }
}

const removal = fc.record({
  branch: fc.integer({ min: 0, max: 1 }),
  from: fc.integer({ min: 0, max: BLOCKS - 1 }),
  blocks: fc.integer({ min: 1, max: 12 }),
  passMs: fc.integer({ min: 0, max: 3 }),
  lateMs: fc.integer({ min: 0, max: 4 }),
  spanMs: fc.integer({ min: 0, max: 1 }),
  reason: fc.integer({ min: 0, max: 1 }),
  rank: fc.integer({ min: 0, max: 1 }),
});

describe('the ledger of removals', () => {
  it('knows of each block what a list of all removals knows, and the time as exactly as anybody can tell', () => {
    fc.assert(
      fc.property(fc.array(removal, { maxLength: 60 }), fc.boolean(), (removals, joins) => {
        const ledger = new RemovalLedger();
        const naive = [new NaiveLedger(), new NaiveLedger()];
        let nowMs = 10;
        // States change every 16 ms. Removals that are told late are never joined by those who need exact times.
        const changedBefore = (tMs: number): number => Math.floor(tMs / 16) * 16;
        for (const { branch, from, blocks, passMs, lateMs, spanMs, reason, rank } of removals) {
          nowMs += passMs;
          const atMs = nowMs - (joins ? 0 : lateMs);
          const sinceMs = Math.max(changedBefore(atMs), atMs - spanMs);
          const to = Math.min(BLOCKS, from + blocks);
          ledger.record(branch, from, to, sinceMs, atMs, reason, 1, rank, joins ? changedBefore(nowMs) : Number.POSITIVE_INFINITY);
          naive[branch]!.record(from, to, { sinceMs, atMs, reason, tier: 1, rank });
        }
        for (const branch of [0, 1]) {
          let end = -1;
          for (let x = 0; x < BLOCKS; x++) {
            const e = ledger.find(branch, x);
            const want = naive[branch]!.blocks.get(x);
            const isThere = e !== NO_RANGE && ledger.from(e) <= x;
            expect(isThere).toBe(want !== undefined);
            if (!isThere || want === undefined) continue;
            expect([ledger.reason(e), ledger.tier(e), ledger.rank(e)]).toEqual([want.reason, 1, want.rank]);
            // Nobody changed state between the time told and the true one.
            expect(changedBefore(ledger.atMs(e))).toBe(changedBefore(want.atMs));
            if (!joins) expect(ledger.atMs(e)).toBe(want.atMs);
            expect(ledger.to(e)).toBeGreaterThan(x);
            if (ledger.from(e) === x) expect(ledger.from(e)).toBeGreaterThanOrEqual(end);
            end = ledger.to(e);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('keeps one range for a branch that is evicted block by block, deep end first', () => {
    const ledger = new RemovalLedger();
    for (let x = 99; x >= 0; x--) ledger.record(7, x, x + 1, 1000 - x, 1000 - x, 0, 0, 3, 500);
    expect(ledger.count).toBe(1);
    const e = ledger.find(7, 50);
    expect([ledger.from(e), ledger.to(e), ledger.atMs(e)]).toEqual([0, 100, 1000]);
    expect(ledger.touched).toBe(100);
    ledger.forget(7);
    expect(ledger.count).toBe(0);
    expect(ledger.find(7, 50)).toBe(NO_RANGE);
  });

  it('keeps blocks apart between whose removals somebody changed state', () => {
    const ledger = new RemovalLedger();
    ledger.record(0, 5, 6, 10, 10, 0, 0, 0, 0);
    ledger.record(0, 4, 5, 20, 20, 0, 0, 0, 15);
    expect([ledger.atMs(ledger.find(0, 5)), ledger.atMs(ledger.find(0, 4))]).toEqual([10, 20]);
  });
});
