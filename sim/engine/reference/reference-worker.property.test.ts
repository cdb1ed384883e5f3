import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BRANCH_PRIVATE } from '../../../control/blocks.ts';
import { blockKey, chainKeys } from '../chain-keys.ts';
import { REMOVAL } from '../removal.ts';
import { randomCase, recordWorker, type WorkerCase, type WorkerLog } from '../worker.property.ts';
import type { EngineRequest } from '../worker.ts';
import { AffineTimer, engineConfig, Prompts, play, type SinkCall } from '../worker-fixtures.ts';
import { createReferenceWorker, type ReferenceWorker } from './reference-worker.ts';

const runs = Number(process.env.KVCAST_RUNS ?? 60);
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
/** A case is a function of its seed, so shrinking the seed means nothing. */
const settings = { numRuns: runs, endOnFailure: true };

function record(workload: WorkerCase, checks: 'cheap' | 'deep' = 'cheap'): { log: WorkerLog; worker: ReferenceWorker } {
  let worker: ReferenceWorker | null = null;
  const log = recordWorker(
    (parts) => {
      worker = createReferenceWorker(parts);
      return worker;
    },
    workload,
    checks,
  );
  return { log, worker: worker! };
}

function submitted(workload: WorkerCase): EngineRequest[] {
  return workload.inputs.flatMap((input) => (input.kind === 'submit' ? [input.request] : []));
}

function callsOf(log: WorkerLog, what: string, id: number): SinkCall[] {
  return log.calls.filter((call) => call.what === what && call.facts[0] === id);
}

describe('random workloads on the reference worker', () => {
  it('E1-E7, E11: keep every invariant after every effect; each request ends once with the right tokens', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const workload = randomCase(seed);
        const { log, worker } = record(workload, 'deep');
        for (const request of submitted(workload)) {
          const ends = callsOf(log, 'ended', request.id);
          // E8: whoever is still alive waits for a named reason.
          if (ends.length === 0) expect(worker.stuck).not.toBeNull();
          else expect(ends).toHaveLength(1);
          const [status, tokens] = (ends[0]?.facts.slice(1) as [string, number] | undefined) ?? ['', 0];
          const limit = Math.min(request.outputTokens, workload.config.maxModelLen - request.promptTokens);
          if (status === 'finished') expect(tokens).toBe(limit);
          else expect(tokens).toBeLessThan(Math.max(request.outputTokens, 1));
          checkCausality(log, request, ends[0]);
        }
        if (worker.served.size === 0) expect(worker.lingering.size).toBe(0);
      }),
      settings,
    );
  });

  it('E9: compute exactly what is neither hit nor restored', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const workload = randomCase(seed, { aborts: false, lifecycle: false, asyncDepth2: false });
        const { log } = record(workload);
        const { prefillTokens, decodeTokens, recomputedTokens, wastedTokens, preemptions } = log.counters;
        const isWhole = preemptions === 0 && submitted(workload).every((r) => callsOf(log, 'ended', r.id).length === 1);
        fc.pre(isWhole);
        let expected = 0;
        for (const { id, promptTokens, outputTokens } of submitted(workload)) {
          const admission = callsOf(log, 'admitted', id)[0];
          if (admission === undefined) continue;
          const [, , hbm, host] = admission.facts as [number, number, number, number];
          const emitted = Math.min(Math.max(outputTokens, 1), workload.config.maxModelLen - promptTokens);
          expected += promptTokens + emitted - 1 - hbm - Math.min(host, promptTokens - 1 - hbm);
        }
        expect(prefillTokens + decodeTokens).toBe(expected);
        expect(recomputedTokens + wastedTokens).toBe(0);
      }),
      settings,
    );
  });

  it('E12: admit in the order of arrival under fcfs when nobody is preempted, restored or aborted', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const workload = randomCase(seed, { aborts: false, lifecycle: false, host: false });
        fc.pre(workload.config.policy === 'fcfs');
        const { log } = record(workload);
        fc.pre(log.counters.preemptions === 0);
        const times = new Map(submitted(workload).map((request) => [request.id, request.arrivalMs]));
        const arrivals = log.calls.filter((call) => call.what === 'admitted').map((call) => times.get(call.facts[0] as number)!);
        expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
      }),
      settings,
    );
  });

  it('publishes events that add up to what is in the tiers', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const workload = randomCase(seed, { lifecycle: false });
        const { log, worker } = record(workload);
        const balance = [new Map<number, number>(), new Map<number, number>()] as const;
        for (const { kind, tier, branch, offsets } of log.groups) {
          const tierBalance = balance[tier as 0 | 1];
          for (const offset of offsets) {
            const key = blockKey(branch, offset);
            const count = (tierBalance.get(key) ?? 0) + (kind === 'stored' ? 1 : -1);
            expect(count).toBeGreaterThanOrEqual(0);
            if (count === 0) tierBalance.delete(key);
            else tierBalance.set(key, count);
          }
        }
        const copies = [...worker.scheduler.pool.copies].map(([key, blocks]) => [key, blocks.length] as const);
        expect(sorted(balance[0])).toEqual(sorted(copies));
        expect(sorted(balance[1])).toEqual(sorted([...(worker.host?.tier.slots.keys() ?? [])].map((key) => [key, 1] as const)));
      }),
      settings,
    );
  });

  it('gives the same record for the same case', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(record(randomCase(seed)).log).toEqual(record(randomCase(seed)).log);
      }),
      { ...settings, numRuns: Math.ceil(runs / 5) },
    );
  });
});

