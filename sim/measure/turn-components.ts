/**
 * The names of the parts into which the time of a turn is cut, and how the time of one prefill chunk is divided among the causes of the
 * tokens in it. Source: experiments specification 7.1, 7.2.
 */
import { ROLL_UPS, type RollUp } from './causes.ts';

/** Labels of computed prompt tokens. */
export const PREFILL_LABELS: readonly RollUp[] = ROLL_UPS;

/** All components in the order of a turn's life; their sum is TTFT, or E2E. */
export const COMPONENTS = [
  'retry',
  'ingress',
  'gatewayQueue',
  'workerQueue.step',
  'workerQueue.slots',
  'workerQueue.blocks',
  'workerQueue.budget',
  'tierLoad.host',
  ...PREFILL_LABELS.map((label) => `prefill.${label}` as const),
  'interference.decode',
  'interference.prefill',
  'overhead',
  'preempted.wait',
  'decode.own',
  'decode.interference',
] as const;
export type Component = (typeof COMPONENTS)[number];

const INDEX = new Map<string, number>(COMPONENTS.map((name, i) => [name, i]));

/** Position of a component in {@link COMPONENTS}. */
export function componentIndex(name: Component): number {
  return INDEX.get(name)!;
}

/** Consecutive tokens with one label. */
export interface LabelSpan {
  readonly label: RollUp;
  readonly tokens: number;
}

/** A chunk: `tokens` new ones on `from` resident ones, its time alone in a step, and how much of that grows with pairs of tokens. */
export interface Chunk {
  readonly from: number;
  readonly tokens: number;
  readonly ownMs: number;
  readonly pairMs: number;
}

/**
 * Time of a chunk by label. `spans` lie back to back from token `spansFrom` on; tokens before them have the label `before`, those behind
 * them `preempted`, because a turn computes its own answer only after a preemption. The part that does not grow with pairs (fixed and
 * linear) is divided by tokens, the rest by exact pair counts. The times sum to ownMs up to rounding. Cost O(spans).
 */
export function divideChunk(
  chunk: Chunk,
  spans: readonly LabelSpan[],
  spansFrom: number,
  before: RollUp,
  add: (label: RollUp, ms: number) => void,
): void {
  const end = chunk.from + chunk.tokens;
  const flatMs = chunk.ownMs - chunk.pairMs;
  const allPairs = pairs(chunk.from, chunk.tokens);
  const part = (label: RollUp, from: number, to: number) => {
    const low = Math.max(from, chunk.from);
    const high = Math.min(to, end);
    if (high <= low) return;
    const pairShare = allPairs === 0 ? 0 : pairs(low, high - low) / allPairs;
    add(label, (flatMs * (high - low)) / chunk.tokens + chunk.pairMs * pairShare);
  };
  part(before, 0, spansFrom);
  let at = spansFrom;
  for (const span of spans) {
    part(span.label, at, at + span.tokens);
    at += span.tokens;
  }
  part('preempted', at, Number.POSITIVE_INFINITY);
}

/** Pairs of `tokens` new tokens with resident ones and among themselves. Source: performance-model specification 2. */
export function pairs(resident: number, tokens: number): number {
  return tokens * resident + (tokens * tokens) / 2;
}
