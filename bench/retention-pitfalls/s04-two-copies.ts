import { SAMPLE_MS } from '../../sim/cluster/occupancy.ts';
import { type Pitfall, type PitfallRun, unless } from './pitfall.ts';

/** Whole blocks of the first prompt of the session that moves. */
const COPY = 100;
/** Its requests; those before are of a session that says a word every 10 s, so that the run is looked at. */
const [FIRST, SECOND] = [70, 71];

/** S4: a claim stays with the worker that made it when its session goes to another one. */
export const S04: Pitfall = {
  scenario: 's04-two-copies',
  criterion:
    'the miss on the other worker is `routed_elsewhere`; both copies are claimed, a hard pin pays for it to its deadline, a soft claim to the close',
  violations(arms) {
    const pin = arms.get('pin')!;
    const soft = arms.get('soft')!;
    const [pinned, released] = [twiceClaimedBlockMs(pin), twiceClaimedBlockMs(soft)];
    return [
      ...[...arms].flatMap(([name, { run, result }]) => [
        ...unless(run.turns.worker[FIRST] !== run.turns.worker[SECOND], `${name}: both requests went to one worker`),
        ...unless(result.sources.causes.routed_elsewhere === COPY * 64, `${name}: causes ${JSON.stringify(result.sources.causes)}`),
      ]),
      // From the end of the second request, at 60 s, to the deadline of the first claim, at 600 s.
      ...unless(Math.abs(pinned - COPY * 540_000) <= COPY * 2 * SAMPLE_MS, `pin: ${pinned} block ms claimed twice`),
      ...unless(released <= COPY * SAMPLE_MS, `soft: ${released} block ms claimed twice`),
    ];
  },
  bug: {
    breaks: 'the close of a session releases no claim',
    file: 'control/retention/lease-retention.ts',
    from: 'if (!this.#params.releaseOnClose) return;',
    to: 'if (this.#params.releaseOnClose) return;',
  },
};

/** Blocks under claims beyond one copy of the session, times the time they were, as the looks of the run saw it. */
function twiceClaimedBlockMs({ samples }: PitfallRun): number {
  return SAMPLE_MS * samples.reduce((sum, { claimedBlocks }) => sum + Math.max(0, claimedBlocks - COPY - 1), 0);
}
