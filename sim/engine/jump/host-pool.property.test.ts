import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BranchTable } from '../../../control/blocks.ts';
import { KV_STORED } from '../../../control/ports.ts';
import { chainKeys } from '../chain-keys.ts';
import { HostTier } from '../reference/host-tier.ts';
import { engineConfig, RecordingSink } from '../worker-fixtures.ts';
import { createWriteFilter } from '../write-filter.ts';
import { zeroCounters } from '../zero-counters.ts';
import { HostPool } from './host-pool.ts';
import { KvOutbox } from './kv-outbox.ts';
import { NONE } from './segment-columns.ts';
import { SegmentStore } from './segment-store.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 300);

/** Without a filter, and with each. */
const FILTERS = [
  engineConfig({}),
  engineConfig({ hostWrite: 'selective' }),
  engineConfig({ hostAdmit: 'frequency', hostAdmitDecayMs: 32 }),
];

/** A transfer under way. */
interface Job {
  readonly leaf: number;
  readonly first: number;
  readonly last: number;
  readonly id: number;
  readonly keys: readonly number[];
  readonly written: number;
}

/** Inside neighbours of one branch the order is free. */
function grouped(keys: readonly number[]): number[][] {
  const groups: number[][] = [];
  for (const key of keys) {
    const last = groups.at(-1);
    if (last !== undefined && Math.floor(last[0]! / 2 ** 21) === Math.floor(key / 2 ** 21)) last.push(key);
    else groups.push([key]);
  }
  return groups.map((group) => group.toSorted((x, y) => x - y));
}

describe('HostPool', () => {
  it('finds, evicts and counts exactly as a tier with one slot per block', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.constantFrom(1, 1, 1, 2),
        fc.constantFrom(...FILTERS),
        fc.array(fc.tuple(fc.nat(20), fc.nat(10), fc.nat(9)), { minLength: 2, maxLength: 8 }),
        fc.array(fc.tuple(fc.nat(9), fc.nat(1000), fc.nat(1000)), { minLength: 1, maxLength: 80 }),
        (capacity, storeThreshold, config, shape, ops) => {
          const branches = new BranchTable();
          for (const [parent, attach, length] of shape) {
            const p = parent % (branches.count + 1);
            if (p === branches.count) branches.add(-1, 0, length + 1);
            else branches.add(p, 1 + (attach % branches.length[p]!), length + 1);
          }
          const outbox = new KvOutbox(branches, 0, new RecordingSink());
          const [fastTotals, slowTotals] = [zeroCounters(), zeroCounters()];
          const fast = new HostPool(branches, capacity, storeThreshold, outbox, fastTotals, new SegmentStore(), createWriteFilter(config));
          const removed: number[] = [];
          const slow = new HostTier(capacity, storeThreshold, slowTotals, (key) => removed.push(key), createWriteFilter(config));
          const writes: Job[] = [];
          const reads: Job[] = [];
          let ids = 0;
          let nowMs = 0;
          for (const [op, a, b] of ops) {
            nowMs += b % 7;
            const leaf = a % branches.count;
            const depth = 1 + (b % branches.end(leaf));
            const from = (b >> 4) % depth;
            const keys = chainKeys(branches, leaf, depth);
            if (op < 3) {
              expect(fast.find(leaf, depth, from)).toBe(slow.find(keys, from));
              if (op === 0 && fast.unread > 0) {
                const job = {
                  leaf,
                  first: from,
                  last: from + fast.unread,
                  id: 0,
                  keys: keys.slice(from, from + fast.unread),
                  written: NONE,
                };
                fast.pin(leaf, job.first, job.last, 1);
                slow.pin(job.keys, 1);
                reads.push(job);
              }
            } else if (op < 7) {
              const id = ids++;
              const offer = slow.offer(keys.slice(from), nowMs);
              expect(fast.offer(leaf, from, depth, id, nowMs, a % 3 === 0 ? NONE : fast.hint)).toBe(offer.full ? -1 : offer.keys.length);
              if (offer.keys.length > 0) writes.push({ leaf, first: from, last: depth, id, keys: offer.keys, written: fast.written });
            } else if (op < 9 && writes.length > 0) {
              const [job] = writes.splice(a % writes.length, 1);
              slow.ready(job!.keys);
              expect(fast.ready(job!.leaf, job!.first, job!.last, job!.id, b % 3 === 0 ? NONE : job!.written)).toBe(job!.keys.length);
            } else if (reads.length > 0) {
              const [job] = reads.splice(a % reads.length, 1);
              slow.pin(job!.keys, -1);
              fast.pin(job!.leaf, job!.first, job!.last, -1);
            }
            fast.check();
            expect(fast.filled).toBe(slow.slots.size);
          }
          expect(fastTotals).toEqual(slowTotals);
          const gone: number[] = [];
          for (let i = 0; i < outbox.batch.count; i++) {
            if (outbox.batch.kind[i] === KV_STORED) continue;
            for (let x = outbox.batch.from[i]!; x < outbox.batch.to[i]!; x++) gone.push(outbox.batch.branch[i]! * 2 ** 21 + x);
          }
          expect(grouped(gone)).toEqual(grouped(removed));
        },
      ),
      { numRuns: RUNS },
    );
  });
});
