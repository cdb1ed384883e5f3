/** What every router preset must keep (experiments specification 10.2; router specification 10.1). One suite, all presets. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { KV_REMOVED, KV_STORED, KvEventBatch, type RouteRequest } from '../ports.ts';
import { routerPolicy, routerPresets } from './catalogue.ts';
import { recordDecision, reexecute } from './decision-record.ts';
import { compilePolicy } from './policy.ts';
import type { PolicyDocument } from './policy-document.ts';
import { rankFacts, routeRequest } from './router-fixture.ts';
import { ScoringRouter } from './scoring-router.ts';

const RUNS = Number(process.env.KVCAST_RUNS ?? 12);
const RANKS = 6;
const BS = 16;

/** Presets where a longer match may lose, and why. */
const NOT_MONOTONE: Record<string, string> = {
  'dynamo-kv-staged@1': 'the decode term counts what is cached',
  'llm-d-agentic@1': 'a broken stickiness gate',
};
/** Presets where load does not decide. */
const LOAD_BLIND = ['random@1', 'round-robin@1', 'session-hash@1', 'aibrix-prefix@1', 'llm-d-precise@1', 'llm-d-default@1'];

interface Step {
  readonly dice: number;
  readonly rank: number;
  readonly branch: number;
  readonly cut: number;
}

const steps = fc.array(fc.record({ dice: fc.nat(99), rank: fc.nat(RANKS - 1), branch: fc.nat(7), cut: fc.nat(99) }), {
  minLength: 20,
  maxLength: 60,
});

/** A router in a world of 6 ranks; rank i of the story is rank `numbers[i]` of this router. Keys belong to the story. */
class World {
  readonly branches = new BranchTable();
  readonly router: ScoringRouter;
  readonly chosen: string[] = [];
  readonly live: number[] = [];
  readonly down = new Set<number>();
  readonly #numbers: readonly number[];
  #attempt = 0;
  #nowMs = 0;

  constructor(preset: string, numbers: readonly number[] = [0, 1, 2, 3, 4, 5], document?: PolicyDocument) {
    this.#numbers = numbers;
    const policy = document === undefined ? routerPolicy(preset) : compilePolicy(document);
    this.router = new ScoringRouter(policy, { branches: this.branches, seed: 42 });
    for (let i = 0; i < 8; i++) {
      if (i < 2) this.branches.add(-1, 0, 4 + i);
      else this.branches.add(i >> 1, 2 + (i % 3), 3 + i);
    }
    // Joined in the order of the numbers, which is another order in every world.
    for (let number = 0; number < RANKS; number++) this.#ready(numbers.indexOf(number), true);
  }

