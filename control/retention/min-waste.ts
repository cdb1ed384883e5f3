/**
 * What a paused context wastes: kept on the GPU, or dropped and computed again in what an iteration leaves free. Times in seconds,
 * waste in token-seconds, as in the paper. Source: InferCept (arXiv 2402.01869) as stated in retention specification 8.3.
 */
import type { Tokens } from '../ports.ts';

/** Cost of an iteration: `c0S` + `aS` per token, up to `saturationTokens` in one. */
export interface IterationCost {
  readonly saturationTokens: Tokens;
  readonly aS: number;
  readonly c0S: number;
}

/** Defaults of retention specification 8.3; profile them per cell. */
export const ITERATION_COST: IterationCost = { saturationTokens: 384, aS: 0.0279e-3, c0S: 15.4e-3 };

/** Waste of keeping a context for the rest of its pause: w_p = r L. */
export function preserveWaste(contextTokens: Tokens, restS: number): number {
  return restS * contextTokens;
}

/**
 * Waste of recomputing a context in chunks of what the running requests leave of an iteration: they wait, and the part already computed
 * lies there. `runTokens` of one iteration, `runningTokens` of context held meanwhile.
 */
export function discardWaste(
  contextTokens: Tokens,
  runTokens: Tokens,
  runningTokens: Tokens,
  cost: IterationCost = ITERATION_COST,
): number {
  const { saturationTokens, aS, c0S } = cost;
  const chunk = Math.max(saturationTokens - runTokens, 1);
  const chunks = Math.max(Math.ceil(contextTokens / chunk) - 1, 0);
  const chunkS = aS * chunk;
  const fullS = aS * saturationTokens + c0S;
  const last = contextTokens % chunk;
  return fullS * chunk * ((chunks * (chunks + 1)) / 2) + chunkS * chunks * runningTokens + aS * last * (runningTokens + last);
}
