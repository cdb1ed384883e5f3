import { type Pitfall, unless } from './pitfall.ts';

/**
 * S7: y is released at 0 s, z1 at 3 s, z2 at 8 s; ten blocks of each have a level until 10 s later. At 12 s a flood takes 120 blocks: those without
 * a level of all three. The head of y, whose level ended at 10 s, is older than they are and yet stays, because it went to the back.
 */
export const S07: Pitfall = {
  scenario: 's07-back-of-the-queue',
  criterion: 'what loses its level goes to the back of the default queue; a host tier with free slots evicts nothing',
  violations(arms) {
    const hbm = arms.get('hbm')!;
    const host = arms.get('host')!;
    const [yAgain, z1Again] = [4, 5];
    const { counters } = host.workers[0]!;
    return [
      ...unless(hbm.run.turns.hitHbmTokens[yAgain] === 640, `y has ${hbm.run.turns.hitHbmTokens[yAgain]} tokens of its head`),
      ...unless(hbm.workers[0]!.counters.hbmEvictedBlocks >= 120, `${hbm.workers[0]!.counters.hbmEvictedBlocks} blocks evicted`),
      ...unless(host.run.turns.hitHostTokens[z1Again]! > 0, 'z1 has nothing in the host tier'),
      ...unless(counters.hostStoredBlocks > 0 && counters.hostEvictedBlocks === 0, `${counters.hostEvictedBlocks} host blocks evicted`),
    ];
  },
  bug: {
    breaks: 'what loses its level stays at its last access',
    file: 'sim/engine/jump/hbm-pool.ts',
    from: 'if (rule === BACK && idle) {',
    to: 'if (rule === FRONT && idle) {',
  },
};
