/**
 * What a missed prefix costs and what keeping it costs (retention specification 5). Sums of replica time; additive over a split
 * of the suffix.
 */
import type { Blocks, Bytes, Millis, Tokens } from '../ports.ts';

/**
 * Time to recompute `tokens` after `position` on an idle replica: C_re = a n + b n (p + n / 2).
 * `msPerToken` = a, `msPerPair` = b; units follow the inputs, so seconds in give seconds out.
 */
export function recomputeMs(position: Tokens, tokens: Tokens, msPerToken: number, msPerPair: number): Millis {
  return msPerToken * tokens + msPerPair * tokens * (position + tokens / 2);
}

/** Time to reload from a lower tier: C_ld = backlog + latency + bytes / bandwidth. */
export function reloadMs(bytes: Bytes, bytesPerMs: number, latencyMs: Millis = 0, backlogMs: Millis = 0): Millis {
  return backlogMs + latencyMs + bytes / bytesPerMs;
}

/** Share of the tier's full rent that is charged: 0 below 70 % use, 1 from 95 % (price mode `rent`). */
export function rentPressure(usage: number): number {
  return Math.min(1, Math.max(0, (usage - 0.7) / (0.95 - 0.7)));
}

/** Price of space: replica time per byte and time unit, lambda = pressure / capacity. */
export function rentPerByte(capacityBytes: Bytes, usage: number): number {
  return rentPressure(usage) / capacityBytes;
}

/**
 * How long keeping is cheaper than a miss, w / (lambda m); Infinity without pressure (ski rental, retention specification 5.2).
 * With price mode `rent`, lambda m is pressure times the share of the tier that the context fills.
 */
export function breakEvenMs(missMs: Millis, contextBlocks: Blocks, capacityBlocks: Blocks, usage: number): Millis {
  const rent = rentPressure(usage) * (contextBlocks / capacityBlocks);
  return rent > 0 ? missMs / rent : Number.POSITIVE_INFINITY;
}

/** How long keeping is cheaper than a miss at a rate of rent, replica time per time; Infinity where space is free. */
export function breakEvenAt(missMs: Millis, rentRate: number): Millis {
  return rentRate > 0 ? missMs / rentRate : Number.POSITIVE_INFINITY;
}

/**
 * Gain of keeping until `tau` or until return, in units of the price: J = (w / lambda m) F(tau) - integral of S to tau.
 * `returned` = F(tau), `heldMs` = the integral = E[min(G, tau)].
 */
export function holdGain(breakEven: Millis, returned: number, heldMs: Millis): number {
  return breakEven * returned - heldMs;
}
