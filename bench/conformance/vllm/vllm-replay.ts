/**
 * Replays a scenario recorded from vLLM's own scheduler, step by step, through the reference scheduler and compares every recorded
 * field. Format of the recordings: vectors/README.md.
 */
import { SchedulerRequest } from '../../../sim/engine/reference/request.ts';
import { NOTHING_OUTSIDE, Scheduler, type StepPlan } from '../../../sim/engine/reference/scheduler.ts';
import type { EngineConfig } from '../../../sim/engine/worker.ts';
import { type Difference, firstDifference } from '../suite.ts';
import { ChainKeys } from './recorded-chains.ts';
import type { RecordedConfig, RecordedScenario, RecordedStep } from './vllm-recording.ts';

/** What the replay found: the fields that differ in the first step with any, e.g. `step 12 free`, and how much was compared. */
export interface ReplayResult {
  readonly differences: readonly Difference[];
  readonly fields: number;
}

/** Replays one scenario. Stops after the first step that differs. */
export function replayScenario(scenario: RecordedScenario): ReplayResult {
  return new Replay(scenario).run();
}

/** `"4,6-5,7"` = 4, 6, 5, 7. */
export function expandRanges(text: string): number[] {
  const list: number[] = [];
  for (const part of text === '' ? [] : text.split(',')) {
    const [from, to = from] = part.split('-').map(Number) as [number, number?];
    const step = to >= from ? 1 : -1;
    for (let x = from; x !== to + step; x += step) list.push(x);
  }
  return list;
}

/** The engine settings of a recording. */
export function engineConfigOf(recorded: RecordedConfig): EngineConfig {
  return {
    blockTokens: recorded.block_size,
    blocks: recorded.num_blocks,
    maxBatchedTokens: recorded.max_num_batched_tokens,
    maxSeqs: recorded.max_num_seqs,
    maxModelLen: recorded.max_model_len,
    prefixCaching: recorded.enable_prefix_caching,
    chunkedPrefill: recorded.enable_chunked_prefill,
    longPrefillThreshold: recorded.long_prefill_token_threshold,
    longPrefillAdaptive: recorded.long_prefill_token_threshold_adaptive,
    reserveFullIsl: recorded.scheduler_reserve_full_isl,
    watermark: recorded.watermark,
    policy: recorded.policy,
    asyncDepth: recorded.async_depth,
    rules: '0.32',
    onboard: 'never',
    hostBlocks: 0,
    blockBytesPerGpu: 0,
    gpus: 1,
    fragmentsPerBlock: 1,
    fragmentSubmitMs: 0,
    storeThreshold: 1,
    storePromptOnly: false,
    prefillMsPerToken: 0,
    prefillMsPerPair: 0,
  };
}

const NO_STATISTICS: readonly number[] = [0, 0, 0, 0, 0, 0];

interface RequestLog {
  admittedAt: number;
  finishedAt: number;
  reason: string;
}

class Replay {
  readonly #scenario: RecordedScenario;
  readonly #scheduler: Scheduler;
  readonly #chains = new ChainKeys();
  readonly #requests = new Map<number, SchedulerRequest>();
  readonly #logs = new Map<number, RequestLog>();
  /** Steps whose output is outstanding, by iteration. */
  readonly #plans = new Map<number, StepPlan>();
  readonly #differences: Difference[] = [];
  readonly #numbers = new Map<number, number>();
  #events: string[] = [];
  /** Stored events (one per call that entered blocks) already published. */
  #publishedCalls = 0;
  /** Prefix-cache statistics since the last applied output. */
  #statistics = [...NO_STATISTICS];
  #submissions = 0;
  #expectedRun: readonly number[] = [];
  #expectedWait: readonly number[] = [];
  #fields = 0;
  /** Where the comparison is: `step 12` or `final`. */
  #place = '';

