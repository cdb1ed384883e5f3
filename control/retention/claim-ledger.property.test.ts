import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { ClaimLedger, type LedgerClaim } from './claim-ledger.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 300);

/** A tree of branches from random parents and attach points. */
const trees = fc.array(fc.record({ parent: fc.nat(), attach: fc.nat(), length: fc.integer({ min: 1, max: 6 }) }), {
  minLength: 1,
  maxLength: 8,
});
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('add' as const), branch: fc.nat(), depth: fc.nat(), until: fc.integer({ min: 0, max: 40 }) }),
    fc.record({ do: fc.constant('remove' as const), which: fc.nat() }),
    fc.record({ do: fc.constant('extend' as const), which: fc.nat(), until: fc.integer({ min: 0, max: 60 }) }),
    fc.record({ do: fc.constant('pass' as const), time: fc.integer({ min: 0, max: 10 }) }),
  ),
  { maxLength: 40 },
);

function plant(shape: readonly { parent: number; attach: number; length: number }[]): BranchTable {
  const branches = new BranchTable();
  for (const { parent, attach, length } of shape) {
    const p = branches.count === 0 ? -1 : (parent % (branches.count + 1)) - 1;
    branches.add(p, p < 0 ? 0 : attach % (branches.length[p]! + 1), length);
  }
  return branches;
}

describe('ClaimLedger', () => {
  it('charges every covered block once and covers prefixes, as a set of blocks per claim would', () => {
    fc.assert(
      fc.property(trees, steps, (shape, script) => {
        const branches = plant(shape);
        const block = (branch: number, index: number): string => {
          const owner = branches.at(branch, index + 1);
          return `${owner}:${index - branches.start[owner]!}`;
        };
        const blocksOf = (c: { branch: number; depthBlocks: number }): string[] =>
          Array.from({ length: c.depthBlocks }, (_, i) => block(c.branch, i));
        const ledger = new ClaimLedger(branches);
        let live: LedgerClaim[] = [];
        let now = 0;
        for (const step of script) {
          if (step.do === 'add') {
            const branch = step.branch % branches.count;
            live.push(ledger.add(live.length, branch, 1 + (step.depth % branches.end(branch)), now + step.until));
          } else if (step.do === 'pass') {
            now += step.time;
            const expired: LedgerClaim[] = [];
            ledger.expire(now, (claim) => expired.push(claim));
            expect(new Set(expired)).toEqual(new Set(live.filter((c) => c.untilMs < now)));
            live = live.filter((c) => c.untilMs >= now);
          } else if (live.length > 0) {
            const claim = live[step.which % live.length]!;
            if (step.do === 'extend') ledger.extend(claim, now + step.until);
            else {
              ledger.remove(claim);
              ledger.remove(claim);
              live = live.filter((c) => c !== claim);
            }
          }
          const union = new Set(live.flatMap(blocksOf));
          expect(ledger.chargedBlocks).toBe(union.size);
          expect(ledger.liveClaims).toBe(live.length);
          for (let b = 0; b < branches.count; b++) {
            const depth = branches.end(b);
            let covered = 0;
            while (covered < depth && union.has(block(b, covered))) covered++;
            expect(ledger.coveredBlocks(b, depth)).toBe(covered);
          }
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('holds up to and including the deadline', () => {
    const branches = new BranchTable();
    const ledger = new ClaimLedger(branches);
    ledger.add(0, branches.add(-1, 0, 4), 4, 100);
    ledger.expire(100, () => undefined);
    expect(ledger.liveClaims).toBe(1);
    ledger.expire(100.000001, () => undefined);
    expect(ledger.liveClaims).toBe(0);
  });

  it('refuses a deadline that is not finite (retention:I14)', () => {
    const branches = new BranchTable();
    const branch = branches.add(-1, 0, 4);
    const ledger = new ClaimLedger(branches);
    for (const until of [Number.NaN, Number.POSITIVE_INFINITY]) expect(() => ledger.add(0, branch, 4, until)).toThrow('not finite');
  });
});
