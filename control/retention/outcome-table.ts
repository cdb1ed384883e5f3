import type { Millis } from '../ports.ts';

/**
 * Outcomes of actions by (source, message, action), so that a repeated delivery returns what the first one got and changes
 * nothing, no deadline either (retention specification 3.3). Keeps the last `capacity` keys, each for `ageMs`.
 */
export class OutcomeTable<T> {
  readonly #outcomes = new Map<string, { readonly outcome: T; readonly atMs: Millis }>();
  readonly #capacity: number;
  readonly #ageMs: Millis;

  constructor(capacity = 65_536, ageMs: Millis = 600_000) {
    this.#capacity = capacity;
    this.#ageMs = ageMs;
  }

  get size(): number {
    return this.#outcomes.size;
  }

  /** Outcome of the action: stored if it was seen before, else of `apply`. `nowMs` never decreases. Cost O(1) amortised. */
  once(source: string, messageId: string, actionId: string, nowMs: Millis, apply: () => T): T {
    for (const [old, { atMs }] of this.#outcomes) {
      if (nowMs - atMs <= this.#ageMs) break;
      this.#outcomes.delete(old);
    }
    const key = JSON.stringify([source, messageId, actionId]);
    const known = this.#outcomes.get(key);
    if (known !== undefined) return known.outcome;
    const outcome = apply();
    this.#outcomes.set(key, { outcome, atMs: nowMs });
    if (this.#outcomes.size > this.#capacity) this.#outcomes.delete(this.#outcomes.keys().next().value!);
    return outcome;
  }
}