/** One request after another: prompts of a small tree, `tail` own tokens (0 = the prompt ends on a block boundary). */
const sequences = fc.array(
  fc.record({
    trunk: fc.integer({ min: 0, max: 2 }),
    depth: fc.integer({ min: 0, max: 6 }),
    tail: fc.integer({ min: 0, max: 7 }),
    outputTokens: fc.integer({ min: 1, max: 9 }),
  }),
  { minLength: 1, maxLength: 25 },
);

type Sequence = { trunk: number; depth: number; tail: number; outputTokens: number }[];

/** First-admission hits of the requests served one at a time with N blocks. */
function hitsOf(
  sequence: Sequence,
  blocks: number,
): { hits: number[]; worker: ReferenceWorker; requests: EngineRequest[]; prompts: Prompts } {
  const prompts = new Prompts(4);
  const root = prompts.shared(6);
  const trunks = [root, prompts.shared(4, root, 2), prompts.shared(5)];
  const requests = sequence.map(({ trunk, depth, tail, outputTokens }) => {
    const blocksShared = Math.min(depth, prompts.branches.end(trunks[trunk]!));
    const promptTokens = blocksShared * 4 + tail;
    return prompts.request({ promptTokens: Math.max(promptTokens, 1), outputTokens, branch: trunks[trunk]!, depth: blocksShared });
  });
  let worker: ReferenceWorker | null = null;
  const create = (parts: Parameters<typeof createReferenceWorker>[0]) => {
    worker = createReferenceWorker(parts);
    return worker;
  };
  const inputs = requests.map((request, i) => ({ tMs: 100 * i, kind: 'submit' as const, request }));
  const config = engineConfig({ blocks });
  const { sink } = play(create, { config, branches: prompts.branches, timer: new AffineTimer({ baseMs: 1 }), links: null, inputs });
  const hits = sink.calls.filter((call) => call.what === 'admitted').map((call) => call.facts[2] as number);
  return { hits, worker: worker!, requests, prompts };
}

