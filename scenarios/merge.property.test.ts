import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Problem } from '../control/user-error.ts';
import { fromValue, type LocatedNode, toValue } from './located-tree.ts';
import { finishMerge, mergeTrees } from './merge.ts';

const RUNS = { numRuns: Number(process.env['KVCAST_RUNS'] ?? 400) };
const ORIGIN = { kind: 'file', source: 'x.yaml', line: 1, column: 1 } as const;
const tree = (value: unknown): LocatedNode => fromValue(value, ORIGIN);
const finished = (node: LocatedNode): unknown => toValue(finishMerge(node, []));

const key = fc.constantFrom('a', 'b', 'c', 'use', 'with');
/** Documents without deletions: maps, plain lists, lists of named items, preset strings. */
const { value } = fc.letrec<{ value: unknown; map: Record<string, unknown> }>((tie) => ({
  map: fc.dictionary(key, tie('value'), { maxKeys: 3 }),
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom<unknown>(1, 2, 'x@1', 'y@1', true),
    tie('map'),
    fc.array(fc.constantFrom(1, 2, 3), { maxLength: 2 }),
    fc
      .uniqueArray(fc.tuple(fc.constantFrom('n', 'm', 'o'), tie('map')), { maxLength: 3, selector: ([name]) => name })
      .map((items) => items.map(([name, map]) => ({ name, ...map }))),
  ),
}));
const document = fc.dictionary(key, value, { maxKeys: 4 });

describe('merge laws', () => {
  it('an empty body over x is x', () => {
    fc.assert(
      fc.property(document, (x) => {
        expect(finished(mergeTrees(tree(x), tree({})))).toEqual(finished(tree(x)));
        expect(finished(mergeTrees(tree({}), tree(x)))).toEqual(finished(tree(x)));
      }),
      RUNS,
    );
  });

  it('merging is associative over three files without deletions', () => {
    fc.assert(
      fc.property(document, document, document, (a, b, c) => {
        const left = mergeTrees(mergeTrees(tree(a), tree(b)), tree(c));
        const right = mergeTrees(tree(a), mergeTrees(tree(b), tree(c)));
        expect(finished(left)).toEqual(finished(right));
      }),
      RUNS,
    );
  });

  it('a later null deletes, so that the default applies again', () => {
    fc.assert(
      fc.property(document, (x) => {
        const nulls = Object.fromEntries(Object.keys(x).map((name) => [name, null]));
        expect(finished(mergeTrees(tree(x), tree(nulls)))).toEqual({});
      }),
      RUNS,
    );
  });

  it('does not change its inputs', () => {
    fc.assert(
      fc.property(document, document, (a, b) => {
        const [under, over] = [tree(a), tree(b)];
        mergeTrees(under, over);
        expect(toValue(under)).toEqual(a);
        expect(toValue(over)).toEqual(b);
      }),
      RUNS,
    );
  });
});

describe('merge by name', () => {
  const pools = (...items: object[]) => tree({ pools: items });

  it('merges items of the same name and appends new ones in order of appearance', () => {
    const merged = mergeTrees(pools({ name: 'a', n: 1, k: 1 }, { name: 'b', n: 2 }), pools({ name: 'c', n: 3 }, { name: 'a', n: 9 }));
    expect(finished(merged)).toEqual({
      pools: [
        { name: 'a', n: 9, k: 1 },
        { name: 'b', n: 2 },
        { name: 'c', n: 3 },
      ],
    });
  });

  it('removes an item, and reports a removal that meets nothing', () => {
    const removal = pools({ name: 'a', $remove: true });
    expect(finished(mergeTrees(pools({ name: 'a' }, { name: 'b' }), removal))).toEqual({ pools: [{ name: 'b' }] });
    const problems: Problem[] = [];
    finishMerge(mergeTrees(pools({ name: 'aa' }), removal), problems);
    expect(problems).toMatchObject([{ code: 'E_REMOVE_UNKNOWN', line: 1, hint: 'Did you mean "aa"?' }]);
  });

  it('lets a map that names no preset stand on a bare preset string, and a string replace a map', () => {
    expect(finished(mergeTrees(tree({ router: 'x@1' }), tree({ router: { with: { c: 2 } } })))).toEqual({
      router: { use: 'x@1', with: { c: 2 } },
    });
    const empty = mergeTrees(tree({ router: 'x@1' }), tree({ router: {} }));
    expect(finished(mergeTrees(empty, tree({ router: { with: { c: 2 } } })))).toEqual({ router: { use: 'x@1', with: { c: 2 } } });
    expect(finished(mergeTrees(tree({ router: { use: 'x@1', with: { c: 2 } } }), tree({ router: 'y@1' })))).toEqual({ router: 'y@1' });
  });
});
