/**
 * Builders for tests of workers: a small configuration, a step timer with a closed form, a sink that writes everything down, and the
 * loop that plays the cluster's part for one worker and its links.
 */
import { BranchTable } from '../../control/blocks.ts';
import { type ActionOutcome, KV_STORED, type KvAction, type KvEventBatch } from '../../control/ports.ts';
import { EVENT_CLASS } from '../kernel/event-class.ts';
import { BlockStore } from './block-store.ts';
import { emptyLoadView } from './empty-load-view.ts';
import { createLinkPool, type LinkPool, type LinkPoolOptions } from './links.ts';
import { type LowerTierParts, lowerTransfer } from './lower-tiers.ts';
import type { Regime, RunSegments, StepBatch, StepTimer } from './step-timer.ts';
import type { EndStatus, EngineConfig, EngineRequest, LoadView, Worker, WorkerCounters, WorkerParts, WorkerSink } from './worker.ts';

/** bs 4, 64 blocks, budget 32, synchronous FCFS, no host tier: the setting of the worked micro-scenarios (engine specification 10). */
export function engineConfig(overrides: Partial<EngineConfig> = {}): EngineConfig {
  return {
    blockTokens: 4,
    blocks: 64,
    maxBatchedTokens: 32,
    maxSeqs: 8,
    maxModelLen: 1024,
    prefixCaching: true,
    chunkedPrefill: true,
    longPrefillThreshold: 0,
    longPrefillAdaptive: false,
    reserveFullIsl: true,
    watermark: 0,
    policy: 'fcfs',
    asyncDepth: 1,
    rules: '0.32',
    onboard: 'always',
    hostBlocks: 0,
    blockBytesPerGpu: 1,
    gpus: 1,
    fragmentsPerBlock: 1,
    fragmentSubmitMs: 0,
    storeThreshold: 1,
    storePromptOnly: false,
    prefillMsPerToken: 0,
    prefillMsPerPair: 0,
    ...overrides,
  };
}

/** Coefficients of {@link AffineTimer}, ms. */
export interface AffineTimerOptions {
  /** Step = max(floorMs, baseMs + tokenMs * tokens + kvMs * decode KV tokens). */
  readonly baseMs: number;
  readonly tokenMs?: number;
  readonly kvMs?: number;
  readonly floorMs?: number;
}

/** The simplest timer whose decode runs change: linear in tokens and KV, with a floor. baseMs alone = constant steps. */
export class AffineTimer implements StepTimer {
  readonly run: RunSegments = { u0: 0, v0: 0, split: Number.POSITIVE_INFINITY, u1: 0, v1: 0 };
  readonly requestMs = 0;
  readonly regime: Regime = 'calibrated';
  readonly #options: Required<AffineTimerOptions>;

  constructor(options: AffineTimerOptions) {
    this.#options = { tokenMs: 0, kvMs: 0, floorMs: 0, ...options };
  }

  stepMs(batch: StepBatch): number {
    const { baseMs, tokenMs, kvMs, floorMs } = this.#options;
    let tokens = batch.decodeSeqs;
    for (let i = 0; i < batch.chunkCount; i++) tokens += batch.chunkTokens[i]!;
    if (tokens === 0) throw new Error('step without tokens');
    return Math.max(floorMs, baseMs + tokenMs * tokens + kvMs * batch.decodeKvTokens);
  }

  startRun(decodeSeqs: number, kvTokens: number, _maxKvTokens: number): void {
    const { baseMs, tokenMs, kvMs, floorMs } = this.#options;
    const first = baseMs + tokenMs * decodeSeqs + kvMs * kvTokens;
    const growth = kvMs * decodeSeqs;
    const run = this.run as { -readonly [K in keyof RunSegments]: number };
    const floored = first >= floorMs ? 0 : growth === 0 ? Number.POSITIVE_INFINITY : Math.ceil((floorMs - first) / growth);
    if (floored === 0) Object.assign(run, { u0: first, v0: growth, split: Number.POSITIVE_INFINITY, u1: first, v1: growth });
    else if (floored === Number.POSITIVE_INFINITY) Object.assign(run, { u0: floorMs, v0: 0, split: floored, u1: floorMs, v1: 0 });
    else Object.assign(run, { u0: floorMs, v0: 0, split: floored, u1: first + floored * growth, v1: growth });
  }

  runMs(steps: number): number {
    const { u0, v0, split, u1, v1 } = this.run;
    const head = Math.min(steps, split);
    const tail = steps - head;
    return head * u0 + (v0 * head * (head - 1)) / 2 + tail * u1 + (v1 * tail * (tail - 1)) / 2;
  }

