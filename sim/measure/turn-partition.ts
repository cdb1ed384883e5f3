/**
 * Where the time of every turn went: an observer of workers that cuts [arrival, first token] and [arrival, last token] at the times at
 * which something changed for the turn, so that the components sum to TTFT and E2E by construction.
 *
 *     arrival ─gatewayQueue─> dispatch ─ingress─> queue ─workerQueue.*, tierLoad─> first own chunk
 *        ─[own chunk: prefill, interference.*, overhead | step without one: interference.prefill]─> first token
 *        ─decode.own, decode.interference─> last token            after a preemption: preempted.wait, prefill.preempted
 *
 * A step of duration T with an own chunk: own = time of the chunk alone; interference.decode = time with the decodes - own;
 * interference.prefill = time of the whole batch - that; overhead = T - time of the whole batch (flushes, a slowed worker). decode.own =
 * the tokens decoded alone, as one closed-form run. What is waited for until the first own chunk begins is the queue, also when the request
 * was admitted a step ahead (asynchronous scheduling): `step`. Source: experiments specification 7.1.
 */
import { type ObservedStep, type StepObserver, WAIT, type WaitReason } from '../engine/step-observer.ts';
import { addToBatch, clearBatch, createStepBatch, type StepTimer } from '../engine/step-timer.ts';
import type { EndStatus, WorkerSink } from '../engine/worker.ts';
import { type Chunk, COMPONENTS, type Component, componentIndex, divideChunk, type LabelSpan } from './turn-components.ts';
import type { TurnSpan, TurnTimeline } from './turn-timeline.ts';

/** What the partition has to know of a worker. */
export interface ObservedWorker {
  /** A timer of its own: the worker's holds the state of a run. */
  readonly timer: StepTimer;
  /** Delay between dispatch and the worker's queue, ms. */
  readonly requestMs: number;
}

/** Components of one turn as far as it came. */
export interface TurnParts {
  /** Arrival of the first attempt. */
  readonly arrivalMs: number;
  /** Of the last attempt that had a first token; null = none had. */
  ttft: AttemptParts | null;
  /** Of the attempt that finished; null = none did. */
  e2e: AttemptParts | null;
}

/** What was measured of one attempt up to some time; the own time of its chunks is not in `values` yet. */
export interface AttemptParts {
  readonly untilMs: number;
  /** By {@link COMPONENTS}. */
  readonly values: Float64Array;
  readonly chunks: readonly OwnChunk[];
  readonly attempt: number;
  readonly worker: number;
}

interface OwnChunk extends Chunk {
  /** Computed again after a preemption. */
  readonly isAgain: boolean;
}

const QUEUED = 0;
const LOADING = 1;
const PREFILL = 2;
const DECODE = 3;
const PREEMPTED = 4;

/** An attempt in an engine. */
interface Live {
  readonly id: number;
  readonly turn: string;
  readonly number: number;
  readonly worker: number;
  readonly values: Float64Array;
  readonly chunks: OwnChunk[];
  mode: number;
  sinceMs: number;
  /** Why it waits, and from when on for what else, if that is known. */
  reason: WaitReason;
  passMs: number;
  passReason: WaitReason;
  /** A chunk of it was in a step since the last admission. */
  hasBegun: boolean;
  isAgain: boolean;
  promptTokens: number;
  /** Tokens produced when the present or last decoding began. */
  outputFrom: number;
  /** Duration of a decoding whose tokens are not counted yet; NaN = none. */
  decodeMs: number;
}

interface Queue {
  reason: WaitReason;
  readonly waiting: Set<Live>;
  fresh: Live[];
  foreseen: Live[];
}

const AT = Object.fromEntries(COMPONENTS.map((name, i) => [name, i])) as Readonly<Record<Component, number>>;
const WAIT_COMPONENT: Readonly<Record<WaitReason, number>> = {
  [WAIT.step]: AT['workerQueue.step'],
  [WAIT.slots]: AT['workerQueue.slots'],
  [WAIT.blocks]: AT['workerQueue.blocks'],
  [WAIT.budget]: AT['workerQueue.budget'],
  [WAIT.load]: AT['tierLoad.host'],
};

/** Listens to all workers of a run. Cost O(1) per event of a request, O(requests in the queue) per change of the reason they wait for. */
export class TurnPartition implements StepObserver {
  /** By the name of the turn. */
  readonly turns = new Map<string, TurnParts>();
  readonly #workers: readonly ObservedWorker[];
  readonly #arrivals = new Map<number, { readonly turn: string; readonly number: number; readonly tMs: number }>();
  readonly #live = new Map<number, Live>();
  readonly #queues: Queue[];
  readonly #timeline: Pick<TurnTimeline, 'add' | 'removed'> | undefined;
  readonly #batch = createStepBatch();

