import { type Pitfall, unless } from './pitfall.ts';

const HEAD = 10;
const TAIL = 20;

/** S13: a flood takes the heads of a and b and leaves their tails. Somebody computes the head of b again, nobody that of a. */
export const S13: Pitfall = {
  scenario: 's13-orphans',
  criterion: 'blocks behind a hole are no hits, though they are there; when the head is back they are',
  violations(arms) {
    const { run } = arms.get('levels')!;
    const { turns } = run;
    const [bHead, bAgain, aAgain] = [3, 4, 5];
    const orphans = run.causes.runs(turns.rowOf(aAgain)).filter((miss) => miss.shadowed);
    const orphanTokens = orphans.reduce((sum, { tokens }) => sum + tokens, 0);
    return [
      ...unless(turns.hitHbmTokens[bHead] === 0, `the head of b was there: ${turns.hitHbmTokens[bHead]} tokens`),
      ...unless(turns.hitHbmTokens[bAgain] === (HEAD + TAIL) * 64, `b hit ${turns.hitHbmTokens[bAgain]} tokens when its head was back`),
      ...unless(turns.hitHbmTokens[aAgain] === 0, `a hit ${turns.hitHbmTokens[aAgain]} tokens without its head`),
      ...unless(orphanTokens === TAIL * 64, `${orphanTokens} tokens of a stood behind the hole`),
    ];
  },
  bug: {
    breaks: 'a match does not mind holes',
    engine: 'reference',
    file: 'sim/engine/reference/scheduler.ts',
    from: 'if (block < 0) break;',
    to: 'if (block < 0) continue;',
  },
};