  stepsWithin(withinMs: number): number {
    if (!(withinMs >= 0)) return 0;
    if (withinMs === Number.POSITIVE_INFINITY || (this.run.u0 === 0 && this.run.v0 === 0)) return Number.POSITIVE_INFINITY;
    let high = 1;
    while (this.runMs(high) <= withinMs) high *= 2;
    let low = 0;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.runMs(middle) <= withinMs) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** One sink call, in the order of the calls. tokenGaps and kvEvents are kept apart: their batching is free. */
export interface SinkCall {
  readonly what: string;
  readonly tMs: number;
  /** Everything but times. */
  readonly facts: readonly (string | number | boolean)[];
}

/** KV events of neighbours with one kind, tier and branch; offsets sorted, duplicates kept. */
export interface KvGroup {
  readonly publishedMs: number;
  readonly epoch: number;
  readonly kind: 'stored' | 'removed';
  readonly tier: number;
  readonly branch: number;
  readonly offsets: number[];
}

/** Removals of one block from one tier, in order: times and reasons. */
export interface BlockRemovals {
  readonly tier: number;
  readonly branch: number;
  readonly offset: number;
  readonly timesMs: number[];
  readonly reasons: number[];
}

/** Writes down everything a worker tells. */
export class RecordingSink implements WorkerSink {
  readonly calls: SinkCall[] = [];
  readonly groups: KvGroup[] = [];
  /** All gaps, one entry per token. */
  readonly gapsMs: number[] = [];
  /** By tier, branch and own offset. */
  readonly removals = new Map<string, BlockRemovals>();
  readonly #seq = new Map<number, number>();

  matched(id: number, tMs: number, hbmBlocks: number, hostBlocks: number): void {
    this.calls.push({ what: 'matched', tMs, facts: [id, hbmBlocks, hostBlocks] });
  }

  removed(_worker: number, tier: number, branch: number, from: number, to: number, sinceMs: number, tMs: number, reason: number): boolean {
    if (sinceMs !== tMs) return false;
    for (let offset = from; offset < to; offset++) {
      const key = `${tier}/${branch}/${offset}`;
      let block = this.removals.get(key);
      if (block === undefined) {
        block = { tier, branch, offset, timesMs: [], reasons: [] };
        this.removals.set(key, block);
      }
      block.timesMs.push(tMs);
      block.reasons.push(reason);
    }
    return true;
  }

  admitted(id: number, tMs: number, queryTokens: number, hitHbmTokens: number, hitHostTokens: number, first: boolean): void {
    this.calls.push({ what: 'admitted', tMs, facts: [id, queryTokens, hitHbmTokens, hitHostTokens, first] });
  }

  restoring(id: number, tMs: number, tokens: number, disk: number, remote: number): void {
    this.calls.push({ what: 'restoring', tMs, facts: [id, tokens, ...(disk + remote > 0 ? [disk, remote] : [])] });
  }

  firstToken(id: number, tMs: number): void {
    this.calls.push({ what: 'firstToken', tMs, facts: [id] });
  }

  tokenGaps(firstMs: number, incrementMs: number, count: number, weight: number): void {
    for (let k = 0; k < count; k++) for (let w = 0; w < weight; w++) this.gapsMs.push(firstMs + k * incrementMs);
  }

  ended(id: number, tMs: number, status: EndStatus, outputTokens: number, reason: string): void {
    this.calls.push({ what: 'ended', tMs, facts: [id, status, outputTokens, reason] });
  }

  preempted(id: number, tMs: number): void {
    this.calls.push({ what: 'preempted', tMs, facts: [id] });
  }

  kvEvents(_worker: number, batch: KvEventBatch, _tMs: number): void {
    const expected = this.#seq.get(batch.epoch) ?? 0;
    if (batch.seq < expected) throw new Error(`kvEvents: epoch ${batch.epoch} publication ${batch.seq} after ${expected}`);
    this.#seq.set(batch.epoch, batch.seq + 1);
    for (let i = 0; i < batch.count; i++) {
      const kind = batch.kind[i] === KV_STORED ? 'stored' : 'removed';
      const offsets: number[] = [];
      for (let offset = batch.from[i]!; offset < batch.to[i]!; offset++) offsets.push(offset);
      const last = this.groups.at(-1);
      const joins =
        last?.publishedMs === batch.publishedMs && last.kind === kind && last.tier === batch.tier[i] && last.branch === batch.branch[i];
      if (joins) {
        last.offsets.push(...offsets);
        last.offsets.sort((a, b) => a - b);
        continue;
      }
      const { publishedMs, epoch } = batch;
      this.groups.push({ publishedMs, epoch, kind, tier: batch.tier[i]!, branch: batch.branch[i]!, offsets });
    }
  }

