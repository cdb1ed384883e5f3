import type { AttemptEnd, AttemptId, Blocks, Millis, RouteRequest, Tokens } from '../ports.ts';

/**
 * Requests that continue a pause, until they are answered: which of them came back to an engine that had lost part of their context, and
 * how long those queued there. Memory O(requests in flight).
 */
export class LostReturns {
  /** Leading blocks of the prompt that the session left in the cache. */
  readonly #left = new Map<AttemptId, Blocks>();

  /** A request was sent that shares `leftBlocks` with the prompt before the pause. */
  sent(attempt: AttemptId, leftBlocks: Blocks): void {
    this.#left.set(attempt, leftBlocks);
  }

  /** Its wait in the engine if some of these blocks were gone; undefined if none was, or the engine does not say. */
  ended({ attempt, promptTokens }: RouteRequest, { cachedTokens, queueMs }: AttemptEnd, blockTokens: Tokens): Millis | undefined {
    const left = this.#left.get(attempt);
    if (left === undefined) return undefined;
    this.#left.delete(attempt);
    // An engine computes at least one token of a prompt, whatever it has.
    const whole = Math.min(left, Math.floor((promptTokens - 1) / blockTokens)) * blockTokens;
    return cachedTokens !== undefined && cachedTokens < whole ? queueMs : undefined;
  }
}
