/**
 * Random small workloads for one worker and the record of what an implementation does with them, so that two engines can be held
 * equal (engine specification 6.5). Used by the property tests of both engines.
 */
import { BRANCH_PRIVATE, BranchTable } from '../../control/blocks.ts';
import type { KvAction } from '../../control/ports.ts';
import type { LinkPoolOptions } from './links.ts';
import type { EngineConfig, EngineRequest, HostWrite, Ranker, Worker, WorkerCounters, WorkerParts } from './worker.ts';
import {
  AffineTimer,
  type AffineTimerOptions,
  type BlockRemovals,
  engineConfig,
  type KvGroup,
  type LowerTierOptions,
  type Observation,
  play,
  type SinkCall,
  type WorkerInput,
} from './worker-fixtures.ts';

/** What a case may contain. A missing field means yes. */
export interface CaseFlavour {
  readonly aborts?: boolean;
  readonly claims?: boolean;
  /** Every case has many actions on marks. */
  readonly manyClaims?: boolean;
  readonly host?: boolean;
  readonly prefetch?: boolean;
  /** True: in every case; missing: in one of five. */
  readonly asyncDepth2?: boolean;
  readonly lifecycle?: boolean;
  /** Steps take no time. A missing field means no. */
  readonly instant?: boolean;
  /** Times are multiples of 1/8 ms and durations dyadic, so that ties happen and times are exact. */
  readonly dyadic?: boolean;
  /** Default lru. */
  readonly ranker?: Ranker;
  /** Disk, remote store or both below the host tier. A missing field means no. */
  readonly lower?: boolean;
}

/** One workload. Plain data; the branch table is never changed by a worker. */
export interface WorkerCase {
  readonly seed: number;
  readonly config: EngineConfig;
  readonly branches: BranchTable;
  readonly timer: AffineTimerOptions;
  readonly links: Omit<LinkPoolOptions, 'onDone'> | null;
  readonly lower?: readonly LowerTierOptions[];
  readonly inputs: readonly WorkerInput[];
}

/** What an engine did with a case. */
export interface WorkerLog {
  readonly calls: readonly SinkCall[];
  /** Sorted by length. */
  readonly gapsMs: readonly number[];
  readonly groups: readonly KvGroup[];
  readonly removals: ReadonlyMap<string, BlockRemovals>;
  readonly counters: WorkerCounters;
  readonly observations: readonly Observation[];
}

/** The case of a seed: equal seeds and flavours give equal cases. */
export function randomCase(seed: number, flavour: CaseFlavour = {}): WorkerCase {
  return new CaseMaker(seed, flavour).make();
}

/** Plays a case on an engine. `checks` runs the invariants after every effect. */
export function recordWorker(createWorker: (parts: WorkerParts) => Worker, workload: WorkerCase, checks?: 'cheap' | 'deep'): WorkerLog {
  const { config, branches, links, lower, inputs } = workload;
  const timer = new AffineTimer(workload.timer);
  const scene = {
    config,
    branches,
    timer,
    links,
    inputs,
    ...(lower === undefined ? {} : { lower }),
    ...(checks === undefined ? {} : { checks }),
  };
  const { sink, counters, observations } = play(createWorker, scene);
  return {
    calls: sink.calls,
    gapsMs: sink.gapsMs.toSorted((a, b) => a - b),
    groups: sink.groups,
    removals: sink.removals,
    counters,
    observations,
  };
}

/** First difference between two logs, or null. Times may differ by 1e-9 relative or 1e-6 ms; everything else is exact. */
export function firstDifference(got: WorkerLog, expected: WorkerLog): string | null {
  return (
    differenceOfCalls(got, expected) ??
    differenceOfGroups(got, expected) ??
    differenceOfRemovals(got, expected) ??
    differenceOfObservations(got, expected) ??
    differenceOfCounters(got.counters, expected.counters) ??
    differenceOfGaps(got.gapsMs, expected.gapsMs)
  );
}

