/**
 * Shared links of one node: host links of its GPUs in both directions and the DRAM cap, under max-min fair sharing.
 * Source: engine specification 4.4, performance-model specification 11.
 */
import { widened } from '../../control/widened.ts';

/** Host to device. */
export const H2D = 0;
/** Device to host. */
export const D2H = 1;

/** One pool per node; an entity of the calendar with class 2 (transfer completion). */
export interface LinkPool {
  /** Time of the next completion; Infinity when idle. */
  readonly nextMs: number;
  /**
   * Starts a transfer of `bytes` per GPU over the host links of `gpus` GPUs of `worker`, split in `fragments` with submit cost
   * `fragmentSubmitMs` each. `done` is told (id) at completion by {@link advance}. Returns a transfer id, increasing.
   */
  start(worker: number, direction: 0 | 1, bytes: number, fragments: number, fragmentSubmitMs: number, gpus: number, tMs: number): number;
  /** Takes a transfer out; the others speed up. A transfer that is over already is ignored. */
  cancel(transfer: number, tMs: number): void;
  /** Completes every transfer that ends at or before tMs, in order (time, id), calling `onDone(transfer, worker, tMs)`. */
  advance(tMs: number): void;
  /** Remaining time of a transfer at the present rates, ms; 0 if it is over. */
  remainingMs(transfer: number, tMs: number): number;
  /**
   * Estimate for a transfer that would start now, ms: work waiting on this worker's link in that direction plus its own, at the one-way
   * rate. For onboard = cheaper. Cost O(active transfers).
   */
  estimateMs(worker: number, direction: 0 | 1, bytes: number, fragments: number, fragmentSubmitMs: number, tMs: number): number;
}

/** Capacities of one node. */
export interface LinkPoolOptions {
  /** GPUs of the node; a transfer over more of them is an error. */
  readonly gpus: number;
  /** Rate of one GPU's host link while only this direction is busy. > 0, Infinity allowed. */
  readonly h2dBytesPerMs: number;
  readonly d2hBytesPerMs: number;
  /** Both directions of one GPU's link together while both are busy; each direction gets half of it. */
  readonly duplexBytesPerMs: number;
  /** All links of the node together, both directions. */
  readonly dramBytesPerMs: number;
  /** Told at completion, when the transfer has left the pool; may start new transfers at tMs. */
  readonly onDone: (transfer: number, worker: number, tMs: number) => void;
}

/** Links of 16 workers, both directions; more are made room for. */
const LINKS = 32;

/** A link is one direction of one worker's GPUs; these move in lockstep, so one rate per GPU describes them. */
interface Transfer {
  readonly id: number;
  readonly worker: number;
  readonly direction: 0 | 1;
  /** Copies in parallel = weight under the DRAM cap. */
  readonly gpus: number;
  /** Work left at sinceMs, bytes per GPU. */
  residualBytes: number;
  sinceMs: number;
  /** Bytes per ms and GPU. */
  rate: number;
  endMs: number;
  /** Scratch of sharing: place of its link among the busy ones, and the rate that it is to get. */
  link: number;
  fairRate: number;
}

/** Throws for capacities that are not > 0. Cost of start, cancel and completion: O(active transfers x busy links), O(1) when one is active. */
export function createLinkPool(options: LinkPoolOptions): LinkPool {
  for (const name of ['gpus', 'h2dBytesPerMs', 'd2hBytesPerMs', 'duplexBytesPerMs', 'dramBytesPerMs'] as const) {
    if (!(options[name] > 0)) throw new Error(`link pool: ${name} is ${options[name]}, must be > 0`);
  }
  return new SharedLinks(options);
}

class SharedLinks implements LinkPool {
  nextMs = Number.POSITIVE_INFINITY;
  readonly #options: LinkPoolOptions;
  /** Active transfers in the order of their ids. */
  readonly #active: Transfer[] = [];
  /** The busy links in the order of their earliest transfers: worker, direction, transfers, rate of each by the link alone. */
  #linkWorker = new Int32Array(LINKS);
  #linkDirection = new Uint8Array(LINKS);
  #linkTransfers = new Int32Array(LINKS);
  #linkShare = new Float64Array(LINKS);
  #lastId = 0;
  #nowMs = Number.NEGATIVE_INFINITY;

