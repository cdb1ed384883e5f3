import { describe, expect, it } from 'vitest';
import { TURN_STATUS, TurnTable } from './turn-table.ts';

describe('the turn table', () => {
  it('grows and keeps what it holds; unseen turns are none', () => {
    const table = new TurnTable();
    table.arrived(3, 5, 700);
    table.dispatched(3, 6, 2);
    table.ensure(10_000);
    expect([table.count, table.arrivalMs[3], table.promptTokens[3], table.worker[3]]).toEqual([10_000, 5, 700, 2]);
    expect([table.status[2], table.worker[2], table.arrivalMs[9999]]).toEqual([TURN_STATUS.none, -1, Number.NaN]);
  });

  it('keeps the first dispatch, restore and admission, and the last worker and first token', () => {
    const table = new TurnTable();
    table.arrived(0, 0, 100);
    table.dispatched(0, 1, 4);
    table.restoring(0, 2);
    table.admitted(0, 3, 64, 16);
    table.firstToken(0, 9);
    table.dispatched(0, 11, 5);
    table.restoring(0, 12);
    table.admitted(0, 13, 0, 0);
    table.firstToken(0, 19);
    table.finished(0, 29, 7);
    expect([table.dispatchMs[0], table.restoreMs[0], table.admitMs[0], table.firstTokenMs[0], table.lastTokenMs[0]]).toEqual([
      1, 2, 3, 19, 29,
    ]);
    expect([table.hitHbmTokens[0], table.hitHostTokens[0], table.worker[0], table.outputTokens[0], table.finishedCount]).toEqual([
      64, 16, 5, 7, 1,
    ]);
  });

  it('allows exactly one terminal state', () => {
    const table = new TurnTable();
    table.arrived(0, 0, 100);
    table.ended(0, 5, TURN_STATUS.timedOut);
    expect(() => table.finished(0, 6, 1)).toThrow('I6');
    expect(() => table.ended(1, 6, TURN_STATUS.failed)).toThrow('I6');
    table.arrived(1, 0, 100);
    table.censorOpen();
    expect([...table.status.slice(0, 2)]).toEqual([TURN_STATUS.timedOut, TURN_STATUS.censored]);
  });
});
