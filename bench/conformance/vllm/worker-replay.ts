/**
 * Replays a recorded scenario through a whole worker instead of step by step: the recorded arrivals, aborts and resets go in at their
 * iterations, and what the worker tells its sink is compared. A step with tokens takes 1 ms,
 * one without takes no time.
 */
import { KV_CLEARED, KV_STORED, type KvEventBatch } from '../../../control/ports.ts';
import { emptyLoadView } from '../../../sim/engine/empty-load-view.ts';
import { createJumpWorker } from '../../../sim/engine/jump/create-jump-worker.ts';
import { createReferenceWorker } from '../../../sim/engine/reference/reference-worker.ts';
import type { Regime, StepTimer } from '../../../sim/engine/step-timer.ts';
import type { EndStatus, Worker, WorkerParts, WorkerSink } from '../../../sim/engine/worker.ts';
import { EVENT_CLASS } from '../../../sim/kernel/event-class.ts';
import { type Difference, firstDifference } from '../suite.ts';
import { outputTokensOf, promptTokensOf, recordedBranches } from './recorded-chains.ts';
import { type BlockEvent, compareEvents, type Found, recordedEvents } from './recorded-events.ts';
import type { RecordedRequest, RecordedScenario } from './vllm-recording.ts';
import { engineConfigOf, expandRanges, type ReplayResult } from './vllm-replay.ts';

/** Every step takes 1 ms. */
class UnitTimer implements StepTimer {
  readonly run = { u0: 1, v0: 0, split: Number.POSITIVE_INFINITY, u1: 1, v1: 0 };
  readonly requestMs = 0;
  readonly regime: Regime = 'calibrated';

  stepMs(): number {
    return 1;
  }

  startRun(): void {}

  runMs(steps: number): number {
    return steps;
  }

  stepsWithin(withinMs: number): number {
    return Math.floor(withinMs);
  }
}

/** What happened at a time: comparable values, the kind of happening first. */
interface Happening {
  readonly tMs: number;
  readonly what: readonly unknown[];
}

/** Writes down what is compared. */
class Diary implements WorkerSink {
  readonly admissions: Happening[] = [];
  readonly preemptions: Happening[] = [];
  readonly ends: Happening[] = [];
  readonly events: BlockEvent[] = [];

  admitted(id: number, tMs: number, _query: number, hitHbmTokens: number, _host: number, first: boolean): void {
    this.admissions.push({ tMs, what: [id, hitHbmTokens, first ? 'new' : 'res'] });
  }

  matched(): void {}

  removed(): boolean {
    return true;
  }

  preempted(id: number, tMs: number): void {
    this.preemptions.push({ tMs, what: [id] });
  }

  ended(id: number, tMs: number, status: EndStatus, outputTokens: number, reason: string): void {
    const recorded = reason === 'length_capped' ? 'length' : reason;
    this.ends.push({ tMs, what: [id, outputTokens, status === 'finished' || status === 'aborted' ? recorded : `${status} ${reason}`] });
  }

  kvEvents(_worker: number, batch: KvEventBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const kind = batch.kind[i] === KV_STORED ? 'S' : batch.kind[i] === KV_CLEARED ? 'C' : 'R';
      const event = { tMs: batch.publishedMs, kind, branch: batch.branch[i]! } as const;
      if (kind === 'C') this.events.push({ ...event, offset: 0 });
      for (let offset = batch.from[i]!; offset < batch.to[i]!; offset++) this.events.push({ ...event, offset });
    }
  }

  restoring(): void {}
  firstToken(): void {}
  tokenGaps(): void {}
  settled(): void {}
  claimBroken(): void {}
}

/**
 * Whether the jumping engine can be told the inputs of a scenario as they were recorded; else it is no case of it. A worker ends a
 * running request at the end of the step in flight, the recorded asynchronous loop between two steps: with aborts it is none.
 */
export function fitsJumping(scenario: RecordedScenario): boolean {
  const { config, steps } = scenario;
  return timelineOf(scenario).fits && (config.async_depth === 1 || steps.every((s) => s.abort === undefined));
}

/** Whether the stepped engine's asynchronous loop can, which offers no resets. */
export function fitsAsynchronous(scenario: RecordedScenario): boolean {
  const { config, steps } = scenario;
  return config.async_depth === 2 && fitsJumping(scenario) && steps.every((s) => s.reset === undefined);
}

/** Replays a scenario through the jumping engine. */
export function replayJumping(scenario: RecordedScenario): ReplayResult {
  return replayWorker(scenario, createJumpWorker);
}

/** Replays a scenario of async_depth 2 through the worker of the stepped engine. */
export function replayAsynchronous(scenario: RecordedScenario): ReplayResult {
  return replayWorker(scenario, (parts) => createReferenceWorker(parts));
}

/** A worker, if it can with a reset of its prefix cache. */
type DrivenWorker = Worker & { resetPrefixCache?(tMs: number): boolean };

