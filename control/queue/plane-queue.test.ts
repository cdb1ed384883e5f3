import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { recordPlane, replayLog } from '../decision-log.ts';
import { createPlane, type InspectablePlane, type PlaneOptions } from '../plane.ts';
import type { DecisionRecord, Effects, Placement, Refusal, RouteRequest } from '../ports.ts';
import { rankFacts, routeRequest } from '../router/router-fixture.ts';
import { type QueueOptions, singleClass } from './queue-profile.ts';

class Heard implements Effects {
  readonly dispatched: [number, number][] = [];
  readonly refused: [number, Refusal][] = [];
  readonly records: DecisionRecord[] = [];
  wakeMs = Number.POSITIVE_INFINITY;
  onRefuse: (request: RouteRequest) => void = () => {};
  dispatch(request: RouteRequest, placement: Placement): void {
    this.dispatched.push([request.attempt, placement.rank]);
  }
  refuse(request: RouteRequest, refusal: Refusal): void {
    this.refused.push([request.attempt, refusal]);
    this.onRefuse(request);
  }
  act(): void {}
  wakeAt(tMs: number): void {
    this.wakeMs = Math.min(this.wakeMs, tMs);
  }
  decided(record: DecisionRecord): void {
    this.records.push(record);
  }
}

const options = (queue: QueueOptions | null, effects: Effects, branches: BranchTable): PlaneOptions => ({
  branches,
  router: { preset: 'dynamo-kv@1' },
  retention: null,
  seed: 42,
  recordLevel: 'compact',
  queue,
  effects,
});

function world(queue: QueueOptions | null, ranks = 2): { plane: InspectablePlane; heard: Heard } {
  const heard = new Heard();
  const plane = createPlane(options(queue, heard, new BranchTable()));
  for (let rank = 0; rank < ranks; rank++) join(plane, rank);
  return { plane, heard };
}

function join(plane: InspectablePlane, rank: number): void {
  plane.worker({ rank, state: 'joined', epoch: 0, key: `w${rank}/0`, facts: rankFacts(64, { maxBatchedTokens: 1000 }) }, 0);
  plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
}

const ask = (plane: InspectablePlane, attempt: number, nowMs: number, overrides: Partial<RouteRequest> = {}): void =>
  plane.request(routeRequest({ attempt, promptTokens: 800, ...overrides }), nowMs);
const FINISHED = { status: 'finished', stop: 'tool', outputTokens: 1 } as const;
const FCFS: QueueOptions = { profile: singleClass('fcfs', 0.5), maxWaitMs: 1000 };

test('requests wait while every rank is busy, in the order of their keys, and go when a first token or an end frees a rank', () => {
  const { plane, heard } = world(FCFS);
  ask(plane, 0, 0);
  ask(plane, 1, 0);
  ask(plane, 2, 100);
  ask(plane, 3, 200, { hints: { priority: 1 } });
  ask(plane, 4, 300, { hints: { strictPriority: 1 } });
  expect(heard.dispatched).toHaveLength(2);
  expect(plane.waiting).toBe(3);
  const queued = heard.records.filter((record) => record.action.kind === 'queue');
  expect(queued.map((record) => record.action)).toEqual([
    { kind: 'queue', key: -0.1, strict: 0 },
    { kind: 'queue', key: 0.8, strict: 0 },
    { kind: 'queue', key: -0.3, strict: 1 },
  ]);
  plane.firstToken(0, 400);
  plane.ended(1, FINISHED, 500);
  const rankOf = (attempt: number) => heard.dispatched.find(([id]) => id === attempt)?.[1];
  expect(heard.dispatched.slice(2)).toEqual([
    [4, rankOf(0)],
    [3, rankOf(1)],
  ]);
  plane.ended(4, FINISHED, 600);
  expect(heard.dispatched[4]).toEqual([2, rankOf(0)]);
  const last = heard.records.at(-1)!;
  expect([last.action.kind, last.waitMs, last.reasons[0]]).toEqual(['dispatch', 500, 'QUEUED']);
  expect(plane.waiting).toBe(0);
});

