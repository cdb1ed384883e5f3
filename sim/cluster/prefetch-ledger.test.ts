import { expect, it } from 'vitest';
import { BranchTable } from '../../control/blocks.ts';
import type { KvAction } from '../../control/ports.ts';
import { PrefetchLedger } from './prefetch-ledger.ts';

const branches = new BranchTable();
const system = branches.add(-1, 0, 10);
const session = branches.add(system, 10, 20);

/** A ledger of one rank to which blocks [4, 14) of the session's chain were brought up at time 100. */
function told(): PrefetchLedger {
  const ledger = new PrefetchLedger(branches, 1);
  ledger.sent();
  const action = { verb: 'prefetch', rank: 0, branch: session, fromBlocks: 0, toBlocks: 20 } as KvAction;
  ledger.submitted(7, 40);
  ledger.settled(action, { result: 'clipped', appliedBlocks: 14, requestedBlocks: 20, movedBlocks: 10 }, 100);
  return ledger;
}

it('counts what a request finds, once, and how late it was', () => {
  const ledger = told();
  ledger.matched(7, 0, session, 12, 100);
  ledger.matched(8, 0, session, 20, 120);
  expect(ledger.totals[0]).toEqual({ movedBlocks: 10, usedBlocks: 10, wastedBlocks: 0, usedPrefetches: 1, lateMs: 60 });
});

it('counts what leaves HBM before that, by branch', () => {
  const ledger = told();
  ledger.removed(0, session, 2, 20);
  ledger.removed(0, system, 0, 5);
  ledger.matched(7, 0, session, 30, 130);
  // Blocks 4 of the system prompt, and 12 and 13, are gone; 5..11 are used.
  expect(ledger.totals[0]).toMatchObject({ usedBlocks: 7, wastedBlocks: 3 });
});

it('a refused one brings nothing, and a new window begins without what is open', () => {
  const ledger = told();
  ledger.settled(
    { verb: 'prefetch', rank: 0, branch: session, fromBlocks: 0 } as KvAction,
    { result: 'rejected', reason: 'progress', appliedBlocks: 0, requestedBlocks: 20, movedBlocks: 20 },
    110,
  );
  ledger.reset();
  ledger.matched(7, 0, session, 30, 130);
  expect(ledger.totals[0]).toEqual({ movedBlocks: 0, usedBlocks: 0, wastedBlocks: 0, usedPrefetches: 0, lateMs: 0 });
});
