import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type FamilyReport, replayFamily } from '../conformance.ts';
import { readInput, readRows, recordedRuns } from './aisimulate-recording.ts';
import { replayRequests } from './aisimulate-replay.ts';
import { SUITE } from './aisimulate-suite.ts';
import { recordedRequests } from './recorded-requests.ts';

const FOLDER = fileURLToPath(new URL('./vectors/', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'kvcast-ais-'));
afterAll(() => rmSync(scratch, { recursive: true }));

async function reports(folder: string): Promise<FamilyReport[]> {
  const found: FamilyReport[] = [];
  for (const family of SUITE.families(folder)) {
    await family.prepare?.();
    found.push(replayFamily('aisimulate', family));
  }
  return found;
}

describe('requests replayed from AISimulate', () => {
  it('have its times and reuse, or those of its rounded step sizes', async () => {
    const found = await reports(FOLDER);
    expect(found.map((r) => [r.family, r.cases, r.different])).toEqual([
      ['mc200_w1_rr_fixed100_10', 200, 0],
      ['mc200_w1_rr_poly', 200, 0],
      ['weka5_w1_rr_poly', 183, 0],
    ]);
    expect(found[0]!.equal).toBe(200);
    for (const r of found) expect(r.equal).toBeGreaterThan(0.7 * r.cases);
  });

  it('are told apart by one millisecond and by one block', async () => {
    const csv = readFileSync(join(FOLDER, 'mc200_w1_rr_fixed100_10.csv'), 'utf8');
    copyFileSync(join(FOLDER, 'mc200_input.jsonl.gz'), join(scratch, 'cut_input.jsonl.gz'));
    const forged = csv.replace('320.0,8170.0,512,1', '321.0,8170.0,512,1').replace('4650.0,512,1', '4650.0,1024,1');
    expect(forged).not.toBe(csv);
    writeFileSync(join(scratch, 'cut_w1_rr_fixed100_10.csv'), forged);
    const [report] = await reports(scratch);
    expect([report!.family, report!.different]).toEqual(['cut_w1_rr_fixed100_10', 2]);
  });

  it('end at the same times whether the engine steps or jumps', async () => {
    const run = recordedRuns(FOLDER).find((r) => r.name === 'mc200_w1_rr_poly')!;
    const requests = recordedRequests(readRows(run.csv), readInput(run.input), run.csv).slice(0, 60);
    const settings = { workers: 1, blockTokens: 512, partialTail: 'labelled', timing: run.timing, roundedMeans: false } as const;
    const jumped = await replayRequests(requests, { ...settings, stepMode: 'jump' });
    const stepped = await replayRequests(requests, { ...settings, stepMode: 'reference' });
    for (const [i, row] of jumped.entries()) expect(Math.abs(row.e2eMs - stepped[i]!.e2eMs)).toBeLessThan(1e-8);
  });

  it('need rows and input that fit', async () => {
    const folder = mkdtempSync(join(scratch, 'broken-'));
    writeFileSync(join(folder, 'x_w1_rr_poly.csv'), 'arrival_ms\n0\n');
    expect(() => SUITE.families(folder)).toThrow(/x_input.jsonl.gz/);
    writeFileSync(join(folder, 'x_input.jsonl'), '{"timestamp":0,"input_length":600,"output_length":2,"hash_ids":[0,1]}\n');
    await expect(reports(folder)).rejects.toThrow(/E_RECORDING .*column input_length/);
  });
});
