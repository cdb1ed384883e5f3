import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { type ClaimPlace, HeldClaims } from './held-claims.ts';

interface Claim extends ClaimPlace {
  readonly untilMs: number;
}

/** Sessions 0..3 of two tenants; tenant 1 comes when session 1 or 3 does. */
const place = fc.record({ rank: fc.nat(1), session: fc.nat(3), branch: fc.nat(4), depth: fc.integer({ min: 1, max: 30 }) });
const step = fc.record({ place, verb: fc.constantFrom('hold', 'renew', 'renewAll', 'close', 'pass'), ms: fc.nat(50), budget: fc.nat(25) });

it('charges claims per rank and per tenant as a list of claims would, whenever another tenant comes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (script) => {
      const branches = new BranchTable();
      const system = branches.add(-1, 0, 8);
      const [a] = [branches.add(system, 8, 6), branches.add(system, 5, 4)];
      branches.add(a, 3, 7);
      branches.add(a, 6, 5);
      const held = new HeldClaims(branches, true);
      let list: Claim[] = [];
      let now = 0;
      const blocks = (claims: readonly Claim[]): Set<string> => {
        const out = new Set<string>();
        for (const { branch, depth } of claims) for (let i = 1; i <= depth; i++) out.add(`${branches.at(branch, i)}:${i}`);
        return out;
      };
      const isPrefix = (one: Claim, of: ClaimPlace): boolean =>
        one.depth <= of.depth && branches.commonDepth(one.branch, one.depth, of.branch, of.depth) === one.depth;
      for (const { place, verb, ms, budget } of script) {
        const depth = 1 + (place.depth % branches.end(place.branch));
        const at: ClaimPlace = { ...place, depth, tenant: place.session % 2 };
        const untilMs = now + ms;
        if (verb === 'pass') now += ms;
        list = list.filter((one) => one.untilMs >= now);
        if (verb === 'close') {
          held.takeSession(at.session, now);
          list = list.filter((one) => one.session !== at.session);
        } else if (verb === 'hold') held.hold(at, untilMs, now);
        else if (verb !== 'pass') {
          const dueMs = verb === 'renew' ? untilMs : Number.POSITIVE_INFINITY;
          held.renew(at, untilMs, dueMs, now);
          const ends = (one: Claim): boolean =>
            one.rank === at.rank && one.session === at.session && one.untilMs <= dueMs && isPrefix(one, at);
          list = list.filter((one) => !ends(one));
        }
        if (verb === 'hold' || verb.startsWith('renew')) list.push({ ...at, untilMs });
        for (const rank of [0, 1]) {
          const here = list.filter((one) => one.rank === rank);
          expect(held.claimed(rank, now)).toEqual({ claims: here.length, blocks: blocks(here).size });
        }
        const own = blocks(list.filter((one) => one.rank === at.rank && one.tenant === at.tenant));
        let covered = 0;
        while (covered < depth && own.has(`${branches.at(at.branch, covered + 1)}:${covered + 1}`)) covered++;
        const left = Math.max(0, budget - own.size);
        expect(held.room(at.rank, at.tenant, at.branch, depth, budget, now)).toBe(Math.min(depth, depth <= left ? depth : covered + left));
      }
    }),
  );
});
