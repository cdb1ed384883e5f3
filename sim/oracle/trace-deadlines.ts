/**
 * The closed form of deadlines on a trace: what fixed deadlines and clairvoyant ones keep of the root requests' prompts, and how much
 * idle KV that takes, without a simulator. Idle storage R = idle token-time per active token-time; a fixed deadline also pays after the
 * last turn of a session, a clairvoyant one never does. Source: retention specification 11 (O4) and 16.1.
 */
import { STOPS, type Trace } from '../../traces/columns.ts';
import { apiOf, rootPauses } from '../../traces/inspection/session-zero-latency.ts';
import { commonBlocksOf } from '../../traces/run-list.ts';
import type { DeadlineRow } from '../experiment/bound-result.ts';
import { clairvoyantCost, deadlineCost, randomisedCost, skiRentalDeadline } from './ski-rental.ts';
import { TtlOracle } from './ttl-oracle.ts';

/** What a choice of deadlines gives. */
export interface DeadlineOutcome {
  /** Share of all input tokens found, 0..1. */
  readonly hit: number;
  /** R. */
  readonly idlePerActive: number;
}

const TURN = STOPS.indexOf('turn');

export class TraceDeadlines {
  readonly #pauseMs: number[] = [];
  readonly #savedTokens: number[] = [];
  readonly #sizeTokens: number[] = [];
  /** By pause: 1 = after the end of a turn, when a human thinks. */
  readonly #afterTurn: number[] = [];
  readonly #lastTokens: number[] = [];
  readonly #lastAfterTurn: number[] = [];
  #inputTokens = 0;
  #activeTokenMs = 0;
  readonly #oracle: TtlOracle;

  /** Cost O(requests · runs). */
  constructor(trace: Trace, pauses: 'recorded' | 'debiased') {
    const { inTokens, stop } = trace.request;
    for (let s = 0; s < trace.sessionCount; s++) {
      const root = trace.session.agentFrom[s]!;
      const from = trace.agent.requestFrom[root]!;
      const to = trace.agent.requestFrom[root + 1]!;
      for (let r = from; r < to; r++) {
        this.#inputTokens += inTokens[r]!;
        this.#activeTokenMs += apiOf(trace, r) * inTokens[r]!;
        if (r === from) continue;
        this.#pauseMs.push(rootPauses(trace, r)[pauses]);
        this.#savedTokens.push(commonBlocksOf(trace, r - 1, r) * trace.header.blockTokens);
        this.#sizeTokens.push(inTokens[r - 1]!);
        this.#afterTurn.push(stop[r - 1] === TURN ? 1 : 0);
      }
      this.#lastTokens.push(inTokens[to - 1]!);
      this.#lastAfterTurn.push(stop[to - 1] === TURN ? 1 : 0);
    }
    this.#oracle = new TtlOracle(
      this.#savedTokens,
      this.#pauseMs.map((pause, i) => pause * this.#sizeTokens[i]!),
    );
  }

  /** Fixed deadlines: one after tool calls and unlabelled stops, one after the end of a turn. Infinity keeps everything. */
  fixed(afterToolMs: number, afterTurnMs: number = afterToolMs): DeadlineOutcome {
    let saved = 0;
    let rent = 0;
    const ttl = (afterTurn: number): number => (afterTurn === 1 ? afterTurnMs : afterToolMs);
    this.#pauseMs.forEach((pause, i) => {
      const deadline = ttl(this.#afterTurn[i]!);
      if (pause <= deadline) saved += this.#savedTokens[i]!;
      rent += Math.min(pause, deadline) * this.#sizeTokens[i]!;
    });
    this.#lastTokens.forEach((tokens, s) => {
      rent += ttl(this.#lastAfterTurn[s]!) * tokens;
    });
    return { hit: saved / this.#inputTokens, idlePerActive: rent / this.#activeTokenMs };
  }

  /** A fixed deadline and what knowing the future would have given instead. */
  row(ttlMs: number): DeadlineRow {
    const fixed = this.fixed(ttlMs);
    const sameRent = this.#oracle.atRent(fixed.idlePerActive * this.#activeTokenMs);
    const sameHit = this.#oracle.atSaved(fixed.hit * this.#inputTokens);
    return {
      ttlMs,
      ...fixed,
      clairvoyantHit: sameRent.saved / this.#inputTokens,
      clairvoyantIdlePerActive: sameHit.rent / this.#activeTokenMs,
      tokensPerTokenSecond: 1000 * sameHit.price,
      ...this.#skiRental(sameHit.price),
    };
  }

  /**
   * Rent and recomputation of the online rules at a price of space, tokens per token-ms, as multiples of what a clairvoyant pays. Rent
   * after the last turn of a session is left out: what comes after it is not known.
   */
  #skiRental(price: number): { readonly skiRentalCost: number; readonly randomisedCost: number } {
    let online = 0;
    let randomised = 0;
    let clairvoyant = 0;
    this.#pauseMs.forEach((pause, i) => {
      const size = this.#sizeTokens[i]!;
      const breakEvenMs = this.#savedTokens[i]! / (size * price);
      online += size * deadlineCost(pause, skiRentalDeadline(breakEvenMs), breakEvenMs);
      randomised += size * randomisedCost(pause, breakEvenMs);
      clairvoyant += size * clairvoyantCost(pause, breakEvenMs);
    });
    const ratio = (cost: number): number => (clairvoyant === 0 ? 1 : cost / clairvoyant);
    return { skiRentalCost: ratio(online), randomisedCost: ratio(randomised) };
  }
}
