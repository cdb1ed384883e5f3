import { type Pitfall, unless } from './pitfall.ts';

const SYSTEM = 50;
/** Whole blocks that the first session wrote behind the system prompt, and each later one. */
const STALE = 100;
const OWN = 10;

/** S6: claims of 100 s; a session every 60 s reads the system prompt, so that it never expires, and nothing else does. */
export const S06: Pitfall = {
  scenario: 's06-shared-system-prompt',
  criterion: 'a hit refreshes what it used and nothing behind it: the shared prefix lives on, its stale descendants expire',
  violations(arms) {
    const claims = arms.get('claims')!;
    const drop = arms.get('drop')!;
    // Between 120 s and the last session two later sessions at a time are younger than 100 s.
    const steady = claims.samples.filter(({ tMs }) => tMs > 120_000 && tMs < 600_000).map((s) => s.claimedBlocks);
    const most = Math.max(...claims.samples.map((s) => s.claimedBlocks));
    const { agents, turns } = drop.run.workload;
    const held = drop.workers[0]!.residentBlocks(turns.branch(agents.turnFrom[0]!), SYSTEM + STALE);
    return [
      ...unless(most >= SYSTEM + STALE, `at most ${most} blocks claimed`),
      ...unless(steady.length > 0 && Math.min(...steady) >= SYSTEM, `${Math.min(...steady)} blocks claimed while sessions come`),
      ...unless(Math.max(...steady) <= SYSTEM + 2 * OWN, `${Math.max(...steady)} blocks claimed when the first session is stale`),
      ...[...arms].flatMap(([name, { run }]) => {
        const hits = [...run.turns.hitHbmTokens].slice(1);
        return unless(hits.length === 10 && hits.every((tokens) => tokens === SYSTEM * 64), `${name}: ${hits} tokens hit`);
      }),
      ...unless(held === 0, `drop: ${held} blocks of the first session at the end`),
    ];
  },
  bug: {
    breaks: 'a hit refreshes the claims of all that lies behind it as well',
    file: 'sim/engine/jump/hbm-pool.ts',
    from: 'this.until[s >> 4] = nowMs + this.refresh[s >> 4]!;',
    to: 'for (let x = s; x !== NONE; x = this.next[x]!) this.until[x >> 4] = nowMs + this.refresh[s >> 4]!;',
  },
};
