/** hostWrite selective and lazy, and the frequency filter, on both engines: retention specification 9.1. */
import { describe, expect, it } from 'vitest';
import { createJumpWorker } from './jump/create-jump-worker.ts';
import { createReferenceWorker } from './reference/reference-worker.ts';
import type { EngineConfig } from './worker.ts';
import { AffineTimer, engineConfig, type Performance, Prompts, play, type WorkerInput } from './worker-fixtures.ts';

const LINKS = { gpus: 8, h2dBytesPerMs: 1, d2hBytesPerMs: 1, duplexBytesPerMs: 2, dramBytesPerMs: 100 };

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('the %s engine', (_, create) => {
  /**
   * Prompts of one shared block, b0, b1, …, and one more token, as `uses` names them 100 ms apart. A step takes 10 ms, a copy 10 ms per
   * block. `below`: which of the shared blocks the host has at the end.
   */
  const scene = (uses: readonly number[], config: Partial<EngineConfig>): Performance & { readonly below: readonly number[] } => {
    const p = new Prompts(4);
    const branches = [...new Set(uses)].sort().map(() => p.shared(1));
    const inputs: WorkerInput[] = uses.map((name, i) => {
      const request = p.request({ promptTokens: 5, outputTokens: 1, branch: branches[name]!, depth: 1, arrivalMs: 100 * i });
      return { tMs: 100 * i, kind: 'submit', request };
    });
    const settings = { hostBlocks: 16, blocks: 21, blockBytesPerGpu: 10, maxBatchedTokens: 8, ...config };
    const done = play((parts) => create(parts), {
      config: engineConfig(settings),
      branches: p.branches,
      timer: new AffineTimer({ baseMs: 10 }),
      inputs,
      links: LINKS,
      checks: 'deep',
    });
    return { ...done, below: branches.map((id) => done.worker.hostBlocks(id, 1, 0)) };
  };

  it('selective copies a block at the second request that passes over it, once', () => {
    expect(scene([0, 1], { hostWrite: 'selective' }).below).toEqual([0, 0]);
    const done = scene([0, 1, 0, 0], { hostWrite: 'selective' });
    expect(done.below).toEqual([1, 0]);
    expect(done.counters).toMatchObject({ hostStoredBlocks: 1, hostWriteBytes: 10 });
  });

  it('selective begins anew when the block has left HBM, the frequency does not', () => {
    // Three usable blocks: b0 is evicted before its second use.
    const uses = [0, 1, 2, 3, 0];
    expect(scene(uses, { hostWrite: 'selective', blocks: 4 }).below).toEqual([0, 0, 0, 0]);
    expect(scene(uses, { hostAdmit: 'frequency', blocks: 4 }).below).toEqual([1, 0, 0, 0]);
  });

  it('the frequency decays: a second use after a decay step finds the block unknown', () => {
    expect(scene([0, 1, 0], { hostAdmit: 'frequency', hostAdmitDecayMs: 1000 }).below).toEqual([1, 0]);
    expect(scene([0, 1, 0], { hostAdmit: 'frequency', hostAdmitDecayMs: 50 }).below).toEqual([0, 0]);
  });

  it('lazy copies nothing while a tenth of the blocks is empty, then the next four of the victim order, two steps of need', () => {
    // 20 usable blocks: b0 … b17 leave two of them empty, which is the low water; a request needs two.
    const ample = Array.from({ length: 17 }, (_, i) => i);
    expect(scene(ample, { hostWrite: 'lazy' }).counters.hostStoredBlocks).toBe(0);
    const low = scene([...ample, 17], { hostWrite: 'lazy' });
    // While it runs one block is empty: it and b0, b1, b2 are the horizon.
    expect(low.below).toEqual(Array.from({ length: 18 }, (_, i) => (i < 3 ? 1 : 0)));
    expect(low.counters).toMatchObject({ hostStoredBlocks: 3, hbmEvictedBlocks: 0 });
  });

  it('lazy has a block below before it is evicted, and never copies it twice', () => {
    const uses = Array.from({ length: 24 }, (_, i) => i);
    const done = scene(uses, { hostWrite: 'lazy', hostBlocks: 40 });
    expect(done.counters.hbmEvictedBlocks).toBeGreaterThan(0);
    expect(done.below.slice(0, done.counters.hbmEvictedBlocks)).not.toContain(0);
    expect(done.counters.hostStoredBlocks).toBe(done.below.filter((held) => held === 1).length);
    expect(done.counters.hostStoredBlocks).toBeLessThan(scene(uses, { hostBlocks: 40 }).counters.hostStoredBlocks);
  });
});
