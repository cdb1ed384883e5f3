import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../../control/user-error.ts';
import { capacityText } from '../../../reports/text/capacity.ts';
import { noPaint } from '../../../reports/text/paint.ts';
import { loadQuestion, planText, quietOptions, smallQuestion, trialsOf } from './capacity-plan.fixture.ts';
import { planCapacity } from './capacity-plan.ts';
import { questionOf } from './question.ts';
import { openTrialJournal } from './trial-journal.ts';

const SIZE = 'size: {path: fleet.pools.main.workers, min: 1, max: 12}';
const BARE = `${SIZE}\nheadroom: 20%\nfailure: {workers: 1, for: 2m}\ngrowth: [0.5, 1, 2, 4]\nsensitivity: none`;

describe('a capacity plan', () => {
  it('finds the size that an exhaustive scan finds (AC-6.2), and recommends the first that is robust', async () => {
    const loaded = loadQuestion(smallQuestion(BARE));
    const { document } = await planCapacity(loaded, quietOptions());
    const [candidate] = questionOf(loaded).candidates;
    const trials = trialsOf(loaded);
    const verdicts: string[] = [];
    for (let size = 1; size <= 12; size++) verdicts.push((await trials.judge({ candidate: candidate!, size, load: 1 })).verdict);
    const smallest = verdicts.indexOf('yes') + 1;
    expect(smallest).toBeGreaterThan(1);
    const row = document.configurations[0]!;
    expect(row.smallest).toBe(smallest);
    expect(row.bounds!.size).toBeLessThanOrEqual(smallest);
    const robust = async (size: number): Promise<boolean> => {
      const reserve = await trials.judge({ candidate: candidate!, size, load: 1.2 });
      const lost = await trials.judge({ candidate: candidate!, size, load: 1, failure: { workers: 1, forMs: 120_000, slos: null } });
      return reserve.verdict === 'yes' && lost.verdict === 'yes';
    };
    let first = smallest;
    while (first <= 12 && !(await robust(first))) first++;
    expect(row.recommended).toBe(first);
    expect(document.answer).toMatchObject({ workers: first, gpus: 8 * first, agents: 60, agentsPerWorker: 60 / first });
    expect(document.exit.code).toBe(0);
    expect(document.headroom!.load).toBeGreaterThanOrEqual(1.2);
    expect(document.growth!.rows.map((r) => r.load)).toEqual([0.5, 1, 2, 4]);
    expect(document.failure).toMatchObject({ workers: 1, verdict: 'yes' });
    const text = capacityText(document, noPaint);
    expect(text.split('\n')[0]).toMatch(
      new RegExp(`^${first} x main workers \\(${8 * first} GPUs\\), \\d+ USD/h, headroom \\d+ %, survives one failure\\.$`),
    );
    expect(text.split('\n').every((line) => [...line].length <= 110)).toBe(true);
  }, 60_000);

  it('says exit 14 with the closest miss where nothing holds', async () => {
    const { document } = await planText(smallQuestion(`size: {min: 1, max: 2}\nsensitivity: none`, { busy: '1%' }));
    expect(document).toMatchObject({ answer: null, exit: { code: 14 } });
    expect(document.configurations[0]).toMatchObject({ status: 'infeasible', recommended: null });
    expect(capacityText(document, noPaint)).toContain('✗ no configuration meets the SLOs');
  }, 60_000);

  it('gives up a configuration at the price of the best one, and searches it whole when asked', async () => {
    const two = `configs:
  - {name: plain}
  - {name: dear, set: {fleet.pools.main.priceUsdPerGpuHour: 50}}
${SIZE}
failure: {workers: 0}
growth: [1]
sensitivity: none`;
    const { document } = await planText(smallQuestion(two));
    expect(document.configurations.map((row) => [row.config, row.status])).toEqual([
      ['plain', 'chosen'],
      ['dear', 'feasible'],
    ]);
    const plain = document.configurations[0]!;
    expect(document.configurations[1]!.recommended).toBe(plain.recommended);
    expect(document.configurations[1]!.objective).toBeGreaterThan(plain.objective!);
    expect(document.answer!.alternatives).toEqual([
      { config: 'dear', workers: plain.recommended, gpus: 8 * plain.recommended!, objective: 50 * 8 * plain.recommended! },
    ]);
  }, 60_000);

  it('answers the inverse: the largest load of a fleet, bracketed by a load that fails', async () => {
    const loaded = loadQuestion(smallQuestion(BARE));
    const { document } = await planCapacity(loaded, quietOptions({ maxLoad: true }));
    const { load, tested } = document.maxLoad!;
    const yes = tested.filter((t) => t.verdict === 'yes').map((t) => t.load);
    const no = tested.filter((t) => t.verdict !== 'yes').map((t) => t.load);
    expect(Math.max(...yes)).toBe(load);
    expect(Math.min(...no.filter((l) => l > load)) - load).toBeLessThanOrEqual(0.02 * Math.max(1, load) + 1e-9);
    expect(capacityText(document, noPaint)).toMatch(/^This fleet carries x[\d.]+ of the planned load \(\d+ agents\) within the SLOs/);
  }, 60_000);

  it('goes on where an interrupted plan stopped, to the same document; a torn line is tried again', async () => {
    const text = smallQuestion(BARE);
    const whole = await planText(text);
    const file = join(mkdtempSync(join(tmpdir(), 'kvcast-plan-')), 'trials.jsonl');
    const stop = new AbortController();
    const first = await planText(text, {
      journal: openTrialJournal(file, 'test'),
      signal: stop.signal,
      onTrial: (_trial, { evaluations }) => {
        if (evaluations === 3) stop.abort();
      },
    });
    expect(first.document).toMatchObject({ stopped: 'interrupted', exit: { code: 130 } });
    expect(first.evaluations).toBe(3);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    writeFileSync(file, `${lines[0]}\n${lines[1]!.replace('"verdict":"', '"verdict":"x')}\n${lines[2]!.slice(0, 90)}`);
    const second = await planText(text, { journal: openTrialJournal(file, 'test') });
    expect(second.document).toEqual(whole.document);
    expect(second.evaluations).toBe(whole.evaluations - 1);
  }, 60_000);

  it.each([
    { name: 'no objective of the run', text: smallQuestion(SIZE).replaceAll('level: error', 'level: warn'), code: /E_PLAN_SLO/ },
    { name: 'an empty range', text: smallQuestion('size: {min: 5, max: 4}'), code: /E_PLAN_SIZE/ },
    { name: 'an unknown objective of the failure test', text: smallQuestion('failure: {slo: [nobody]}'), code: /E_PLAN_SLO/ },
  ])('refuses $name at its place', async ({ text, code }) => {
    const problem = await planText(text).then(
      () => undefined,
      (error: unknown) => (error instanceof UserError ? error.problems[0] : undefined),
    );
    expect(problem?.code).toMatch(code);
    expect(problem?.line).toBeGreaterThan(0);
  });
});
