/** Demotion to the host tier, on both engines: the copy is readable before the source may go (retention specification I8). */
import { describe, expect, it } from 'vitest';
import type { KvAction } from '../../control/ports.ts';
import { createJumpWorker } from './jump/create-jump-worker.ts';
import { createReferenceWorker } from './reference/reference-worker.ts';
import { AffineTimer, engineConfig, type Performance, Prompts, play, type WorkerInput } from './worker-fixtures.ts';

/** One block of 10 bytes takes 100 ms. */
const LINKS = { gpus: 8, h2dBytesPerMs: 0.1, d2hBytesPerMs: 0.1, duplexBytesPerMs: 0.2, dramBytesPerMs: 100 };

describe.each([
  ['stepped', createReferenceWorker],
  ['jumping', createJumpWorker],
] as const)('the %s engine', (_, create) => {
  /** Two blocks released at 10 ms, actions on them, further prompts; nothing is stored but by demotion. */
  const scene = (inputs: (p: Prompts, branch: number) => readonly WorkerInput[], config: object = {}): Performance => {
    const p = new Prompts(4);
    const branch = p.shared(3);
    const first = p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2 });
    const all: WorkerInput[] = [{ tMs: 0, kind: 'submit', request: first }, ...inputs(p, branch)];
    const settings = engineConfig({
      hostBlocks: 8,
      blocks: 6,
      storeThreshold: 99,
      blockBytesPerGpu: 10,
      maxBatchedTokens: 1024,
      ...config,
    });
    const timer = new AffineTimer({ baseMs: 10 });
    return play((parts) => create(parts), { config: settings, branches: p.branches, timer, inputs: all, links: LINKS, checks: 'deep' });
  };
  const act = (tMs: number, branch: number, facts: Partial<KvAction> = {}): WorkerInput => ({
    tMs,
    kind: 'action',
    action: {
      id: tMs,
      verb: 'demote',
      toTier: 1,
      rank: 0,
      session: 5,
      branch,
      fromBlocks: 0,
      toBlocks: 2,
      untilMs: 9000,
      hardness: 'soft',
      mode: 'max',
      onExpiry: 'trueLastAccess',
      tierFloor: 0,
      ...facts,
    },
  });
  const settled = ({ sink }: Performance): unknown[] =>
    sink.calls.filter((c) => c.what === 'settled').map((c) => [c.tMs, ...c.facts.slice(1)]);
  const probe = (tMs: number, branch: number): WorkerInput => ({ tMs, kind: 'probe', chains: [[branch, 2]] });

  it('copies before the source may go, settles when the copy is readable, and then evicts the source first', () => {
    const done = scene((p, branch) => [
      act(100, branch),
      probe(290, branch),
      { tMs: 150, kind: 'submit', request: p.request({ promptTokens: 15, outputTokens: 1, arrivalMs: 150 }) },
      probe(310, branch),
      { tMs: 400, kind: 'submit', request: p.request({ promptTokens: 19, outputTokens: 1, arrivalMs: 400 }) },
      probe(420, branch),
    ]);
    expect(settled(done)).toEqual([[300, 'accepted', '', 2, 2]]);
    const [during, after, evicted] = done.observations;
    // While the copy is under way the blocks are held: a prompt of four blocks waits.
    expect([during!.chains[0], during!.view.kvReferencedBlocks, during!.view.waiting]).toEqual([[2, 0], 2, 1]);
    expect(after!.view.waiting).toBe(0);
    expect(evicted!.chains[0]).toEqual([0, 2]);
    expect(done.counters).toMatchObject({ hostStoredBlocks: 2, hostWriteBytes: 20 });
    const order = done.sink.groups.filter(({ branch }) => branch === 0).map(({ kind, tier }) => `${kind} ${tier}`);
    expect(order).toEqual(['stored 0', 'stored 1', 'removed 0', 'removed 0']);
  });

  it('leaves a block that was hit meanwhile where it is', () => {
    const done = scene((p, branch) => [
      act(100, branch),
      { tMs: 200, kind: 'submit', request: p.request({ promptTokens: 9, outputTokens: 1, branch, depth: 2, arrivalMs: 200 }) },
      { tMs: 250, kind: 'submit', request: p.request({ promptTokens: 5, outputTokens: 1, branch: p.shared(1), depth: 1, arrivalMs: 250 }) },
      // Needs one block more than is hash-less: garbage would go before the block of 260 ms.
      { tMs: 400, kind: 'submit', request: p.request({ promptTokens: 11, outputTokens: 1, arrivalMs: 400 }) },
      probe(405, branch),
    ]);
    expect(settled(done)).toEqual([[300, 'accepted', '', 2, 2]]);
    expect(done.observations[0]!.chains[0]).toEqual([2, 0]);
  });

  it('needs a host tier with room, one row of resident blocks, and a tier that exists', () => {
    expect(settled(scene((_p, branch) => [act(100, branch)], { hostBlocks: 0 }))).toEqual([[100, 'rejected', 'unsupported', 0, 2]]);
    expect(settled(scene((_p, branch) => [act(100, branch, { toTier: 2 })]))).toEqual([[100, 'rejected', 'unsupported', 0, 2]]);
    expect(settled(scene((_p, branch) => [act(100, branch)], { hostBlocks: 1 }))).toEqual([[100, 'rejected', 'budget', 0, 2]]);
    expect(settled(scene((_p, branch) => [act(100, branch, { toBlocks: 3 })]))).toEqual([[300, 'clipped', 'notResident', 2, 3]]);
    expect(settled(scene((_p, branch) => [act(100, branch, { fromBlocks: 2, toBlocks: 3 })]))).toEqual([[100, 'missing', '', 0, 1]]);
    // What is there already needs no copy; what a crash takes settles too.
    expect(settled(scene((_p, branch) => [act(100, branch), act(500, branch)])).at(-1)).toEqual([500, 'accepted', '', 2, 2]);
    expect(settled(scene((_p, branch) => [act(100, branch), { tMs: 200, kind: 'crash' }]))).toEqual([[200, 'rejected', 'down', 0, 2]]);
  });
});