test('without a threshold the plane is what it was: same decisions, nobody waits', () => {
  const off = world(null);
  const never = world({ profile: singleClass('fcfs', null) });
  for (const { plane } of [off, never]) for (let i = 0; i < 50; i++) ask(plane, i, i);
  expect(never.heard.dispatched).toEqual(off.heard.dispatched);
  expect(off.heard.dispatched).toHaveLength(50);
});

test('a full class refuses with 529 and Retry-After, a limit of 0 refuses whoever would wait', () => {
  const { plane, heard } = world({ profile: singleClass('fcfs', 0.5, { maxRequests: 1 }), maxWaitMs: 1000 });
  for (let i = 0; i < 5; i++) ask(plane, i, 0);
  expect(plane.waiting).toBe(2);
  expect(heard.refused).toEqual([[4, { status: 529, code: 'QUEUE_LIMIT', retryAfterMs: 1000 }]]);
  const none = world({ profile: singleClass('fcfs', 0.5, { maxRequests: 0 }) });
  for (let i = 0; i < 3; i++) ask(none.plane, i, 0);
  expect([none.heard.dispatched.length, none.heard.refused[0]?.[1].code, none.plane.waiting]).toEqual([2, 'QUEUE_LIMIT', 0]);
});

test('who waited too long is refused by the timer it asked for, and never placed', () => {
  const { plane, heard } = world(FCFS);
  for (let i = 0; i < 4; i++) ask(plane, i, 10 * i);
  expect(heard.wakeMs).toBe(1020);
  heard.wakeMs = Number.POSITIVE_INFINITY;
  plane.timer(1020);
  expect(heard.refused).toEqual([[2, { status: 503, code: 'QUEUE_TIMEOUT' }]]);
  expect(heard.wakeMs).toBe(1030);
  plane.firstToken(0, 1025);
  expect(heard.dispatched.map(([id]) => id)).toEqual([0, 1, 3]);
  plane.timer(1030);
  expect(heard.refused).toHaveLength(1);
});

test('a withdrawn request is not placed; it leaves when its turn comes', () => {
  const { plane, heard } = world(FCFS);
  for (let i = 0; i < 4; i++) ask(plane, i, 0);
  plane.ended(2, { status: 'cancelled', stop: 'other', outputTokens: 0 }, 1);
  expect([plane.waiting, plane.inFlight]).toEqual([1, 2]);
  plane.firstToken(1, 2);
  expect(heard.dispatched.map(([id]) => id)).toEqual([0, 1, 3]);
  expect(plane.waiting).toBe(0);
});

test('requests wait for a worker that is not ready, and a pin to a lost rank fails instead of hanging', () => {
  const { plane, heard } = world(FCFS, 1);
  plane.worker({ rank: 0, state: 'draining', epoch: 0 }, 0);
  ask(plane, 0, 0);
  expect(plane.waiting).toBe(1);
  join(plane, 1);
  expect(heard.dispatched).toEqual([[0, 1]]);
  ask(plane, 1, 1, { pin: 1 });
  ask(plane, 2, 1, { pin: 1 });
  expect(plane.waiting).toBe(2);
  plane.worker({ rank: 1, state: 'lost', epoch: 0 }, 2);
  expect(heard.refused.map(([id, refusal]) => [id, refusal.code])).toEqual([
    [1, 'PIN_NOT_FOUND'],
    [2, 'PIN_NOT_FOUND'],
  ]);
  expect(plane.waiting).toBe(0);
});

test('where prefill is modelled, a rank is free as soon as enough of it has melted', () => {
  const heard = new Heard();
  const router = { preset: 'dynamo-kv@1', params: { modelPrefill: true } };
  const plane = createPlane({ ...options(FCFS, heard, new BranchTable()), router });
  for (let rank = 0; rank < 2; rank++) join(plane, rank);
  for (let i = 0; i < 3; i++) ask(plane, i, 0);
  const report = (nowMs: number) => plane.report({ rank: 0, asOfMs: nowMs, waiting: 0, running: 1, kvUsage: 0 }, nowMs);
  report(29);
  expect(plane.waiting).toBe(1);
  report(31);
  expect([plane.waiting, heard.dispatched.length]).toEqual([0, 3]);
});

