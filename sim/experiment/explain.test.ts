/** Injected changes shift the component and the cause that they should, in whole runs small enough to know the answer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { explainText } from '../../reports/text/explain.ts';
import { noPaint } from '../../reports/text/paint.ts';
import { boundMetric } from '../measure/metric-expression.ts';
import { growingSessions, handPlan, PRESSED } from './explain.fixture.ts';
import { ExplainReducer } from './explain-reduce.ts';
import type { ExplainResult } from './explain-result.ts';
import { type ExplainedRun, explainRun } from './explain-run.ts';
import { planFromText, planText } from './plan-file.ts';
import { resultJson } from './result-json.ts';
import type { RunPlan } from './run-plan.ts';
import { prepareTrace, startJob } from './simulate.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-explain-'));
afterAll(() => rmSync(folder, { recursive: true }));

const traceOf = growingSessions.bind(null, folder);

/** An observed run of the plan as it comes back from its file; it is the run that nobody observed. */
async function observed(plan: RunPlan, expr: string): Promise<ExplainedRun> {
  const again = planFromText(planText(plan));
  expect(again).toEqual(plan);
  const trace = await prepareTrace(again);
  const run = await explainRun(again, trace, 0, 0, boundMetric(expr));
  const job = startJob(plan, trace, { arm: 0, replication: 0 });
  while (job.step(1000));
  expect(run.runHash).toBe(job.run().runHash);
  return run;
}