  constructor(options: LinkPoolOptions) {
    this.#options = options;
  }

  start(worker: number, direction: 0 | 1, bytes: number, fragments: number, fragmentSubmitMs: number, gpus: number, tMs: number): number {
    if (!(bytes >= 0)) throw new Error(`link pool: transfer of ${bytes} bytes`);
    if (!(gpus >= 1 && gpus <= this.#options.gpus)) throw new Error(`link pool: ${gpus} GPUs of ${this.#options.gpus}`);
    this.#moveTo(tMs);
    const id = ++this.#lastId;
    const residualBytes = this.#work(direction, bytes, fragments, fragmentSubmitMs);
    this.#active.push({
      id,
      worker,
      direction,
      gpus,
      residualBytes,
      sinceMs: tMs,
      rate: 0,
      endMs: Number.POSITIVE_INFINITY,
      link: 0,
      fairRate: 0,
    });
    this.#share(tMs);
    return id;
  }

  cancel(transfer: number, tMs: number): void {
    const at = this.#find(transfer);
    if (at < 0) return;
    this.#moveTo(tMs);
    this.#active.splice(at, 1);
    this.#share(tMs);
  }

  advance(tMs: number): void {
    while (this.nextMs <= tMs) {
      const endMs = this.nextMs;
      this.#nowMs = endMs;
      // All that end together leave together: the survivors' rates change once, and no rounding separates equal transfers.
      const done = this.#takeEnded(endMs);
      this.#share(endMs);
      for (const transfer of done) this.#options.onDone(transfer.id, transfer.worker, endMs);
    }
  }

  remainingMs(transfer: number, tMs: number): number {
    const at = this.#find(transfer);
    return at < 0 ? 0 : this.#active[at]!.endMs - tMs;
  }

  estimateMs(worker: number, direction: 0 | 1, bytes: number, fragments: number, fragmentSubmitMs: number, tMs: number): number {
    let work = this.#work(direction, bytes, fragments, fragmentSubmitMs);
    for (const transfer of this.#active) {
      if (transfer.worker !== worker || transfer.direction !== direction) continue;
      work += Math.max(transfer.residualBytes - transfer.rate * (tMs - transfer.sinceMs), 0);
    }
    const capacity = this.#oneWay(direction);
    return capacity === Number.POSITIVE_INFINITY ? 0 : work / capacity;
  }

