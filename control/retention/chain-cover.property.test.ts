import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { ChainCover } from './chain-cover.ts';

const nat = fc.nat(100);

it('moving a chain is adding the new one and taking the old one out; chains that are not to count are as if taken out', () => {
  const shape = fc.array(fc.record({ parent: nat, attach: nat, length: fc.integer({ min: 1, max: 5 }) }), { minLength: 1, maxLength: 8 });
  const chain = fc.record({ branch: nat, depth: nat });
  const moves = fc.array(fc.record({ which: nat, to: chain }), { maxLength: 20 });
  fc.assert(
    fc.property(shape, fc.array(chain, { minLength: 1, maxLength: 5 }), moves, (tree, chains, script) => {
      const branches = new BranchTable();
      for (const { parent, attach, length } of tree) {
        const p = (parent % (branches.count + 1)) - 1;
        branches.add(p, p < 0 ? 0 : attach % (branches.length[p]! + 1), length);
      }
      const place = ({ branch, depth }: { branch: number; depth: number }): [number, number] => {
        const b = branch % branches.count;
        return [b, depth % (branches.end(b) + 1)];
      };
      const [moved, renewed] = [new ChainCover(branches), new ChainCover(branches)];
      const at = chains.map(place);
      for (const one of at) for (const cover of [moved, renewed]) cover.add(...one);
      for (const { which, to } of script) {
        const from = at[which % at.length]!;
        at[which % at.length] = place(to);
        const isExtended = moved.move(...from, ...place(to));
        expect(isExtended).toBe(branches.commonDepth(...from, ...place(to)) === from[1]);
        renewed.add(...place(to));
        renewed.remove(...from);
        expect(moved.blocks).toBe(renewed.blocks);
        for (let b = 0; b < branches.count; b++) {
          for (let depth = 0; depth <= branches.end(b); depth++) expect(moved.covered(b, depth)).toBe(renewed.covered(b, depth));
        }
      }
      const some = at.slice(1);
      for (const one of some) renewed.remove(...one);
      const absent = some.map(([branch, depthBlocks]) => ({ branch, depthBlocks }));
      for (let b = 0; b < branches.count; b++) {
        for (let depth = 0; depth <= branches.end(b); depth++)
          expect(moved.coveredWithout(absent, b, depth)).toBe(renewed.covered(b, depth));
      }
    }),
  );
});
