/**
 * Which worker every turn was sent to and why: an ear at the control plane that keeps the compact record of the last dispatch of each
 * turn, that of the attempt which was served. Source: experiments specification 7.4; router specification 9.
 */
import type { CandidateRecord, DecisionRecord, Effects } from '../../control/ports.ts';

/** A worker in the score table of a decision. */
export interface RatedWorker {
  readonly worker: string;
  /** Tokens of the prompt that the router believed to be cached there. */
  readonly cachedTokens: number;
  /** In the unit of the rule: lower is better for costs, higher for sums. */
  readonly score: number;
  readonly features: CandidateRecord['features'];
}

/** The decision about one turn. */
export interface TurnDecision {
  readonly worker: string;
  /** Reason codes, the rule first. */
  readonly reasons: readonly string[];
  /** Wait in the queue of the control plane, s. */
  readonly wait: number;
  /** The chosen worker, then up to three others, best first. Empty: the policy rated nobody. */
  readonly scores: readonly RatedWorker[];
}

/** Keeps decisions by the name of the turn; about 1 kB each. */
export class TurnDecisions {
  readonly #byTurn = new Map<string, TurnDecision>();

  /** Effects that pass everything on and keep the records. */
  heard(effects: Effects): Effects {
    return {
      dispatch: (request, placement) => effects.dispatch(request, placement),
      refuse: (request, refusal) => effects.refuse(request, refusal),
      act: (action) => effects.act(action),
      wakeAt: (tMs) => effects.wakeAt(tMs),
      decided: (record) => this.#keep(record),
    };
  }

  /** Undefined: never dispatched. */
  of(turn: string): TurnDecision | undefined {
    return this.#byTurn.get(turn);
  }

  #keep({ id, action, reasons, waitMs, candidates }: DecisionRecord): void {
    if (action.kind !== 'dispatch') return;
    const scores = candidates.map(({ key, cachedTokens, score, features }) => ({ worker: key, cachedTokens, score, features }));
    const worker = candidates.find(({ rank }) => rank === action.rank)?.key ?? String(action.rank);
    this.#byTurn.set(id, { worker, reasons, wait: waitMs / 1000, scores });
  }
}
