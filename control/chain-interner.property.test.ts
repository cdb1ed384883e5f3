import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BRANCH_PRIVATE, BranchTable } from './blocks.ts';
import { ChainInterner } from './chain-interner.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 400);

/** Naive model: the set of all interned prefixes as text. */
class PrefixSet {
  readonly #known = new Set<string>();

  add(chain: readonly number[]): void {
    for (let n = 1; n <= chain.length; n++) this.#known.add(chain.slice(0, n).join());
  }

  longest(chain: readonly number[]): number {
    let n = chain.length;
    while (n > 0 && !this.#known.has(chain.slice(0, n).join())) n--;
    return n;
  }

  get size(): number {
    return this.#known.size;
  }
}

const chains = fc.array(fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 12 }), { minLength: 1, maxLength: 40 });

describe('ChainInterner', () => {
  it('shares exactly the common prefixes of any two chains', () => {
    fc.assert(
      fc.property(chains, (all) => {
        const interner = new ChainInterner();
        const model = new PrefixSet();
        const made: { chain: number[]; branch: number }[] = [];
        for (const chain of all) {
          const found = interner.find(chain);
          expect(found.depthBlocks).toBe(model.longest(chain));
          model.add(chain);
          made.push({ chain, branch: interner.intern(chain) });
        }
        for (const { chain, branch } of made) {
          expect([...interner.ids(branch, chain.length)]).toEqual(chain);
          expect(interner.intern(chain)).toBe(branch);
        }
        for (const x of made) {
          for (const y of made) {
            let common = 0;
            while (common < x.chain.length && common < y.chain.length && x.chain[common] === y.chain[common]) common++;
            expect(interner.branches.commonDepth(x.branch, x.chain.length, y.branch, y.chain.length)).toBe(common);
          }
        }
        // Every distinct prefix is one block of the table, no more.
        let blocks = 0;
        for (let b = 0; b < interner.branches.count; b++) blocks += interner.branches.length[b]!;
        expect(blocks).toBe(model.size);
      }),
      { numRuns: RUNS },
    );
  });

  it('lengthens a branch instead of adding one while a session only grows', () => {
    const interner = new ChainInterner();
    const chain = Array.from({ length: 1000 }, (_, i) => i * 3 + 1);
    const branch = interner.intern(chain, 10);
    for (let n = 11; n <= 1000; n++) expect(interner.intern(chain, n)).toBe(branch);
    expect(interner.branches.count).toBe(1);
    expect(interner.find([...chain.slice(0, 500), -1]).depthBlocks).toBe(500);
  });

  it('shares a table with branches of other owners', () => {
    const table = new BranchTable();
    const interner = new ChainInterner(table);
    const a = interner.intern([1, 2, 3]);
    const tail = table.addAt(a, 3, 5, BRANCH_PRIVATE);
    const b = interner.intern([1, 2, 9]);
    expect(new Set([a, tail, b]).size).toBe(3);
    expect(table.commonDepth(b, 3, tail, 8)).toBe(2);
    expect(interner.intern([1, 2, 3, 4])).toBe(a);
    expect(interner.intern([])).toBe(-1);
  });
});
