import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../../../control/user-error.ts';
import type { CaseOutcome } from '../suite.ts';
import { SUITE } from './vllm-suite.ts';

const [M1] = gunzipSync(readFileSync(new URL('./vectors/m.jsonl.gz', import.meta.url)))
  .toString('utf8')
  .split('\n') as [string];

/** A scenario that tests change. */
// biome-ignore lint/suspicious/noExplicitAny: forged on purpose
type Loose = any;

describe('the vllm suite', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvcast-vllm-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function outcomesOf(...lines: readonly string[]): CaseOutcome[] {
    writeFileSync(join(folder, 'm.jsonl'), lines.join('\n'));
    return SUITE.families(folder)
      .filter((family) => family.name === 'm')
      .flatMap((family) => [...family.replay()]);
  }

  function forged(change: (scenario: Loose) => void): string {
    const scenario = JSON.parse(M1);
    change(scenario);
    return JSON.stringify(scenario);
  }

  it('names the first field that is not as recorded, with both values', () => {
    const outcomes = outcomesOf(
      M1,
      forged((s) => {
        s.steps[2].free = 60;
      }),
      forged((s) => {
        s.steps[1].s[1] = 7;
      }),
      forged((s) => {
        s.final.requests[1][5] = 5;
      }),
    );
    expect(outcomes.map((o) => o.difference)).toEqual([
      undefined,
      { field: 'step 2 free', got: 57, expected: 60 },
      { field: 'step 1 s[1]', got: 8, expected: 7 },
      { field: 'final requests[1][5]', got: 4, expected: 5 },
    ]);
  });

  it.each<[string, (scenario: Loose) => void, string]>([
    ['without settings', (s) => delete s.config, 'config: got nothing, expected an object'],
    [
      'with a block size of 0',
      (s) => Object.assign(s.config, { block_size: 0 }),
      'config.block_size: got 0, expected an integer in [1, 1073741824]',
    ],
    ['with a gigantic pool', (s) => Object.assign(s.config, { num_blocks: 1e12 }), 'config.num_blocks: got 1000000000000'],
    ['with a prompt that is not segments', (s) => Object.assign(s.requests[1], { prompt: [[1, 2]] }), 'requests[1].prompt[0]: got [1,2]'],
    ['with a prompt beyond the model', (s) => s.requests[0].prompt.push([1, 0, 1024]), 'requests[0].prompt: got 1044'],
    ['that submits an unknown request', (s) => s.steps[0].add.push(2), 'steps[0].add: got 2, expected a request below 2'],
    ['that submits one twice', (s) => s.steps[0].add.push(1), 'steps[0].add: got 1'],
    ['that aborts before submission', (s) => Object.assign(s.steps[0], { abort: [1] }), 'steps[0].abort: got 1'],
    ['whose iterations go back', (s) => Object.assign(s.steps[3], { t: 1 }), 'steps[3].t: got 1, expected an iteration after 2'],
    ['with broken ranges', (s) => s.steps[0].b.push([0, '1-']), 'steps[0].b[1][1]: got "1-"'],
    ['with a broken event', (s) => s.steps[0].ev.push('X:1'), 'steps[0].ev[1]: got "X:1"'],
    ['that ends unknown requests', (s) => s.final.requests.push([7, 0, 0, 0, '', 0, 0]), 'final.requests: got 7'],
  ])('refuses a scenario %s with file, line and path', (_what, change, message) => {
    let caught: unknown;
    try {
      outcomesOf(M1, '', forged(change));
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UserError);
    const [problem] = (caught as UserError).problems;
    expect(problem).toMatchObject({ code: 'E_RECORDING', file: join(folder, 'm.jsonl'), line: 3 });
    expect(`${problem?.path}: ${problem?.message}`).toContain(message);
  });

  it('replays the scenarios of a file a second time through a whole worker', () => {
    writeFileSync(join(folder, 'm.jsonl'), [M1, forged((s) => Object.assign(s.config, { async_depth: 2 }))].join('\n'));
    const families = SUITE.families(folder);
    expect(families.map((family) => family.name)).toEqual(['m', 'm, jumping', 'm, asynchronous']);
    const ahead = { id: 'M1', difference: { field: 'ends at 3 ms' } };
    expect([...families[1]!.replay()]).toMatchObject([{ id: 'M1', fields: expect.any(Number) }, ahead]);
    expect([...families[2]!.replay()]).toMatchObject([ahead]);
  });

  it('refuses a line that is no object', () => {
    expect(() => outcomesOf('[]')).toThrow(/E_RECORDING .*m\.jsonl:1: got \[\], expected an object/);
  });
});
