import type { GapEstimator, Millis, PauseKind } from '../ports.ts';
import { FIXED_TTL, type TtlByPause } from './lease-parameters.ts';

/** What a wrong guess costs for one context. */
export interface Stakes {
  /** Cost of a miss, w, replica ms. */
  readonly missMs: Millis;
  /** w / (lambda m): how long keeping stays cheaper than a miss; Infinity without pressure. */
  readonly breakEvenMs: Millis;
}

/** A gap estimator that may also learn from pauses; ids of pauses are chosen by the caller. */
export interface TtlEstimator extends GapEstimator {
  /** Whether `began`, `ended` and `censored` need to be called. */
  readonly learns: boolean;
  ttlMs(pause: PauseKind, toolName: string | undefined, nowMs: Millis, stakes?: Stakes): Millis;
  began(id: number, pause: PauseKind, toolName: string | undefined, nowMs: Millis): void;
  /** The session came back after `gapMs`. */
  ended(id: number, gapMs: Millis, nowMs: Millis): void;
  /** The session was closed while it paused: only a lower bound of the gap is known. */
  censored(id: number, nowMs: Millis): void;
}

/** `fixed`: one time to keep per gap class (default tool 300 s, human 0, join 600 s). */
export class FixedEstimator implements TtlEstimator {
  readonly name = 'fixed';
  readonly learns = false;
  readonly #ttl: TtlByPause;

  constructor(ttl: TtlByPause = FIXED_TTL) {
    this.#ttl = ttl;
  }

  ttlMs(pause: PauseKind): Millis {
    return pause === 'none' ? 0 : this.#ttl[pause];
  }

  began(): void {}
  ended(): void {}
  censored(): void {}
}
