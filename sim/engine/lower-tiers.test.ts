/** Disk and remote store below the host tier, on both engines, timed by hand. Source: engine specification 4.3, 4.6. */
import { describe, expect, it } from 'vitest';
import { createJumpWorker } from './jump/create-jump-worker.ts';
import { createReferenceWorker } from './reference/reference-worker.ts';
import type { EngineConfig } from './worker.ts';
import { AffineTimer, engineConfig, type LowerTierOptions, type Performance, Prompts, play, type WorkerInput } from './worker-fixtures.ts';

/** Host links on which a block of one byte takes 1 ms. */
const LINKS = { gpus: 1, h2dBytesPerMs: 1, d2hBytesPerMs: 1, duplexBytesPerMs: 2, dramBytesPerMs: 8 };
/** A block takes 2 ms and each transfer 1 ms more. */
const DISK: LowerTierOptions = { tier: 2, write: 'writeBack', latencyMs: 1, blocks: 100, bytesPerMs: 0.5 };
const REMOTE: LowerTierOptions = { ...DISK, tier: 3, bytesPerMs: 0.25 };

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('the %s engine', (_, create) => {
  /**
   * Request 0 computes the two blocks A, 1 the two blocks B, 2 the two blocks C, which push each other out of two host slots; 3 needs all of
   * HBM; 4 asks for A again at 400 ms.
   */
  const scene = (lower: readonly LowerTierOptions[], config: Partial<EngineConfig> = {}, crashMs?: number): Performance => {
    const p = new Prompts(4);
    const [a, b, c] = [p.shared(2), p.shared(2), p.shared(2)];
    const short = (branch: number) => p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 });
    const requests = [short(a), short(b), short(c), p.request({ promptTokens: 25, outputTokens: 1 }), short(a)];
    const inputs: WorkerInput[] = requests.map((request, i) => ({ tMs: 100 * i, kind: 'submit', request }));
    if (crashMs !== undefined) {
      inputs.push({ tMs: crashMs, kind: 'crash' }, { tMs: crashMs, kind: 'restart' });
    }
    const settings = engineConfig({ blocks: 8, hostBlocks: 2, ...config });
    const timer = new AffineTimer({ baseMs: 10 });
    return play((parts) => create(parts), { config: settings, branches: p.branches, timer, inputs, links: LINKS, lower, checks: 'deep' });
  };
  const of = (done: Performance, what: string, id: number): unknown[] =>
    done.sink.calls.filter((call) => call.what === what && call.facts[0] === id).map(({ tMs, facts }) => [tMs, ...facts.slice(1)]);

  it('reads from disk what the host tier lost: two blocks in 5 ms, the copy to HBM beside it', () => {
    const done = scene([DISK]);
    expect(of(done, 'restoring', 4)).toEqual([[400, 8, 8, 0]]);
    expect(of(done, 'admitted', 4)).toEqual([[405, 9, 0, 8, true]]);
    const { diskReadBytes, diskWriteBytes, hostReadBytes } = done.counters;
    // A and B were pushed out, and C by A when it came back.
    expect({ diskReadBytes, diskWriteBytes, hostReadBytes }).toEqual({ diskReadBytes: 2, diskWriteBytes: 6, hostReadBytes: 2 });
  });

  it('tells the router of blocks on disk, not of those in a store that all workers read', () => {
    const tiers = (lower: LowerTierOptions): number[] => scene([lower]).sink.groups.map((group) => group.tier);
    expect(tiers(DISK)).toContain(2);
    expect(tiers(REMOTE)).not.toContain(3);
  });

  it('without it computes them again, and with a disk of 1 block the other one', () => {
    expect(of(scene([]), 'admitted', 4)).toEqual([[400, 9, 0, 0, true]]);
    // The deep block of B pushed both of A out.
    expect(of(scene([{ ...DISK, blocks: 1 }]), 'admitted', 4)).toEqual([[400, 9, 0, 0, true]]);
  });

  it('goes on to the remote store with what leaves the disk', () => {
    const done = scene([{ ...DISK, blocks: 2 }, REMOTE]);
    // Two blocks at 4 ms and 1 ms more.
    expect(of(done, 'restoring', 4)).toEqual([[400, 8, 0, 8]]);
    expect(of(done, 'admitted', 4)).toEqual([[409, 9, 0, 8, true]]);
    expect(done.counters.diskEvictedBlocks).toBe(4);
    expect(done.counters.remoteWriteBytes).toBe(4);
  });

  it('writes through at once: the copies of all that was readable in host memory', () => {
    const done = scene([{ ...DISK, write: 'writeThrough' }]);
    expect(done.counters.diskWriteBytes).toBe(6);
    expect(of(done, 'admitted', 4)).toEqual([[405, 9, 0, 8, true]]);
  });

  it('loads only what pays: 5 ms against computing two blocks', () => {
    const at = (prefillMsPerToken: number) => of(scene([DISK], { onboard: 'cheaper', prefillMsPerToken }), 'admitted', 4);
    expect(at(0.7)).toEqual([[405, 9, 0, 8, true]]);
    expect(at(0.6)).toEqual([[400, 9, 0, 0, true]]);
  });

  it('drops what costs more to read than to compute: 2 ms per block', () => {
    expect(scene([DISK], { prefillMsPerToken: 0.51 }).counters.diskWriteBytes).toBe(6);
    expect(scene([DISK], { prefillMsPerToken: 0.5 }).counters.diskWriteBytes).toBe(0);
  });

  it('shares what a range has in HBM or host memory with the store, all of it or what finds room, and keeps the source', () => {
    const p = new Prompts(4);
    const branch = p.shared(3);
    const facts = { rank: 0, session: 0, branch, fromBlocks: 0, untilMs: 0, hardness: 'soft', mode: 'max', onExpiry: 'drop' } as const;
    const share = (tMs: number, toBlocks: number): WorkerInput => ({
      tMs,
      kind: 'action',
      action: { ...facts, id: tMs, verb: 'share', toBlocks, tierFloor: 0, toTier: 3 },
    });
    const outcomes = (lower: readonly LowerTierOptions[], actions: readonly WorkerInput[]): unknown[] => {
      const request = p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 });
      const inputs: WorkerInput[] = [{ tMs: 50, kind: 'submit', request }, ...actions];
      const config = engineConfig({ hostBlocks: 2 });
      const timer = new AffineTimer({ baseMs: 10 });
      const done = play((parts) => create(parts), { config, branches: p.branches, timer, inputs, links: LINKS, lower, checks: 'deep' });
      return done.sink.calls.filter((call) => call.what === 'settled').map(({ tMs, facts: f }) => [tMs, ...f]);
    };
    // Two blocks at 4 ms and 1 ms more; again: all is there.
    expect(outcomes([REMOTE], [share(10, 2), share(100, 2), share(200, 2), share(300, 3)])).toEqual([
      [10, 10, 'missing', '', 0, 2],
      [109, 100, 'accepted', '', 2, 2],
      [200, 200, 'accepted', '', 2, 2],
      [300, 300, 'clipped', 'notResident', 2, 3],
    ]);
    expect(outcomes([{ ...REMOTE, blocks: 1 }], [share(100, 2)])).toEqual([[105, 100, 'clipped', 'budget', 1, 2]]);
    expect(outcomes([DISK], [share(100, 2)])).toEqual([[100, 100, 'rejected', 'unsupported', 0, 2]]);
    expect(outcomes([REMOTE], [share(100, 2), { tMs: 104, kind: 'crash' }])).toEqual([[104, 100, 'rejected', 'down', 0, 2]]);
  });

  it('loses the disk with a crash, and keeps what others share', () => {
    expect(of(scene([DISK], {}, 390), 'admitted', 4)).toEqual([[400, 9, 0, 0, true]]);
    expect(of(scene([REMOTE], {}, 390), 'admitted', 4)).toEqual([[409, 9, 0, 8, true]]);
  });
});