/** Times count as equal: relative 1e-9 or absolute 1e-6 ms (engine specification 6.5). */
export function sameTime(a: number, b: number): boolean {
  if (a === b) return true;
  return Math.abs(a - b) <= Math.max(1e-6, 1e-9 * Math.max(Math.abs(a), Math.abs(b)));
}

function differenceOfCalls(got: WorkerLog, expected: WorkerLog): string | null {
  const show = (call: SinkCall | undefined) => (call === undefined ? 'nothing' : `${call.what}(${call.facts.join(', ')}) at ${call.tMs}`);
  const count = Math.max(got.calls.length, expected.calls.length);
  for (let i = 0; i < count; i++) {
    const g = got.calls[i];
    const e = expected.calls[i];
    const same =
      g !== undefined && e !== undefined && g.what === e.what && sameTime(g.tMs, e.tMs) && g.facts.join('|') === e.facts.join('|');
    if (!same) return `call ${i}: got ${show(g)}, expected ${show(e)}`;
  }
  return null;
}

function differenceOfGroups(got: WorkerLog, expected: WorkerLog): string | null {
  const show = (group: KvGroup | undefined) =>
    group === undefined
      ? 'nothing'
      : `${group.kind} tier ${group.tier} branch ${group.branch} [${group.offsets}] epoch ${group.epoch} at ${group.publishedMs}`;
  const count = Math.max(got.groups.length, expected.groups.length);
  for (let i = 0; i < count; i++) {
    const g = got.groups[i];
    const e = expected.groups[i];
    const same =
      g !== undefined &&
      e !== undefined &&
      sameTime(g.publishedMs, e.publishedMs) &&
      `${g.kind} ${g.tier} ${g.branch} ${g.epoch} ${g.offsets}` === `${e.kind} ${e.tier} ${e.branch} ${e.epoch} ${e.offsets}`;
    if (!same) return `kv events ${i}: got ${show(g)}, expected ${show(e)}`;
  }
  return null;
}

/** When and why each block left each tier. */
function differenceOfRemovals(got: WorkerLog, expected: WorkerLog): string | null {
  const show = (block: BlockRemovals | undefined) => (block === undefined ? 'nothing' : `${block.reasons} at ${block.timesMs}`);
  for (const [key, e] of expected.removals) {
    const g = got.removals.get(key);
    const same = g !== undefined && g.reasons.join() === e.reasons.join() && e.timesMs.every((tMs, i) => sameTime(tMs, g.timesMs[i]!));
    if (!same) return `removals of block ${key}: got ${show(g)}, expected ${show(e)}`;
  }
  if (got.removals.size !== expected.removals.size) return `${got.removals.size} blocks removed, expected ${expected.removals.size}`;
  return null;
}

function differenceOfObservations(got: WorkerLog, expected: WorkerLog): string | null {
  for (let i = 0; i < expected.observations.length; i++) {
    const g = got.observations[i]!;
    const e = expected.observations[i]!;
    for (const field of Object.keys(e.view) as (keyof typeof e.view)[]) {
      if (!sameTime(g.view[field], e.view[field])) return `view at ${e.tMs} ${field}: got ${g.view[field]}, expected ${e.view[field]}`;
    }
    if (g.chains.join(';') !== e.chains.join(';')) return `chains at ${e.tMs}: got ${g.chains.join(';')}, expected ${e.chains.join(';')}`;
  }
  return null;
}

function differenceOfCounters(got: WorkerCounters, expected: WorkerCounters): string | null {
  for (const field of Object.keys(expected) as (keyof WorkerCounters)[]) {
    if (field === 'events' || field === 'segmentsTouched' || field === 'regimeMs') continue;
    if (!sameTime(got[field], expected[field])) return `counter ${field}: got ${got[field]}, expected ${expected[field]}`;
  }
  for (const regime of Object.keys(expected.regimeMs) as (keyof WorkerCounters['regimeMs'])[]) {
    if (!sameTime(got.regimeMs[regime], expected.regimeMs[regime])) return `regimeMs ${regime}`;
  }
  return null;
}

