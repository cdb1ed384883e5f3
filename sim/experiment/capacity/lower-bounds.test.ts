import { describe, expect, it } from 'vitest';
import { prepareTrace } from '../simulate.ts';
import { loadQuestion, smallQuestion, trialsOf } from './capacity-plan.fixture.ts';
import { lowerBounds } from './lower-bounds.ts';
import { questionOf } from './question.ts';
import { smallestSize } from './size-search.ts';

const SIZE = 'size: {path: fleet.pools.main.workers, min: 1, max: 16}';

/** Bounds and the smallest size that a simulation finds. */
async function both(options: Parameters<typeof smallQuestion>[1], edit: (text: string) => string = (text) => text) {
  const loaded = loadQuestion(edit(smallQuestion(SIZE, options)));
  const [candidate] = questionOf(loaded).candidates;
  const trials = trialsOf(loaded);
  const plan = trials.planOf({ candidate: candidate!, size: 1, load: 1 });
  const bounds = lowerBounds(plan, await prepareTrace(plan), candidate!.size.path);
  const { smallest } = await smallestSize(1, 16, async (size) => (await trials.judge({ candidate: candidate!, size, load: 1 })).verdict);
  return { bounds, smallest };
}

describe('lower bounds', () => {
  it('never exceed the size that a simulation finds, over random small questions', async () => {
    const found: number[] = [];
    for (let seed = 1; seed <= 12; seed++) {
      const { bounds, smallest } = await both({ agents: 20 + 15 * seed, seed, busy: seed % 2 === 0 ? '95%' : '60%' });
      expect(bounds.blocking).toBeNull();
      if (smallest !== null) expect(bounds.size).toBeLessThanOrEqual(smallest);
      found.push(bounds.size);
    }
    expect(Math.max(...found)).toBeGreaterThan(1);
  }, 60_000);

  it('grow with the load in proportion', async () => {
    const few = await both({ agents: 100 });
    const many = await both({ agents: 400, busy: '99%' });
    expect(many.bounds.work!).toBeGreaterThanOrEqual(3 * few.bounds.work! - 3);
    expect(many.bounds.work!).toBeGreaterThan(few.bounds.work!);
  }, 60_000);

  it('name an objective that an idle worker misses', async () => {
    const { bounds, smallest } = await both({}, (text) => text.replace('turn.ttft.p(50) < 30s', 'turn.ttft.p(99) < 10ms'));
    expect(bounds.blocking).toMatch(/^first-token: turn\.ttft\.p\(99\) is [\d.]+ s on an idle worker$/);
    expect(smallest).toBeNull();
  }, 60_000);
});