  constructor(scenario: RecordedScenario) {
    this.#scenario = scenario;
    const active = scenario.config.max_num_active_seqs;
    this.#scheduler = new Scheduler({
      config: engineConfigOf(scenario.config),
      outside: NOTHING_OUTSIDE,
      events: {
        stored: (key, parent) => this.#events.push(`S${parent < 0 ? '.' : this.#number(parent)}:${this.#number(key)}`),
        removed: (key) => this.#events.push(`R:${this.#number(key)}`),
        claimsBroken: () => {},
        totals: { hbmEvictedBlocks: 0, hbmExpiredBlocks: 0, claimsBroken: 0, claimsExpired: 0, duplicateBlocks: 0 },
      },
      failHopeless: false,
      ...(active === null ? {} : { maxActiveSeqs: active }),
    });
  }

  run(): ReplayResult {
    for (const step of this.#scenario.steps) {
      this.#place = `step ${step.t}`;
      this.#applyInputs(step);
      if (step.free !== undefined) this.#schedule(step);
      this.#applyOutput(step);
      if (this.#differences.length > 0) break;
    }
    this.#place = 'final';
    if (this.#differences.length === 0) this.#compareFinal();
    return { differences: this.#differences, fields: this.#fields };
  }

  #applyInputs(step: RecordedStep): void {
    for (const id of step.abort ?? []) {
      const request = this.#requests.get(id)!;
      this.#scheduler.finish(request);
      this.#logs.set(id, { ...this.#logs.get(id)!, reason: 'abort', finishedAt: step.t });
    }
    if (step.reset !== undefined) {
      const done = this.#scheduler.pool.reset();
      if (done) this.#events.push('C');
      this.#same('reset', done, step.reset);
    }
    for (const id of step.add ?? []) {
      const recorded = this.#scenario.requests[id]!;
      const prompt = recorded.prompt.reduce((sum, segment) => sum + segment[2], 0);
      const request = new SchedulerRequest({
        id,
        session: id,
        promptTokens: prompt,
        maxTokens: recorded.max_tokens,
        stopAt: recorded.stop_at ?? Number.POSITIVE_INFINITY,
        priority: recorded.priority ?? 0,
        arrival: this.#scenario.config.arrival_time === 'sequence' ? this.#submissions++ : step.t,
        keyOf: this.#chains.keysOf(recorded, this.#scenario.config.block_size),
      });
      this.#requests.set(id, request);
      this.#logs.set(id, { admittedAt: -1, finishedAt: -1, reason: '' });
      this.#scheduler.submit(request);
    }
  }

  #schedule(step: RecordedStep): void {
    const plan = this.#scheduler.schedule(step.t);
    if (plan.items.length > 0) this.#plans.set(step.t, plan);
    for (const { request } of plan.admitted) {
      const log = this.#logs.get(request.id)!;
      if (log.admittedAt < 0) log.admittedAt = step.t;
    }
    this.#same(
      's',
      plan.items.flatMap((i) => [i.request.id, i.n, i.computed]),
      step.s ?? [],
    );
    this.#same('new', admissions(plan, false), step.new ?? []);
    this.#same('res', admissions(plan, true), step.res ?? []);
    this.#same(
      'pre',
      plan.preempted.map((r) => r.id),
      step.pre ?? [],
    );
    const blocks = plan.items.filter((i) => i.blocks.length > 0).map((i) => [i.request.id, i.blocks]);
    this.#same(
      'b',
      blocks,
      (step.b ?? []).map(([id, text]) => [id, expandRanges(text)]),
    );
    this.#expectedRun = step.run ?? this.#expectedRun;
    this.#expectedWait = step.wait ?? this.#expectedWait;
    this.#same(
      'run',
      this.#scheduler.running.map((r) => r.id),
      this.#expectedRun,
    );
    this.#same(
      'wait',
      this.#scheduler.waiting.map((r) => r.id),
      this.#expectedWait,
    );
    this.#same('free', this.#scheduler.pool.free, step.free);
    if (this.#scenario.config.enable_prefix_caching) addPrefixStatistics(plan, this.#statistics);
    if (this.#scenario.config.async_depth === 2) {
      const others = this.#events.filter((event) => !event.startsWith('S')).length;
      this.#same('ne', this.#scheduler.storedCalls - this.#publishedCalls + others, step.ne ?? 0);
    }
  }

  #applyOutput(step: RecordedStep): void {
    const from = this.#scenario.config.async_depth === 1 ? step.t : step.u;
    if (from === undefined || (this.#scenario.config.async_depth === 1 && step.free === undefined)) return;
    const finished: number[] = [];
    const stale: number[] = [];
    const waste: number[] = [];
    for (const item of this.#plans.get(from)?.items ?? []) {
      const request = item.request;
      const applied = this.#scheduler.apply(item);
      if (applied.waste) waste.push(request.id);
      if (applied.stale && applied.token) stale.push(request.id);
      if (applied.finish === null) continue;
      this.#scheduler.finish(request);
      finished.push(request.id);
      const reason = applied.finish === 'length_capped' ? 'length' : applied.finish;
      this.#logs.set(request.id, { ...this.#logs.get(request.id)!, reason, finishedAt: step.t });
    }
    this.#plans.delete(from);
    this.#same('pc', this.#statistics, step.pc ?? NO_STATISTICS);
    this.#statistics = [...NO_STATISTICS];
    this.#same('fin', finished, step.fin ?? []);
    this.#same('stale', stale, step.stale ?? []);
    this.#same('waste', waste, step.waste ?? []);
    const events = this.#events;
    this.#events = [];
    this.#publishedCalls = this.#scheduler.storedCalls;
    this.#same('ev', events, (step.ev ?? []).flatMap(expandEvent));
    this.#same('f2', this.#scheduler.pool.free, step.f2 ?? step.free ?? this.#scheduler.pool.free);
    this.#expectedRun = this.#expectedRun.filter((id) => !finished.includes(id));
    this.#expectedWait = step.wait2 ?? this.#expectedWait;
    this.#same(
      'wait2',
      this.#scheduler.waiting.map((r) => r.id),
      this.#expectedWait,
    );
  }

  #compareFinal(): void {
    const { final } = this.#scenario;
    const requests = final.requests.map(([id]) => {
      const request = this.#requests.get(id)!;
      const log = this.#logs.get(id)!;
      const hit = Math.max(request.firstHitTokens, 0);
      return [id, log.admittedAt, hit, request.out, log.reason, log.finishedAt, request.preemptions];
    });
    this.#same('requests', requests, final.requests);
    const { pool } = this.#scheduler;
    this.#same('free_queue', pool.queue.toArray(), expandRanges(final.free_queue));
    this.#same('hashed_blocks', pool.cached, final.hashed_blocks);
    this.#same('distinct_hashes', pool.copies.size, final.distinct_hashes);
  }

  /** Number of a hash = order of first appearance in the events. */
  #number(key: number): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(key, number);
    }
    return number;
  }

  #same(field: string, got: unknown, expected: unknown): void {
    this.#fields++;
    const found = firstDifference(`${this.#place} ${field}`, got, expected);
    if (found !== undefined) this.#differences.push(found);
  }
}

function admissions(plan: StepPlan, resumed: boolean): number[][] {
  return plan.admitted.filter((a) => a.resumed === resumed).map((a) => [a.request.id, a.hitTokens]);
}

function addPrefixStatistics(plan: StepPlan, totals: number[]): void {
  for (const { resumed, queryTokens, hitTokens } of plan.admitted) {
    const at = resumed ? 3 : 0;
    totals[at]!++;
    totals[at + 1]! += queryTokens;
    totals[at + 2]! += hitTokens;
  }
}

/** One recorded event as one entry per block: `S1:2`, `R:4` or `C`. */
export function expandEvent(event: string): string[] {
  if (event === 'C') return ['C'];
  const [head, list] = event.split(':') as [string, string];
  if (head === 'R') return expandRanges(list).map((hash) => `R:${hash}`);
  let parent = head.slice(1);
  return expandRanges(list).map((hash) => {
    const entry = `S${parent}:${hash}`;
    parent = String(hash);
    return entry;
  });
}
