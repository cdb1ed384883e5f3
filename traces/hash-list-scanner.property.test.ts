import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Trace } from './columns.ts';
import { HashListScanner } from './hash-list-scanner.ts';
import { pushRun } from './run-list.ts';
import { readText } from './worked-examples.ts';

const runs = Number(process.env['KVCAST_RUNS'] ?? 200);

function compressed(ids: readonly number[]): number[] {
  const list: number[] = [];
  for (const id of ids) pushRun(list, id, id);
  return list;
}

/** Lists that mostly repeat their predecessor, as prompts do. */
const lists = fc
  .array(fc.record({ keep: fc.nat(30), tail: fc.array(fc.oneof(fc.nat(12), fc.nat(2_000_000)), { maxLength: 8 }) }), {
    minLength: 1,
    maxLength: 8,
  })
  .map((steps) => {
    const all: number[][] = [];
    let last: number[] = [];
    for (const { keep, tail } of steps) {
      last = [...last.slice(0, keep), ...tail];
      all.push(last);
    }
    return all;
  });

const gap = fc.constantFrom('', ' ', '\t', '  ', '\r\n');

describe('the scanner', () => {
  it('turns lists into the runs of their ids and leaves the rest of the line', () => {
    fc.assert(
      fc.property(lists, gap, gap, (all, before, after) => {
        const requests = all.map(
          (ids, i) => `{"t":${i},"hash_ids"${before}:${after}[${ids.map((id) => `${before}${id}${after}`).join(',')}],"in":3}`,
        );
        const bytes = Buffer.from(`xx{"id":"ä","requests":[${requests.join(',')}]}yy`);
        const cut = new HashListScanner().cut(bytes, 2, bytes.length - 2)!;
        expect(cut.lists).toEqual(all.map(compressed));
        expect(JSON.parse(cut.text)).toEqual({ id: 'ä', requests: all.map((_, i) => ({ t: i, hash_ids: i, in: 3 })) });
      }),
      { numRuns: runs },
    );
  });
  it('reads pairs and merges those that touch', () => {
    const bytes = Buffer.from('{"hash_ids":[[1,3],[4, 9] ,[20,20]],"b":{"hash_ids":[]}}');
    expect(new HashListScanner().cut(bytes, 0, bytes.length)).toEqual({
      text: '{"hash_ids":0,"b":{"hash_ids":1}}',
      lists: [[1, 9, 20, 20], []],
      encoding: 'ranges',
    });
  });
  for (const odd of [
    '[1,-2]',
    '[1.5]',
    '[1e3]',
    '[01]',
    '[1,]',
    '[1 2]',
    '[[1,2,3]]',
    '[[2,1]]',
    '["1"]',
    '7',
    'null',
    '[1',
    '[12345678901234567]',
    '[1,[2,3]]',
  ])
    it(`leaves ${odd} to the plain path`, () => {
      const bytes = Buffer.from(`{"hash_ids":${odd}}`);
      expect(new HashListScanner().cut(bytes, 0, bytes.length)).toBeNull();
    });
  it('is not deceived by escaped keys or by values that look like keys', () => {
    for (const text of ['{"x\\"hash_ids":[1]}', '{"a":"hash_ids"}', '{"hash_\\u0069ds":[1],"hash_ids":[2]}']) {
      const bytes = Buffer.from(text);
      expect(new HashListScanner().cut(bytes, 0, bytes.length)).toBeNull();
    }
  });
});

/** Everything but the digest. */
function content(trace: Trace): unknown {
  return { ...trace, header: { ...trace.header, source: null }, input: null };
}

/** Short lines take the plain door anyway: blanks make them long. */
const LONG = ' '.repeat(2100);

describe('both doors', () => {
  const chunk = fc.record({ keep: fc.nat(6), more: fc.integer({ min: 0, max: 4 }), extra: fc.nat(63), gap: fc.nat(3) });
  it('read the same WEKA sessions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { minLength: 1, maxLength: 8 }), async (chunks) => {
        let next = 1;
        let ids: number[] = [];
        const requests = chunks.map(({ keep, more, extra, gap: skip }, i) => {
          next += skip;
          ids = [...ids.slice(0, Math.max(0, ids.length - keep)), ...Array.from({ length: more }, () => next++)];
          return {
            t: i,
            type: 'n',
            model: 'm',
            in: Math.max(1, 64 * ids.length + extra),
            out: 1,
            hash_ids: ids,
            input_types: [],
            stop: '',
          };
        });
        const text = JSON.stringify({ id: 's', block_size: 64, hash_id_scope: 'local', requests }) + LONG;
        expect(content(await readText(text))).toEqual(content(await readText(text, { fast: false })));
      }),
      { numRuns: Math.ceil(runs / 4) },
    );
  });
  it('read the same Mooncake rows', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ branch: fc.nat(2), blocks: fc.integer({ min: 1, max: 6 }), tail: fc.integer({ min: 1, max: 512 }) }), {
          minLength: 1,
          maxLength: 10,
        }),
        async (rows) => {
          const text = rows
            .map(({ branch, blocks, tail }, i) => {
              const ids = Array.from({ length: blocks }, (_, k) => (k === 0 ? 0 : 100 * branch + k));
              // The last block is labelled: give partial ones an id of their own.
              if (tail < 512) ids[blocks - 1] = 1000 + i;
              return JSON.stringify({ timestamp: 3 * i, input_length: 512 * (blocks - 1) + tail, output_length: 2, hash_ids: ids }) + LONG;
            })
            .join('\n');
          expect(content(await readText(text))).toEqual(content(await readText(text, { fast: false })));
        },
      ),
      { numRuns: Math.ceil(runs / 4) },
    );
  });
});