/**
 * Admissions with their hits, preemptions and ends in order, all with their times; KV events in order, with the time of publication if
 * synchronous; prefix statistics, steps and the final pool. `differences` holds the earliest one of each kind.
 */
function replayWorker(scenario: RecordedScenario, create: (parts: WorkerParts) => DrivenWorker): ReplayResult {
  const { config, requests, steps } = scenario;
  const diary = new Diary();
  const recorded = recordedBranches(scenario);
  const worker = create({
    index: 0,
    // Without a lower tier the limit of active requests is all that max_num_seqs does.
    config: { ...engineConfigOf(config), maxSeqs: config.max_num_active_seqs ?? config.max_num_seqs },
    branches: recorded.branches,
    timer: new UnitTimer(),
    links: null,
    sink: diary,
  });
  const comparison = new Comparison();
  const timeline = timelineOf(scenario);
  let submissions = 0;
  for (const [i, step] of steps.entries()) {
    const tMs = timeline.startMs[i]!;
    for (const id of step.abort ?? []) worker.abort(id, tMs);
    if (step.reset !== undefined) comparison.same(step.t, `step ${step.t} reset`, worker.resetPrefixCache?.(tMs), step.reset);
    for (const id of step.add ?? []) {
      const request = requests[id]!;
      worker.submit(
        {
          id,
          session: id,
          leaf: recorded.leaves[id]!,
          promptTokens: promptTokensOf(request),
          outputTokens: Math.min(request.max_tokens, request.stop_at ?? Number.POSITIVE_INFINITY),
          priority: request.priority ?? 0,
          arrivalMs: config.arrival_time === 'sequence' ? submissions++ : step.t,
          stopsEarly: stopsEarly(request, config.async_depth),
        },
        tMs,
      );
    }
  }
  runOut(worker, scenario);
  const expected = expectedHappenings(scenario, timeline);
  comparison.sequence('admissions', diary.admissions, expected.admissions);
  comparison.sequence('preemptions', diary.preemptions, expected.preemptions);
  comparison.sequence('ends', diary.ends, expected.ends);
  // An empty step of the asynchronous loop publishes in the recording; in a worker it takes no time and leaves that to the next one.
  const untimed = config.async_depth === 2;
  comparison.add(diary.events.length, compareEvents(diary.events, recordedEvents(steps, timeline), recorded.branches, untimed));
  compareTotals(comparison, worker, scenario);
  return { differences: comparison.inOrder(), fields: comparison.fields };
}

/**
 * Whether a stop token ends the request. An engine is not told the client's limit; asynchronous scheduling foresees the end by it also
 * where the last allowed token happens to be a stop token, so such a request ends by length here.
 */
function stopsEarly({ stop_at = Number.POSITIVE_INFINITY, max_tokens }: RecordedRequest, asyncDepth: number): boolean {
  return asyncDepth === 1 ? stop_at <= max_tokens : stop_at < max_tokens;
}

/** Lets the worker go on until nothing is left to do, at most as long as one request after the other would need. */
function runOut(worker: Worker, { config, requests, steps }: RecordedScenario): void {
  let limitMs = steps.at(-1)!.t + 1;
  for (const request of requests) limitMs += promptTokensOf(request) + outputTokensOf(request, config.max_model_len);
  while (worker.nextMs <= limitMs) worker.advance(worker.nextMs, EVENT_CLASS.observe);
}

/** When the recorded iterations happen in a worker whose steps take 1 ms. */
interface Timeline {
  /** When inputs come in and schedule() runs. */
  readonly startMs: readonly number[];
  /** When the output was applied. */
  readonly endMs: readonly number[];
  /** Every input comes before all schedules of its time; between two schedules of one time no worker can be told anything. */
  readonly fits: boolean;
}

function timelineOf({ config, steps }: RecordedScenario): Timeline {
  const isAsynchronous = config.async_depth === 2;
  const startMs: number[] = [];
  const endMs: number[] = [];
  /** When schedule() decided steps with tokens whose output was not applied yet, by iteration. */
  const decidedMs = new Map<number, number>();
  let nowMs = 0;
  let scheduledMs = -1;
  let fits = true;
  /** A step begins when it is decided and the one before it has ended, which was now or earlier. */
  const apply = (iteration: number) => {
    const decided = decidedMs.get(iteration);
    if (decided !== undefined) nowMs = Math.max(decided, nowMs) + 1;
    decidedMs.delete(iteration);
  };
  for (const step of steps) {
    // The iteration that applied a step is not listed if nothing came of it; it was the one after that step.
    for (const iteration of [...decidedMs.keys()]) if (iteration < step.t - 1) apply(iteration);
    startMs.push(nowMs);
    const isInput = step.add !== undefined || step.abort !== undefined || step.reset !== undefined;
    if (isInput && scheduledMs === nowMs) fits = false;
    const isEmpty = step.s === undefined;
    if (step.free !== undefined && (isAsynchronous || !isEmpty || step.pre !== undefined)) scheduledMs = nowMs;
    if (!isEmpty) decidedMs.set(step.t, nowMs);
    apply(isAsynchronous ? (step.u ?? -1) : step.t);
    endMs.push(nowMs);
  }
  return { startMs, endMs, fits };
}