  #ready(story: number, facts: boolean): void {
    const rank = this.#numbers[story]!;
    if (facts) this.router.worker({ rank, key: `w${story}/0`, state: 'joined', epoch: 0, facts: rankFacts(BS, { hbmBlocks: 4096 }) });
    this.router.worker({ rank, state: 'ready', epoch: 0 });
    this.down.delete(story);
  }

  request(step: Step): RouteRequest {
    const depthBlocks = step.cut % (this.branches.end(step.branch) + 1);
    const promptTokens = Math.max(1, depthBlocks * BS + (step.cut % 21));
    return routeRequest({ attempt: this.#attempt, promptTokens, branch: step.branch, depthBlocks, sessionKey: `s${step.branch}` });
  }

  run(step: Step): void {
    const rank = this.#numbers[step.rank]!;
    this.#nowMs += 1;
    if (step.dice < 45) this.route(this.request(step));
    else if (step.dice < 60) {
      const batch = new KvEventBatch();
      batch.rank = rank;
      batch.push(step.dice < 56 ? KV_STORED : KV_REMOVED, 0, step.branch, 0, 1 + (step.cut % this.branches.length[step.branch]!));
      this.router.kvEvents(batch, this.#nowMs);
    } else if (step.dice < 70 && this.live.length > 0) this.router.ended(this.live.splice(step.cut % this.live.length, 1)[0]!);
    else if (step.dice < 80 && this.live.length > 0) this.router.firstToken(this.live[step.cut % this.live.length]!, this.#nowMs);
    else if (step.dice < 88) {
      this.router.report({ rank, asOfMs: this.#nowMs, waiting: step.cut % 7, running: step.cut % 11, kvUsage: step.cut / 100 });
    } else if (step.dice < 92) {
      this.router.worker({ rank, state: step.dice < 91 ? 'draining' : 'lost', epoch: 0 });
      this.down.add(step.rank);
    } else this.#ready(step.rank, false);
  }

  route(request: RouteRequest): void {
    const rank = this.router.decide(request, this.#nowMs);
    this.chosen.push(rank < 0 ? this.router.refusal : this.router.table.keys[rank]!);
    if (rank >= 0) {
      expect(this.down.has(this.#numbers.indexOf(rank))).toBe(false);
      this.router.book(request, rank, this.#nowMs);
      this.live.push(request.attempt);
    }
    this.#attempt++;
  }
}

for (const { name, version, document } of routerPresets()) {
  const preset = `${name}@${version}`;
  describe(preset, () => {
    test('chooses only ready ranks, the same ones again, whatever the ranks are numbered and in whatever order they join', () => {
      fc.assert(
        fc.property(steps, fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }), (story, numbers) => {
          const worlds = [new World(preset), new World(preset), new World(preset, numbers)];
          for (const step of story) for (const world of worlds) world.run(step);
          expect(worlds[1]!.chosen).toEqual(worlds[0]!.chosen);
          expect(worlds[2]!.chosen).toEqual(worlds[0]!.chosen);
        }),
        { numRuns: RUNS },
      );
    });

    test('a look ahead changes nothing, and scores of all rows decide as the fast path does', () => {
      fc.assert(
        fc.property(steps, (story) => {
          const plain = new World(preset);
          const curious = new World(preset);
          for (const step of story) {
            plain.run(step);
            curious.router.scoreAll = step.cut % 2 === 0;
            curious.router.decide(curious.request(step), 0);
            curious.run(step);
          }
          expect(curious.chosen).toEqual(plain.chosen);
        }),
        { numRuns: RUNS },
      );
    });

    test('books and releases in balance: everything drains to zero', () => {
      fc.assert(
        fc.property(steps, (story) => {
          const world = new World(preset);
          for (const step of story) world.run(step);
          const { bookings } = world.router;
          expect(bookings.size).toBe(bookings.inflight.reduce((sum, f) => sum + f, 0));
          for (const attempt of world.live) world.router.ended(attempt);
          for (const column of [bookings.inflight, bookings.prefillTokens, bookings.activeBlocks]) {
            expect(column.every((value) => value === 0)).toBe(true);
          }
          expect([bookings.size, bookings.lists.pairs]).toEqual([0, 0]);
        }),
        { numRuns: RUNS },
      );
    });

    test('every full record explains its finite scores and repeats its choice', () => {
      fc.assert(
        fc.property(steps, (story) => {
          const world = new World(preset);
          world.router.scoreAll = true;
          for (const step of story) {
            const request = world.request(step);
            const rank = world.router.decide(request, 0);
            if (rank >= 0) {
              const facts = { action: { kind: 'dispatch', rank }, reasons: [], waitMs: 0, bookSeq: 0 } as const;
              const record = recordDecision(world.router, request, 'full', facts, 0);
              expect(reexecute(record, world.router.policy, 42)).toBe(rank);
              const multiplies = document.rules.some((rule) => rule.combine !== undefined && 'product' in rule.combine);
              for (const candidate of record.candidates) {
                const parts = Object.values(candidate.features);
                const whole = multiplies
                  ? parts.filter((part) => part.weight !== 0 || part.contribution !== 0).reduce((all, part) => all * part.contribution, 1)
                  : parts.reduce((all, part) => all + part.contribution, 0);
                expect(Number.isFinite(candidate.score)).toBe(true);
                if (!multiplies || candidate.score !== 0) expect(Math.abs(whole - candidate.score)).toBeLessThan(1e-9);
              }
            }
            world.run(step);
          }
        }),
        { numRuns: RUNS },
      );
    });

    test.skipIf(preset in NOT_MONOTONE || document.index.mode !== 'events')('more cached blocks on the winner keep it the winner', () => {
      fc.assert(
        fc.property(steps, fc.nat(7), (story, branch) => {
          const world = new World(preset);
          for (const step of story) world.run(step);
          const { router, branches } = world;
          const request = world.request({ dice: 0, rank: 0, branch, cut: branches.end(branch) });
          const before = router.decide(request, 10_000);
          if (before < 0) return;
          for (let b = request.branch; b >= 0; b = branches.parent[b]!) {
            const batch = new KvEventBatch();
            batch.rank = before;
            batch.push(KV_STORED, 0, b, 0, branches.length[b]!);
            router.kvEvents(batch, 10_000);
          }
          expect(router.decide(request, 10_000)).toBe(before);
        }),
        { numRuns: RUNS },
      );
    });

    test.skipIf(LOAD_BLIND.includes(preset) || preset in NOT_MONOTONE)('more load on a loser never makes it the winner', () => {
      fc.assert(
        fc.property(steps, fc.nat(7), fc.nat(RANKS - 1), (story, branch, loser) => {
          const world = new World(preset);
          for (const step of story) world.run(step);
          const { router, branches } = world;
          const request = world.request({ dice: 0, rank: 0, branch, cut: branches.end(branch) });
          const before = router.decide(request, 10_000);
          if (before < 0 || before === loser) return;
          const more = { attempt: 999_999, rank: loser, branch: -1, depthBlocks: 0, fullBlocks: 40, promptTokens: 640 };
          router.bookings.book({ ...more, uncachedTokens: 640, osl: 0 }, 10_000);
          expect(router.decide(request, 10_000)).not.toBe(loser);
        }),
        { numRuns: RUNS },
      );
    });

    const sums = document.rules.some((rule) => rule.combine !== undefined && 'sum' in rule.combine);
    test.skipIf(!sums)('twice all weights of a sum change no choice', () => {
      const double = (value: unknown): unknown => (typeof value === 'number' ? 2 * value : value);
      const rules = document.rules.map((rule) => {
        if (rule.combine === undefined || !('sum' in rule.combine)) return rule;
        return { ...rule, combine: { ...rule.combine, sum: rule.combine.sum.map(([weight, ...rest]) => [double(weight), ...rest]) } };
      });
      const named = document.rules.flatMap((rule) => (rule.combine !== undefined && 'sum' in rule.combine ? rule.combine.sum : []));
      const params = { ...document.params };
      for (const [weight] of named) {
        const param = String(weight).replace(/^-?\$/, '');
        if (typeof weight === 'string') params[param] = 2 * (params[param] as number);
      }
      fc.assert(
        fc.property(steps, (story) => {
          const once = new World(preset);
          const twice = new World(preset, undefined, { ...document, rules, params } as unknown as PolicyDocument);
          for (const step of story) {
            once.run(step);
            twice.run(step);
          }
          expect(twice.chosen).toEqual(once.chosen);
        }),
        { numRuns: RUNS },
      );
    });
  });
}
