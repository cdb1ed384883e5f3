import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { RecordedScenario } from './vllm-recording.ts';
import { expandRanges, replayScenario } from './vllm-replay.ts';

const folder = new URL('./vectors/', import.meta.url);

function scenariosOf(file: string): RecordedScenario[] {
  const text = gunzipSync(readFileSync(new URL(file, folder))).toString('utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RecordedScenario);
}

describe('replay of schedules recorded from vLLM 0.32.0', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl.gz'));

  it('finds the families', () => {
    expect(files).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'm'].map((f) => `${f}.jsonl.gz`));
  });

  it.each(files)('equals every field of every step in %s', (file) => {
    const scenarios = scenariosOf(file);
    expect(scenarios.length).toBeGreaterThanOrEqual(14);
    for (const scenario of scenarios) {
      const { differences, fields } = replayScenario(scenario);
      expect(differences).toEqual([]);
      expect(fields).toBeGreaterThan(scenario.steps.length * 5);
    }
  });

  it('notices a wrong field', () => {
    const [scenario] = scenariosOf('m.jsonl.gz') as [RecordedScenario];
    const [first, ...rest] = scenario.steps as [RecordedScenario['steps'][0], ...RecordedScenario['steps']];
    const forged = { ...scenario, steps: [{ ...first, free: 60 }, ...rest] };
    expect(replayScenario(forged).differences).toContainEqual({ field: 'step 0 free', got: 61, expected: 60 });
  });
});

describe('expandRanges', () => {
  it('reads inclusive ranges that may descend', () => {
    expect(expandRanges('4,6-5,7')).toEqual([4, 6, 5, 7]);
    expect(expandRanges('')).toEqual([]);
  });
});
