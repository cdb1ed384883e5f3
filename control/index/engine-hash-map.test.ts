import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChainInterner } from '../chain-interner.ts';
import { KvEventBatch, TIER, type Tier } from '../ports.ts';
import { BranchIndex } from './branch-index.ts';
import { type EngineEventResult, EngineHashMap } from './engine-hash-map.ts';
import { matchColumns } from './match-columns.ts';

/** A map with the index behind it; keys of blocks are their numbers, hashes are free. */
class Fed {
  readonly interner = new ChainInterner();
  readonly index = new BranchIndex(this.interner.branches, { copies: 'presence' });
  readonly map = new EngineHashMap(this.interner);

  stored(
    rank: number,
    parent: string | null,
    blocks: readonly (readonly [key: number, hash: string])[],
    tier: Tier = TIER.hbm,
  ): EngineEventResult {
    return this.#apply(rank, (batch) =>
      this.map.stored(batch, tier, { parent, hashes: blocks.map(([, hash]) => hash), keys: blocks.map(([key]) => key) }),
    );
  }

  removed(rank: number, hashes: readonly string[], tier: Tier = TIER.hbm): EngineEventResult {
    return this.#apply(rank, (batch) => this.map.removed(batch, tier, hashes));
  }

  cleared(rank: number, tier?: Tier): void {
    this.#apply(rank, (batch) => {
      this.map.cleared(batch, tier);
      return 'ok';
    });
  }

  /** Leading blocks per tier. */
  match(keys: readonly number[], rank = 0): number[] {
    const columns = matchColumns(8);
    const { branch, depthBlocks } = this.interner.find(keys);
    this.index.match(branch, depthBlocks, 0, columns);
    return [columns.hbm[rank]!, columns.host[rank]!, columns.disk[rank]!, columns.remote[rank]!];
  }

  #apply(rank: number, write: (batch: KvEventBatch) => EngineEventResult): EngineEventResult {
    const batch = new KvEventBatch();
    batch.rank = rank;
    const result = write(batch);
    this.index.apply(batch);
    return result;
  }
}

const chain = (...keys: number[]) => keys.map((key) => [key, `h${key}`] as const);

test('held semantics through a hole (vector of router:2.4)', () => {
  const fed = new Fed();
  fed.stored(0, null, chain(1, 2, 3, 4));
  fed.removed(0, ['h2']);
  expect(fed.match([1, 2, 3, 4, 5])[0]).toBe(1);
  expect(fed.stored(0, 'h1', chain(2))).toBe('ok');
  expect(fed.match([1, 2, 3, 4, 5])[0]).toBe(4);
  expect(fed.stored(0, 'h4', chain(5))).toBe('ok');
  expect(fed.match([1, 2, 3, 4, 5])[0]).toBe(5);
});

test('ranks may name equal blocks differently', () => {
  const fed = new Fed();
  fed.stored(0, null, [
    [1, 'a'],
    [2, 'b'],
  ]);
  fed.stored(1, null, [
    [1, 'x'],
    [2, 'y'],
  ]);
  fed.removed(1, ['y']);
  expect([fed.match([1, 2], 0)[0], fed.match([1, 2], 1)[0]]).toEqual([2, 1]);
  expect(fed.removed(1, ['b'])).toBe('block_not_found');
  expect(fed.map.unknownRemoved).toBe(1);
});

test('a removed parent still gives its children a place', () => {
  const fed = new Fed();
  fed.stored(0, null, chain(1, 2));
  fed.removed(0, ['h2', 'h1']);
  expect(fed.stored(0, 'h2', chain(3))).toBe('ok');
  expect(fed.match([1, 2, 3])[0]).toBe(0);
  fed.stored(0, null, chain(1, 2));
  expect(fed.match([1, 2, 3])[0]).toBe(3);
});

test('unknown parents, blocks below themselves and unknown removals are told', () => {
  const fed = new Fed();
  expect(fed.stored(0, 'h9', chain(10))).toBe('parent_not_found');
  expect(fed.map.orphanStored).toBe(1);
  fed.stored(0, null, chain(1));
  expect(fed.stored(0, 'h1', chain(2, 1))).toBe('invalid_sequence');
  expect(fed.removed(0, ['h7', 'h1'])).toBe('block_not_found');
  expect(fed.match([1])[0]).toBe(0);
  fed.stored(0, null, chain(1));
  fed.map.forget(0);
  expect(fed.stored(0, 'h1', chain(2))).toBe('parent_not_found');
});