test('a pinned request waits for its rank in a lane of its own and holds up nobody else', () => {
  const { plane, heard } = world(FCFS);
  ask(plane, 0, 0, { pin: 0 });
  ask(plane, 1, 1, { pin: 0 });
  ask(plane, 2, 2);
  expect(heard.dispatched).toEqual([
    [0, 0],
    [2, 1],
  ]);
  plane.ended(2, FINISHED, 3);
  expect(plane.waiting).toBe(1);
  plane.ended(0, FINISHED, 4);
  expect(heard.dispatched.at(-1)).toEqual([1, 0]);
});

test('what a refusal sets off while the queue is drained is merged into the same drain', () => {
  const { plane, heard } = world(FCFS, 2);
  ask(plane, 0, 0, { pin: 0 });
  ask(plane, 1, 0, { pin: 1 });
  ask(plane, 2, 1, { pin: 0 });
  ask(plane, 3, 2);
  heard.onRefuse = () => plane.ended(1, FINISHED, 3);
  plane.worker({ rank: 0, state: 'lost', epoch: 0 }, 3);
  expect(heard.refused.map(([id]) => id)).toEqual([2]);
  expect(heard.dispatched.at(-1)).toEqual([3, 1]);
});

test('an affinity is where a request goes, not what it waits for', () => {
  const { plane, heard } = world(FCFS);
  ask(plane, 0, 0, { affinity: 1 });
  ask(plane, 1, 1, { affinity: 1 });
  expect(heard.dispatched).toEqual([
    [0, 1],
    [1, 1],
  ]);
  ask(plane, 2, 2);
  ask(plane, 3, 3, { affinity: 1 });
  expect([heard.dispatched.at(-1), plane.waiting]).toEqual([[2, 0], 1]);
  plane.firstToken(2, 4);
  expect(heard.dispatched.at(-1)).toEqual([3, 1]);
});

test('a request waits in the class it asks for; what asks for none or an unknown one, in that of its uncached tokens', () => {
  const classes = [
    { name: 'short', family: 'all', bucket: 'short', order: 'fcfs', quantumTokens: 1, busyFraction: 0.5 },
    { name: 'long', family: 'all', bucket: 'long', order: 'fcfs', quantumTokens: 1, busyFraction: 0.5 },
    { name: 'batch', order: 'fcfs', quantumTokens: 1, busyFraction: 0 },
    { name: 'now', order: 'fcfs', quantumTokens: 1 },
  ] as const;
  const buckets = [
    { name: 'short', minTokens: 0 },
    { name: 'long', minTokens: 700 },
  ];
  const { plane, heard } = world({ profile: { classes, buckets, defaultFamily: 'all' } });
  ask(plane, 0, 0, { pin: 0, promptTokens: 400 });
  ask(plane, 1, 0, { pin: 1, promptTokens: 400 });
  ask(plane, 2, 1, { queueClass: 'batch' });
  ask(plane, 3, 2, { queueClass: 'now' });
  ask(plane, 4, 3, { queueClass: 'unheard of' });
  expect(heard.dispatched.map(([id]) => id)).toEqual([0, 1, 3, 4]);
  expect(plane.waiting).toBe(1);
  // Turns between a class of long prompts and one of short ones, a token each: what is cheap goes first.
  ask(plane, 5, 4, { promptTokens: 900 });
  ask(plane, 6, 5, { promptTokens: 300 });
  for (const id of [0, 1, 3, 4]) plane.ended(id, FINISHED, 6 + id);
  expect(heard.dispatched.slice(4).map(([id]) => id)).toEqual([6, 5, 2]);
});

const MELTING = { preset: 'dynamo-kv@1', params: { modelPrefill: true } };
const reportOf = (rank: number, asOfMs: number) => ({ rank, asOfMs, waiting: 0, running: 1, kvUsage: 0 });

