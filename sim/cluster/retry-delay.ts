/** When a failed request is sent again. */
import { Stream } from '../kernel/draw.ts';
import type { ClusterSpec } from './cluster-spec.ts';

/**
 * Wait before attempt `number + 1` of a turn, ms: the base doubled per attempt up to the cap, times 0.75..1 drawn from the turn's
 * own stream. Source: workload specification (client retries), the default policy of the OpenAI and Anthropic client libraries.
 */
export function retryDelayMs(retries: ClusterSpec['retries'], seed: number, turnName: string, number: number): number {
  let backoffMs = retries.baseMs;
  for (let i = 1; i < number; i++) backoffMs = Math.min(retries.capMs, backoffMs * 2);
  return backoffMs * (0.75 + 0.25 * new Stream(`${seed}/retry/${turnName}/${number}`).double());
}
