import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BranchTable } from '../../../control/blocks.ts';
import { KV_STORED, type KvEventBatch } from '../../../control/ports.ts';
import { RecordingSink } from '../worker-fixtures.ts';
import { zeroCounters } from '../zero-counters.ts';
import { KvOutbox } from './kv-outbox.ts';
import { NaivePool } from './naive-pool.ts';
import { SegmentPool } from './segment-pool.ts';
import { SegmentStore } from './segment-store.ts';

const RUNS = Number(process.env['KVCAST_RUNS'] ?? 300);

/** A holder of blocks in both pools. */
interface Holder {
  leaf: number;
  table: number[];
  entered: number;
  tag: number;
}

/** Ranges as single blocks. */
function expand(batch: KvEventBatch): string[] {
  const out: string[] = [];
  for (let i = 0; i < batch.count; i++) {
    const sign = batch.kind[i] === KV_STORED ? '+' : '-';
    for (let x = batch.from[i]!; x < batch.to[i]!; x++) out.push(`${sign}${batch.branch[i]}:${x}`);
  }
  return out;
}

/** Inside neighbours of one kind and branch the order is free. */
function grouped(events: readonly string[]): string[][] {
  const groups: string[][] = [];
  for (const event of events) {
    const last = groups.at(-1);
    if (last !== undefined && last[0]!.split(':')[0] === event.split(':')[0]) last.push(event);
    else groups.push([event]);
  }
  return groups.map((group) => group.toSorted());
}

describe('SegmentPool', () => {
  it('evicts, hits and counts exactly as a per-block pool', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 48 }),
        fc.array(fc.tuple(fc.nat(20), fc.nat(10), fc.nat(9)), { minLength: 3, maxLength: 12 }),
        fc.array(fc.tuple(fc.nat(9), fc.nat(1000), fc.nat(1000)), { minLength: 1, maxLength: 120 }),
        (usable, shape, ops) => {
          const branches = new BranchTable();
          for (const [parent, attach, length] of shape) {
            const p = parent % (branches.count + 1);
            if (p === branches.count) branches.add(-1, 0, length + 1);
            else branches.add(p, 1 + (attach % branches.length[p]!), length + 1);
          }
          const outbox = new KvOutbox(branches, 0, new RecordingSink());
          const fast = new SegmentPool(branches, usable, outbox, zeroCounters(), new SegmentStore());
          const slow = new NaivePool(branches, usable);
          const holders: Holder[] = [];
          let tags = 0;
          for (const [op, a, b] of ops) {
            if (op < 4) {
              // Admission: hits capped, new blocks, some of them entered at once.
              const leaf = a % branches.count;
              const depth = branches.end(leaf);
              const cap = b % (depth + 1);
              const hits = slow.hits(leaf, depth);
              const hit = Math.min(hits.length, cap);
              expect(fast.match(leaf, depth, cap)).toBe(hits.length);
              const table = hits.slice(0, hit);
              const idle = table.filter((id) => slow.ref[id] === 0).length;
              expect(fast.matchIdle).toBe(idle);
              const fresh = Math.min((b >> 3) % 9, depth - hit);
              if (idle + fresh > slow.queue.length) continue;
              slow.touch(table);
              fast.touch(leaf, hit, 0);
              fast.take(fresh);
              table.push(...slow.take(fresh));
              const entered = hit + (fresh > 0 ? (b >> 5) % (fresh + 1) : 0);
              const tag = ++tags;
              for (let i = hit; i < entered; i++) slow.enter(table[i]!, leaf, i);
              const copies = fast.enter(leaf, hit, entered, tag);
              holders.push({ leaf, table, entered, tag: copies > 0 ? tag : 0 });
            } else if (op < 7 && holders.length > 0) {
              const h = holders[a % holders.length]!;
              const grow = Math.min(b % 3, branches.end(h.leaf) - h.table.length);
              if (grow <= 0 || grow > slow.queue.length) continue;
              h.table.push(...slow.take(grow));
              fast.take(grow);
              const to = h.table.length - ((b >> 4) % 2);
              const tag = h.tag > 0 ? h.tag : ++tags;
              if (to > h.entered) {
                for (let i = h.entered; i < to; i++) slow.enter(h.table[i]!, h.leaf, i);
                if (fast.enter(h.leaf, h.entered, to, tag) > 0) h.tag = tag;
                h.entered = to;
              }
            } else if (holders.length > 0) {
              const [h] = holders.splice(a % holders.length, 1);
              slow.release(h!.table);
              fast.release(h!.leaf, h!.entered, h!.table.length - h!.entered, h!.tag);
            }
            fast.check();
            expect(fast.free).toBe(slow.queue.length);
            expect(fast.hashless).toBe(slow.queue.filter((id) => slow.hash[id] === null).length);
          }
          for (const h of holders) {
            slow.release(h.table);
            fast.release(h.leaf, h.entered, h.table.length - h.entered, h.tag);
          }
          fast.take(fast.free);
          slow.take(slow.queue.length);
          expect(grouped(expand(outbox.batch))).toEqual(grouped(slow.events));
          expect(fast.segments).toBe(0);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
