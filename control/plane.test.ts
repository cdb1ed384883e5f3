import { expect, test } from 'vitest';
import { BranchTable } from './blocks.ts';
import { createPlane, type InspectablePlane } from './plane.ts';
import type { DecisionRecord, Effects, KvAction, Placement, RecordLevel, Refusal, RetentionPolicy, RouteRequest } from './ports.ts';
import { reexecute } from './router/decision-record.ts';
import { rankFacts, routeRequest } from './router/router-fixture.ts';

class Heard implements Effects {
  readonly dispatched: [string, Placement][] = [];
  readonly refused: [string, Refusal][] = [];
  readonly actions: KvAction[] = [];
  readonly records: DecisionRecord[] = [];
  dispatch(request: RouteRequest, placement: Placement): void {
    this.dispatched.push([request.id, placement]);
  }
  refuse(request: RouteRequest, refusal: Refusal): void {
    this.refused.push([request.id, refusal]);
  }
  act(action: KvAction): void {
    this.actions.push(action);
  }
  wakeAt(): void {}
  decided(record: DecisionRecord): void {
    this.records.push(record);
  }
}

interface World {
  plane: InspectablePlane;
  heard: Heard;
  branches: BranchTable;
}

function world(preset: string, options: { recordLevel?: RecordLevel; retention?: RetentionPolicy; ranks?: number } = {}): World {
  const heard = new Heard();
  const branches = new BranchTable();
  const { recordLevel = 'off', retention = null, ranks = 3 } = options;
  const plane = createPlane({ branches, router: { preset }, retention, seed: 42, recordLevel, effects: heard });
  for (let rank = 0; rank < ranks; rank++) {
    plane.worker({ rank, state: 'joined', epoch: 0, key: `w${rank}/0`, facts: rankFacts(64) }, 0);
    plane.worker({ rank, state: 'ready', epoch: 0 }, 0);
  }
  return { plane, heard, branches };
}

const FINISHED = { status: 'finished', stop: 'tool', outputTokens: 10 } as const;

test('a request is dispatched and booked in one turn, and its end gives everything back', () => {
  const { plane, heard } = world('least-requests@1');
  for (let i = 0; i < 100; i++) plane.request(routeRequest({ attempt: i, promptTokens: 1000 }), 0);
  const perRank = [0, 0, 0];
  for (const [, placement] of heard.dispatched) perRank[placement.rank]!++;
  expect([...perRank].sort()).toEqual([33, 33, 34]);
  expect([...plane.router.bookings.inflight.subarray(0, 3)]).toEqual(perRank);
  for (let i = 0; i < 100; i++) plane.firstToken(i, 1);
  expect([...plane.router.bookings.prefillTokens.subarray(0, 3)]).toEqual([0, 0, 0]);
  for (let i = 0; i < 100; i++) {
    plane.ended(i, FINISHED, 2);
    plane.ended(i, FINISHED, 2);
  }
  expect([...plane.router.bookings.inflight.subarray(0, 3)]).toEqual([0, 0, 0]);
  expect([...plane.router.bookings.activeBlocks.subarray(0, 3)]).toEqual([0, 0, 0]);
  expect([plane.inFlight, plane.router.bookings.size, plane.router.bookings.lists.pairs]).toEqual([0, 0, 0]);
});

test('nobody to ask is a reasoned refusal', () => {
  const { plane, heard } = world('random@1', { ranks: 0, recordLevel: 'full' });
  plane.request(routeRequest({ attempt: 1 }), 0);
  expect(heard.refused).toEqual([['req-1', { status: 503, code: 'NO_WORKERS' }]]);
  expect(heard.records[0]!.reasons).toEqual(['NO_WORKERS']);

  const two = world('random@1', { ranks: 2 });
  two.plane.request(routeRequest({ attempt: 2, exclude: [0, 1] }), 0);
  two.plane.request(routeRequest({ attempt: 3, promptTokens: 65_000_000 }), 0);
  two.plane.worker({ rank: 0, state: 'draining', epoch: 0 }, 0);
  two.plane.worker({ rank: 1, state: 'draining', epoch: 0 }, 0);
  two.plane.request(routeRequest({ attempt: 4 }), 0);
  two.plane.worker({ rank: 0, state: 'lost', epoch: 0 }, 0);
  two.plane.worker({ rank: 1, state: 'lost', epoch: 0 }, 0);
  two.plane.request(routeRequest({ attempt: 5 }), 0);
  expect(two.heard.refused.map(([, refusal]) => refusal.code)).toEqual(['ALL_EXCLUDED', 'context_too_long', 'ALL_UNHEALTHY', 'NO_WORKERS']);
});

test('round robin takes ready ranks in the order of their keys, and a refused or excluded one does not shift it', () => {
  const { plane, heard } = world('round-robin@1');
  for (let i = 0; i < 6; i++) plane.request(routeRequest({ attempt: i }), 0);
  expect(heard.dispatched.map(([, placement]) => placement.rank)).toEqual([0, 1, 2, 0, 1, 2]);
});