  /** Bytes with the submit cost folded in: w = B + F t_sub C. An infinite link has no submit cost either. */
  #work(direction: 0 | 1, bytes: number, fragments: number, fragmentSubmitMs: number): number {
    const capacity = this.#oneWay(direction);
    return capacity === Number.POSITIVE_INFINITY ? bytes : bytes + fragments * fragmentSubmitMs * capacity;
  }

  #oneWay(direction: 0 | 1): number {
    return direction === H2D ? this.#options.h2dBytesPerMs : this.#options.d2hBytesPerMs;
  }

  #moveTo(tMs: number): void {
    if (tMs < this.#nowMs) throw new Error(`link pool: time goes back from ${this.#nowMs} to ${tMs}`);
    if (this.nextMs < tMs) throw new Error(`link pool: a transfer ended at ${this.nextMs}, before ${tMs}, and was not completed`);
    this.#nowMs = tMs;
  }

  #find(transfer: number): number {
    const active = this.#active;
    for (let i = 0; i < active.length; i++) if (active[i]!.id === transfer) return i;
    return -1;
  }

  #takeEnded(endMs: number): Transfer[] {
    const active = this.#active;
    const done: Transfer[] = [];
    let kept = 0;
    for (const transfer of active) {
      if (transfer.endMs === endMs) done.push(transfer);
      else active[kept++] = transfer;
    }
    active.length = kept;
    return done;
  }

  /** Gives every transfer its fair rate from tMs on. A transfer whose rate stays keeps its residual and its end to the last bit. */
  #share(tMs: number): void {
    this.#fairRates();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const transfer of this.#active) {
      const rate = transfer.fairRate;
      if (rate !== transfer.rate) {
        transfer.residualBytes = Math.max(transfer.residualBytes - progress(transfer, tMs), 0);
        transfer.sinceMs = tMs;
        transfer.rate = rate;
        transfer.endMs = transfer.residualBytes === 0 ? tMs : tMs + transfer.residualBytes / rate;
      }
      if (transfer.endMs < nextMs) nextMs = transfer.endMs;
    }
    this.nextMs = nextMs;
  }

  /**
   * Progressive filling: raise all rates together; the first link to fill freezes its transfers (ties: the earliest transfer's link,
   * the DRAM cap last); repeat with the rest.
   */
  #fairRates(): void {
    const active = this.#active;
    let dramLeft = this.#options.dramBytesPerMs;
    if (active.length === 1) {
      // Most of the time: one transfer has its link and the DRAM for itself.
      const only = active[0]!;
      only.fairRate = Math.min(this.#oneWay(only.direction), dramLeft / only.gpus);
      return;
    }
    const links = this.#groupLinks();
    const share = this.#linkShare;
    let dramWeight = 0;
    for (const transfer of active) dramWeight += transfer.gpus;
    for (let open = links; open > 0; open--) {
      let tightest = -1;
      for (let k = 0; k < links; k++) if (share[k]! >= 0 && (tightest < 0 || share[k]! < share[tightest]!)) tightest = k;
      const rate = share[tightest]!;
      const dramShare = dramLeft / dramWeight;
      if (dramShare < rate) {
        for (const transfer of active) if (share[transfer.link]! >= 0) transfer.fairRate = dramShare;
        return;
      }
      for (const transfer of active) {
        if (transfer.link !== tightest) continue;
        transfer.fairRate = rate;
        if (dramLeft < Number.POSITIVE_INFINITY) dramLeft = Math.max(dramLeft - rate * transfer.gpus, 0);
        dramWeight -= transfer.gpus;
      }
      // Full: out of the filling.
      share[tightest] = -1;
    }
  }

  /** Finds the busy links, assigns the transfers to them and says what each gets if only its link counted. Returns their number. */
  #groupLinks(): number {
    let links = 0;
    for (const transfer of this.#active) {
      const k = this.#linkOf(transfer.worker, transfer.direction, links);
      if (k === links) {
        if (links === this.#linkWorker.length) this.#widen();
        this.#linkWorker[k] = transfer.worker;
        this.#linkDirection[k] = transfer.direction;
        this.#linkTransfers[k] = 0;
        links++;
      }
      transfer.link = k;
      this.#linkTransfers[k]!++;
    }
    for (let k = 0; k < links; k++) {
      const direction = this.#linkDirection[k] as 0 | 1;
      const duplex = this.#linkOf(this.#linkWorker[k]!, 1 - direction, links) < links;
      const oneWay = this.#oneWay(direction);
      const capacity = duplex ? Math.min(oneWay, this.#options.duplexBytesPerMs / 2) : oneWay;
      this.#linkShare[k] = capacity / this.#linkTransfers[k]!;
    }
    return links;
  }

  /** Place of a link among the first `links` busy ones; `links` if it is idle. */
  #linkOf(worker: number, direction: number, links: number): number {
    for (let k = 0; k < links; k++) if (this.#linkWorker[k] === worker && this.#linkDirection[k] === direction) return k;
    return links;
  }

  #widen(): void {
    const size = this.#linkWorker.length * 2;
    this.#linkWorker = widened(this.#linkWorker, size);
    this.#linkDirection = widened(this.#linkDirection, size);
    this.#linkTransfers = widened(this.#linkTransfers, size);
    this.#linkShare = widened(this.#linkShare, size);
  }
}

/** Bytes moved since the last change of rate. An infinite rate moves everything. */
function progress(transfer: Transfer, tMs: number): number {
  if (transfer.rate === Number.POSITIVE_INFINITY) return transfer.residualBytes;
  return transfer.rate * (tMs - transfer.sinceMs);
}
