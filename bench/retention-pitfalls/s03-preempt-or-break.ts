import { type Pitfall, unless } from './pitfall.ts';

/** S3: 600 of 1,000 blocks are leased to sessions that pause; two answers of 12,800 tokens at a time need 600 as well. */
export const S03: Pitfall = {
  scenario: 's03-preempt-or-break',
  criterion: 'leases of pausing sessions are broken before a running request is preempted, for 1,000 s, and nothing is computed twice',
  violations(arms) {
    const { run, workers } = arms.get('pin')!;
    const { counters } = workers[0]!;
    const spanMs = Math.max(...run.turns.lastTokenMs) - Math.min(...run.turns.arrivalMs);
    return [
      ...unless(counters.claimsBroken > 0, 'no claim was broken'),
      ...unless(counters.preemptions === 0, `${counters.preemptions} preemptions`),
      ...unless(counters.recomputedTokens === 0, `${counters.recomputedTokens} tokens computed again`),
      ...unless(run.turns.finishedCount === 3 + 16, `${run.turns.finishedCount} of 19 requests were answered`),
      ...unless(spanMs > 1_000_000 && spanMs < 1_100_000, `the answers took ${spanMs} ms`),
    ];
  },
  bug: {
    breaks: 'a running request may not take leased blocks',
    engine: 'reference',
    file: 'sim/engine/reference/scheduler.ts',
    from: `if (need > this.pool.free) {
      if (!this.#outside.reclaim() || need > this.pool.free) return null;`,
    to: `if (need > this.pool.free - this.pool.claimedFree()) {
      if (!this.#outside.reclaim() || need > this.pool.free - this.pool.claimedFree()) return null;`,
  },
};
