/** How long a pause is worth keeping for: the estimators that need no learning, and the interface of those that do. */
import type { GapEstimator, Millis, PauseKind } from '../ports.ts';
import { FIXED_TTL, type TtlByPause } from './lease-parameters.ts';

/** What a wrong guess costs for one context. */
export interface Stakes {
  /** Cost of a miss, w, replica ms. */
  readonly missMs: Millis;
  /** w / (lambda m): how long keeping stays cheaper than a miss; Infinity without pressure. */
  readonly breakEvenMs: Millis;
  /** The tier asked about; default HBM. */
  readonly tier?: 'hbm' | 'host';
  /** It is kept for so long in a faster tier; the answer is at least that. Default 0. */
  readonly fromMs?: Millis;
}

/** Most time in the host tier, for every kind of pause: what a human leaves need not fill HBM (retention specification 8.2). */
export const HOST_CAP_MS: Millis = 3_600_000;

/** A gap estimator that may learn from pauses; ids of pauses are chosen by the caller. */
export interface TtlEstimator extends GapEstimator {
  /** Whether the calls below need to be made. */
  readonly learns: boolean;
  ttlMs(pause: PauseKind, toolName: string | undefined, nowMs: Millis, stakes?: Stakes): Millis;
  began(id: number, pause: PauseKind, toolName: string | undefined, nowMs: Millis): void;
  /** The session came back after `gapMs`. */
  ended(id: number, gapMs: Millis, nowMs: Millis): void;
  /** The session was closed while it paused: only a lower bound of the gap is known. */
  censored(id: number, nowMs: Millis): void;
  /** A session was closed after so many responses. */
  programEnded(responses: number): void;
  /** A session that came back to a lost cache waited so long in its engine's queue. Absent = it does not matter. */
  queued?(waitMs: Millis): void;
}

/** Most that an estimator without a human time of its own keeps: nothing after `end_turn`, whose tail looks like a pause. */
export type CapByPause = TtlByPause;

/** Nothing at stake known: keep nothing that needs a reason. */
export const NO_STAKES: Stakes = { missMs: 0, breakEvenMs: 0 };

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
  programEnded(): void {}
}

/**
 * `ski`: keep until the rent paid equals the cost of a miss, then give up: at most twice the clairvoyant cost for every gap.
 * Source: ski rental (Karlin et al. 1988).
 */
export class SkiEstimator implements TtlEstimator {
  readonly name = 'ski';
  readonly learns = false;
  readonly #caps: CapByPause;

  constructor(caps: CapByPause = { tool: 3_600_000, human: 0, join: 3_600_000 }) {
    this.#caps = caps;
  }

  ttlMs(pause: PauseKind, _toolName: string | undefined, _nowMs: Millis, stakes: Stakes = NO_STAKES): Millis {
    if (pause === 'none') return 0;
    const cap = stakes.tier === 'host' ? HOST_CAP_MS : this.#caps[pause];
    return Math.max(stakes.fromMs ?? 0, Math.min(stakes.breakEvenMs, cap));
  }

  began(): void {}
  ended(): void {}
  censored(): void {}
  programEnded(): void {}
}
