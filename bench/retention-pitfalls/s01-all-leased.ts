import { type Pitfall, type PitfallRun, unless } from './pitfall.ts';

/** S1: the working set is 1.2 times the pool, and all of it is leased for longer than the run. */
export const S01: Pitfall = {
  scenario: 's01-all-leased',
  criterion: 'leases give way: everything that is sent is answered, and nobody waits without progress for long',
  violations(arms) {
    const { run, result } = arms.get('pin')!;
    const { turns } = run;
    const longestMs = Math.max(...Array.from(turns.lastTokenMs, (endMs, i) => endMs - turns.admitMs[i]!));
    const stillMs = longestStillMs(run);
    return [
      ...unless(turns.count === 48, `${turns.count} of 48 requests were sent`),
      ...unless(turns.finishedCount === turns.count, `${turns.finishedCount} of ${turns.count} requests were answered`),
      ...unless(stillMs < 2 * longestMs, `no progress for ${stillMs} ms; the longest request takes ${longestMs} ms`),
      ...unless(result.facts.claimsBroken > 0, 'no claim was broken'),
    ];
  },
  bug: {
    breaks: 'an admission counts leased blocks as taken',
    file: 'sim/engine/jump/scheduler.ts',
    from: 'const free = this.pool.free;',
    to: 'const free = this.pool.free - this.pool.claimed;',
  },
};

/** Longest time for which some request waits or runs and none is admitted, gets its first token, or ends. */
function longestStillMs({ turns, endMs }: PitfallRun['run']): number {
  const progress = [turns.admitMs, turns.firstTokenMs, turns.lastTokenMs].flatMap((column) => [...column]);
  const times = progress.filter((t) => !Number.isNaN(t)).sort((a, b) => a - b);
  let longest = 0;
  for (let i = 0; i < turns.count; i++) {
    let sinceMs = turns.arrivalMs[i]!;
    const untilMs = Number.isNaN(turns.lastTokenMs[i]!) ? endMs : turns.lastTokenMs[i]!;
    for (const t of [...times.filter((t) => t > sinceMs && t < untilMs), untilMs]) {
      longest = Math.max(longest, t - sinceMs);
      sinceMs = t;
    }
  }
  return longest;
}
