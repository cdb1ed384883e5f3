import { expect, it } from 'vitest';
import { jainIndex, tenantFairness } from './fairness.ts';
import { boundMetric } from './metric-expression.ts';
import { fixtureRun } from './run-fixture.ts';
import { TURN_STATUS, TurnTable } from './turn-table.ts';

const FAIRNESS = boundMetric('fairness.jain');

it('worked: 10, 10, 10, 30 gives 0.75 (retention specification 12)', () => {
  expect(jainIndex([10, 10, 10, 30])).toBeCloseTo(0.75, 12);
});

/** One finished turn of 1,000 prompt and 1 output token per entry, of the session given. */
function served(sessions: readonly number[], tenant: readonly number[], status: number = TURN_STATUS.finished) {
  const turns = new TurnTable(() => 1000);
  for (const turn of sessions.keys()) {
    turns.arrived(turn, 0);
    turns.dispatched(turn, 0, 0);
    turns.admitted(turn, 1, 0, 0);
    turns.firstToken(turn, 2);
    if (status === TURN_STATUS.finished) turns.finished(turn, 3, 1);
    else turns.ended(turn, status);
  }
  const run = fixtureRun();
  const turnClass = new Uint8Array(sessions.length);
  return fixtureRun({ turns, labels: { ...run.labels, turnClass, session: Int32Array.from(sessions), tenant: Int32Array.from(tenant) } });
}

it('a tenant with more sessions is not better served, one whose sessions get more is', () => {
  expect(tenantFairness(FAIRNESS, served([0, 1, 2], [0, 1, 1])).value).toBe(1);
  // Red gets 3,006 weighted tokens, blue 1,002: 16 / (2 x 10).
  expect(tenantFairness(FAIRNESS, served([0, 0, 0, 1], [0, 1])).value).toBeCloseTo(0.8, 12);
});

it('says why there is none', () => {
  expect(tenantFairness(FAIRNESS, served([0, 0], [0]))).toMatchObject({ value: null, reason: 'needs two tenants with a turn' });
  expect(tenantFairness(FAIRNESS, served([0, 1], [0, 1], TURN_STATUS.failed))).toMatchObject({ value: null, reason: 'nothing was served' });
});