test('a pinned lane found blocked waits for an event of its rank, and with recheck always for nothing', () => {
  const next = (recheck: 'always' | 'events' | undefined, act: (plane: InspectablePlane) => void) => {
    const heard = new Heard();
    const queue = { ...FCFS, ...(recheck === undefined ? {} : { recheck }) };
    const plane = createPlane({ ...options(queue, heard, new BranchTable()), router: MELTING });
    for (let rank = 0; rank < 2; rank++) join(plane, rank);
    for (const id of [0, 1]) ask(plane, id, 0, { pin: 0, promptTokens: 600 });
    ask(plane, 2, 0, { pin: 1, promptTokens: 200 });
    // At 30 ms half of the prefill on rank 0 has melted.
    act(plane);
    return heard.dispatched.some(([id]) => id === 1);
  };
  const arrival = (plane: InspectablePlane) => ask(plane, 9, 30, { promptTokens: 1 });
  const token = (id: number) => (plane: InspectablePlane) => plane.firstToken(id, 30);
  const end = (id: number) => (plane: InspectablePlane) => plane.ended(id, FINISHED, 30);
  const report = (plane: InspectablePlane) => plane.report(reportOf(1, 30), 30);
  const timer = (plane: InspectablePlane) => plane.timer(30);
  for (const act of [arrival, token(2), token(0), end(2), end(0), report, timer]) expect(next('always', act)).toBe(true);
  for (const recheck of ['events', undefined] as const) {
    for (const act of [arrival, token(2), end(2)]) expect(next(recheck, act)).toBe(false);
    for (const act of [token(0), end(0), report, timer]) expect(next(recheck, act)).toBe(true);
  }
});

test('a first token told twice is no event', () => {
  const heard = new Heard();
  const plane = createPlane({ ...options(FCFS, heard, new BranchTable()), router: MELTING });
  join(plane, 0);
  ask(plane, 0, 0, { promptTokens: 400 });
  plane.firstToken(0, 1);
  ask(plane, 1, 2, { promptTokens: 600 });
  ask(plane, 2, 2, { promptTokens: 600 });
  plane.firstToken(0, 60);
  expect(plane.waiting).toBe(1);
  plane.timer(60);
  expect(plane.waiting).toBe(0);
});

test('what nothing can serve is refused when its turn comes, and at the door if no worker is known or its pin is not allowed', () => {
  const { plane, heard } = world(FCFS, 1);
  for (let i = 0; i < 2; i++) ask(plane, i, 0);
  ask(plane, 2, 1, { allow: ['nobody'] });
  ask(plane, 3, 2, { pin: 0, allow: ['nobody'] });
  const codes = () => heard.refused.map(([id, refusal]) => [id, refusal.code]);
  expect([codes(), plane.queued]).toEqual([[[3, 'PIN_NOT_ALLOWED']], 2]);
  plane.firstToken(0, 3);
  expect([codes()[1], heard.dispatched.length, plane.queued]).toEqual([[2, 'ALL_EXCLUDED'], 2, 0]);
  const nobody = world(FCFS, 0);
  ask(nobody.plane, 0, 0);
  expect(nobody.heard.refused[0]![1].code).toBe('NO_WORKERS');
});

test('the record of a withdrawn request names the rank it would have got; nothing is booked', () => {
  const { plane, heard } = world(FCFS, 1);
  for (let i = 0; i < 3; i++) ask(plane, i, 0);
  plane.ended(1, { status: 'cancelled', stop: 'other', outputTokens: 0 }, 1);
  expect([plane.waiting, plane.queued]).toEqual([1, 2]);
  plane.firstToken(0, 2);
  const last = heard.records.slice(-2).map(({ id, action, waitMs, reasons }) => ({ id, action, waitMs, reason: reasons[0] }));
  expect(last).toEqual([
    { id: 'req-1', action: { kind: 'abandon', rank: 0 }, waitMs: 2, reason: 'ABANDONED' },
    { id: 'req-2', action: { kind: 'dispatch', rank: 0 }, waitMs: 2, reason: 'QUEUED' },
  ]);
  expect(heard.dispatched.map(([id]) => id)).toEqual([0, 2]);
  expect(plane.router.bookings.prefillTokens[0]).toBe(800);
});

