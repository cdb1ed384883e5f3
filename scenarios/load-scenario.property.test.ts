import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { UserError } from '../control/user-error.ts';
import { loadScenarioSync } from './load-scenario.ts';
import { FULL_SCENARIO } from './mutation-fixture.ts';
import { testPolicies } from './test-policies.fixture.ts';

const RUNS = { numRuns: Number(process.env['KVCAST_RUNS'] ?? 150) };
const POLICIES = testPolicies();

/** Every path of the full scenario. */
function paths(value: unknown, steps: (string | number)[] = []): (string | number)[][] {
  if (value === null || typeof value !== 'object') return [steps];
  return [
    ...(steps.length > 0 ? [steps] : []),
    ...Object.entries(value).flatMap(([key, child]) => paths(child, [...steps, Array.isArray(value) ? Number(key) : key])),
  ];
}

const junk = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    0,
    -1,
    1.5,
    1e300,
    '',
    'x',
    '90',
    '5m',
    'inf',
    '80G',
    'vllm@1',
    'a@b',
    true,
    [],
    {},
    [[]],
    [null],
    [{}],
    { use: 1 },
    { use: 'lru@1' },
    { with: 3 },
  ),
  fc.constantFrom<unknown>({ name: 'main' }, [{ name: 'main' }], [{ name: 'main', $remove: true }], { $remove: true }, '__proto__', {
    constructor: 1,
  }),
  fc.jsonValue(),
);
const PATHS = paths(FULL_SCENARIO);

describe('whatever is written', () => {
  it('is loaded or refused with located problems, never a crash', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...PATHS), junk), { minLength: 1, maxLength: 4 }), (edits) => {
        const document = structuredClone(FULL_SCENARIO) as unknown as Record<string, unknown>;
        for (const [steps, value] of edits) {
          let holder: unknown = document;
          for (const step of steps.slice(0, -1))
            holder = holder !== null && typeof holder === 'object' ? (holder as Record<string | number, unknown>)[step] : undefined;
          if (holder !== null && typeof holder === 'object') (holder as Record<string | number, unknown>)[steps[steps.length - 1]!] = value;
        }
        try {
          loadScenarioSync({ text: stringify(document), name: 'm.yaml' }, { policies: POLICIES });
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          expect(error.problems.length).toBeGreaterThan(0);
          for (const problem of error.problems) {
            expect(problem.file, JSON.stringify(problem)).toBe('m.yaml');
            expect(problem.line, JSON.stringify(problem)).toBeGreaterThan(0);
          }
        }
      }),
      RUNS,
    );
  });

  it('from the command line, too', () => {
    const text = stringify(FULL_SCENARIO);
    const path = fc.oneof(
      fc.constantFrom(...PATHS.map((steps) => steps.join('.'))),
      fc.string({ maxLength: 12 }),
      fc.constantFrom('fast.c', 'slow.ttl', 'dynamo-kv.c', 'fleet.pools[0].workers', '.', '..', 'a[0]', 'control.router.with.c.d'),
    );
    fc.assert(
      fc.property(path, fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('null', '5m', '[1]', '{a: 1}', '{', '*x')), (at, value) => {
        try {
          loadScenarioSync({ text, name: 'm.yaml' }, { policies: POLICIES, sets: [`${at}=${value}`] });
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
        }
      }),
      RUNS,
    );
  });
});
