import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readRecording } from '../recording-file.ts';
import type { RecordedScenario } from './vllm-recording.ts';
import { fitsAsynchronous, fitsJumping, replayAsynchronous, replayJumping } from './worker-replay.ts';

const folder = fileURLToPath(new URL('./vectors/', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl.gz'));
const synchronous = (file: string) => [...readRecording<RecordedScenario>(`${folder}${file}`)].filter((s) => s.config.async_depth === 1);
const micro = (id: string) => structuredClone(synchronous('m.jsonl.gz').find((s) => s.id === id)!) as RecordedScenario;

/** The scenario with a step changed. */
function forged(id: string, t: number, change: Partial<RecordedScenario['steps'][0]>): RecordedScenario {
  const scenario = micro(id);
  return { ...scenario, steps: scenario.steps.map((step) => (step.t === t ? { ...step, ...change } : step)) };
}

describe('the jumping engine on schedules recorded from vLLM 0.32.0', () => {
  it.each(files.filter((file) => file !== 'i.jsonl.gz'))('tells what was recorded in every synchronous scenario of %s', (file) => {
    const scenarios = synchronous(file);
    expect(scenarios.length).toBeGreaterThanOrEqual(14);
    for (const scenario of scenarios) {
      const { differences, fields } = replayJumping(scenario);
      expect(differences, scenario.id).toEqual([]);
      expect(fields).toBeGreaterThan(2 * scenario.requests.length);
    }
  });

  it.each([
    ['m.jsonl.gz', 3],
    ['i.jsonl.gz', 25],
    ['j.jsonl.gz', 7],
  ])('and in those of %s with asynchronous scheduling whose inputs a worker can be given, as does the stepped worker', (file, count) => {
    const scenarios = [...readRecording<RecordedScenario>(`${folder}${file}`)].filter(fitsAsynchronous);
    expect(scenarios.length).toBe(count);
    for (const scenario of scenarios) {
      expect(fitsJumping(scenario)).toBe(true);
      expect(replayJumping(scenario).differences, scenario.id).toEqual([]);
      expect(replayAsynchronous(scenario).differences, scenario.id).toEqual([]);
    }
  });

  it('notices a wrong hit, order of preemption, end or event', () => {
    const first = (scenario: RecordedScenario) => replayJumping(scenario).differences[0];
    expect(
      first(
        forged('M3a', 0, {
          new: [
            [0, 0],
            [1, 4],
          ],
        }),
      ),
    ).toEqual({
      field: 'admissions at 0 ms',
      got: [0, 1, 8, 'new'],
      expected: [0, 1, 4, 'new'],
    });
    expect(first(forged('M7', 1, { pre: [1] }))).toEqual({ field: 'preemptions at 1 ms', got: [1, 2], expected: [1, 1] });
    expect(first(forged('M1', 4, { fin: [1, 0] }))).toEqual({
      field: 'ends at 5 ms',
      got: [5, 0, 3, 'length'],
      expected: [5, 1, 2, 'length'],
    });
    expect(first(forged('M1', 1, { ev: ['S1:2'] }))).toEqual({
      field: 'events at 2 ms',
      got: [2, 'S1:?', 'S?:?'],
      expected: [2, 'S1:2', 'S3:4'],
    });
  });

  it('leaves out what no worker can be told: an input between an empty step and the next of the same time', () => {
    expect(files.flatMap(synchronous).every(fitsJumping)).toBe(true);
    const scenario = micro('M10-self');
    const empty = scenario.steps.findIndex((step) => step.free !== undefined && step.s === undefined);
    const steps = scenario.steps.map((step, i) => (i === empty + 1 ? { ...step, abort: [0] } : step));
    expect(fitsJumping({ ...scenario, steps })).toBe(false);
  });

  it('notices a wrong total', () => {
    const scenario = micro('M1');
    const { differences } = replayJumping({ ...scenario, final: { ...scenario.final, hashed_blocks: 5 } });
    expect(differences).toEqual([{ field: 'final hashed_blocks', got: 6, expected: 5 }]);
  });
});