  /** `timeline` receives every slice of the life of every turn; absent = nobody draws it. */
  constructor(workers: readonly ObservedWorker[], timeline?: Pick<TurnTimeline, 'add' | 'removed'>) {
    this.#workers = workers;
    this.#timeline = timeline;
    this.#queues = workers.map(() => ({ reason: WAIT.step, waiting: new Set(), fresh: [], foreseen: [] }));
  }

  /** An attempt of a turn reached the gateway; `number` counts from 0. */
  arrived(attempt: number, turn: string, number: number, tMs: number): void {
    this.#arrivals.set(attempt, { turn, number, tMs });
    if (number === 0) this.turns.set(turn, { arrivalMs: tMs, ttft: null, e2e: null });
  }

  // ---- the queue of a worker ----------------------------------------------------------------------------------------------

  queued(worker: number, id: number, tMs: number): void {
    const { requestMs } = this.#workers[worker]!;
    if (!this.#arrivals.has(id)) this.arrived(id, String(id), 0, tMs - requestMs);
    const { turn, number, tMs: arrivalMs } = this.#arrivals.get(id)!;
    this.#arrivals.delete(id);
    const values = new Float64Array(COMPONENTS.length);
    values[AT.retry] = arrivalMs - this.turns.get(turn)!.arrivalMs;
    values[AT.ingress] = requestMs;
    values[AT.gatewayQueue] = tMs - requestMs - arrivalMs;
    const live: Live = {
      ...{ id, turn, number, worker, values, chunks: [], mode: QUEUED, sinceMs: tMs },
      ...{ reason: WAIT.step, passMs: Number.NaN, passReason: WAIT.step, hasBegun: false, isAgain: false },
      ...{ promptTokens: 0, outputFrom: 0, decodeMs: Number.NaN },
    };
    this.#live.set(id, live);
    this.#draw(live, 'gatewayQueue', arrivalMs, tMs - requestMs);
    this.#draw(live, 'ingress', tMs - requestMs, tMs);
    this.#enqueue(live, tMs);
  }

  foreseen(worker: number, id: number, passMs: number, reason: WaitReason): void {
    const queue = this.#queues[worker]!;
    const live = this.#live.get(id)!;
    live.passMs = passMs;
    live.passReason = reason;
    queue.fresh.splice(queue.fresh.indexOf(live), 1);
    queue.foreseen.push(live);
  }

  recalled(worker: number, tMs: number): void {
    const queue = this.#queues[worker]!;
    queue.foreseen = queue.foreseen.filter((live) => {
      if (!(live.passMs > tMs)) return true;
      live.passMs = Number.NaN;
      if (live.mode === QUEUED) queue.fresh.push(live);
      return false;
    });
  }

  passed(worker: number, tMs: number, reason: WaitReason): void {
    const queue = this.#queues[worker]!;
    const all = reason !== queue.reason;
    for (const live of all ? queue.waiting : [...queue.fresh, ...queue.foreseen]) {
      if (live.mode !== QUEUED) continue;
      this.#closeWait(live, tMs);
      live.reason = reason;
    }
    queue.reason = reason;
    queue.fresh = [];
    queue.foreseen = [];
  }

  loaded(_worker: number, id: number, tMs: number): void {
    const live = this.#live.get(id);
    if (live?.mode !== LOADING) return;
    this.#add(live, AT['tierLoad.host'], tMs);
    this.#enqueue(live, tMs);
  }

  #enqueue(live: Live, tMs: number): void {
    const queue = this.#queues[live.worker]!;
    live.mode = QUEUED;
    live.sinceMs = tMs;
    live.reason = WAIT.step;
    queue.waiting.add(live);
    queue.fresh.push(live);
  }

