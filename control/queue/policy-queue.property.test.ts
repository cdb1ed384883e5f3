import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type NewEntry, PolicyQueue } from './policy-queue.ts';
import { type QueueProfile, type QueueRecheck, singleClass } from './queue-profile.ts';

/** The same queue written down naively: lists, linear searches, one quantum at a time. */
class NaiveQueue {
  readonly waiting: (NewEntry<number> & { sequence: number })[] = [];
  readonly #quantum: number[];
  readonly #credit: number[];
  /** Pinned lanes found blocked, `class/lane`; null = nothing is remembered. */
  readonly #blocked: Set<string> | null;
  #turn = 0;
  #serving = false;
  #sequence = 0;

  constructor(profile: QueueProfile, recheck: QueueRecheck) {
    this.#blocked = recheck === 'events' ? new Set() : null;
    this.#quantum = profile.classes.map((one) => one.quantumTokens);
    this.#credit = this.#quantum.map(() => 0);
  }

  push(entry: NewEntry<number>): void {
    this.waiting.push({ ...entry, sequence: this.#sequence++ });
  }

  pop(mayGo: (head: NewEntry<number>) => boolean): number | undefined {
    const heads = this.#quantum.map((_, c) => this.#head(c, mayGo));
    const able = (c: number) => heads[c] !== undefined && this.#credit[c]! >= price(heads[c]!);
    if (this.#serving && !able(this.#turn)) {
      this.#serving = false;
      this.#turn = (this.#turn + 1) % heads.length;
    }
    if (heads.every((head) => head === undefined)) return undefined;
    const order = heads.map((_, i) => (this.#turn + i) % heads.length).filter((c) => heads[c] !== undefined);
    for (const c of order) {
      if (!able(c)) this.#credit[c]! += this.#quantum[c]!;
      if (able(c)) return this.#serve(c, heads[c]!);
    }
    while (!order.some(able)) for (const c of order) this.#credit[c]! += this.#quantum[c]!;
    const c = order.find(able)!;
    return this.#serve(c, heads[c]!);
  }

  #head(c: number, mayGo: (head: NewEntry<number>) => boolean) {
    const inClass = this.waiting.filter((one) => one.classIndex === c);
    const lanes = [...new Set(inClass.map((one) => one.lane))];
    const heads = lanes.map((lane) => inClass.filter((one) => one.lane === lane).sort(before)[0]!).sort(before);
    if (this.#blocked === null) return heads.find(mayGo);
    const shared = heads.find((head) => head.lane === -1 && mayGo(head));
    for (const head of heads) {
      if (head.lane === -1 || this.#blocked.has(`${c}/${head.lane}`)) continue;
      if (mayGo(head)) return shared !== undefined && before(shared, head) < 0 ? shared : head;
      this.#blocked.add(`${c}/${head.lane}`);
    }
    return shared;
  }

  recheck(rank: number | undefined): void {
    for (const lane of this.#blocked ?? []) if (rank === undefined || lane.endsWith(`/${rank}`)) this.#blocked!.delete(lane);
  }

  #serve(c: number, entry: NewEntry<number> & { sequence: number }): number {
    this.waiting.splice(this.waiting.indexOf(entry), 1);
    this.#credit[c] = this.waiting.some((one) => one.classIndex === c) ? this.#credit[c]! - price(entry) : 0;
    this.#turn = c;
    this.#serving = true;
    return entry.item;
  }
}

const price = (one: NewEntry<number>) => Math.max(1, one.promptTokens - one.cachedTokens);
const before = (a: NewEntry<number> & { sequence: number }, b: NewEntry<number> & { sequence: number }) =>
  b.strict - a.strict || b.key - a.key || a.sequence - b.sequence;

const entry = (classes: number) =>
  fc.record({
    classIndex: fc.nat(classes - 1),
    strict: fc.nat(1),
    key: fc.integer({ min: -3, max: 3 }),
    promptTokens: fc.nat(60),
    cachedTokens: fc.nat(60),
    lane: fc.integer({ min: -1, max: 1 }),
  });

const session = fc.integer({ min: 1, max: 4 }).chain((classes) =>
  fc.record({
    quanta: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: classes, maxLength: classes }),
    ops: fc.array(
      fc.oneof(
        { weight: 3, arbitrary: entry(classes) },
        { weight: 1, arbitrary: fc.record({ blocked: fc.array(fc.integer({ min: -1, max: 11 }), { maxLength: 6 }) }) },
        { weight: 1, arbitrary: fc.record({ recheck: fc.constantFrom(undefined, 0, 1) }) },
      ),
      {
        maxLength: 80,
      },
    ),
  }),
);

test('the queue answers as its naive reference does, whatever is blocked, and drains to zero', () => {
  fc.assert(
    fc.property(session, fc.constantFrom('always', 'events'), ({ quanta, ops }, recheck) => {
      const profile: QueueProfile = {
        classes: quanta.map((quantumTokens, i) => ({ name: `c${i}`, order: 'fcfs', quantumTokens })),
      };
      const queue = new PolicyQueue<number>(profile, recheck as QueueRecheck);
      const naive = new NaiveQueue(profile, recheck as QueueRecheck);
      let item = 0;
      for (const op of ops) {
        if ('blocked' in op) {
          const mayGo = (head: NewEntry<number>) => !op.blocked.includes(head.classIndex * 3 + head.lane);
          expect(queue.pop(mayGo)?.item).toBe(naive.pop(mayGo));
        } else if ('recheck' in op) {
          queue.recheck(op.recheck);
          naive.recheck(op.recheck);
        } else {
          const one = { ...op, cachedTokens: Math.min(op.cachedTokens, op.promptTokens), item: item++ };
          queue.push(one);
          naive.push(one);
        }
        expect(queue.size).toBe(naive.waiting.length);
      }
      queue.recheck();
      naive.recheck(undefined);
      while (queue.size > 0) expect(queue.pop(() => true)!.item).toBe(naive.pop(() => true));
      expect(queue.pop(() => true)).toBeUndefined();
      expect(quanta.map((_, c) => queue.full(c, 1)).every((full) => full === null)).toBe(true);
    }),
    { numRuns: 600 },
  );
});

test('limits count per worker, are checked before the entry, and are free again when it is popped', () => {
  const queue = new PolicyQueue<number>(singleClass('fcfs', 1, { maxRequests: 2, maxPromptTokens: 100, maxCachedTokens: 50 }));
  const push = (promptTokens: number, cachedTokens: number) =>
    queue.push({ item: 0, classIndex: 0, strict: 0, key: 0, promptTokens, cachedTokens, lane: -1 });
  push(150, 20);
  expect(queue.full(0, 2)).toBeNull();
  expect(queue.full(0, 1)).toEqual({ kind: 'promptTokens', current: 150, limit: 100 });
  push(50, 20);
  push(10, 10);
  expect(queue.full(0, 2)).toEqual({ kind: 'promptTokens', current: 210, limit: 200 });
  queue.pop(() => true);
  expect(queue.full(0, 2)).toBeNull();
  push(10, 90);
  expect(queue.full(0, 2)).toEqual({ kind: 'cachedTokens', current: 120, limit: 100 });
  for (let i = 0; i < 3; i++) queue.pop(() => true);
  for (let i = 0; i < 4; i++) push(0, 0);
  expect(queue.full(0, 2)).toEqual({ kind: 'requests', current: 4, limit: 4 });
});
