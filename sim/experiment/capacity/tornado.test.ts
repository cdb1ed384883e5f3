import { describe, expect, it } from 'vitest';
import { planText, smallQuestion } from './capacity-plan.fixture.ts';

const HEAD = `size: {path: fleet.pools.main.workers, min: 1, max: 16}
headroom: 0%
failure: {workers: 0}
growth: [1]`;

describe('the tornado', () => {
  it('finds the recommendation again under each change, widest first; prices move the objective alone', async () => {
    const { document } = await planText(smallQuestion(`${HEAD}\nsensitivity: default`));
    const { tornado, answer } = document;
    const row = (name: string) => tornado.find((swing) => swing.name === name)!;
    expect(tornado.map((swing) => swing.name).sort()).toEqual(
      ['KV capacity', 'load', 'pause mode', 'pauses', 'price', 'sharing', 'signal age', 'step time'].sort(),
    );
    expect(tornado.map((swing) => swing.span)).toEqual(tornado.map((swing) => swing.span).toSorted((a, b) => b - a));
    const [cheaper, dearer] = row('price').ends;
    expect([cheaper.objective, dearer.objective]).toEqual([0.8 * answer!.objective, 1.2 * answer!.objective]);
    expect(row('price').flips).toBe(false);
    const [faster, slower] = row('step time').ends;
    expect(faster.size!).toBeLessThanOrEqual(answer!.workers);
    expect(slower.size!).toBeGreaterThanOrEqual(answer!.workers);
    const [longer, shorter] = [row('pauses').ends[1], row('pauses').ends[0]];
    // Null: not even half as many again are enough.
    expect(shorter.size ?? Number.POSITIVE_INFINITY).toBeGreaterThan(answer!.workers);
    expect(longer.size!).toBeLessThan(answer!.workers);
    expect(row('pauses').flips).toBe(true);
  }, 90_000);

  it('takes written swings', async () => {
    const written = `${HEAD}\nsensitivity: [{path: workload.scale.load, low: 0.5, high: 2}]`;
    const { document } = await planText(smallQuestion(written));
    const [swing] = document.tornado;
    expect(swing!.name).toBe('workload.scale.load');
    expect(swing!.ends[1].size!).toBeGreaterThan(swing!.ends[0].size!);
  }, 60_000);
});
