import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ATTEMPT, Attempts, END } from './attempts.ts';

describe('attempts', () => {
  it('say of every attempt that is not over what a list of all of them says, and of forgotten ones that they are over', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.array(fc.tuple(fc.nat(), fc.nat(9)), { maxLength: 300 }), (agents, choices) => {
        const attempts = new Attempts();
        const all: { turn: number; row: number; leaf: number; rank: number; state: number; engine: boolean; end: number; out: number }[] =
          [];
        const newest: number[] = [];
        let turn = 0;
        // Enough attempts that the columns wrap: most are over at once.
        const add = (agent: number, again: boolean): void => {
          const last = newest[agent] === undefined ? undefined : all[newest[agent]]!;
          const isAgain = again && last !== undefined;
          const { row, leaf, ...of } = isAgain ? last : { turn: turn++, row: 7 * turn, leaf: 9 * turn };
          newest[agent] = isAgain ? attempts.again(of.turn, agent) : attempts.first(of.turn, agent, row, leaf);
          all.push({ turn: of.turn, row, leaf, rank: -1, state: ATTEMPT.routing, engine: false, end: END.finished, out: 0 });
          expect(newest[agent]).toBe(all.length - 1);
        };
        for (const [which, kind] of choices) {
          const agent = which % agents;
          const id = newest[agent];
          const one = id === undefined ? undefined : all[id];
          if (one === undefined || one.state === ATTEMPT.over) add(agent, kind % 3 === 0);
          else if (kind < 4 && one.state === ATTEMPT.routing) {
            attempts.sent(id!, which % 50, kind);
            Object.assign(one, { state: ATTEMPT.sent, rank: which % 50 });
          } else if (kind < 6 && one.state === ATTEMPT.sent) {
            attempts.running(id!);
            Object.assign(one, { state: ATTEMPT.running, engine: true });
          } else if (kind === 6 && one.engine) {
            attempts.left(id!, END.failed, which % 1000);
            Object.assign(one, { engine: false, end: END.failed, out: which % 1000 });
          } else if (kind > 6) {
            expect(attempts.close(id!)).toBe(one.state !== ATTEMPT.routing);
            one.state = ATTEMPT.over;
          }
          for (let i = 0; i < 40; i++) {
            const extra = attempts.first(turn++, agents + i, 0, 0);
            attempts.close(extra);
            all.push({ turn: -1, row: -1, leaf: -1, rank: -1, state: ATTEMPT.over, engine: false, end: 0, out: 0 });
          }
        }
        all.forEach((one, id) => {
          expect(attempts.state(id)).toBe(one.state);
          if (one.state === ATTEMPT.over && !one.engine) return;
          const facts = [attempts.turn(id), attempts.row(id), attempts.leaf(id), attempts.rank(id), attempts.endKind(id)];
          expect([...facts, attempts.outputTokens(id)]).toEqual([one.turn, one.row, one.leaf, one.rank, one.end, one.out]);
        });
        newest.forEach((id, agent) => {
          if (all[id]!.state !== ATTEMPT.over) expect(attempts.latest(all[id]!.turn, agent)).toBe(id);
          expect(attempts.latest(turn, agent)).toBe(-1);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('hold no more than what is under way, however many there were', () => {
    const attempts = new Attempts();
    for (let turn = 0; turn < 100_000; turn++) {
      const id = attempts.first(turn, turn % 300, turn, turn);
      attempts.running(id);
      if (id >= 300) {
        attempts.left(id - 300, END.finished, 1);
        attempts.close(id - 300);
      }
    }
    expect(attempts.bytes).toBeLessThan(40_000);
  });
});
