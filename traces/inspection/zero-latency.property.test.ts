import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pauseOf, type Trace } from '../columns.ts';
import { readText, sessionE1 } from '../worked-examples.ts';
import { type GlobalZeroLatency, globalZeroLatency } from './global-zero-latency.ts';
import { type SessionZeroLatency, sessionZeroLatency } from './session-zero-latency.ts';
import { TTLS_S } from './ttl-sums.ts';

const runs = Number(process.env['KVCAST_RUNS'] ?? 40);

/** Block ids of request `r`, one by one: what the product never does. */
function idsOf(trace: Trace, r: number): number[] {
  const ids: number[] = [];
  for (let k = trace.request.runFrom[r]!; k < trace.request.runFrom[r + 1]!; k++)
    for (let id = trace.runFirst[k]!; id <= trace.runLast[k]!; id++) ids.push(id);
  return ids;
}

/** Definitions of the specification, block by block, for traces of roots only. */
function naiveSessions(trace: Trace, mode: 'recorded' | 'debiased') {
  const B = trace.header.blockTokens;
  const rows = TTLS_S.map((ttlS) => ({ ttlS, prev: 0, hits: 0, missed: 0, idle: 0 }));
  let infinite = 0;
  let unique = 0;
  let active = 0;
  for (let s = 0; s < trace.sessionCount; s++) {
    const lastUse = new Map<number, number>();
    let clock = 0;
    let previous: number[] = [];
    const from = trace.agent.requestFrom[s]!;
    const to = trace.agent.requestFrom[s + 1]!;
    for (let r = from; r < to; r++) {
      const ids = idsOf(trace, r);
      const api = Number.isNaN(trace.request.apiMs[r]!) ? trace.request.apiEstMs[r]! : trace.request.apiMs[r]!;
      active += api * trace.request.inTokens[r]!;
      const pause = r === from ? 0 : pauseOf(trace, r, mode);
      clock += pause;
      let lcp = 0;
      while (lcp < ids.length && lcp < previous.length && ids[lcp] === previous[lcp]) lcp++;
      let seen = 0;
      while (seen < ids.length && lastUse.has(ids[seen]!)) seen++;
      infinite += seen;
      for (const row of rows) {
        let h = 0;
        while (h < ids.length && clock - (lastUse.get(ids[h]!) ?? -Infinity) <= 1000 * row.ttlS) h++;
        row.hits += h;
        if (r === to - 1) row.idle += 1000 * row.ttlS * trace.request.inTokens[r]!;
        if (r === from) continue;
        row.idle += Math.min(pause, 1000 * row.ttlS) * trace.request.inTokens[r - 1]!;
        if (pause <= 1000 * row.ttlS) row.prev += lcp * B;
        else row.missed++;
      }
      for (const id of ids) lastUse.set(id, clock);
      previous = ids;
    }
    unique += lastUse.size;
  }
  return { rows, infinite, unique, active };
}

function naiveGlobal(trace: Trace, ttlsS: number[], capacities: number[]) {
  const order = Array.from({ length: trace.requestCount }, (_, r) => r);
  const hits = (test: (id: number, r: number) => boolean, use: (ids: number[], r: number) => void): number => {
    let sum = 0;
    for (const r of order) {
      const ids = idsOf(trace, r);
      let h = 0;
      while (h < ids.length && test(ids[h]!, r)) h++;
      sum += h;
      use(ids, r);
    }
    return sum;
  };
  const time = (r: number): number => trace.session.arrivalMs[r]!;
  return {
    ttl: ttlsS.map((ttl) => {
      const last = new Map<number, number>();
      return hits(
        (id, r) => time(r) - (last.get(id) ?? -Infinity) <= 1000 * ttl,
        (ids, r) => {
          for (const id of ids) last.set(id, time(r));
        },
      );
    }),
    lru: capacities.map((capacity) => {
      // A Map keeps insertion order: the first key is the least recent.
      const cache = new Map<number, true>();
      return hits(
        (id) => cache.has(id),
        (ids) => {
          for (const id of [...ids].reverse()) {
            cache.delete(id);
            cache.set(id, true);
          }
          for (const id of cache.keys()) {
            if (cache.size <= capacity) break;
            cache.delete(id);
          }
        },
      );
    }),
  };
}