  /** Books the wait of a request up to now. */
  #closeWait(live: Live, tMs: number): void {
    if (live.passMs <= tMs) {
      this.#add(live, WAIT_COMPONENT[live.reason], live.passMs);
      live.reason = live.passReason;
    }
    live.passMs = Number.NaN;
    this.#add(live, WAIT_COMPONENT[live.reason], tMs);
  }

  #leaveQueue(live: Live): void {
    this.#queues[live.worker]!.waiting.delete(live);
  }

  // ---- execution ----------------------------------------------------------------------------------------------------------

  stepped(worker: number, step: ObservedStep, startMs: number, endMs: number): void {
    let wholeMs = Number.NaN;
    for (let i = 0; i < step.id.length; i++) {
      const live = this.#live.get(step.id[i]!);
      if (live?.mode !== PREFILL) continue;
      if (Number.isNaN(wholeMs)) wholeMs = this.#timeOf(worker, step, -1, true, true);
      this.#closeGap(live, startMs);
      live.hasBegun = true;
      const ownMs = this.#timeOf(worker, step, i, false, false);
      const besideMs = this.#timeOf(worker, step, i, true, false);
      const { values } = live;
      values[AT['interference.decode']]! += besideMs - ownMs;
      values[AT['interference.prefill']]! += wholeMs - besideMs;
      values[AT.overhead]! += endMs - startMs - wholeMs;
      const from = step.from[i]!;
      const tokens = step.tokens[i]!;
      live.chunks.push({ from, tokens, ownMs, pairMs: this.#pairMs(worker, from, tokens, ownMs), isAgain: live.isAgain });
      live.sinceMs = endMs;
      this.#draw(live, 'prefill', startMs, endMs, { lane: i, tokens, from });
      if (!step.samples[i]) continue;
      const known = from + tokens - live.promptTokens;
      this.#countDecoded(live, known);
      live.mode = DECODE;
      live.outputFrom = known + 1;
    }
  }

  /** Time from the last cut up to the start of a step with an own chunk, or to a preemption. */
  #closeGap(live: Live, tMs: number): void {
    const waited = live.isAgain ? AT['preempted.wait'] : AT['workerQueue.step'];
    this.#add(live, live.hasBegun ? AT['interference.prefill'] : waited, tMs);
  }

  /** Time of item `own` of a step (-1 = none alone), with its decodes, with its other prefill items; ms without slow-down and flush. */
  #timeOf(worker: number, step: ObservedStep, own: number, decodes: boolean, others: boolean): number {
    const batch = this.#batch;
    clearBatch(batch);
    if (decodes) {
      batch.decodeSeqs = step.decodeSeqs;
      batch.decodeKvTokens = step.decodeKvTokens;
      batch.maxDecodeKvTokens = step.maxDecodeKvTokens;
    }
    for (let i = 0; i < step.id.length; i++) {
      if (i !== own && !others) continue;
      if (step.isDecode[i] && decodes) continue;
      addToBatch(batch, step.tokens[i]!, step.from[i]!, !step.isDecode[i]);
    }
    return this.#workers[worker]!.timer.stepMs(batch);
  }

  /**
   * Share of a chunk's own time that grows with pairs of tokens, ms, from the difference that its resident tokens make: exact for timers
   * that are linear in them, as cells are between two residents of the same regime.
   */
  #pairMs(worker: number, from: number, tokens: number, ownMs: number): number {
    if (tokens === 1) return 0;
    const resident = from > 0 ? from : tokens;
    const slope = (this.#chunkMs(worker, resident, tokens) - this.#chunkMs(worker, 0, tokens)) / (resident * tokens);
    return Math.min(ownMs, Math.max(0, slope * (tokens * from + (tokens * tokens) / 2)));
  }

  #chunkMs(worker: number, from: number, tokens: number): number {
    const batch = this.#batch;
    clearBatch(batch);
    addToBatch(batch, tokens, from, true);
    return this.#workers[worker]!.timer.stepMs(batch);
  }

  /** The decoding booked last ended when this many tokens were known: own time = the same tokens decoded alone. */
  #countDecoded(live: Live, outputTo: number): void {
    if (Number.isNaN(live.decodeMs)) return;
    const steps = outputTo - live.outputFrom;
    let ownMs = 0;
    if (steps > 0) {
      const { timer } = this.#workers[live.worker]!;
      const resident = live.promptTokens + live.outputFrom - 1;
      timer.startRun(1, resident, resident);
      ownMs = Math.min(timer.runMs(steps), live.decodeMs);
    }
    live.values[AT['decode.own']]! += ownMs;
    live.values[AT['decode.interference']]! += live.decodeMs - ownMs;
    live.decodeMs = Number.NaN;
  }

  // ---- what the sink hears ------------------------------------------------------------------------------------------------

  sink(_index: number, inner: WorkerSink): WorkerSink {
    return {
      matched: (id, tMs, hbmBlocks, hostBlocks) => inner.matched(id, tMs, hbmBlocks, hostBlocks),
      admitted: (id, tMs, queryTokens, hbmTokens, hostTokens, first) => {
        this.#admitted(id, tMs, queryTokens, first);
        inner.admitted(id, tMs, queryTokens, hbmTokens, hostTokens, first);
      },
      restoring: (id, tMs, tokens, disk, remote) => {
        this.#restoring(id, tMs);
        inner.restoring(id, tMs, tokens, disk, remote);
      },
      firstToken: (id, tMs) => {
        this.#firstToken(id, tMs);
        inner.firstToken(id, tMs);
      },
      tokenGaps: (firstMs, incrementMs, count, weight) => inner.tokenGaps(firstMs, incrementMs, count, weight),
      ended: (id, tMs, status, outputTokens, reason) => {
        this.#ended(id, tMs, status, outputTokens);
        inner.ended(id, tMs, status, outputTokens, reason);
      },
      preempted: (id, tMs) => {
        this.#preempted(id, tMs);
        inner.preempted(id, tMs);
      },
      kvEvents: (worker, batch, tMs) => inner.kvEvents(worker, batch, tMs),
      settled: (action, outcome, tMs) => inner.settled(action, outcome, tMs),
      claimBroken: (worker, session, blocks, tMs) => inner.claimBroken(worker, session, blocks, tMs),
      removed: (worker, tier, branch, from, to, sinceMs, tMs, reason) => {
        const isTaken = inner.removed(worker, tier, branch, from, to, sinceMs, tMs, reason);
        // Who did not take it is told again, block by block.
        if (isTaken) this.#timeline?.removed(worker, tier, to - from, tMs, reason);
        return isTaken;
      },
    };
  }

  #admitted(id: number, tMs: number, queryTokens: number, first: boolean): void {
    const live = this.#live.get(id)!;
    if (live.mode === PREEMPTED) this.#add(live, AT['preempted.wait'], tMs);
    else this.#closeWait(live, tMs);
    this.#leaveQueue(live);
    if (first) live.promptTokens = queryTokens;
    live.isAgain = !first;
    live.hasBegun = false;
    live.mode = PREFILL;
  }

  #restoring(id: number, tMs: number): void {
    const live = this.#live.get(id)!;
    if (live.mode !== QUEUED) return;
    this.#closeWait(live, tMs);
    this.#leaveQueue(live);
    live.mode = LOADING;
  }

  #preempted(id: number, tMs: number): void {
    const live = this.#live.get(id)!;
    if (live.mode === DECODE) this.#closeDecode(live, tMs);
    else this.#closeGap(live, tMs);
    live.mode = PREEMPTED;
  }

  #firstToken(id: number, tMs: number): void {
    const live = this.#live.get(id)!;
    // The output of a step that was in flight when its request was preempted.
    if (live.mode === PREEMPTED) {
      this.#add(live, AT['preempted.wait'], tMs);
      live.outputFrom = 1;
    }
    this.turns.get(live.turn)!.ttft = { ...partsOf(live, tMs), values: live.values.slice(), chunks: live.chunks.slice() };
  }

  #ended(id: number, tMs: number, status: EndStatus, outputTokens: number): void {
    this.#arrivals.delete(id);
    const live = this.#live.get(id);
    if (live === undefined) return;
    this.#live.delete(id);
    this.#leaveQueue(live);
    const queue = this.#queues[live.worker]!;
    queue.fresh = queue.fresh.filter((other) => other !== live);
    queue.foreseen = queue.foreseen.filter((other) => other !== live);
    if (status !== 'finished') return;
    if (live.mode === DECODE) this.#closeDecode(live, tMs);
    else this.#add(live, live.mode === PREEMPTED ? AT['preempted.wait'] : AT['interference.prefill'], tMs);
    this.#countDecoded(live, outputTokens);
    this.turns.get(live.turn)!.e2e = partsOf(live, tMs);
  }

  #closeDecode(live: Live, tMs: number): void {
    live.decodeMs = tMs - live.sinceMs;
    this.#draw(live, 'decode', live.sinceMs, tMs);
    live.sinceMs = tMs;
  }

  #draw({ turn, worker }: Live, component: string, fromMs: number, toMs: number, chunk?: TurnSpan['chunk']): void {
    this.#timeline?.add({ turn, worker, component, fromMs, toMs, ...(chunk === undefined ? {} : { chunk }) });
  }

  /** Books [since, tMs) under a component. */
  #add(live: Live, component: number, tMs: number): void {
    live.values[component]! += tMs - live.sinceMs;
    this.#draw(live, COMPONENTS[component]!, live.sinceMs, tMs);
    live.sinceMs = tMs;
  }
}

/**
 * Components of a turn with the own time of its chunks divided among `spans`, the labels of its missed tokens, which end with its prompt.
 * What an attempt computes before them is recomputed after a fault if it is not the first.
 */
export function componentsOf(parts: AttemptParts, spans: readonly LabelSpan[], promptTokens: number): Float64Array {
  const values = parts.values.slice();
  const spansFrom = promptTokens - spans.reduce((sum, span) => sum + span.tokens, 0);
  for (const chunk of parts.chunks) {
    if (chunk.isAgain) values[AT['prefill.preempted']]! += chunk.ownMs;
    else
      divideChunk(chunk, spans, spansFrom, parts.attempt > 0 ? 'fault' : 'compulsory', (label, ms) => {
        values[componentIndex(`prefill.${label}`)]! += ms;
      });
  }
  return values;
}

function partsOf(live: Live, untilMs: number): AttemptParts {
  return { untilMs, values: live.values, chunks: live.chunks, attempt: live.number, worker: live.worker };
}
