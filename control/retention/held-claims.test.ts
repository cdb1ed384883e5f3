import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { HeldClaims } from './held-claims.ts';

function tree(): { readonly held: HeldClaims; readonly system: number; readonly a: number; readonly b: number } {
  const branches = new BranchTable();
  const system = branches.add(-1, 0, 10);
  return { held: new HeldClaims(branches, false), system, a: branches.add(system, 10, 10), b: branches.add(system, 10, 10) };
}

describe('HeldClaims', () => {
  it('a renewal ends claims on prefixes that end earlier, and leaves longer ones and siblings alone', () => {
    const { held, system, a, b } = tree();
    held.hold({ rank: 0, tenant: 0, session: 7, branch: system, depth: 10 }, 100, 0);
    held.hold({ rank: 0, tenant: 0, session: 7, branch: a, depth: 15 }, 500, 0);
    held.hold({ rank: 0, tenant: 0, session: 7, branch: b, depth: 12 }, 100, 0);
    const place = { rank: 0, tenant: 0, session: 7, branch: a, depth: 18 };
    held.renew(place, 200, 200, 0);
    // The system prompt's claim is gone; the later deadline on the same chain and the sibling's claim stay beside the new one.
    expect(held.claimed(0, 0)).toEqual({ claims: 3, blocks: 20 });
    held.renew(place, 200, Number.POSITIVE_INFINITY, 0);
    expect(held.claimed(0, 0)).toEqual({ claims: 2, blocks: 20 });
    expect(held.claimed(0, 101)).toEqual({ claims: 1, blocks: 18 });
  });

  it('a renewal ends nothing of other ranks or sessions', () => {
    const { held, a } = tree();
    held.hold({ rank: 1, tenant: 0, session: 7, branch: a, depth: 15 }, 100, 0);
    held.hold({ rank: 0, tenant: 0, session: 8, branch: a, depth: 15 }, 100, 0);
    held.renew({ rank: 0, tenant: 0, session: 7, branch: a, depth: 20 }, 200, 200, 0);
    expect([held.claimed(0, 0).claims, held.claimed(1, 0).claims]).toEqual([2, 1]);
  });

  it('takes the claim of the rank it was made for', () => {
    const { held, a } = tree();
    held.hold({ rank: 0, tenant: 0, session: 7, branch: a, depth: 15 }, 100, 0);
    held.hold({ rank: 1, tenant: 0, session: 7, branch: a, depth: 15 }, 100, 0);
    expect(held.take(1, 7, a, 15, 100)?.rank).toBe(1);
    expect([held.claimed(0, 0).claims, held.claimed(1, 0).claims]).toEqual([1, 0]);
    expect(held.take(1, 7, a, 15, 100)).toBeUndefined();
  });

  it('leaves nothing of a session whose blocks others claim, and only the rest of one that shares', () => {
    const { held, system, a, b } = tree();
    held.hold({ rank: 0, tenant: 0, session: 7, branch: system, depth: 10 }, 100, 0);
    held.hold({ rank: 0, tenant: 0, session: 8, branch: a, depth: 15 }, 100, 0);
    held.hold({ rank: 0, tenant: 0, session: 9, branch: b, depth: 18 }, 100, 0);
    expect(held.takeSession(7, 0)).toEqual([]);
    expect(held.takeSession(8, 0)).toMatchObject([{ rank: 0, fromBlocks: 10, claim: { branch: a, depthBlocks: 15 } }]);
    expect(held.takeSession(9, 0)).toMatchObject([{ fromBlocks: 0 }]);
    expect(held.claimed(0, 0)).toEqual({ claims: 0, blocks: 0 });
  });
});
