import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TURN_STATUS, TurnTable } from './turn-table.ts';

const NAMES = [
  ...(['turn', 'arrivalMs', 'dispatchMs', 'restoreMs', 'admitMs', 'firstTokenMs', 'lastTokenMs', 'promptTokens'] as const),
  ...(['outputTokens', 'hitHbmTokens', 'hitHostTokens', 'avoidableTokens', 'preemptions', 'worker', 'status', 'attempts'] as const),
];
type Row = Record<(typeof NAMES)[number], number>;

const untouched = (turn: number, arrivalMs: number, promptTokens: number): Row => ({
  ...{ turn, arrivalMs, promptTokens, dispatchMs: NaN, restoreMs: NaN, admitMs: NaN, firstTokenMs: NaN, lastTokenMs: NaN },
  ...{ outputTokens: 0, hitHbmTokens: 0, hitHostTokens: 0, avoidableTokens: 0, preemptions: 0, worker: -1, status: 1, attempts: 1 },
});

/** The table as objects, one per turn: applies operation `kind` with the number `n` at time `tMs`. */
function naive(row: Row, kind: number, tMs: number, n: number): void {
  if (kind === 0) {
    if (Number.isNaN(row.dispatchMs)) row.dispatchMs = tMs;
    row.worker = n;
  } else if (kind === 1) {
    if (Number.isNaN(row.restoreMs) && Number.isNaN(row.admitMs)) row.restoreMs = tMs;
  } else if (kind === 2) {
    if (!Number.isNaN(row.admitMs)) return;
    Object.assign(row, { admitMs: tMs, hitHbmTokens: n, hitHostTokens: n >> 1 });
  } else if (kind === 3) row.firstTokenMs = tMs;
  else if (kind === 4) row.preemptions++;
  else if (kind === 5) row.attempts = n;
  else if (kind === 6) row.avoidableTokens = n;
  else if (row.status === TURN_STATUS.open) {
    if (n % 2 === 0) Object.assign(row, { status: TURN_STATUS.finished, lastTokenMs: tMs, outputTokens: n });
    else row.status = TURN_STATUS.failed;
  }
}

function apply(table: TurnTable, row: number, isOpen: boolean, kind: number, tMs: number, n: number): void {
  if (kind === 0) table.dispatched(row, tMs, n);
  else if (kind === 1) table.restoring(row, tMs);
  else if (kind === 2) table.admitted(row, tMs, n, n >> 1);
  else if (kind === 3) table.firstToken(row, tMs);
  else if (kind === 4) table.preempted(row);
  else if (kind === 5) table.retried(row, n);
  else if (kind === 6) table.judged(row, n);
  else if (isOpen && n % 2 === 0) table.finished(row, tMs, n);
  else if (isOpen) table.ended(row, TURN_STATUS.failed);
}

describe('the turn table', () => {
  it('gives every column in the order of turn ids, whatever the order of arrival and over any number of pages', () => {
    const step = fc.tuple(fc.nat(), fc.nat(7), fc.nat(20), fc.nat(100));
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(60), { minLength: 1 }), fc.array(step, { maxLength: 200 }), fc.boolean(), (turns, steps, many) => {
        const table = new TurnTable((turn) => 10 * turn);
        // Filler rows put the turns on several pages.
        const filler = many ? 2500 : 0;
        const rows: Row[] = [];
        const rowOf: number[] = [];
        for (const turn of turns) {
          rowOf.push(table.arrived(turn, turn));
          rows.push(untouched(turn, turn, 10 * turn));
          for (let i = 0; i < filler; i++) table.arrived(1000 + table.count, 7);
        }
        for (const [which, kind, ms, n] of steps) {
          const i = which % turns.length;
          const isOpen = rows[i]!.status === TURN_STATUS.open;
          naive(rows[i]!, kind, ms, n);
          apply(table, rowOf[i]!, isOpen, kind, ms, n);
        }
        rows.sort((a, b) => a.turn - b.turn);
        expect(table.count).toBe(turns.length * (filler + 1));
        for (const name of NAMES) {
          expect([name, ...table[name].subarray(0, rows.length)]).toEqual([name, ...rows.map((row) => row[name])]);
          expect(table[name].length).toBe(table.count);
        }
        expect(table.finishedCount).toBe(rows.filter((row) => row.status === TURN_STATUS.finished).length);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps the first dispatch, restore and admission, and the last worker and first token', () => {
    const table = new TurnTable((turn) => 10 * turn);
    table.arrived(0, 0);
    expect(table.dispatched(0, 1, 4)).toBe(true);
    table.restoring(0, 2);
    table.admitted(0, 3, 64, 16);
    table.firstToken(0, 9);
    expect(table.dispatched(0, 11, 5)).toBe(false);
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

  it('allows exactly one terminal state, and no turn once it was read', () => {
    const table = new TurnTable((turn) => 10 * turn);
    table.arrived(0, 0);
    table.ended(0, TURN_STATUS.timedOut);
    expect(() => table.finished(0, 6, 1)).toThrow('I6');
    expect(() => table.ended(1, TURN_STATUS.failed)).toThrow('I6');
    table.arrived(1, 0);
    table.censorOpen();
    expect([...table.status]).toEqual([TURN_STATUS.timedOut, TURN_STATUS.censored]);
    expect(() => table.arrived(2, 9)).toThrow('after its table was read');
    expect(() => table.dispatched(0, 9, 40_000)).toThrow('ranks up to');
  });

  it('holds at most 54 bytes per turn, before and after all its columns are read', () => {
    const table = new TurnTable((turn) => 10 * turn);
    const turns = 40_000;
    for (let turn = 0; turn < turns; turn++) {
      table.dispatched(table.arrived(turn, turn), turn, 0);
      table.admitted(turn, turn, 16, 0);
      table.finished(turn, turn + 1, 1);
    }
    expect(table.bytes / turns).toBeLessThan(54);
    for (const name of NAMES.filter(
      (one) => one !== 'restoreMs' && one !== 'dispatchMs' && one !== 'hitHostTokens' && one !== 'preemptions',
    ))
      expect(table[name].length).toBe(turns);
    expect(table.bytes / turns).toBeLessThan(62);
  });
});
