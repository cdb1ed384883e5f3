import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import { OutputFractions } from './output-fractions.ts';

/** Two chains of 10 blocks that share the first 4. */
function world(): { fractions: OutputFractions; left: number; right: number } {
  const branches = new BranchTable();
  const left = branches.add(-1, 0, 10);
  const right = branches.add(left, 4, 6);
  return { fractions: new OutputFractions(branches), left, right };
}

describe('output fractions', () => {
  it('count output and the own prompt by what is left of the request', () => {
    const { fractions, left } = world();
    fractions.add(1, 0, left, 10, 2);
    expect(fractions.blocks(0)).toBe(12);
    fractions.grow(1, 1);
    expect(fractions.blocks(0)).toBe(13);
    fractions.grow(1, 2, 0.5);
    expect(fractions.blocks(0)).toBe(7);
    fractions.remove(1);
    expect([fractions.blocks(0), fractions.blocks(9)]).toEqual([0, 0]);
  });

  it('stop where another request ends or parts', () => {
    const { fractions, left, right } = world();
    fractions.add(1, 0, left, 10, 0);
    fractions.add(2, 0, right, 10, 0);
    fractions.grow(1, 1, 0);
    // Own 6 and the output block vanish; 4 shared and 6 of the other stay.
    expect(fractions.blocks(0)).toBe(10);
    fractions.add(3, 0, right, 10, 0);
    fractions.grow(2, 1, 0);
    expect(fractions.blocks(0)).toBe(10);
  });

  it('stay on a run that a newcomer splits, and on what is left when the first owner goes', () => {
    const { fractions, left } = world();
    fractions.add(1, 0, left, 10, 0);
    fractions.grow(1, 1, 0.5);
    fractions.add(2, 0, left, 6, 0);
    expect(fractions.blocks(0)).toBe(6);
    fractions.remove(1);
    expect(fractions.blocks(0)).toBe(3);
    fractions.grow(2, 1, 0.25);
    expect(fractions.blocks(0)).toBe(2);
  });

  it('are of one rank', () => {
    const { fractions, left } = world();
    fractions.add(1, 0, left, 10, 0);
    fractions.add(2, 3, left, 10, 0);
    fractions.grow(1, 1, 0);
    expect([fractions.blocks(0), fractions.blocks(3)]).toEqual([0, 10]);
  });

  it('round 18 blocks of 5/12 down: one multiplication, whatever runs they lie in', () => {
    const { fractions, left } = world();
    fractions.add(1, 0, left, 10, 7);
    fractions.grow(1, 1, 1 - 77 / 132);
    expect(fractions.blocks(0)).toBe(7);
  });
});