function differenceOfGaps(got: readonly number[], expected: readonly number[]): string | null {
  if (got.length !== expected.length) return `${got.length} token gaps, expected ${expected.length}`;
  const at = got.findIndex((gap, i) => !sameTime(gap, expected[i]!));
  return at < 0 ? null : `token gap ${at} by length: got ${got[at]}, expected ${expected[at]}`;
}

/** mulberry32: a small generator of 32-bit numbers that is the same everywhere. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

class CaseMaker {
  readonly #seed: number;
  readonly #flavour: CaseFlavour;
  readonly #next: () => number;
  readonly #branches = new BranchTable();
  readonly #dyadic: boolean;
  readonly #inputs: WorkerInput[] = [];
  readonly #requests: EngineRequest[] = [];
  #config = engineConfig();
  #spanMs = 0;
  #actions = 0;

  constructor(seed: number, flavour: CaseFlavour) {
    this.#seed = seed;
    this.#flavour = flavour;
    this.#next = generator(Math.imul(seed, 0x9e3779b1) + 0x85ebca6b);
    this.#dyadic = flavour.dyadic ?? this.#chance(0.4);
  }

  make(): WorkerCase {
    const timer = this.#timer();
    this.#config = this.#makeConfig();
    if (this.#flavour.lower === true) this.#config = this.#shallowHost(this.#config);
    const count = this.#integer(1, 20);
    this.#spanMs = count * (this.#chance(0.5) ? 2 : 12) * (timer.baseMs || 1);
    this.#makeRequests(count);
    if (this.#flavour.aborts !== false && this.#chance(0.4)) this.#makeAborts();
    if (this.#flavour.manyClaims === true) this.#makeClaims(40);
    else if (this.#flavour.claims !== false && this.#chance(0.4)) this.#makeClaims(10);
    if (this.#flavour.prefetch !== false && this.#config.hostBlocks > 0 && this.#chance(0.3)) this.#makePrefetches();
    if (this.#flavour.lower === true) for (let i = this.#integer(0, 4); i > 0; i--) this.#inputs.push(this.#action('share'));
    if (this.#flavour.lifecycle !== false && this.#chance(0.15)) this.#makeLifecycle();
    const chains = this.#requests.slice(0, 4).map((request) => [request.leaf, this.#promptBlocks(request)] as const);
    for (let i = this.#integer(0, 6); i > 0; i--) this.#inputs.push({ tMs: this.#time(this.#spanMs * 1.5), kind: 'probe', chains });
    // After every claim: an engine that sleeps through expiries nobody can see must have counted them here.
    this.#inputs.push({ tMs: 8 * this.#spanMs, kind: 'probe', chains });
    const links = this.#config.hostBlocks > 0 ? this.#links() : null;
    const lower = this.#flavour.lower === true && links !== null ? { lower: this.#lower(links.h2dBytesPerMs) } : {};
    return { seed: this.#seed, config: this.#config, branches: this.#branches, timer, links, ...lower, inputs: this.#inputs };
  }

  #timer(): AffineTimerOptions {
    if (this.#flavour.instant === true) return { baseMs: 0 };
    if (this.#dyadic) {
      return {
        baseMs: this.#integer(1, 16) / 4,
        tokenMs: this.#pick([0, 0.125]),
        kvMs: this.#pick([0, 0, 1 / 64]),
        floorMs: this.#pick([0, 3]),
      };
    }
    const baseMs = 1 + 9 * this.#next();
    return { baseMs, tokenMs: this.#pick([0, 0.1 * this.#next()]), kvMs: 0.01 * this.#next(), floorMs: this.#pick([0, baseMs * 1.2]) };
  }

  #makeConfig(): EngineConfig {
    const blockTokens = this.#integer(1, 16);
    const budget = this.#pick([blockTokens, 8, 16, 32, 64, 256]);
    const host = this.#flavour.host !== false && (this.#chance(0.45) || this.#flavour.lower === true);
    const blocks = this.#integer(4, host && this.#chance(0.7) ? 24 : 64);
    return engineConfig({
      blockTokens,
      blocks,
      maxBatchedTokens: Math.max(budget, 2),
      maxSeqs: this.#pick([1, 2, 4, 8, 32]),
      maxModelLen: this.#chance(0.1) ? blockTokens * this.#integer(3, blocks) : 1_000_000,
      prefixCaching: host || this.#chance(0.93),
      chunkedPrefill: this.#chance(0.92) || budget < 64,
      longPrefillThreshold: this.#chance(0.25) ? this.#integer(1, 12) : 0,
      longPrefillAdaptive: this.#chance(0.3),
      reserveFullIsl: this.#chance(0.7),
      watermark: this.#pick([0, 0, 0, 0.05, 0.2]),
      policy: this.#chance(0.35) ? 'priority' : 'fcfs',
      asyncDepth: this.#isAsynchronous() ? 2 : 1,
      rules: this.#chance(0.15) ? '0.27' : '0.32',
      onboard: this.#pick(['always', 'always', 'always', 'never', 'cheaper', { thresholdTokens: 2 * blockTokens }] as const),
      hostBlocks: host ? this.#integer(1, this.#chance(0.3) ? blocks : 160) : 0,
      blockBytesPerGpu: this.#dyadic ? 64 : 50 + 100 * this.#next(),
      gpus: this.#pick([1, 1, 2]),
      fragmentsPerBlock: 2,
      fragmentSubmitMs: this.#pick([0, 0.125]),
      storeThreshold: this.#pick([1, 1, 1, 2]),
      storePromptOnly: this.#chance(0.2),
      prefillMsPerToken: 0.1,
      prefillMsPerPair: 0.001,
      defaultPriority: this.#pick([0, 35]),
      hostWrite: this.#hostWrite(),
      offloadMinPriority: this.#pick([0, 30]),
      ranker: this.#flavour.ranker ?? 'lru',
      ...(this.#flavour.ranker === 'tlru' ? { ttftTargetMs: this.#integer(1, 20) } : {}),
      ...this.#hostAdmit(),
    });
  }

  /** Lazy writes know no ranker. */
  #hostWrite(): HostWrite {
    const { ranker = 'lru' } = this.#flavour;
    return this.#pick<HostWrite>(['writeThrough', 'writeThrough', 'writeBack', 'selective', ranker === 'lru' ? 'lazy' : 'writeBack']);
  }

  /** Told by the seed itself: a further draw would make another case of each. */
  #hostAdmit(): Pick<EngineConfig, 'hostAdmit' | 'hostAdmitMin' | 'hostAdmitDecayMs'> {
    if (this.#seed % 3 !== 0) return {};
    return { hostAdmit: 'frequency', hostAdmitMin: 2 + (this.#seed % 2), hostAdmitDecayMs: [8, 64, 60_000][this.#seed % 5] ?? 16 };
  }

  #isAsynchronous(): boolean {
    const { asyncDepth2 } = this.#flavour;
    return asyncDepth2 ?? this.#chance(0.2);
  }

  /** A host tier that soon sends blocks further down, where they are mostly worth reading. */
  #shallowHost(config: EngineConfig): EngineConfig {
    return {
      ...config,
      hostBlocks: this.#integer(1, 10),
      storeThreshold: 1,
      onboard: this.#pick(['always', 'always', 'cheaper', { thresholdTokens: config.blockTokens }] as const),
      prefillMsPerToken: this.#pick([0, 1, 10]),
      prefillMsPerPair: this.#pick([0, 0.1]),
    };
  }

  #lower(hostRate: number): LowerTierOptions[] {
    const tier = (which: 2 | 3): LowerTierOptions => ({
      tier: which,
      blocks: this.#integer(1, 100),
      write: this.#pick(['writeBack', 'writeThrough'] as const),
      latencyMs: this.#pick([0, 0, 0.25]),
      bytesPerMs: hostRate * this.#pick([0.25, 2, 32]),
    });
    return this.#pick([[tier(2)], [tier(3)], [tier(2), tier(3)]]);
  }

  #links(): Omit<LinkPoolOptions, 'onDone'> {
    const rate = this.#dyadic ? 2 ** this.#integer(3, 9) : 8 + 500 * this.#next();
    return {
      gpus: 8,
      h2dBytesPerMs: rate,
      d2hBytesPerMs: rate,
      duplexBytesPerMs: 1.5 * rate,
      dramBytesPerMs: this.#pick([1.25 * rate, 100 * rate]),
    };
  }

  /** Trees of shared branches; single prompts below them; conversations that repeat their own output. */
  #makeRequests(count: number): void {
    const { blockTokens, blocks } = this.#config;
    const trunk: number[] = [];
    for (let i = this.#integer(1, 5); i > 0; i--) {
      const parent = trunk.length > 0 && this.#chance(0.6) ? this.#pick(trunk) : -1;
      const depth = parent < 0 ? 0 : this.#integer(1, this.#branches.end(parent));
      trunk.push(this.#branches.addAt(parent, depth, this.#integer(1, Math.max(2, blocks >> 2))));
    }
    const conversations: { leaf: number; tokens: number; room: number }[] = [];
    for (let id = 0; id < count; id++) {
      const outputTokens = this.#chance(0.05) ? 0 : this.#chance(0.3) ? this.#integer(1, 4) : this.#integer(1, 6 * blockTokens);
      const arrivalMs = this.#time(this.#spanMs);
      const facts = {
        id,
        session: this.#integer(0, 3),
        outputTokens,
        priority: this.#integer(0, 2),
        arrivalMs: this.#chance(0.2) ? Math.floor(arrivalMs / 16) * 16 : arrivalMs,
        stopsEarly: this.#chance(0.3),
      };
      const talk = conversations.length > 0 && this.#chance(0.4) ? this.#pick(conversations) : undefined;
      const added = this.#integer(1, 2 * blockTokens);
      if (talk !== undefined && talk.tokens + added + outputTokens < talk.room) {
        this.#submit({ ...facts, leaf: talk.leaf, promptTokens: talk.tokens + added });
        talk.tokens += added + outputTokens;
        continue;
      }
      const parent = this.#pick(trunk);
      const depth = this.#integer(0, this.#branches.end(parent));
      const tail = this.#chance(0.2) ? 0 : this.#integer(0, 3 * blockTokens);
      const promptTokens = depth * blockTokens + tail;
      const goesOn = this.#chance(0.5);
      const room = Math.ceil((promptTokens + outputTokens + 1) / blockTokens) + (goesOn ? 30 : 1);
      const leaf = this.#branches.addAt(depth > 0 ? parent : -1, depth, room - depth, goesOn ? 0 : BRANCH_PRIVATE);
      this.#submit({ ...facts, leaf, promptTokens });
      if (goesOn) conversations.push({ leaf, tokens: promptTokens + outputTokens, room: room * blockTokens });
    }
  }

  #submit(request: EngineRequest): void {
    this.#requests.push(request);
    this.#inputs.push({ tMs: request.arrivalMs, kind: 'submit', request });
  }

  #makeAborts(): void {
    for (let i = this.#integer(1, 4); i > 0; i--) {
      const request = this.#pick(this.#requests);
      this.#inputs.push({ tMs: request.arrivalMs + this.#time(this.#spanMs / 3), kind: 'abort', id: request.id });
    }
  }

  #makeClaims(most: number): void {
    for (let i = this.#integer(1, most); i > 0; i--) {
      this.#inputs.push(this.#action(this.#pick(['pin', 'pin', 'pin', 'retain', 'demote'] as const)));
    }
  }

  #makePrefetches(): void {
    for (let i = this.#integer(1, 4); i > 0; i--) this.#inputs.push(this.#action('prefetch'));
  }

  #action(verb: KvAction['verb']): WorkerInput {
    const request = this.#pick(this.#requests);
    const tMs = request.arrivalMs + this.#time(this.#spanMs / 2);
    const toBlocks = this.#chance(0.8) ? this.#promptBlocks(request) : this.#integer(0, this.#branches.end(request.leaf));
    const action: KvAction = {
      id: this.#actions++,
      verb,
      rank: 0,
      session: request.session,
      branch: request.leaf,
      fromBlocks: this.#chance(0.8) ? 0 : this.#integer(0, toBlocks),
      toBlocks,
      untilMs: tMs + this.#time(this.#spanMs) - (this.#chance(0.05) ? this.#spanMs : 0),
      hardness: this.#pick(['reference', 'soft', 'lease'] as const),
      mode: this.#pick(['max', 'max', 'replace', 'fixed'] as const),
      onExpiry: this.#pick(['trueLastAccess', 'drop', 'back', 'front'] as const),
      tierFloor: this.#pick([0, 0, 1] as const),
      ...(this.#chance(0.5) ? { refreshMs: this.#time(this.#spanMs / 2) } : {}),
      ...(verb === 'retain' ? this.#level() : {}),
      ...(verb === 'demote' ? this.#release() : {}),
      ...(verb === 'share' ? { toTier: 3 as const } : {}),
    };
    if (verb === 'retain' && this.#chance(0.3)) return { tMs, kind: 'action', action: { ...action, untilMs: Number.POSITIVE_INFINITY } };
    return { tMs, kind: 'action', action };
  }

  #release(): Partial<KvAction> {
    if (this.#chance(0.5)) return { toTier: this.#pick([1, 1, 1, 2] as const) };
    return this.#chance(0.5) ? { toTier: 'none', why: this.#pick(['closed', 'superseded', 'timeout'] as const) } : {};
  }

  #level(): Partial<KvAction> {
    return {
      priority: this.#pick([0, 20, 35, 80, 100, 101]),
      priorityMerge: this.#pick(['max', 'replace'] as const),
      reclaim: this.#pick(['keep', 'clear'] as const),
    };
  }

  #makeLifecycle(): void {
    const tMs = this.#time(this.#spanMs);
    const kind = this.#pick(['crash', 'drain', 'slowdown'] as const);
    if (kind === 'slowdown') {
      this.#inputs.push({ tMs, kind, factor: this.#pick([1.5, 2, 4]) });
      this.#inputs.push({ tMs: tMs + this.#time(this.#spanMs / 2), kind, factor: 1 });
    } else {
      if (kind === 'drain') this.#inputs.push({ tMs, kind, deadlineMs: tMs + this.#time(this.#spanMs / 2) });
      else this.#inputs.push({ tMs, kind });
      if (this.#chance(0.7)) this.#inputs.push({ tMs: tMs + this.#time(this.#spanMs), kind: 'restart' });
    }
  }

  #promptBlocks(request: EngineRequest): number {
    return Math.floor(request.promptTokens / this.#config.blockTokens);
  }

  /** A time in [0, limit]. */
  #time(limitMs: number): number {
    return this.#dyadic ? Math.floor(this.#next() * limitMs * 8) / 8 : this.#next() * limitMs;
  }

  #integer(from: number, to: number): number {
    return from + Math.floor(this.#next() * (to - from + 1));
  }

  #chance(probability: number): boolean {
    return this.#next() < probability;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#next() * list.length)]!;
  }
}