describe('theory', () => {
  it('E13: with room for everything, hits are those of an infinite cache and nothing is evicted', () => {
    fc.assert(
      fc.property(sequences, (sequence) => {
        const { hits, worker, requests, prompts } = hitsOf(sequence, 400);
        const seen = new Set<number>();
        const expected = requests.map((request) => {
          const { promptTokens, outputTokens, leaf } = request;
          const computed = Math.floor((promptTokens + outputTokens - 1) / 4);
          const keys = chainKeys(prompts.branches, leaf, computed);
          const limit = Math.floor((promptTokens - 1) / 4);
          let hit = 0;
          while (hit < limit && seen.has(keys[hit]!)) hit++;
          for (const key of keys) seen.add(key);
          return hit * 4;
        });
        expect(hits).toEqual(expected);
        expect(worker.counters).toMatchObject({ hbmEvictedBlocks: 0, preemptions: 0 });
      }),
      settings,
    );
  });

  it('E14: more blocks never lower the hits of requests served one at a time', () => {
    const offBoundary = sequences.map((list) => list.map((entry) => ({ ...entry, tail: (entry.tail % 3) + 1 })));
    fc.assert(
      fc.property(offBoundary, fc.integer({ min: 14, max: 40 }), fc.integer({ min: 1, max: 20 }), (sequence, blocks, more) => {
        const few = hitsOf(sequence, blocks).hits;
        const many = hitsOf(sequence, blocks + more).hits;
        few.forEach((hit, i) => {
          expect(many[i]!).toBeGreaterThanOrEqual(hit);
        });
      }),
      settings,
    );
  });
});

function checkCausality(log: WorkerLog, request: EngineRequest, end: SinkCall | undefined): void {
  const moments = [request.arrivalMs];
  const admitted = callsOf(log, 'admitted', request.id);
  const first = callsOf(log, 'firstToken', request.id);
  if (admitted.length > 0) moments.push(admitted[0]!.tMs);
  if (first.length > 0) moments.push(first[0]!.tMs);
  if (end !== undefined) moments.push(end.tMs);
  expect(moments).toEqual(moments.toSorted((a, b) => a - b));
  expect(first.length).toBeLessThanOrEqual(Math.min(admitted.length, 1));
}

function sorted(entries: Iterable<readonly [number, number]>): (readonly [number, number])[] {
  return [...entries].sort((a, b) => a[0] - b[0]);
}

describe('the case generator', () => {
  it('reaches every kind of effect within 250 seeds', () => {
    const kinds = new Set<string>();
    for (let seed = 0; seed < 250; seed++) {
      const workload = randomCase(seed);
      const { log } = record(workload);
      for (const call of log.calls)
        kinds.add(call.what === 'ended' || call.what === 'settled' ? `${call.what} ${call.facts[1]}` : call.what);
      for (const [name, value] of Object.entries(log.counters)) if (value > 0) kinds.add(name);
      for (const block of log.removals.values()) for (const reason of block.reasons) kinds.add(`removed ${reason}`);
      if (workload.branches.flags.includes(BRANCH_PRIVATE)) kinds.add('private');
    }
    const wanted = [
      'admitted',
      'restoring',
      'preempted',
      'claimBroken',
      'private',
      'wastedTokens',
      'recomputedTokens',
      'hostEvictedBlocks',
    ];
    const ends = ['finished', 'rejected', 'failed', 'aborted', 'lost', 'handback'].map((status) => `ended ${status}`);
    const outcomes = ['accepted', 'clipped', 'missing', 'rejected'].map((result) => `settled ${result}`);
    const blocked = ['blockedBySeqs', 'blockedByIslGate', 'blockedByGate', 'blockedByWatermark', 'blockedByReserved'];
    const { capacity, afterClaim, deadline, claimBroken, released, lost } = REMOVAL;
    const removals = [capacity, afterClaim, deadline, claimBroken, released, lost].map((reason) => `removed ${reason}`);
    for (const kind of [...wanted, ...ends, ...outcomes, ...blocked, ...removals, 'hbmExpiredBlocks', 'lastBlockRecomputed'])
      expect(kinds).toContain(kind);
  });
});