  settled(action: KvAction, outcome: ActionOutcome, tMs: number): void {
    const { result, reason, appliedBlocks, requestedBlocks } = outcome;
    this.calls.push({ what: 'settled', tMs, facts: [action.id, result, reason ?? '', appliedBlocks, requestedBlocks] });
  }

  claimBroken(_worker: number, session: number, blocks: number, tMs: number): void {
    this.calls.push({ what: 'claimBroken', tMs, facts: [session, blocks] });
  }

  /** Times of `what` for request `id`. */
  times(what: string, id: number): number[] {
    return this.calls.filter((call) => call.what === what && call.facts[0] === id).map((call) => call.tMs);
  }
}

/** Something that happens to a worker from outside. */
export type WorkerInput =
  | { readonly tMs: number; readonly kind: 'submit'; readonly request: EngineRequest }
  | { readonly tMs: number; readonly kind: 'abort'; readonly id: number }
  | { readonly tMs: number; readonly kind: 'action'; readonly action: KvAction }
  | { readonly tMs: number; readonly kind: 'drain'; readonly deadlineMs: number }
  | { readonly tMs: number; readonly kind: 'crash' | 'restart' }
  | { readonly tMs: number; readonly kind: 'slowdown'; readonly factor: number }
  /** An observer: load view and resident blocks of some chains [branch, depth]. */
  | { readonly tMs: number; readonly kind: 'probe'; readonly chains: readonly (readonly [number, number])[] };

/** Class of an input at its time. */
export function classOf(kind: WorkerInput['kind']): number {
  if (kind === 'submit') return EVENT_CLASS.submit;
  if (kind === 'abort') return EVENT_CLASS.abort;
  if (kind === 'action') return EVENT_CLASS.control;
  return kind === 'probe' ? EVENT_CLASS.observe : EVENT_CLASS.lifecycle;
}

/** What an observer saw. */
export interface Observation {
  readonly tMs: number;
  readonly view: LoadView;
  /** [resident in HBM, continuation in host] per chain. */
  readonly chains: readonly (readonly [number, number])[];
}

/** A tier below the host tier of a scene, with links of its own. */
export interface LowerTierOptions extends Pick<LowerTierParts, 'tier' | 'write' | 'latencyMs'> {
  readonly blocks: number;
  /** Each way. */
  readonly bytesPerMs: number;
}

/** Builds such a tier for one worker; `onDone` hears of its transfers by the ids that the worker knows. */
export function lowerTier(
  { tier, write, latencyMs, blocks, bytesPerMs }: LowerTierOptions,
  onDone: (transfer: number, tMs: number) => void,
): LowerTierParts {
  const free = Number.POSITIVE_INFINITY;
  const rates = { h2dBytesPerMs: bytesPerMs, d2hBytesPerMs: bytesPerMs, duplexBytesPerMs: free, dramBytesPerMs: free };
  const links = createLinkPool({ gpus: 1, ...rates, onDone: (id, _link, tMs) => onDone(lowerTransfer(tier, id), tMs) });
  return { tier, store: new BlockStore(blocks), links, link: 0, copies: 1, write, latencyMs, readBytesPerMs: bytesPerMs };
}

/** A worker's world and what happens to it. */
export interface Scene {
  readonly config: EngineConfig;
  readonly branches: BranchTable;
  readonly timer: StepTimer;
  /** Null = no links; a host tier needs them. */
  readonly links: Omit<LinkPoolOptions, 'onDone'> | null;
  /** Tiers below the host tier; absent = none. */
  readonly lower?: readonly LowerTierOptions[];
  readonly inputs: readonly WorkerInput[];
  /** Calls worker.check(deep) after every effect. */
  readonly checks?: 'cheap' | 'deep';
}

/** What came of a scene. */
export interface Performance {
  readonly worker: Worker;
  readonly sink: RecordingSink;
  readonly counters: WorkerCounters;
  readonly observations: readonly Observation[];
  readonly endMs: number;
}

/** More calendar entries than this for one small scene mean that it never ends. */
const MAX_ENTRIES = 2_000_000;

/** Plays a scene to its end: always the smallest (time, class) among worker, links and inputs, as the cluster does. */
export function play(createWorker: (parts: WorkerParts) => Worker, scene: Scene): Performance {
  const sink = new RecordingSink();
  let worker: Worker | null = null;
  const links: LinkPool | null =
    scene.links === null
      ? null
      : createLinkPool({ ...scene.links, onDone: (transfer, _index, tMs) => worker!.transferDone(transfer, tMs) });
  const lower = (scene.lower ?? []).map((one) => lowerTier(one, (transfer, tMs) => worker!.transferDone(transfer, tMs)));
  const pools = [...(links === null ? [] : [links]), ...lower.map((one) => one.links)];
  const { config, branches, timer } = scene;
  worker = createWorker({ index: 0, config, branches, timer, links, sink, ...(lower.length === 0 ? {} : { lower }) });
  const inputs = scene.inputs
    .map((input, order) => ({ input, order, eventClass: classOf(input.kind) }))
    .sort((a, b) => a.input.tMs - b.input.tMs || a.eventClass - b.eventClass || a.order - b.order);
  const observations: Observation[] = [];
  let at = 0;
  let endMs = 0;
  for (let entries = 0; entries < MAX_ENTRIES; entries++) {
    const next = inputs[at];
    const inputMs = next?.input.tMs ?? Number.POSITIVE_INFINITY;
    const linksMs = pools.reduce((least, pool) => Math.min(least, pool.nextMs), Number.POSITIVE_INFINITY);
    const timeMs = Math.min(inputMs, linksMs, worker.nextMs);
    if (timeMs === Number.POSITIVE_INFINITY) {
      worker.advance(endMs, EVENT_CLASS.observe);
      worker.check(true);
      return { worker, sink, counters: worker.counters, observations, endMs };
    }
    endMs = timeMs;
    const inputClass = inputMs === timeMs ? next!.eventClass : Number.POSITIVE_INFINITY;
    const linksClass = linksMs === timeMs ? EVENT_CLASS.transfer : Number.POSITIVE_INFINITY;
    const workerClass = worker.nextMs === timeMs ? worker.nextClass : Number.POSITIVE_INFINITY;
    if (workerClass <= linksClass && workerClass <= inputClass) worker.advance(timeMs, workerClass);
    else if (linksClass <= inputClass) pools.find((pool) => pool.nextMs === timeMs)!.advance(timeMs);
    else {
      at++;
      const seen = give(worker, next!.input);
      if (seen !== null) observations.push(seen);
    }
    if (scene.checks !== undefined) worker.check(scene.checks === 'deep');
  }
  throw new Error(`scene not over after ${MAX_ENTRIES} entries at ${endMs} ms`);
}

function give(worker: Worker, input: WorkerInput): Observation | null {
  const { tMs } = input;
  if (input.kind === 'submit') worker.submit(input.request, tMs);
  else if (input.kind === 'abort') worker.abort(input.id, tMs);
  else if (input.kind === 'action') worker.apply(input.action, tMs);
  else if (input.kind === 'drain') worker.drain(tMs, input.deadlineMs);
  else if (input.kind === 'crash') worker.crash(tMs);
  else if (input.kind === 'restart') worker.restart(tMs);
  else if (input.kind === 'slowdown') worker.setSlowdown(input.factor, tMs);
  else if (input.kind === 'probe') return observe(worker, tMs, input.chains);
  return null;
}

function observe(worker: Worker, tMs: number, chains: readonly (readonly [number, number])[]): Observation {
  worker.advance(tMs, EVENT_CLASS.observe);
  const view = emptyLoadView();
  worker.loadView(tMs, view);
  const seen = chains.map(([branch, depth]) => {
    const resident = worker.residentBlocks(branch, depth);
    return [resident, worker.hostBlocks(branch, depth, resident)] as const;
  });
  return { tMs, view, chains: seen };
}

/** A branch table from token streams: requests with equal leading tokens share blocks, everything else is private. */
export class Prompts {
  readonly branches = new BranchTable();
  readonly #blockTokens: number;
  #nextId = 0;

  constructor(blockTokens: number) {
    this.#blockTokens = blockTokens;
  }

  /** A shared branch of whole blocks below `parent`. */
  shared(blocks: number, parent = -1, depth = 0): number {
    return parent < 0 ? this.branches.add(-1, 0, blocks) : this.branches.addAt(parent, depth, blocks);
  }

  /** A request whose first `depth` blocks are those of `branch` and whose other tokens nobody shares. */
  request(facts: { promptTokens: number; outputTokens: number; branch?: number; depth?: number } & Partial<EngineRequest>): EngineRequest {
    const { branch = -1, depth = 0, ...rest } = facts;
    const blocks = Math.ceil((facts.promptTokens + Math.max(facts.outputTokens, 1)) / this.#blockTokens);
    const leaf = facts.leaf ?? this.branches.addAt(branch, depth, Math.max(blocks - depth, 1), 1);
    const id = this.#nextId++;
    return { id, session: id, priority: 0, arrivalMs: 0, stopsEarly: false, ...rest, leaf };
  }
}
