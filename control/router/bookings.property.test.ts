import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { Bookings } from './bookings.ts';

const BS = 4;
/** Few enough to collide often, more than a sparse list holds. */
const RANKS = 7;

interface Booked {
  rank: number;
  branch: number;
  depth: number;
  full: number;
  prompt: number;
  prefill: number;
  output: number;
  fraction: number;
  osl: number;
}

/** Loads of a rank, counted block by block from the live bookings (router specification 7, 5.2.1). */
class NaiveBookings {
  readonly live = new Map<number, Booked>();
  /** Fraction set on a block of a rank, kept as long as anybody holds the block. */
  readonly #fractions = new Map<string, number>();
  readonly #branches: BranchTable;

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  blocksOf(attempt: number, booked: Booked): string[] {
    return Array.from({ length: booked.full }, (_, i) => {
      if (i >= booked.depth) return `private:${attempt}:${i}`;
      const owner = this.#branches.at(booked.branch, i + 1);
      return `${owner}:${i - this.#branches.start[owner]!}`;
    });
  }

  refs(rank: number): Map<string, number> {
    const refs = new Map<string, number>();
    for (const [attempt, booked] of this.live) {
      if (booked.rank === rank) for (const block of this.blocksOf(attempt, booked)) refs.set(block, (refs.get(block) ?? 0) + 1);
    }
    return refs;
  }