test('limits grow with workers, not with their ranks', () => {
  const heard = new Heard();
  const plane = createPlane(options({ profile: singleClass('fcfs', 0.5, { maxRequests: 1 }) }, heard, new BranchTable()));
  for (let rank = 0; rank < 4; rank++) {
    plane.worker(
      { rank, state: 'joined', epoch: 0, key: `w${rank >> 1}/${rank & 1}`, facts: rankFacts(64, { maxBatchedTokens: 1000 }) },
      0,
    );
    plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
  }
  for (let i = 0; i < 8; i++) ask(plane, i, 0);
  expect([heard.dispatched.length, plane.waiting, heard.refused.length]).toEqual([4, 2, 2]);
});

test('a refusal by a full queue records the decision, of the affinity alone', () => {
  const { plane, heard } = world({ profile: singleClass('fcfs', 0.5, { maxRequests: 0 }) });
  for (let i = 0; i < 2; i++) ask(plane, i, 0);
  ask(plane, 2, 1, { affinity: 1 });
  const last = heard.records.at(-1)!;
  expect([last.action.kind, last.candidates.map((one) => one.rank)]).toEqual(['refuse', [1]]);
});

test('every request is placed, refused or withdrawn exactly once, and a log of the plane replays byte for byte', () => {
  const step = fc.record({
    kind: fc.constantFrom('ask', 'ask', 'token', 'end', 'cancel', 'timer'),
    pick: fc.nat(99),
    tokens: fc.integer({ min: 1, max: 1500 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom('fcfs', 'lcfs', 'wspt'), (steps, order) => {
      const queue: QueueOptions = { profile: singleClass(order as 'fcfs', 0.5, { maxRequests: 3 }), maxWaitMs: 50 };
      const branches = new BranchTable();
      const heard = new Heard();
      const lines: string[] = [];
      const make = (effects: Effects, table: BranchTable) => createPlane(options(queue, effects, table));
      let inner!: InspectablePlane;
      const plane = recordPlane(
        (effects, table) => (inner = make(effects, table)),
        heard,
        branches,
        (line) => lines.push(line),
      );
      for (let rank = 0; rank < 2; rank++) join(plane as InspectablePlane, rank);
      let attempts = 0;
      const withdrawn = new Set<number>();
      const running = () => heard.dispatched.map(([id]) => id).filter((id) => !withdrawn.has(id));
      steps.forEach(({ kind, pick, tokens }, i) => {
        const nowMs = 5 * i;
        const known = kind === 'cancel' ? [...Array(attempts).keys()].filter((id) => !withdrawn.has(id)) : running();
        const id = known[pick % Math.max(1, known.length)];
        if (kind === 'ask') plane.request(routeRequest({ attempt: attempts++, promptTokens: tokens }), nowMs);
        else if (kind === 'timer') plane.timer(nowMs);
        else if (id !== undefined && kind === 'token') plane.firstToken(id, nowMs);
        else if (id !== undefined) {
          withdrawn.add(id);
          plane.ended(id, kind === 'end' ? FINISHED : { status: 'cancelled', stop: 'other', outputTokens: 0 }, nowMs);
        }
      });
      for (let round = 0; inner.waiting > 0 || inner.inFlight > 0; round++) {
        if (round > 200) throw new Error('the queue does not drain');
        const id = running()[0];
        if (id === undefined) plane.timer(10_000);
        else {
          withdrawn.add(id);
          plane.ended(id, FINISHED, 1000);
        }
      }
      const placed = heard.dispatched.map(([id]) => id);
      const refused = heard.refused.map(([id]) => id);
      const both = [...placed, ...refused];
      expect(new Set(both).size).toBe(both.length);
      for (let id = 0; id < attempts; id++) expect(both.includes(id) || withdrawn.has(id)).toBe(true);
      expect(inner.router.bookings.size).toBe(0);
      expect(replayLog(lines, make).firstDifference).toBeUndefined();
    }),
    { numRuns: 150 },
  );
});
