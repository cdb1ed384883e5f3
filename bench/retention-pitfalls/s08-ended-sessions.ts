import { SAMPLE_MS } from '../../sim/cluster/occupancy.ts';
import { type Pitfall, type PitfallRun, unless } from './pitfall.ts';

/** 40 sessions leave 101 whole blocks (6,416 tokens of prompt and 100 of answer) for 5 minutes that nobody uses. A session without a whole block goes on for 1,000 s, so that the run looks on. */
const WASTED_BLOCK_MS = 40 * 101 * 300_000;
/** 10 sessions wait 200 s with 101 blocks and come back; then 6,481 tokens (101 blocks) are left behind by a second tool call. */
const USED_BLOCK_MS = 10 * (101 * 200_000 + 101 * 300_000);

/** S8: after the end of a turn nobody comes back; what a time to live costs there is waste. */
export const S08: Pitfall = {
  scenario: 's08-ended-sessions',
  criterion:
    'one time to live for all wastes it on every ended session, one that asks for the stop reason wastes nothing; paused sessions hit in both',
  violations(arms) {
    const same = arms.get('same-ttl')!;
    const gated = arms.get('gated')!;
    return [
      ...within('same-ttl', claimedBlockMs(same), WASTED_BLOCK_MS + USED_BLOCK_MS, 50),
      ...within('gated', claimedBlockMs(gated), USED_BLOCK_MS, 10),
      ...[same, gated].flatMap(({ run }) => {
        const hits = run.turns.hitHbmTokens.reduce((sum, tokens) => sum + tokens, 0);
        return unless(hits === 10 * 100 * 64, `${hits} tokens hit by those that came back`);
      }),
    ];
  },
  bug: {
    breaks: 'a finished turn counts as a tool call',
    file: 'control/pause-after.ts',
    from: "if (end.stop !== 'tool') return 'human';",
    to: "if (end.stop !== 'tool') return 'tool';",
  },
};

/** Blocks under claims times the time they were, as the looks of the run saw it. */
function claimedBlockMs({ samples }: PitfallRun): number {
  return SAMPLE_MS * samples.reduce((sum, { claimedBlocks }) => sum + claimedBlocks, 0);
}

/** A look comes every 10 s: each of `claims` may be seen once too often or too seldom. */
function within(arm: string, got: number, expected: number, claims: number): string[] {
  const tolerance = claims * 101 * SAMPLE_MS;
  return unless(Math.abs(got - expected) <= tolerance, `${arm}: ${got} block ms claimed, expected ${expected} +- ${tolerance}`);
}