function expectedHappenings({ config, requests, steps, final }: RecordedScenario, { startMs, endMs }: Timeline) {
  const admissions: Happening[] = [];
  const preemptions: Happening[] = [];
  const ends: Happening[] = [];
  const outcomes = new Map(final.requests.map((request) => [request[0], request]));
  const end = (id: number, tMs: number) => {
    const [, , , out, reason] = outcomes.get(id) ?? [];
    const foreseen = reason === 'stop' && !stopsEarly(requests[id]!, config.async_depth);
    ends.push({ tMs, what: [id, out, foreseen ? 'length' : reason] });
  };
  for (const [i, step] of steps.entries()) {
    const tMs = startMs[i]!;
    const hits = new Map<number, readonly unknown[]>();
    for (const [id, hit] of step.new ?? []) hits.set(id, [id, hit, 'new']);
    for (const [id, hit] of step.res ?? []) hits.set(id, [id, hit, 'res']);
    for (const id of (step.s ?? []).filter((_, k) => k % 3 === 0)) if (hits.has(id)) admissions.push({ tMs, what: hits.get(id)! });
    for (const id of step.pre ?? []) preemptions.push({ tMs, what: [id] });
    for (const id of step.abort ?? []) end(id, tMs);
    for (const id of step.fin ?? []) end(id, endMs[i]!);
  }
  return { admissions, preemptions, ends };
}

function compareTotals(comparison: Comparison, worker: Worker, { config, steps, final }: RecordedScenario): void {
  const { counters } = worker;
  const view = emptyLoadView();
  worker.loadView(0, view);
  const at = Number.POSITIVE_INFINITY;
  comparison.same(at, 'final free', view.kvUsableBlocks - view.kvReferencedBlocks, expandRanges(final.free_queue).length);
  comparison.same(at, 'final hashed_blocks', view.kvCachedBlocks, final.hashed_blocks);
  comparison.same(at, 'final steps', counters.steps, steps.filter((step) => step.s !== undefined).length);
  if (!config.enable_prefix_caching) return;
  const totals = [0, 0, 0, 0, 0, 0];
  for (const step of steps) for (const [k, value] of (step.pc ?? []).entries()) totals[k]! += value;
  const { queryTokensFirst, hitHbmTokensFirst, queryTokensAgain, hitHbmTokensAgain } = counters;
  const [requests, queries, hits, requestsAgain, queriesAgain, hitsAgain] = totals as [number, number, number, number, number, number];
  comparison.same(at, 'final pc requests', counters.admissions, requests + requestsAgain);
  comparison.same(
    at,
    'final pc tokens',
    [queryTokensFirst, hitHbmTokensFirst, queryTokensAgain, hitHbmTokensAgain],
    [queries, hits, queriesAgain, hitsAgain],
  );
}

/** Collects the first difference of each kind and when it happened. */
class Comparison {
  fields = 0;
  readonly #found: Found[] = [];

  same(tMs: number, field: string, got: unknown, expected: unknown): void {
    this.fields++;
    const difference = firstDifference(field, got, expected);
    if (difference !== undefined) this.#found.push({ tMs, difference });
  }

  /** Compares time and values of all happenings in order; the field is e.g. `ends at 12 ms`. */
  sequence(name: string, got: readonly Happening[], expected: readonly Happening[]): void {
    const count = Math.max(got.length, expected.length);
    this.fields += 1 + expected.length;
    for (let i = 0; i < count; i++) {
      const [g, e] = [got[i], expected[i]];
      const tMs = Math.min(g?.tMs ?? Number.POSITIVE_INFINITY, e?.tMs ?? Number.POSITIVE_INFINITY);
      if (firstDifference(name, listed(g), listed(e)) === undefined) continue;
      this.#found.push({ tMs, difference: { field: `${name} at ${tMs} ms`, got: listed(g), expected: listed(e) } });
      return;
    }
  }

  /** What another comparison of `fields` values found. */
  add(fields: number, found: Found | undefined): void {
    this.fields += 1 + fields;
    if (found !== undefined) this.#found.push(found);
  }

  /** Earliest first. */
  inOrder(): Difference[] {
    return this.#found.toSorted((a, b) => a.tMs - b.tMs).map(({ difference }) => difference);
  }
}

/** `[ms, values…]`. */
function listed(happening: Happening | undefined): readonly unknown[] | undefined {
  return happening === undefined ? undefined : [happening.tMs, ...happening.what];
}