/** Explains `now` against `before`. */
async function explained(file: string, before: readonly string[], now: readonly string[], expr = 'turn.ttft.mean'): Promise<ExplainResult> {
  const reducer = new ExplainReducer({
    kvcastVersion: '0',
    expr,
    aggregate: boundMetric(expr).aggregate,
    subject: { result: 'now', arm: 'a' },
    reference: { result: 'before', arm: 'a' },
    session: 's0',
  });
  reducer.add(0, await observed(await handPlan(file, now), expr), await observed(await handPlan(file, before), expr));
  const result = reducer.result();
  const { difference, components, rows, subject, reference, turns } = result;
  const sum = (list: readonly ExplainResult['rows'][number][], pick: (row: ExplainResult['rows'][number]) => number) =>
    list.reduce((all, row) => all + pick(row), 0);
  for (const list of [components, rows]) {
    expect(Math.abs(sum(list, (row) => row.delta!) - difference!.delta)).toBeLessThan(1e-6 * turns.subject);
    expect(sum(list, (row) => row.subject)).toBeCloseTo(subject.value!, 9);
    expect(sum(list, (row) => row.reference!)).toBeCloseTo(reference!.value!, 9);
  }
  const ids = new Set(['other', ...components.map((row) => row.id)]);
  for (const { rows: cited } of result.sentences) for (const id of cited) expect(ids).toContain(id);
  for (const line of explainText(result, noPaint).split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
  expect(JSON.parse(resultJson(result))).toMatchObject({ formatVersion: '1.0', command: 'explain' });
  return result;
}

const one = (key: string) => `fleet.pools.one.${key}`;
/** Components that moved by more than a microsecond a turn, and in which direction. */
const moved = (result: ExplainResult) => ({
  up: result.components.filter((row) => row.delta! > 1e-6).map((row) => row.component),
  down: result.components.filter((row) => row.delta! < -1e-6).map((row) => row.component),
});

describe('an injected change shows where it acts', () => {
  it('host bandwidth halved: loading takes longer, else only queues move', async () => {
    const file = traceOf('bandwidth', [
      { at: 0, blocks: 60, turns: 4, pauseMs: 60_000 },
      { at: 20_000, blocks: 60, turns: 4, pauseMs: 60_000 },
    ]);
    const host = [
      'fleet.contextLimit=5k',
      one('engine.with.kvBlocks=100'),
      one('tiers.host.size=64GiB'),
      one('engine.with.onboard=always'),
    ];
    const result = await explained(file, [...host, one('tiers.host.read=2GB/s')], [...host, one('tiers.host.read=1GB/s')]);
    const { up, down } = moved(result);
    expect(up).toEqual(['tierLoad.host']);
    expect(down).toEqual([]);
    const load = result.components.find((row) => row.component === 'tierLoad.host')!;
    expect(load.subject / load.reference!).toBeCloseTo(2, 1);
    expect(result.sentences[1]!.text).toContain('100 % more loading from the host tier');
  });

  it('TTL 5 min -> 30 s under pressure: tokens move from hits to ttl, and so does time', async () => {
    const file = traceOf('ttl', PRESSED);
    const ttl = (value: string) => [`control.retention={use: ttl-drop@1, with: {ttl: ${value}}}`];
    const result = await explained(file, ttl('5m'), ttl('30s'));
    const { subject, reference } = result.causes;
    expect(reference!.ttl).toBe(0);
    expect(subject.ttl).toBeGreaterThan(0.2);
    expect(subject.hbm + subject.ttl).toBeCloseTo(reference!.hbm, 9);
    expect(result.rows[0]).toMatchObject({ component: 'prefill.ttl', reference: 0 });
    expect(result.rows[0]!.delta! / result.difference!.delta).toBeGreaterThan(0.5);
  });

  it('a blind router instead of one that knows: routing', async () => {
    const file = traceOf('router', PRESSED);
    const three = one('workers=3');
    const result = await explained(file, [three, 'control.router=dynamo-kv@1'], [three, 'control.router=round-robin@1']);
    expect(result.rows[0]!.component).toBe('prefill.routing');
    expect(result.causes.subject.routing).toBeGreaterThan(0.3);
    expect(result.causes.reference!.routing).toBeLessThan(0.02);
    // The worst session says by what rule its costliest turn was sent to where nothing of it was.
    const [worst] = result.worst.byRegression;
    const [event] = worst!.costliest;
    expect(event).toMatchObject({ component: 'prefill.routing', decision: { reasons: ['RULE:turn'] } });
    expect(event!.missed[0]!.cause).toBe('routed_elsewhere');
    expect(explainText(result, noPaint)).toMatch(
      /prefill\.routing [\d.]+ s in s\d\/root\/\d: missed [\d,]+ routed_elsewhere[\s\S]* RULE:turn/,
    );
  });

  it('a turn of a session: what it missed adds up to what no tier served; the decision names the worker that was rated best', async () => {
    const three = one('workers=3');
    const file = traceOf('decision', PRESSED);
    const result = await explained(file, [three, 'control.router=round-robin@1'], [three, 'control.router=dynamo-kv@1']);
    expect(result.session).toHaveLength(6);
    for (const { promptTokens, missed, decision } of result.session) {
      expect(missed.reduce((sum, { tokens }) => sum + tokens, 0)).toBeLessThanOrEqual(promptTokens);
      expect(decision!.reasons[0]).toBe('RULE:kv');
      const [chosen, ...others] = decision!.scores;
      expect(decision!.worker).toBe(chosen!.worker);
      expect(others).toHaveLength(2);
      for (const other of others) expect(other.score).toBeGreaterThanOrEqual(chosen!.score);
      // Contributions explain the score.
      const sum = Object.values(chosen!.features).reduce((all, { contribution }) => all + contribution, 0);
      expect(sum).toBeCloseTo(chosen!.score, 9);
    }
    expect(result.session[0]!.decision!.reasons).toContain('COLD');
    const late = result.session.at(-1)!;
    expect(late.decision!.scores[0]!.cachedTokens).toBeGreaterThan(0);
  });

  it('a worker lost while sessions pause: fault', async () => {
    const file = traceOf('fault', PRESSED);
    const result = await explained(file, [], ['fleet.faults=[{kind: crash, at: 17s, pool: one, worker: 0, for: 1s}]']);
    expect(result.rows[0]).toMatchObject({ component: 'prefill.fault', reference: 0 });
    expect(result.causes.subject.fault).toBeGreaterThan(0.1);
  });

  it('a worker lost in the middle of a turn: the failed attempt is time of its own, what it had computed is lost to the fault', async () => {
    const file = traceOf('retry', [{ at: 0, blocks: 200, turns: 1, pauseMs: 0 }]);
    const crash = 'fleet.faults=[{kind: crash, at: 200ms, pool: one, worker: 0, for: 100ms}]';
    const result = await explained(file, [], [crash]);
    expect(moved(result).up).toContain('retry');
  });

  it('a quantile: rows over a band of ranks and what the band is off', async () => {
    const file = traceOf('band', PRESSED);
    const ttl = (value: string) => [`control.retention={use: ttl-drop@1, with: {ttl: ${value}}}`];
    const result = await explained(file, ttl('5m'), ttl('30s'), 'turn.e2e.p(90)');
    expect(result.rows[0]!.component).toBe('prefill.ttl');
    expect(result.turns.paired).toBeLessThan(result.turns.subject);
  });
});