  load(rank: number): { P: number; D: number; f: number } {
    const refs = this.refs(rank);
    for (const key of this.#fractions.keys()) {
      const [owner, block] = key.split('|');
      if (Number(owner) === rank && !refs.has(block!)) this.#fractions.delete(key);
    }
    const counts = new Map<number, number>();
    const count = (blocks: number, fraction: number): unknown => counts.set(fraction, (counts.get(fraction) ?? 0) + blocks);
    for (const block of refs.keys()) count(1, this.#fractions.get(`${rank}|${block}`) ?? 1);
    let P = 0;
    let f = 0;
    for (const booked of this.live.values()) {
      if (booked.rank !== rank) continue;
      f++;
      P += booked.prefill;
      count(booked.output, booked.fraction);
    }
    const fractions = [...counts].sort((a, b) => a[0] - b[0]);
    return { P, D: Math.round(fractions.reduce((sum, [fraction, blocks]) => sum + blocks * fraction, 0)), f };
  }

  /** Output blocks were appended: the fraction goes on them and on prompt blocks upward while only one request or block needs each. */
  grow(attempt: number, output: number, fraction: number | undefined): void {
    const booked = this.live.get(attempt)!;
    booked.output = output;
    if (fraction === undefined) return;
    booked.fraction = fraction;
    const sharers = new Map<string, Set<string>>();
    for (const [other, one] of this.live) {
      if (one.rank !== booked.rank) continue;
      const blocks = this.blocksOf(other, one);
      blocks.forEach((block, i) => {
        if (!sharers.has(block)) sharers.set(block, new Set());
        sharers.get(block)!.add(i + 1 < blocks.length ? blocks[i + 1]! : `end of ${other}`);
      });
    }
    for (const block of this.blocksOf(attempt, booked).reverse()) {
      if (sharers.get(block)!.size !== 1) break;
      this.#fractions.set(`${booked.rank}|${block}`, fraction);
    }
  }

  overlap(rank: number, branch: number, depth: number): number {
    const refs = this.refs(rank);
    for (let i = 0; i < depth; i++) {
      const owner = this.#branches.at(branch, i + 1);
      if (!refs.has(`${owner}:${i - this.#branches.start[owner]!}`)) return i;
    }
    return depth;
  }
}

const operation = fc.record({
  kind: fc.constantFrom('add', 'add', 'add', 'firstToken', 'free', 'free', 'progress', 'drop'),
  pick: fc.nat(1000),
  rank: fc.nat(RANKS - 1),
  branch: fc.nat(7),
  cut: fc.nat(100),
  more: fc.nat(20),
  osl: fc.constantFrom(0, 8, 30),
});

for (const [reuse, trackOutput] of [
  [true, false],
  [false, false],
  [true, true],
  [false, true],
] as const) {
  test(`bookings equal a count block by block, reuse ${reuse}, output ${trackOutput}; they drain to nothing`, () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 }), fc.array(operation, { maxLength: 80 }), (shape, operations) => {
        const branches = new BranchTable();
        shape.forEach((x, i) => {
          if (i < 2) branches.add(-1, 0, 1 + (x % 6));
          else branches.add(x % i, (x >> 3) % (branches.length[x % i]! + 1), 1 + (x % 5));
        });
        const bookings = new Bookings(branches, {
          assumeKvReuse: reuse,
          trackPrefill: true,
          trackOutput,
          expiry: { mode: 'lease', afterMs: 1e9, checkMs: 0 },
        });
        bookings.blockTokens = BS;
        bookings.widenRanks(RANKS);
        const naive = new NaiveBookings(branches);
        const active = { overlap: new Int32Array(16), touched: new Int32Array(16), touchedCount: 0 };
        let next = 0;
        for (const { kind, pick, rank, branch, cut, more, osl } of operations) {
          const ids = [...naive.live.keys()];
          const attempt = ids.length === 0 ? -1 : ids[pick % ids.length]!;
          if (kind === 'add') {
            const depthBlocks = cut % (branches.end(branch) + 1);
            const promptTokens = Math.max(1, depthBlocks * BS + more);
            const full = Math.floor(promptTokens / BS);
            const request = { attempt: next, rank, branch, depthBlocks, fullBlocks: full, promptTokens, uncachedTokens: more, osl };
            bookings.book(request, 0);
            const depth = reuse ? depthBlocks : 0;
            naive.live.set(next++, { rank, branch, depth, full, prompt: promptTokens, prefill: more, output: 0, fraction: 1, osl });
          } else if (kind === 'drop') {
            if (pick % 5 !== 0) continue;
            bookings.dropRank(rank);
            for (const [id, booked] of naive.live) if (booked.rank === rank) naive.live.delete(id);
          } else if (attempt >= 0) {
            const booked = naive.live.get(attempt)!;
            if (kind === 'firstToken') {
              bookings.firstToken(attempt, 0);
              booked.prefill = 0;
            } else if (kind === 'free') {
              expect([bookings.free(attempt), bookings.free(attempt)]).toEqual([true, false]);
              naive.live.delete(attempt);
            } else {
              bookings.progress(attempt, more, 0);
              const blocks = Math.ceil((booked.prompt + more) / BS) - Math.ceil(booked.prompt / BS);
              const grows = trackOutput && blocks > booked.output;
              if (grows) naive.grow(attempt, blocks, booked.osl > 0 ? Math.max(0, 1 - more / booked.osl) : undefined);
            }
          }
          for (let r = 0; r < RANKS; r++) {
            const { P, D, f } = naive.load(r);
            expect([bookings.prefillTokens[r], bookings.activeBlocks[r], bookings.inflight[r]]).toEqual([P, D, f]);
          }
          const depth = cut % (branches.end(branch) + 1);
          bookings.overlap(branch, depth, active);
          for (let r = 0; r < RANKS; r++) expect(active.overlap[r]).toBe(naive.overlap(r, branch, depth));
        }
        for (const id of naive.live.keys()) bookings.free(id);
        expect([bookings.size, bookings.lists.pairs]).toEqual([0, 0]);
        for (let r = 0; r < RANKS; r++) {
          expect([bookings.prefillTokens[r], bookings.activeBlocks[r], bookings.inflight[r]]).toEqual([0, 0, 0]);
        }
      }),
      { numRuns: Number(process.env.KVCAST_RUNS ?? 60) },
    );
  });
}
