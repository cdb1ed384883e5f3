import { type Pitfall, unless } from './pitfall.ts';

const SESSIONS = 10_000;

/** S2: every session pins its prompt of one block and is never heard of again. */
export const S02: Pitfall = {
  scenario: 's02-vanished-sessions',
  criterion: 'after the last deadline no claim is left, and time has ended each of 10,000, no eviction',
  violations(arms) {
    const { workers, samples, sent } = arms.get('pin')!;
    const { counters } = workers[0]!;
    const most = Math.max(...samples.map((s) => s.claimedBlocks));
    const lastMs = Math.max(...sent.map(({ action }) => action.untilMs));
    const left = samples.filter((s) => s.tMs > lastMs).map((s) => s.claimedBlocks);
    return [
      ...unless(sent.length === SESSIONS && most === SESSIONS, `${sent.length} pins sent, ${most} alive at a time`),
      ...unless(left.length > 0 && left.every((blocks) => blocks === 0), `claims after the last deadline: ${Math.max(...left)}`),
      ...unless(counters.claimsExpired === SESSIONS, `${counters.claimsExpired} claims ended by time`),
      ...unless(counters.claimsBroken === 0, `${counters.claimsBroken} claims broken`),
    ];
  },
  bug: {
    breaks: 'only claims of blocks in use end by time',
    file: 'sim/engine/jump/hbm-pool.ts',
    from: 'if (isClaimed && this.until[s >> 4] === until) {',
    to: 'if (isClaimed && !idle && this.until[s >> 4] === until) {',
  },
};