test('tombstones beyond twice the capacity are forgotten, least recently used first', () => {
  const fed = new Fed();
  fed.map.setCapacity(0, 2);
  fed.stored(0, null, chain(1, 2, 3, 4));
  fed.removed(0, ['h4', 'h3', 'h2', 'h1']);
  fed.stored(0, 'h4', chain(5));
  expect(fed.map.size(0)).toEqual({ live: 1, tombstones: 3, waiting: 0 });
  expect(fed.stored(0, 'h3', chain(6))).toBe('parent_not_found');
  expect(fed.stored(0, 'h4', chain(6))).toBe('ok');
});

test('a block of a lower tier waits for its parent', () => {
  const fed = new Fed();
  expect(fed.stored(0, 'h2', chain(3, 4), TIER.disk)).toBe('ok');
  fed.stored(0, 'h4', chain(5), TIER.remote);
  expect(fed.map.size(0)).toEqual({ live: 0, tombstones: 0, waiting: 3 });
  fed.stored(0, null, chain(1, 2));
  expect(fed.match([1, 2, 3, 4, 5])).toEqual([2, 0, 2, 1]);
  expect(fed.map.size(0).waiting).toBe(0);
  expect(fed.removed(0, ['h3'], TIER.disk)).toBe('ok');
  expect(fed.match([1, 2, 3, 4, 5])).toEqual([2, 0, 0, 0]);
});

test('a removed event takes a waiting block away, and a clear of one tier leaves the others', () => {
  const fed = new Fed();
  fed.stored(0, 'h1', chain(2), TIER.host);
  fed.stored(0, 'h1', chain(2), TIER.disk);
  expect(fed.removed(0, ['h2'], TIER.host)).toBe('ok');
  fed.stored(0, null, chain(1));
  expect(fed.match([1, 2])).toEqual([1, 0, 1, 0]);
  fed.stored(0, null, chain(1), TIER.disk);
  fed.cleared(0, TIER.hbm);
  expect(fed.match([1, 2])).toEqual([0, 0, 2, 0]);
  fed.cleared(0);
  expect(fed.match([1, 2])).toEqual([0, 0, 0, 0]);
});

test('equals a set of held prefixes on arbitrary events', () => {
  const event = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('s' as const),
        rank: fc.nat(1),
        under: fc.nat(40),
        blocks: fc.array(fc.nat(2), { maxLength: 4 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('r' as const), rank: fc.nat(1), which: fc.array(fc.nat(40), { maxLength: 3 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('c' as const), rank: fc.nat(1) }) },
  );
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 40 }),
      fc.array(fc.array(fc.nat(2), { minLength: 1, maxLength: 8 }), { minLength: 3, maxLength: 3 }),
      (events, queries) => {
        const fed = new Fed();
        const held = [new Set<string>(), new Set<string>()];
        const known = [new Set<string>(), new Set<string>()];
        const named = ['']; // Prefixes as `/1/2`; their engine hash carries the rank, so that no two ranks share one.
        for (const e of events) {
          const pathOf = (i: number) => named[i % named.length]!;
          if (e.kind === 's') {
            let path = pathOf(e.under);
            const parent = path === '' ? null : `${e.rank}${path}`;
            const paths = e.blocks.map((block) => (path = `${path}/${block}`));
            const isKnown = parent === null || known[e.rank]!.has(parent.slice(1));
            const result = fed.stored(
              e.rank,
              parent,
              paths.map((p, i) => [e.blocks[i]!, `${e.rank}${p}`]),
            );
            expect(result).toBe(isKnown ? 'ok' : 'parent_not_found');
            for (const p of paths) {
              if (!named.includes(p)) named.push(p);
              if (isKnown) held[e.rank]!.add(p);
              if (isKnown) known[e.rank]!.add(p);
            }
          } else if (e.kind === 'r') {
            const paths = e.which.map(pathOf).filter((p) => p !== '');
            const isHeld = paths.map((p) => held[e.rank]!.delete(p)).every((was) => was);
            expect(
              fed.removed(
                e.rank,
                paths.map((p) => `${e.rank}${p}`),
              ),
            ).toBe(isHeld ? 'ok' : 'block_not_found');
          } else {
            fed.cleared(e.rank);
            held[e.rank]!.clear();
          }
        }
        for (const query of queries) {
          for (const rank of [0, 1]) {
            let n = 0;
            while (n < query.length && held[rank]!.has(`/${query.slice(0, n + 1).join('/')}`)) n++;
            expect(fed.match(query, rank)[0]).toBe(n);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});
