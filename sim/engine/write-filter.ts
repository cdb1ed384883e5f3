/**
 * Which blocks are worth a copy in the tier below, by how often requests pass over them. A request passes over each of its full blocks
 * once: when it has computed or found it, and the copy could be made. Blocks are known by one number (branch and offset).
 * Source: retention specification 9.1.
 */
import type { EngineConfig } from './worker.ts';

/** Says which blocks may be copied; told about every pass. */
export interface WriteFilter {
  /** Whether the block may be copied if a request passes over it at `tMs`. No side effect. */
  wouldAdmit(key: number, tMs: number): boolean;
  /** Whether the block may be copied at `tMs` without another pass: victims. No side effect. */
  admits(key: number, tMs: number): boolean;
  /** A request passes over the block. */
  pass(key: number, tMs: number): void;
  /** A copy of the block left HBM. */
  left(key: number): void;
}

/** Passes of hostWrite `selective`, the first one included (SGLang: write_through_selective, hit_count of a radix node). */
const SELECTIVE_PASSES = 2;
/** Default least frequency, as Dynamo's KVBM has it, and period of one decay step (ours); retention specification 9.1. */
export const FREQUENCY_DEFAULTS = { least: 2, decayMs: 60_000 } as const;
/** Blocks of which a frequency is kept, the longest untouched one goes first; as many as vLLM's tracker of look-ups. */
const TRACKED_BLOCKS = 64_000;
/** No frequency is higher: 30 passes in a row. */
const MOST = 2 ** 30;

/** The filter of a configuration; null = every block may be copied. */
export function createWriteFilter({ hostWrite, hostAdmit, hostAdmitMin, hostAdmitDecayMs }: EngineConfig): WriteFilter | null {
  if (hostWrite === 'selective') return new PassFilter(SELECTIVE_PASSES);
  if (hostAdmit !== 'frequency') return null;
  return new FrequencyFilter(hostAdmitMin ?? FREQUENCY_DEFAULTS.least, hostAdmitDecayMs ?? FREQUENCY_DEFAULTS.decayMs);
}

/** Admits a block at the `least`-th pass over it; its count lives as long as its copy in HBM. Cost O(1). */
export class PassFilter implements WriteFilter {
  readonly #least: number;
  readonly #passes = new Map<number, number>();

  constructor(least: number) {
    this.#least = least;
  }

  wouldAdmit(key: number): boolean {
    return (this.#passes.get(key) ?? 0) + 1 >= this.#least;
  }

  admits(key: number): boolean {
    return (this.#passes.get(key) ?? 0) >= this.#least;
  }

  pass(key: number): void {
    this.#passes.set(key, (this.#passes.get(key) ?? 0) + 1);
  }

  left(key: number): void {
    this.#passes.delete(key);
  }
}

/**
 * Frequency of blocks: 1 at the first pass, doubled by each further one, one less at every multiple of `decayMs`; a block that comes to
 * 0 is forgotten, so its next pass is a first one. Admits from `least` on. Outlives the copy in HBM. Cost O(1).
 */
export class FrequencyFilter implements WriteFilter {
  readonly #least: number;
  readonly #decayMs: number;
  /** Frequency and the decay step it was valid in; longest untouched first. */
  readonly #tracked = new Map<number, { readonly frequency: number; readonly step: number }>();

  constructor(least: number, decayMs: number) {
    this.#least = least;
    this.#decayMs = decayMs;
  }

  /** Frequency at `tMs`, 0 = unknown. */
  frequency(key: number, tMs: number): number {
    const known = this.#tracked.get(key);
    return known === undefined ? 0 : Math.max(0, known.frequency - (this.#step(tMs) - known.step));
  }

  wouldAdmit(key: number, tMs: number): boolean {
    return this.#afterPass(key, tMs) >= this.#least;
  }

  admits(key: number, tMs: number): boolean {
    return this.frequency(key, tMs) >= this.#least;
  }

  pass(key: number, tMs: number): void {
    const frequency = this.#afterPass(key, tMs);
    this.#tracked.delete(key);
    this.#tracked.set(key, { frequency, step: this.#step(tMs) });
    if (this.#tracked.size > TRACKED_BLOCKS) this.#tracked.delete(this.#tracked.keys().next().value!);
  }

  left(): void {}

  #afterPass(key: number, tMs: number): number {
    return Math.min(Math.max(2 * this.frequency(key, tMs), 1), MOST);
  }

  #step(tMs: number): number {
    return Math.floor(tMs / this.#decayMs);
  }
}
