/**
 * Which ranks may serve a request, before any score: health, allowed workers, exclusions, capacity, required taints, overload; a pin
 * to one rank, and an affinity to one that holds while that rank may serve. Workers are named by id, so a rule about a worker holds
 * for all its ranks. Source: router specification 4.1, 5.2.1.
 */
import { exp, tanh } from '../math.ts';
import type { RankId, RouteRequest } from '../ports.ts';
import { RANK_ABSENT, RANK_LOST, RANK_READY, type RankTable } from './rank-table.ts';

/** The check of one router, with the rows of the last request. */
export class Eligibility {
  /** Eligible ranks in canonical order, `count` of them. */
  rows: Int32Array = new Int32Array(0);
  count = 0;
  /** Ranks dropped by each check of the last request that could not be served by all; each rank counts for the first check it fails. */
  readonly dropped = { notAllowed: 0, excluded: 0, capacity: 0, tainted: 0, overloaded: 0 };
  readonly #table: RankTable;
  #filtered = new Int32Array(16);
  #factors = new Float64Array(16);

  constructor(table: RankTable) {
    this.#table = table;
  }

  /**
   * Sets the rows. Returns '' or why there are none: NO_WORKERS, ALL_UNHEALTHY, ALL_EXCLUDED, TAINT_UNSATISFIED, ALL_BUSY,
   * context_too_long, and for a pin PIN_NOT_ALLOWED, PIN_NOT_FOUND, PIN_OVERLOADED. Cost O(ranks x workers named); O(1) for a
   * request that names none while no rank is overloaded. An affinity is not looked at: see {@link prefer}.
   */
  check(request: RouteRequest): string {
    const table = this.#table;
    this.rows = table.ready;
    this.count = table.readyCount;
    if (request.pin !== undefined) return this.#pinned(request, request.pin);
    if (table.readyCount === 0) return this.#knowsWorkers() ? 'ALL_UNHEALTHY' : 'NO_WORKERS';
    if (!this.#acceptsAll(request)) this.#filter(request);
    if (this.count > 0) return '';
    const { dropped } = this;
    if (dropped.overloaded > 0) return 'ALL_BUSY';
    if (dropped.tainted > 0) return 'TAINT_UNSATISFIED';
    return dropped.capacity > 0 ? 'context_too_long' : 'ALL_EXCLUDED';
  }

  /**
   * Factor of each row's cost: exp(-tanh(sum of the preferred weights its worker matches)), weights in single precision; null
   * without preferences. Cost O(rows x preferences). Source: router specification 4.6, 5.2.1.
   */
  taintFactors(request: RouteRequest): Float64Array | null {
    const { preferredTaints } = request;
    if (preferredTaints === undefined) return null;
    const wanted = Object.entries(preferredTaints);
    if (wanted.length === 0) return null;
    if (this.#factors.length < this.count) this.#factors = new Float64Array(2 * this.count);
    for (let i = 0; i < this.count; i++) {
      const taints = this.#table.taints[this.rows[i]!] ?? [];
      let sum = 0;
      for (const [taint, weight] of wanted) if (taints.includes(taint)) sum += Math.fround(weight);
      this.#factors[i] = exp(-tanh(sum));
    }
    return this.#factors;
  }

  #acceptsAll(request: RouteRequest): boolean {
    const { exclude, allow, requiredTaints, promptTokens } = request;
    return (
      (exclude === undefined || exclude.length === 0) &&
      allow === undefined &&
      (requiredTaints === undefined || requiredTaints.length === 0) &&
      this.#table.overloadedCount === 0 &&
      promptTokens <= this.#table.minCapacityTokens
    );
  }

  #filter(request: RouteRequest): void {
    const table = this.#table;
    const { dropped } = this;
    dropped.notAllowed = 0;
    dropped.excluded = 0;
    dropped.capacity = 0;
    dropped.tainted = 0;
    dropped.overloaded = 0;
    if (this.#filtered.length < table.readyCount) this.#filtered = new Int32Array(table.ready.length);
    const rows = this.#filtered;
    let n = 0;
    for (let i = 0; i < table.readyCount; i++) {
      const rank = table.ready[i]!;
      if (request.allow?.includes(table.workers[rank]!) === false) dropped.notAllowed++;
      else if (request.exclude?.includes(rank) === true) dropped.excluded++;
      else if (request.promptTokens > table.capacityTokens[rank]!) dropped.capacity++;
      else if (!this.#carries(request.requiredTaints, rank)) dropped.tainted++;
      else if (table.overloaded[rank] === 1) dropped.overloaded++;
      else rows[n++] = rank;
    }
    this.rows = rows;
    this.count = n;
  }

  /** After {@link check}: leaves only this rank, if it is among the rows. Cost O(rows). */
  prefer(rank: RankId): void {
    if (!this.rows.subarray(0, this.count).includes(rank)) return;
    this.#filtered[0] = rank;
    this.rows = this.#filtered;
    this.count = 1;
  }

  /** The pin is validated first and used without a comparison; its failure is the request's. */
  #pinned(request: RouteRequest, pin: RankId): string {
    const table = this.#table;
    this.count = 0;
    if (request.allow !== undefined && !request.allow.includes(table.workers[pin] ?? '')) return 'PIN_NOT_ALLOWED';
    if (request.exclude?.includes(pin) === true) return 'PIN_NOT_ALLOWED';
    if (pin >= table.count || table.state[pin] !== RANK_READY || !this.#carries(request.requiredTaints, pin)) return 'PIN_NOT_FOUND';
    if (table.overloaded[pin] === 1) return 'PIN_OVERLOADED';
    if (request.promptTokens > table.capacityTokens[pin]!) return 'context_too_long';
    this.#filtered[0] = pin;
    this.rows = this.#filtered;
    this.count = 1;
    return '';
  }

  #carries(required: readonly string[] | undefined, rank: RankId): boolean {
    if (required === undefined || required.length === 0) return true;
    const taints = this.#table.taints[rank] ?? [];
    return required.every((taint) => taints.includes(taint));
  }

  #knowsWorkers(): boolean {
    const { state, count } = this.#table;
    for (let rank = 0; rank < count; rank++) {
      if (state[rank] !== RANK_ABSENT && state[rank] !== RANK_LOST) return true;
    }
    return false;
  }
}
