import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KvAction } from '../ports.ts';
import { ReferenceStore } from './reference-store.ts';
import { RetentionHarness, type SentAction } from './retention-harness.ts';
import type { SessionReference } from './session-reference.ts';

/** What an action says, in a few words. */
const words = (sent: readonly SentAction[]): string[] =>
  sent.map((a) => {
    const range = `${a.branch}[${a.fromBlocks},${a.toBlocks})@${a.rank}`;
    return a.verb === 'demote' ? `${a.why} ${range}` : `${a.hardness} ${range} until ${a.untilMs}`;
  });

/** A session's turn: out at `nowMs`, answered a second later. Returns what the answer caused. */
function turn(h: RetentionHarness, session: number, branch: number, depth: number, nowMs: number, options: object = {}): string[] {
  h.dispatch(session, branch, nowMs, { depthBlocks: depth, ...options });
  return words(h.finish(session, branch, nowMs + 1000, { depthBlocks: depth, ...options }));
}

const create = (params = {}): RetentionHarness => new RetentionHarness('session-reference@1', params);

describe('session reference (retention specification 8.1)', () => {
  it('references the path of a live session until it was silent for an hour', () => {
    const h = create();
    const branch = h.session(10);
    expect(turn(h, 0, branch, 6, 0)).toEqual([`reference ${branch}[0,6)@0 until 3601000`]);
    expect(turn(h, 0, branch, 10, 10_000)).toEqual([`reference ${branch}[0,10)@0 until 3611000`]);
    expect(h.sent.at(-1)).toMatchObject({ verb: 'pin', refreshMs: 3_600_000, mode: 'max', onExpiry: 'trueLastAccess' });
  });

  it('rule 1: what the frontier leaves behind is superseded, what the new path shares is not', () => {
    const h = create();
    const old = h.session(20);
    const rewritten = h.branches.add(old, 15, 10);
    turn(h, 0, old, 20, 0);
    expect(turn(h, 0, rewritten, 25, 10_000)).toEqual([`reference ${rewritten}[0,25)@0 until 3611000`, `superseded ${old}[15,20)@0`]);
  });

  it('rule 1: another session’s path keeps the blocks that it needs', () => {
    const h = create();
    const old = h.session(20);
    const [mine, other] = [h.branches.add(old, 12, 10), h.branches.add(old, 17, 3)];
    turn(h, 0, old, 20, 0);
    turn(h, 1, other, 20, 0);
    expect(turn(h, 0, mine, 22, 10_000)[1]).toBe(`superseded ${old}[17,20)@0`);
  });

  it('rule 2: a close releases the exclusive suffix; branch points with other live owners stay', () => {
    const h = create();
    const system = h.session(20);
    const [a, b] = [h.branches.add(system, 20, 5), h.branches.add(system, 20, 7)];
    turn(h, 0, a, 25, 0);
    turn(h, 1, b, 27, 0);
    expect(words(h.close(0, 5000))).toEqual([`closed ${a}[20,25)@0`]);
    expect(words(h.close(0, 5001))).toEqual([]);
    expect(words(h.close(1, 5002))).toEqual([`closed ${b}[0,27)@0`]);
    expect((h.policy as SessionReference).frontiers).toMatchObject({ size: 0, ownedBlocks: 0 });
  });

  it('rule 3: a compaction releases what lies beyond the kept tokens, rounded down to blocks', () => {
    const h = create();
    const branch = h.session(20);
    turn(h, 0, branch, 20, 0);
    const compact = (keptTokens: number): string[] => {
      const before = h.sent.length;
      h.policy.on({ kind: 'compacted', session: 0, keptTokens, nowMs: 2000 }, (action) => h.sent.push(action));
      return words(h.sent.slice(before));
    };
    expect(compact(64 * 20)).toEqual([]);
    expect(compact(64 * 8 + 63)).toEqual([`compacted ${branch}[8,20)@0`]);
    expect(compact(0)).toEqual([`compacted ${branch}[0,8)@0`]);
    expect(compact(0)).toEqual([]);
  });

  it('rule 3: a prompt of less than half of the last one is a compaction without a word', () => {
    const h = create();
    const old = h.session(30);
    turn(h, 0, old, 20, 0);
    const summary = h.branches.add(old, 10, 30);
    expect(turn(h, 0, old, 9, 10_000)).toEqual([`reference ${old}[0,9)@0 until 3611000`]);
    // Less than half in common is another agent of the tree; both are live.
    expect((h.policy as SessionReference).frontiers.frontiers(0)).toHaveLength(2);
    turn(h, 1, summary, 40, 0);
    const short = h.branches.add(summary, 30, 1);
    expect(turn(h, 1, short, 41, 10_000)).toHaveLength(1);
    const half = h.session(40);
    const rest = h.branches.add(half, 18, 1);
    turn(h, 2, half, 36, 0);
    expect(turn(h, 2, rest, 19, 10_000)[1]).toBe(`superseded ${half}[18,36)@0`);
  });

  it('rule 4: a session silent for an hour is closed, by a tick at that very time', () => {
    const h = create();
    const branch = h.session(10);
    turn(h, 0, branch, 10, 0);
    turn(h, 1, branch, 5, 500_000);
    expect(h.policy.wakeMs).toBe(3_601_000);
    const before = h.sent.length;
    const tick = (nowMs: number): string[] => {
      const from = h.sent.length;
      h.policy.on({ kind: 'tick', nowMs }, (action) => h.sent.push(action));
      return words(h.sent.slice(from));
    };
    expect(tick(3_600_999)).toEqual([]);
    expect(h.sent.length).toBe(before);
    expect(tick(3_601_000)).toEqual([`timeout ${branch}[5,10)@0`]);
    expect(h.policy.wakeMs).toBe(4_101_000);
    expect(tick(4_101_000)).toEqual([`timeout ${branch}[0,5)@0`]);
    expect(h.policy.wakeMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('rule 4: a session with a request under way is not silent, and idleClose sets the time', () => {
    const h = create({ idleClose: 10_000 });
    const branch = h.session(10);
    turn(h, 0, branch, 8, 0);
    h.dispatch(0, branch, 5000, { depthBlocks: 10 });
    expect(h.policy.wakeMs).toBe(Number.POSITIVE_INFINITY);
    h.finish(0, branch, 50_000, { depthBlocks: 10 });
    expect(h.policy.wakeMs).toBe(60_000);
  });

  it('follows a session to another rank and releases on both', () => {
    const h = create();
    const branch = h.session(10);
    turn(h, 0, branch, 8, 0);
    turn(h, 0, branch, 10, 5000, { rank: 3 });
    expect(words(h.close(0, 9000))).toEqual([`closed ${branch}[0,10)@0`, `closed ${branch}[0,10)@3`]);
    const g = create();
    const lost = g.session(10);
    turn(g, 0, lost, 8, 0);
    g.policy.on({ kind: 'lost', rank: 0, nowMs: 2000 }, () => undefined);
    expect(g.close(0, 9000)).toEqual([]);
  });

  it('tells the agents of a tree apart: a sub-agent supersedes nothing of the one that waits for it', () => {
    const h = create();
    const system = h.session(10);
    const [main, sub] = [h.branches.add(system, 10, 50), h.branches.add(system, 10, 30)];
    turn(h, 0, main, 40, 0, { pause: 'join' });
    turn(h, 0, sub, 20, 2000);
    expect(turn(h, 0, sub, 30, 4000)).toHaveLength(1);
    // A sub-agent that forks the whole context and goes another way.
    const fork = h.branches.addAt(main, 35, 10);
    expect(turn(h, 0, fork, 45, 6000)).toHaveLength(1);
    expect(turn(h, 0, main, 60, 8000)).toHaveLength(1);
    expect(words(h.close(0, 10_000))).toHaveLength(3);
  });

  it('a failed request moves nothing', () => {
    const h = create();
    const branch = h.session(10);
    turn(h, 0, branch, 8, 0);
    h.dispatch(0, branch, 5000);
    expect(h.finish(0, branch, 6000, { end: { status: 'cancelled' } })).toEqual([]);
    expect(turn(h, 0, branch, 10, 7000)).toHaveLength(1);
    expect((h.policy as SessionReference).frontiers.frontiers(0)).toHaveLength(1);
  });
});

describe('at a worker', () => {
  const apply = (store: ReferenceStore, sent: readonly SentAction[], nowMs: number): void => {
    for (const action of sent) store.apply(action, nowMs);
  };

  it('garbage goes first, then what nobody references, then live sessions (retention specification 4.1)', () => {
    const h = create();
    const store = new ReferenceStore(h.branches);
    const [live, closed, nobody] = [h.session(3), h.session(3), h.session(3)];
    for (const branch of [live, closed, nobody]) store.request(branch, 3, 0);
    apply(store, h.finish(0, live, 0), 0);
    apply(store, h.finish(1, closed, 0), 0);
    expect([live, closed, nobody].map((b) => store.victimClass(b, 0, 1))).toEqual([2, 2, 1]);
    apply(store, h.close(1, 1), 1);
    expect(store.victimClass(closed, 0, 2)).toBe(0);
    store.evict(6, 2);
    expect([live, closed, nobody].map((b) => store.resident(b, 3, 2))).toEqual([3, 0, 0]);
    expect(store.evictedGarbage).toEqual({ closed: 3 });
  });

  it('a wrong close costs nothing without pressure: a hit makes garbage ordinary again', () => {
    const h = create();
    const store = new ReferenceStore(h.branches);
    const branch = h.session(3);
    store.request(branch, 3, 0);
    apply(store, h.finish(0, branch, 0), 0);
    apply(store, h.close(0, 1), 1);
    expect(store.request(branch, 3, 2)).toBe(3);
    expect(store.victimClass(branch, 0, 2)).toBe(1);
  });

  it('12 sessions of 4 sub-agents: closes free what pressure needs, nobody live is evicted (retention:V9)', () => {
    const run = (preset: string): number => {
      const h = new RetentionHarness(preset, {});
      const store = new ReferenceStore(h.branches, { capacityBlocks: 400 });
      const system = h.session(10);
      let lostBlocks = 0;
      const mains = Array.from({ length: 12 }, () => h.branches.add(system, 10, 1000));
      let now = 0;
      const serve = (session: number, branch: number, depth: number, known: number): void => {
        h.dispatch(session, branch, now, { depthBlocks: depth });
        lostBlocks += Math.max(0, known - store.request(branch, depth, now));
        apply(store, h.finish(session, branch, now, { depthBlocks: depth }), now);
        now += 1000;
      };
      for (const [s, main] of mains.entries()) serve(s, main, 20, 0);
      for (let round = 0; round < 4; round++) {
        for (const [s, main] of mains.entries()) {
          // A sub-agent is a session of its own that ends with its answer.
          const child = 100 + round * 12 + s;
          serve(child, h.branches.add(system, 10, 40), 50, 10);
          apply(store, h.close(child, now), now);
          serve(s, main, 20 + round, round === 0 ? 20 : 19 + round);
        }
      }
      return lostBlocks;
    };
    expect(run('session-reference@1')).toBe(0);
    expect(run('lru@1')).toBeGreaterThan(0);
  });

  it('with sessions of one request it is LRU (retention:N5)', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ own: fc.integer({ min: 1, max: 6 }), system: fc.nat(2) }), { maxLength: 30 }), (steps) => {
        const run = (preset: string): number[] => {
          const h = new RetentionHarness(preset, {});
          const store = new ReferenceStore(h.branches, { capacityBlocks: 20 });
          const systems = [h.session(2), h.session(4), h.session(6)];
          return steps.map(({ own, system }, i) => {
            const branch = h.branches.addAt(systems[system]!, 2 + 2 * system, own);
            const depth = 2 + 2 * system + own;
            const hits = store.request(branch, depth, i);
            apply(store, h.finish(i, branch, i, { depthBlocks: depth }), i);
            apply(store, h.close(i, i), i);
            return hits;
          });
        };
        expect(run('session-reference@1')).toEqual(run('lru@1'));
      }),
    );
  });

  it('owners are the sessions whose frontier path contains the block, as a naive count finds', () => {
    const steps = fc.array(
      fc.record({ session: fc.nat(3), branch: fc.nat(5), depth: fc.integer({ min: 1, max: 12 }), close: fc.boolean() }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const h = create();
        const root = h.session(6);
        const branches = [root, ...[2, 4, 6, 6].map((at) => h.branches.add(root, at, 6)), h.session(12)];
        const frontiers = (h.policy as SessionReference).frontiers;
        list.forEach(({ session, branch, depth, close }, i) => {
          const b = branches[branch]!;
          const d = Math.min(depth, h.branches.end(b));
          if (close) h.close(session, i);
          else turn(h, session, b, d, i);
          const store = new ReferenceStore(h.branches);
          const owned = new Set<string>();
          for (const s of [0, 1, 2, 3]) {
            for (const f of frontiers.frontiers(s)) for (let k = 0; k < f.depthBlocks; k++) owned.add(store.key(f.branch, k));
          }
          expect(frontiers.ownedBlocks).toBe(owned.size);
          for (const action of h.sent.splice(0)) {
            if (action.verb !== 'demote') continue;
            for (let k = action.fromBlocks; k < action.toBlocks; k++) expect(owned.has(store.key(action.branch, k))).toBe(false);
          }
        });
      }),
    );
  });

  it('counts what workers answer', () => {
    const h = create();
    const [action] = h.finish(0, h.session(4), 0);
    h.policy.settled(
      { ...action!, id: 0 } as KvAction,
      { result: 'rejected', reason: 'unsupported', appliedBlocks: 0, requestedBlocks: 4 },
      1,
    );
    expect((h.policy as SessionReference).counters).toMatchObject({ referenced: 1, settled: { rejected: 1 } });
  });
});
