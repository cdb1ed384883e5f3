/**
 * What the workers of a run served, in order: who was admitted with which hits, who had its prompt computed, who left. It listens at
 * the two doors of a worker, what is submitted and what is reported, so that a run that is not logged pays nothing.
 *
 *     records   kind | worker | request | time | value        one row per admission, first token, end
 *     requests  leaf | prompt tokens | output tokens | submit time      by attempt id
 *
 * Cost: O(1) per record, no look into a cache but the one number of referenced blocks. Source: retention specification 11.
 */
import type { BranchTable } from '../../control/blocks.ts';
import { emptyLoadView } from '../engine/empty-load-view.ts';
import type { Worker, WorkerSink } from '../engine/worker.ts';

/** Kinds of records. `value` is in parentheses. */
export const SERVED = {
  /** First admission of an attempt (tokens found in HBM and host). */
  admitted: 0,
  /** Admission after a preemption (tokens found). */
  again: 1,
  /** The whole prompt is computed, all its blocks are held (0). */
  firstToken: 2,
  /** Finished; every block of prompt and output was held until now (output tokens). */
  finished: 3,
  /** Left the running list otherwise: preempted, aborted, failed (0). */
  left: 4,
  /** Lost with everything the worker held (0). */
  lost: 5,
} as const;

/** The log of one run as columns; plain data that can travel between threads. */
export interface ServiceRecords {
  readonly blockTokens: number;
  /** By worker. */
  readonly usableBlocks: Int32Array;
  readonly hostBlocks: Int32Array;
  /** Prefill cost of the worker's cell, ms per token and per pair of tokens; 0 = not known. */
  readonly msPerToken: Float64Array;
  readonly msPerPair: Float64Array;
  readonly kind: Uint8Array;
  readonly worker: Int32Array;
  readonly request: Int32Array;
  readonly tMs: Float64Array;
  readonly value: Int32Array;
  /** Blocks with a reference right after an admission, -1 for other records. */
  readonly referenced: Int32Array;
  /** By request: leaf of its own chain, prompt and output length, time of its submission. */
  readonly leaf: Int32Array;
  readonly promptTokens: Int32Array;
  readonly outputTokens: Int32Array;
  readonly submitMs: Float64Array;
  readonly branches: BranchColumns;
}

/** The columns of a branch table that a path needs. */
export type BranchColumns = Pick<BranchTable, 'count' | 'parent' | 'attach' | 'start' | 'length' | 'flags'>;

/** Collects the records of all workers of one run. */
export class ServiceLog {
  #kind: number[] = [];
  #worker: number[] = [];
  #request: number[] = [];
  #tMs: number[] = [];
  #value: number[] = [];
  #referenced: number[] = [];
  #leaf: number[] = [];
  #prompt: number[] = [];
  #output: number[] = [];
  #submitMs: number[] = [];
  readonly #workers: Worker[] = [];
  readonly #view = emptyLoadView();

  /** A sink for worker `index` that writes down what it hears and passes it on. */
  sink(index: number, inner: WorkerSink): WorkerSink {
    return {
      matched: (id, tMs, hbmBlocks, hostBlocks) => inner.matched(id, tMs, hbmBlocks, hostBlocks),
      admitted: (id, tMs, queryTokens, hbmTokens, hostTokens, first) => {
        this.#admitted(index, id, tMs, hbmTokens + hostTokens, first);
        inner.admitted(id, tMs, queryTokens, hbmTokens, hostTokens, first);
      },
      restoring: (id, tMs, tokens, disk, remote) => inner.restoring(id, tMs, tokens, disk, remote),
      firstToken: (id, tMs) => {
        this.#add(SERVED.firstToken, index, id, tMs, 0, -1);
        inner.firstToken(id, tMs);
      },
      tokenGaps: (firstMs, incrementMs, count, weight) => inner.tokenGaps(firstMs, incrementMs, count, weight),
      ended: (id, tMs, status, outputTokens, reason) => {
        if (status === 'finished') this.#add(SERVED.finished, index, id, tMs, outputTokens, -1);
        else if (status !== 'rejected') {
          this.#add(status === 'lost' || status === 'handback' ? SERVED.lost : SERVED.left, index, id, tMs, 0, -1);
        }
        inner.ended(id, tMs, status, outputTokens, reason);
      },
      preempted: (id, tMs) => {
        this.#add(SERVED.left, index, id, tMs, 0, -1);
        inner.preempted(id, tMs);
      },
      kvEvents: (worker, batch, tMs) => inner.kvEvents(worker, batch, tMs),
      settled: (action, outcome, tMs) => inner.settled(action, outcome, tMs),
      claimBroken: (worker, session, blocks, tMs) => inner.claimBroken(worker, session, blocks, tMs),
      removed: (worker, tier, branch, from, to, sinceMs, tMs, reason) =>
        inner.removed(worker, tier, branch, from, to, sinceMs, tMs, reason),
    };
  }

  /** Listens to what is submitted to a worker. Mutates the worker: its `submit` writes down the request first. */
  listen(worker: Worker): void {
    this.#workers[worker.index] = worker;
    const submit = worker.submit.bind(worker);
    worker.submit = (request, tMs) => {
      this.#leaf[request.id] = request.leaf;
      this.#prompt[request.id] = request.promptTokens;
      this.#output[request.id] = request.outputTokens;
      this.#submitMs[request.id] = tMs;
      submit(request, tMs);
    };
  }

  /** The records so far. Cost O(records + branches). */
  records(branches: BranchTable): ServiceRecords {
    const configs = this.#workers.map((w) => w.config);
    return {
      blockTokens: configs[0]!.blockTokens,
      usableBlocks: Int32Array.from(configs, (c) => c.blocks - 1),
      hostBlocks: Int32Array.from(configs, (c) => c.hostBlocks),
      msPerToken: Float64Array.from(configs, (c) => c.prefillMsPerToken),
      msPerPair: Float64Array.from(configs, (c) => c.prefillMsPerPair),
      kind: Uint8Array.from(this.#kind),
      worker: Int32Array.from(this.#worker),
      request: Int32Array.from(this.#request),
      tMs: Float64Array.from(this.#tMs),
      value: Int32Array.from(this.#value),
      referenced: Int32Array.from(this.#referenced),
      leaf: filled(this.#leaf),
      promptTokens: filled(this.#prompt),
      outputTokens: filled(this.#output),
      submitMs: Float64Array.from({ length: this.#submitMs.length }, (_, i) => this.#submitMs[i] ?? Number.NaN),
      branches: {
        count: branches.count,
        parent: branches.parent.slice(0, branches.count),
        attach: branches.attach.slice(0, branches.count),
        start: branches.start.slice(0, branches.count),
        length: branches.length.slice(0, branches.count),
        flags: branches.flags.slice(0, branches.count),
      },
    };
  }

  #admitted(worker: number, id: number, tMs: number, hitTokens: number, first: boolean): void {
    this.#workers[worker]!.loadView(tMs, this.#view);
    this.#add(first ? SERVED.admitted : SERVED.again, worker, id, tMs, hitTokens, this.#view.kvReferencedBlocks);
  }

  #add(kind: number, worker: number, request: number, tMs: number, value: number, referenced: number): void {
    this.#kind.push(kind);
    this.#worker.push(worker);
    this.#request.push(request);
    this.#tMs.push(tMs);
    this.#value.push(value);
    this.#referenced.push(referenced);
  }
}

/** Ids that were never submitted leave holes. */
function filled(values: readonly number[]): Int32Array {
  return Int32Array.from({ length: values.length }, (_, i) => values[i] ?? -1);
}