/** Random walks over a tree of prompts: keep a prefix of any earlier prompt, add fresh ids (gaps included). */
const step = fc.record({
  back: fc.nat(3),
  keep: fc.double({ min: 0, max: 1, noNaN: true }),
  more: fc.nat(5),
  skip: fc.nat(1),
  gap: fc.constantFrom(0, 1, 2, 5, 7, 15, 61, 400),
  api: fc.constantFrom(0, 1, 3, -1),
  type: fc.constantFrom('n', 's'),
});

function wekaSession(
  id: string,
  steps: { back: number; keep: number; more: number; skip: number; gap: number; api: number; type: string }[],
): string {
  const prompts: number[][] = [];
  let next = 1;
  let t = 0;
  const requests = steps.map(({ back, keep, more, skip, gap, api, type }) => {
    const base = prompts[prompts.length - 1 - back] ?? prompts[prompts.length - 1] ?? [];
    next += skip;
    const ids = [...base.slice(0, Math.round(keep * base.length)), ...Array.from({ length: more + 1 }, () => next++)];
    prompts.push(ids);
    t += gap + Math.max(0, api);
    return { t, type, model: 'm', in: 64 * ids.length + 5, out: 3, hash_ids: ids, stop: 'tool_use', ...(api < 0 ? {} : { api_time: api }) };
  });
  return JSON.stringify({ id, block_size: 64, hash_id_scope: 'local', requests });
}

const trace = fc.array(fc.array(step, { minLength: 1, maxLength: 10 }), { minLength: 1, maxLength: 4 });

describe('the run-based tables', () => {
  it('equal the block-by-block definitions on session-private ids', async () => {
    await fc.assert(
      fc.asyncProperty(trace, async (sessions) => {
        const read = await readText(sessions.map((steps, i) => wekaSession(`s${i}`, steps)).join('\n'));
        const got = sessionZeroLatency(read);
        for (const mode of ['recorded', 'debiased'] as const) {
          const want = naiveSessions(read, mode);
          expect(got.ttl[mode].map((r) => [r.prevTurnHitTokens, r.blockHits, r.missedRequests, r.idleTokenMs])).toEqual(
            want.rows.map((r) => [r.prev, r.hits, r.missed, r.idle]),
          );
          expect([got.infinite.blockHits, got.infinite.uniqueBlocks, got.activeTokenMs]).toEqual([want.infinite, want.unique, want.active]);
        }
      }),
      { numRuns: runs },
    );
  });
  it('equal the block-by-block definitions on one global cache', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        const { requests } = JSON.parse(wekaSession('x', steps)) as { requests: { hash_ids: number[]; t: number }[] };
        const rows = requests.map(({ hash_ids, t }) =>
          JSON.stringify({ timestamp: 1000 * t, input_length: 512 * hash_ids.length, output_length: 1, hash_ids }),
        );
        const read = await readText(rows.join('\n'));
        const got = globalZeroLatency(read);
        const want = naiveGlobal(read, Object.keys(got.ttlBlockHits).map(Number), [1000]);
        expect(Object.values(got.ttlBlockHits)).toEqual(want.ttl);
        expect(got.lruBlockHits['1000']).toBe(want.lru[0]);
      }),
      { numRuns: runs },
    );
  });
  it('equal a plain LRU list where capacity decides', async () => {
    // Two long conversations and a stream of one-off prompts, 40 to 700 blocks each: the cache of 1,000 blocks is always short.
    let next = 1;
    const chats: number[][] = [[], []];
    const rows = Array.from({ length: 60 }, (_, i) => {
      const chat = chats[i % 3];
      const fresh = Array.from({ length: 40 + ((i * 37) % 60) }, () => next++);
      if (chat === undefined) return fresh;
      if (i % 11 === 0) chat.length = Math.floor(chat.length / 2);
      chat.push(...fresh);
      return [...chat];
    });
    const text = rows
      .map((ids, i) => JSON.stringify({ timestamp: i, input_length: 512 * ids.length, output_length: 1, hash_ids: ids }))
      .join('\n');
    const read = await readText(text);
    const want = naiveGlobal(read, [], [1000]).lru[0]!;
    expect(want).toBeLessThan(globalZeroLatency(read).blockHits);
    expect(globalZeroLatency(read).lruBlockHits['1000']).toBe(want);
  });
  it('grow with the TTL and stay below the infinite cache', async () => {
    await fc.assert(
      fc.asyncProperty(trace, async (sessions) => {
        const got = sessionZeroLatency(await readText(sessions.map((steps, i) => wekaSession(`s${i}`, steps)).join('\n')));
        for (const rows of [got.ttl.recorded, got.ttl.debiased])
          rows.forEach((row, i) => {
            expect(row.blockHits * 64).toBeGreaterThanOrEqual(row.prevTurnHitTokens);
            expect(row.blockHits).toBeLessThanOrEqual(got.infinite.blockHits);
            if (i === 0) return;
            expect(row.blockHits).toBeGreaterThanOrEqual(rows[i - 1]!.blockHits);
            expect(row.idleTokenMs).toBeGreaterThan(rows[i - 1]!.idleTokenMs);
          });
      }),
      { numRuns: runs },
    );
  });
  it('do not depend on the order or names of sessions, on tenants, or on the numbers of ids', async () => {
    await fc.assert(
      fc.asyncProperty(trace, fc.nat(1000), async (sessions, shift) => {
        const lines = sessions.map((steps, i) => wekaSession(`s${i}`, steps));
        const other = lines.map((line, i) => {
          const session = JSON.parse(line) as { id: string; requests: { hash_ids: number[] }[] };
          session.id = `z${99 - i}`;
          for (const r of session.requests) r.hash_ids = r.hash_ids.map((id) => 3 * id + shift);
          return JSON.stringify(session);
        });
        const [a, b] = [sessionZeroLatency(await readText(lines.join('\n'))), sessionZeroLatency(await readText(other.join('\n')))];
        expect({ ...b, runsPerRequest: a.runsPerRequest }).toEqual(a);
      }),
      { numRuns: runs },
    );
  });
});

