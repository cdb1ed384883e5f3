/** Sessions and plans on which it is known what explains a difference. */
import { join } from 'node:path';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { handScenario, writeHandTrace } from './hand-run.fixture.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import type { RunPlan } from './run-plan.ts';

const SCENARIO = { name: 'explain', contextLimit: '20k', maxBatchedTokens: 2048, timer: '{use: polynomial@1}' };

/** Eight live sessions in a third of the room that they need, so that every pause may be the end of a prefix. */
export const PRESSED = Array.from({ length: 8 }, (_, i) => ({ at: 1700 * i, blocks: 60, turns: 6, pauseMs: 40_000 }));

/** Writes sessions whose prompts grow by two blocks a turn, one request after another. Times in ms. Returns the file. */
export function growingSessions(
  folder: string,
  name: string,
  sessions: readonly { at: number; blocks: number; turns: number; pauseMs: number }[],
): string {
  const file = join(folder, `${name}.kvtrace.jsonl`);
  const lines = sessions.map(({ at, blocks, turns, pauseMs }, s) => ({
    id: `s${s}`,
    arrivalMs: at,
    agents: [
      {
        id: 'root',
        model: 'm',
        requests: Array.from({ length: turns }, (_, i) => ({
          startMs: i * 1000,
          in: (blocks + 2 * i) * 64 + 8,
          out: 4,
          runs: [[1, blocks + 2 * i]],
          stop: 'tool',
          ...(i === 0 ? {} : { pauseMs }),
        })),
      },
    ],
  }));
  writeHandTrace(file, lines);
  return file;
}

/** The plan of the hand-made scenario with some of its leaves set. */
export async function handPlan(file: string, sets: readonly string[]): Promise<RunPlan> {
  const loaded = await loadScenario({ text: handScenario(file, SCENARIO), name: 'explain' }, { sets, policies: policyCatalogue() });
  return planOf(loaded, { metrics: [] });
}