test('a lost worker loses its index bits and bookings in the same turn', () => {
  const { plane, heard, branches } = world('dynamo-kv@1');
  const chain = branches.add(-1, 0, 10);
  plane.request(routeRequest({ attempt: 1, promptTokens: 640, branch: chain, depthBlocks: 10 }), 0);
  const { rank } = heard.dispatched[0]![1];
  plane.worker({ rank, state: 'lost', epoch: 0 }, 1);
  expect(plane.router.bookings.size).toBe(0);
  plane.ended(1, { status: 'lost', stop: 'other', outputTokens: 0 }, 2);
  plane.request(routeRequest({ attempt: 2, promptTokens: 640, branch: chain, depthBlocks: 10 }), 3);
  expect(heard.dispatched[1]![1].rank).not.toBe(rank);
  expect(plane.inFlight).toBe(1);
});

test('retention hears of dispatch, end, close and loss, and its actions get ids and outcomes', () => {
  const told: string[] = [];
  const retention: RetentionPolicy = {
    name: 'spy',
    deployable: 'yes',
    on(event, act) {
      told.push(event.kind === 'finished' ? `finished:${event.pause}` : event.kind);
      if (event.kind !== 'finished') return;
      const { branch, depthBlocks } = event.request;
      const range = { branch, fromBlocks: 0, toBlocks: depthBlocks };
      act({
        ...range,
        verb: 'pin',
        rank: event.rank,
        session: 0,
        untilMs: 9,
        hardness: 'soft',
        mode: 'max',
        onExpiry: 'drop',
        tierFloor: 0,
      });
    },
    settled(action, outcome) {
      told.push(`settled:${action.id}:${outcome.result}`);
    },
  };
  const { plane, heard } = world('random@1', { retention });
  for (let i = 0; i < 2; i++) plane.request(routeRequest({ attempt: i }), 0);
  plane.ended(0, FINISHED, 1);
  plane.ended(1, { ...FINISHED, toolNames: ['Task'], sessionFinal: true }, 1);
  plane.settled(0, { result: 'accepted', appliedBlocks: 1, requestedBlocks: 1 }, 2);
  plane.settled(0, { result: 'accepted', appliedBlocks: 1, requestedBlocks: 1 }, 2);
  plane.worker({ rank: 0, state: 'lost', epoch: 0 }, 3);
  expect(told).toEqual(['dispatched', 'dispatched', 'finished:tool', 'finished:none', 'closed', 'settled:0:accepted', 'lost']);
  expect(heard.actions.map((action) => action.id)).toEqual([0, 1]);
});

test('a full record explains the score and repeats the choice', () => {
  for (const preset of ['dynamo-kv@1', 'least-requests@1', 'power-of-two@1', 'random@1', 'round-robin@1', 'session-hash@1']) {
    const { plane, heard, branches } = world(preset, { recordLevel: 'full', ranks: 5 });
    const chain = branches.add(-1, 0, 40);
    for (let i = 0; i < 60; i++) {
      const depthBlocks = 1 + ((i * 7) % 40);
      plane.request(
        routeRequest({ attempt: i, promptTokens: 64 * depthBlocks + 5, branch: chain, depthBlocks, sessionKey: `s${i % 7}` }),
        i,
      );
      if (i % 3 === 0) plane.firstToken(i, i);
    }
    expect(heard.records).toHaveLength(60);
    for (const record of heard.records) {
      if (record.action.kind !== 'dispatch') throw new Error('not dispatched');
      expect(reexecute(record, plane.router.policy, 42)).toBe(record.action.rank);
      for (const candidate of record.candidates) {
        const sum = Object.values(candidate.features).reduce((total, feature) => total + feature.contribution, 0);
        expect(Math.abs(sum - candidate.score)).toBeLessThan(1e-9);
      }
      expect(JSON.parse(JSON.stringify(record))).toEqual(record);
    }
  }
});

test('a retention policy is woken at the time it asks for, once, and hears why a session ended or shrank', () => {
  const told: unknown[] = [];
  const woken: number[] = [];
  const retention: RetentionPolicy & { wakeMs: number } = {
    name: 'spy',
    deployable: 'yes',
    wakeMs: Number.POSITIVE_INFINITY,
    on(event) {
      if (event.kind === 'closed') told.push([event.kind, event.reason]);
      else if (event.kind === 'compacted') told.push([event.kind, event.keptTokens]);
      else told.push([event.kind, event.kind === 'tick' ? event.nowMs : 0]);
      this.wakeMs = event.kind === 'compacted' ? 500 : Number.POSITIVE_INFINITY;
    },
    settled: () => undefined,
  };
  const { plane, heard } = world('round-robin@1', { retention });
  heard.wakeAt = (tMs?: number): void => void woken.push(tMs!);
  plane.hint({ kind: 'sessionCompacted', session: 0 }, 1);
  plane.hint({ kind: 'sessionCompacted', session: 0, keptTokens: 64 }, 2);
  plane.timer(100);
  plane.timer(500);
  plane.timer(501);
  plane.hint({ kind: 'release', session: 0 }, 550);
  plane.hint({ kind: 'sessionClosed', session: 0 }, 600);
  plane.request(routeRequest({ attempt: 1 }), 700);
  plane.ended(1, { ...FINISHED, sessionFinal: true }, 800);
  expect(told).toEqual([
    ['compacted', 64],
    ['tick', 500],
    ['closed', 'released'],
    ['closed', 'explicit'],
    ['dispatched', 0],
    ['finished', 0],
    ['closed', 'final'],
  ]);
  expect(woken).toEqual([500, 500]);
});