describe('session E1', () => {
  const rowsOf = (table: SessionZeroLatency, mode: 'recorded' | 'debiased'): unknown[] =>
    [0, 1, 2, 5, 10, 30].map((ttlS) => {
      const r = table.ttl[mode].find((row) => row.ttlS === ttlS)!;
      return [r.prevTurnHitTokens, r.blockHits, r.missedRequests, Number(r.idlePerActive.toFixed(4))];
    });
  it('has the table worked out by hand', async () => {
    const table = sessionZeroLatency(await readText(JSON.stringify(sessionE1())));
    expect(table).toMatchObject({
      inputTokens: 2540,
      blockReferences: 37,
      activeTokenMs: 7_408_000,
      prefixBreaksGt10pct: 2,
      prevTurn: { hitTokens: 1472 },
      infinite: { blockHits: 28, uniqueBlocks: 9 },
    });
    expect(table.prevTurn.pct).toBeCloseTo(57.953, 3);
    expect(table.infinite.readsPerWrite).toBeCloseTo(3.111, 3);
    expect(rowsOf(table, 'recorded')).toEqual([
      [384, 6, 4, 0],
      [384, 6, 4, 0.2848],
      [576, 9, 3, 0.5697],
      [768, 17, 2, 1.1785],
      [1024, 21, 1, 2.0761],
      [1472, 28, 0, 4.6844],
    ]);
    expect(rowsOf(table, 'debiased')).toEqual([
      [384, 6, 4, 0],
      [768, 12, 2, 0.2848],
      [768, 17, 2, 0.4644],
      [1024, 21, 1, 0.9625],
      [1024, 21, 1, 1.6577],
      [1472, 28, 0, 4.1309],
    ]);
  });
  it('shares between clones only what sharing allows, the more the wider', async () => {
    const table = sessionZeroLatency(await readText(['a', 'b', 'c'].map((id) => JSON.stringify(sessionE1(id))).join('\n')));
    const levels = ['none', 'tools', 'tools+system', 'fleet_1'].map((level) => table.sharingInfinite[level]!);
    // Tools 130 tokens = 2 blocks, with the system prompt 200 tokens = 3 blocks; two of three clones find them.
    expect(levels.map((l) => l.blockHits)).toEqual([84, 88, 90, 90]);
    expect(levels.map((l) => l.uniqueBlocks)).toEqual([27, 23, 21, 21]);
  });
});

it('an id that names a partial block counts with its true length', async () => {
  const row = (t: number): string => JSON.stringify({ timestamp: t, input_length: 700, output_length: 1, hash_ids: [0, 1] });
  const table: GlobalZeroLatency = globalZeroLatency(await readText(`${row(0)}\n${row(1)}`));
  expect([table.tokenHitPctWithPartial, table.tokenHitPctFullBlocks, table.fullPromptHits]).toEqual([50, 36.571, 1]);
});
