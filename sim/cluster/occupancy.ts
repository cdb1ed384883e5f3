/** The state of all workers, looked at every 10 s of simulated time. Source: experiments specification 4 (occupancy metrics). */
import { emptyLoadView } from '../engine/empty-load-view.ts';
import type { LoadView, Worker } from '../engine/worker.ts';
import type { OccupancySums } from './cluster-spec.ts';

/** Distance of two looks. */
export const SAMPLE_MS = 10_000;

/** Hears the load of a worker; the view is written again by the next look. */
export type OnLook = (worker: number, nowMs: number, view: Readonly<LoadView>) => void;

/** Between checks of the engines' own bookkeeping. */
const CHECK_MS = 60 * SAMPLE_MS;

/** The next look: while nothing happens nothing changes, so it is at the first tick after the next event. */
export function nextLookMs(nowMs: number, nextEventMs: number): number {
  const ticks = Number.isFinite(nextEventMs) ? Math.max(1, Math.ceil((nextEventMs - nowMs) / SAMPLE_MS)) : 1;
  return nowMs + ticks * SAMPLE_MS;
}

/** All zero. */
export function emptyOccupancy(): OccupancySums {
  return { samples: 0, referenced: 0, cached: 0, claimed: 0, host: 0, disk: 0, remote: 0, waiting: 0, livePlays: 0 };
}

/** Sums of samples. A look stands for all ticks since the one before, because nothing happened in between. */
export class OccupancySampler {
  sums = emptyOccupancy();
  #sampledMs = 0;
  #weight = 1;
  #nextCheckMs = 0;
  readonly #view = emptyLoadView();
  readonly #onLook: OnLook | undefined;

  /** `onLook` hears every worker at every look. */
  constructor(onLook?: OnLook) {
    this.#onLook = onLook;
  }

  /** Starts the sums again. */
  reset(): void {
    this.sums = emptyOccupancy();
  }

  /** Begins the look at `nowMs`. */
  begin(nowMs: number, livePlays: number): void {
    this.#weight = Math.max(1, Math.round((nowMs - this.#sampledMs) / SAMPLE_MS));
    this.#sampledMs = nowMs;
    this.sums.livePlays += this.#weight * livePlays;
  }

  /** Adds one worker, which has been advanced to now. */
  add(worker: Worker, nowMs: number): void {
    const v = this.look(worker, nowMs);
    this.#onLook?.(worker.index, nowMs, v);
    const weight = this.#weight;
    const o = this.sums;
    o.samples += weight;
    o.referenced += (weight * v.kvReferencedBlocks) / v.kvUsableBlocks;
    o.cached += (weight * v.kvCachedBlocks) / v.kvUsableBlocks;
    o.claimed += (weight * v.kvClaimedBlocks) / v.kvUsableBlocks;
    o.host += v.hostBlocks === 0 ? 0 : (weight * v.hostUsedBlocks) / v.hostBlocks;
    o.disk += v.diskBlocks === 0 ? 0 : (weight * v.diskUsedBlocks) / v.diskBlocks;
    o.remote += v.remoteBlocks === 0 ? 0 : (weight * v.remoteUsedBlocks) / v.remoteBlocks;
    o.waiting += weight * v.waiting;
  }

  /** Lets the engines check themselves from time to time, at every look if `deep`. */
  check(workers: readonly Worker[], nowMs: number, deep: boolean): void {
    if (!deep && nowMs < this.#nextCheckMs) return;
    this.#nextCheckMs = nowMs + CHECK_MS;
    for (const worker of workers) worker.check(deep);
  }

  /** The load of a worker now, in an object that the next look writes again. */
  look(worker: Worker, nowMs: number): LoadView {
    worker.loadView(nowMs, this.#view);
    return this.#view;
  }
}
