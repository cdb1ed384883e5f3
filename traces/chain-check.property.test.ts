import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChainCheck } from './chain-check.ts';
import { pushRun } from './run-list.ts';

const runs = Number(process.env['KVCAST_RUNS'] ?? 200);

function compressed(ids: readonly number[]): number[] {
  const list: number[] = [];
  for (const id of ids) pushRun(list, id, id);
  return list;
}

/** True if every id of all prompts has one position and one predecessor. */
function chained(prompts: readonly (readonly number[])[]): boolean {
  const seen = new Map<number, string>();
  for (const ids of prompts)
    for (let i = 0; i < ids.length; i++) {
      const place = `${i} ${i === 0 ? -1 : ids[i - 1]}`;
      const known = seen.get(ids[i]!);
      if (known !== undefined && known !== place) return false;
      seen.set(ids[i]!, place);
    }
  return true;
}

describe('the chain check', () => {
  it('finds a contradiction exactly where a map of positions and predecessors does', () => {
    const prompt = fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(prompt, { maxLength: 5 }), (prompts) => {
        const check = new ChainCheck();
        for (const ids of prompts) check.add(compressed(ids), 0);
        expect(check.conflicts === 0).toBe(chained(prompts));
      }),
      { numRuns: 5 * runs },
    );
  });
  it('accepts prompts drawn from a tree, whatever their order', () => {
    const choice = fc.array(fc.nat(2), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(choice, { maxLength: 12 }), (paths) => {
        const ids = new Map<string, number>();
        const check = new ChainCheck();
        for (const path of paths) {
          const prompt = path.map((_, i) => {
            const key = path.slice(0, i + 1).join();
            if (!ids.has(key)) ids.set(key, ids.size);
            return ids.get(key)!;
          });
          check.add(compressed(prompt), 0);
        }
        expect(check.conflicts).toBe(0);
      }),
      { numRuns: runs },
    );
  });
  it('counts one conflict per run and forgets at a new scope', () => {
    const check = new ChainCheck();
    check.add([1, 4], 0);
    expect(check.add([3, 4], 0)).toBe(1);
    check.reset();
    expect(check.add([3, 4], 0)).toBe(0);
  });
});
