import { describe, expect, it } from 'vitest';
import { readText } from '../worked-examples.ts';

const row = (fields: Record<string, unknown>): string =>
  JSON.stringify({ input_length: 600, output_length: 5, hash_ids: [0, 1], ...fields });

describe('Mooncake rows', () => {
  it('without session are independent arrivals in file order, also at equal times', async () => {
    const text = Array.from({ length: 12 }, (_, i) => row({ timestamp: i < 6 ? 0 : 3000, hash_ids: [0, i + 1] })).join('\n');
    const trace = await readText(text);
    expect(trace.sessionCount).toBe(12);
    expect([...trace.session.arrivalMs]).toEqual([0, 0, 0, 0, 0, 0, 3000, 3000, 3000, 3000, 3000, 3000]);
    expect([...trace.runLast].filter((_, i) => i < 2)).toEqual([1, 0]);
    expect(trace.header).toMatchObject({ blockTokens: 512, idScope: 'file', partialTail: 'labelled' });
  });
  it('of a session may be interleaved and carry delays', async () => {
    const rows = [
      row({ session_id: 'a', timestamp: 100 }),
      row({ session_id: 'b', timestamp: 200 }),
      row({ session_id: 'a', delay: 2500, input_length: 1100, hash_ids: [0, 2, 3] }),
      row({ session_id: 'b', timestamp: 9200 }),
    ];
    const trace = await readText(rows.join('\n'));
    expect([trace.sessionCount, trace.requestCount]).toEqual([2, 4]);
    expect([trace.request.pauseMs[1], trace.request.pauseMs[3]]).toEqual([2500, 9000]);
    expect(trace.notices).toMatchObject([{ code: 'W_TRACE_NO_DELAY', count: 1 }]);
    const swapped = await readText([rows[1], rows[0], rows[3], rows[2]].join('\n'));
    expect(swapped.request).toEqual(trace.request);
  });
  it('may use the other names of their fields', async () => {
    const trace = await readText('{"created_time":7,"input_tokens":512,"output_tokens":3,"hash_ids":[4]}');
    expect([trace.session.arrivalMs[0], trace.request.inTokens[0], trace.request.outTokens[0]]).toEqual([7, 512, 3]);
  });
  it('must have as many ids as blocks, the last of them partial', async () => {
    await expect(readText(row({ timestamp: 0, input_length: 1025 }))).rejects.toThrow('got 2 blocks, expected 3 (in 1025, block 512)');
    await expect(readText(row({ timestamp: 0 }), { blockTokens: 300 })).resolves.toMatchObject({ requestCount: 1 });
  });
  it('warn of an id that is partial here and full there', async () => {
    const trace = await readText([row({ timestamp: 0 }), row({ timestamp: 1, input_length: 1100, hash_ids: [0, 1, 2] })].join('\n'));
    expect(trace.notices).toMatchObject([{ code: 'W_TRACE_PARTIAL_CONFLICT', count: 1 }]);
  });
  it('with one bad row lose the whole session, never half of it', async () => {
    const rows = [
      row({ session_id: 'a', timestamp: 0 }),
      row({ session_id: 'a', delay: 1, input_length: -1 }),
      row({ session_id: 'b', timestamp: 5 }),
    ];
    await expect(readText(rows.join('\n'))).rejects.toThrow('E_TRACE_VALUE t.jsonl:2 input_length: got -1');
    const trace = await readText(rows.join('\n'), { skipBad: 1 });
    expect([trace.sessionCount, trace.requestCount]).toEqual([1, 1]);
  });
  it('refuse ids that JSON numbers cannot tell apart', async () => {
    const text = '{"timestamp":0,"input_length":600,"output_length":1,"hash_ids":[18446744073709551615,18446744073709551614]}';
    await expect(readText(text)).rejects.toThrow('E_TRACE_ID_RANGE');
  });
});
