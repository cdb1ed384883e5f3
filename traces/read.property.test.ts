import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../control/user-error.ts';
import { EXAMPLE_1_3, readText, sessionE1, sessionE2 } from './worked-examples.ts';

const runs = Number(process.env['KVCAST_RUNS'] ?? 60);

const mooncake = [0, 1]
  .map((i) => JSON.stringify({ timestamp: i, input_length: 700, output_length: 1, hash_ids: [0, i + 1], session_id: 'a', delay: 2 }))
  .join('\n');
const agentic = [
  '{"schema":"dynamo.agentic_mooncake","version":2,"block_size":512,"hash_id_scope":"local","source":{"format":"x","digest":"y"}}',
  '{"request_id":"r0","play_id":"p","session_id":"p/a","model":"m","input_length":600,"output_length":1,"hash_ids":[0,1],"not_before_ms":0,"dependencies":[]}',
  '{"request_id":"r1","play_id":"p","session_id":"p/a","model":"m","input_length":600,"output_length":1,"hash_ids":[0,2],"not_before_ms":0,"dependencies":[{"request_id":"r0","trigger":"completion","delay_ms":5,"relation":"sequence"}]}',
].join('\n');
const files = { kvcast: EXAMPLE_1_3, weka: `${JSON.stringify(sessionE1())}\n${JSON.stringify(sessionE2())}`, mooncake, agentic };

/** A valid trace or a user error with code and file; anything else is a crash. */
async function survives(content: Uint8Array): Promise<boolean> {
  try {
    expect((await readText(content)).sessionCount).toBeGreaterThan(0);
    return true;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const p of error.problems) expect(p.code).toMatch(/^E_TRACE_/);
    expect(error.problems[0]!.file).toBe('t.jsonl');
    return false;
  }
}

describe('a damaged file gives a located error or counted skips, never a crash', () => {
  for (const [format, text] of Object.entries(files)) {
    const bytes = Buffer.from(text);
    it(`cut anywhere (${format})`, async () => {
      expect(await survives(bytes)).toBe(true);
      const step = Math.max(1, Math.floor(bytes.length / 80));
      for (let n = 0; n < bytes.length; n += step) await survives(bytes.subarray(0, n));
    });
    it(`with flipped bytes (${format})`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 }),
          async (flips) => {
            const damaged = Buffer.from(bytes);
            for (const [at, mask] of flips) damaged[at]! ^= mask;
            await survives(damaged);
          },
        ),
        { numRuns: runs },
      );
    });
  }
});
