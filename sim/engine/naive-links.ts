/** The reference of the link pool: max-min fair sharing by progressive filling over freshly grouped links. Equal to links.ts bit by bit. */
import { H2D, type LinkPool, type LinkPoolOptions } from './links.ts';

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
}

/** The link pool as its definition says: links are grouped and filled anew at each change. Takes sound capacities only. */
export function createNaiveLinkPool(options: LinkPoolOptions): LinkPool {
  return new NaiveLinks(options);
}

class NaiveLinks implements LinkPool {
  nextMs = Number.POSITIVE_INFINITY;
  readonly #options: LinkPoolOptions;
  /** Active transfers in the order of their ids. */
  readonly #active: Transfer[] = [];
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
    this.#active.push({ id, worker, direction, gpus, residualBytes, sinceMs: tMs, rate: 0, endMs: Number.POSITIVE_INFINITY });
    this.#share(tMs);
    return id;
  }

  cancel(transfer: number, tMs: number): void {
    const at = this.#active.findIndex((other) => other.id === transfer);
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
      const done = this.#active.filter((transfer) => transfer.endMs === endMs);
      for (const transfer of done) this.#active.splice(this.#active.indexOf(transfer), 1);
      this.#share(endMs);
      for (const transfer of done) this.#options.onDone(transfer.id, transfer.worker, endMs);
    }
  }

  remainingMs(transfer: number, tMs: number): number {
    const found = this.#active.find((other) => other.id === transfer);
    return found === undefined ? 0 : found.endMs - tMs;
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

  /** Gives every transfer its fair rate from tMs on. A transfer whose rate stays keeps its residual and its end to the last bit. */
  #share(tMs: number): void {
    const rates = this.#fairRates();
    let nextMs = Number.POSITIVE_INFINITY;
    this.#active.forEach((transfer, i) => {
      const rate = rates[i]!;
      if (rate !== transfer.rate) {
        transfer.residualBytes = Math.max(transfer.residualBytes - progress(transfer, tMs), 0);
        transfer.sinceMs = tMs;
        transfer.rate = rate;
        transfer.endMs = transfer.residualBytes === 0 ? tMs : tMs + transfer.residualBytes / rate;
      }
      if (transfer.endMs < nextMs) nextMs = transfer.endMs;
    });
    this.nextMs = nextMs;
  }

  /**
   * Progressive filling: raise all rates together; the first link to fill freezes its transfers (ties: the earliest transfer's link,
   * the DRAM cap last); repeat with the rest.
   */
  #fairRates(): number[] {
    const links = this.#links();
    const rates = new Array<number>(this.#active.length).fill(-1);
    let dramLeft = this.#options.dramBytesPerMs;
    let dramWeight = this.#active.reduce((sum, transfer) => sum + transfer.gpus, 0);
    let open = links;
    while (open.length > 0) {
      const tightest = open.reduce((best, link) => (link.share < best.share ? link : best));
      const dramShare = dramLeft / dramWeight;
      if (dramShare < tightest.share) {
        for (const link of open) for (const i of link.members) rates[i] = dramShare;
        break;
      }
      for (const i of tightest.members) {
        rates[i] = tightest.share;
        if (dramLeft < Number.POSITIVE_INFINITY) dramLeft = Math.max(dramLeft - tightest.share * this.#active[i]!.gpus, 0);
        dramWeight -= this.#active[i]!.gpus;
      }
      open = open.filter((link) => link !== tightest);
    }
    return rates;
  }

  /** The busy links with their transfers and the share of each if only the link itself counted. */
  #links(): { readonly members: number[]; readonly share: number }[] {
    const members = new Map<string, number[]>();
    this.#active.forEach((transfer, i) => {
      const name = `${transfer.worker}/${transfer.direction}`;
      const list = members.get(name);
      if (list === undefined) members.set(name, [i]);
      else list.push(i);
    });
    return [...members.values()].map((list) => {
      const { worker, direction } = this.#active[list[0]!]!;
      const duplex = members.has(`${worker}/${1 - direction}`);
      const oneWay = this.#oneWay(direction);
      const capacity = duplex ? Math.min(oneWay, this.#options.duplexBytesPerMs / 2) : oneWay;
      return { members: list, share: capacity / list.length };
    });
  }
}

/** Bytes moved since the last change of rate. An infinite rate moves everything. */
function progress(transfer: Transfer, tMs: number): number {
  if (transfer.rate === Number.POSITIVE_INFINITY) return transfer.residualBytes;
  return transfer.rate * (tMs - transfer.sinceMs);
}
