/** The project's own gate as a pull request sees it: unchanged, worse, other inputs; its reports; init. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import type { GateResult } from '../sim/experiment/gate/gate-result.ts';
import { emptyFolder, kvcast, type Outcome, ROOT } from './command-line.fixture.ts';

const SCENARIO = 'scenarios/ci-router-gate.yaml';
const XSD = readFileSync(join(ROOT, 'reports/junit.xsd'), 'utf8');
/** GitHub's limit of a comment. */
const COMMENT_CHARACTERS = 65_536;

interface Gated extends Outcome {
  readonly gate: GateResult;
  readonly junit: string;
  readonly comment: string;
  readonly annotations: string;
}

/** Runs the gate with every reporter. Ten pairs are enough for what differs here. */
async function gate(...flags: string[]): Promise<Gated> {
  const out = emptyFolder();
  const files = { junit: join(out, 'junit.xml'), md: join(out, 'comment.md'), github: join(out, 'annotations.txt') };
  const reporters = Object.entries(files).flatMap(([name, file]) => ['--reporter', `${name}:${file}`]);
  const args = ['gate', SCENARIO, '--reps', '10', ...flags, '--out', out, '--force', '--reporter', 'json', ...reporters];
  const outcome = await kvcast(args, { cwd: ROOT });
  const text = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  return {
    ...outcome,
    gate: JSON.parse(outcome.stdout) as GateResult,
    junit: text(files.junit),
    comment: text(files.md),
    annotations: text(files.github),
  };
}

async function isValid(xml: string): Promise<boolean> {
  const { valid } = await validateXML({ xml: [{ fileName: 'junit.xml', contents: xml }], schema: [XSD] });
  return valid;
}

describe('the gate on the baseline of the project', () => {
  let same: Gated;
  let worse: Gated;
  let refused: Gated;

  beforeAll(async () => {
    same = await gate();
    worse = await gate('--set', 'arms.candidate.control.router.with.c=0.6', '--set', 'gate.thresholds=[]');
    refused = await gate('--set', 'workload.sessions=30');
  }, 400_000);

  it('exits 0 where nothing changed, every difference being zero', () => {
    expect(same.code).toBe(0);
    expect(same.gate).toMatchObject({ verdict: 'pass', inputs: { equal: true }, exit: { code: 0 } });
    expect(same.gate.verdicts.map((row) => [row.delta, row.verdict])).toEqual(same.gate.verdicts.map(() => [0, 'within noise']));
    expect(same.annotations).not.toContain('::error');
  });

  it('exits 11 where a policy edit makes it worse, and names the edit', () => {
    expect(worse.code).toBe(11);
    const ttft = worse.gate.verdicts.find((row) => row.expr === 'turn.ttft.p(99)')!;
    expect(ttft.verdict).toBe('regressed');
    expect(ttft.delta!).toBeGreaterThan(8);
    expect(worse.annotations).toMatch(/^::error file=scenarios\/ci-router-gate\.yaml,line=\d+,col=\d+,title=/m);
    expect(worse.comment).toContain('arms.candidate.control.router.with.c');
    expect(worse.comment).toContain('**regressed**');
  });

  it('exits 13 where the workload is another one, judges nothing and names the leaf', () => {
    expect(refused.code).toBe(13);
    expect(refused.gate).toMatchObject({ verdict: 'refused', inputs: { equal: false }, exit: { code: 13 } });
    expect(refused.gate.verdicts).toEqual([]);
    expect(refused.stderr).toContain('E_GATE_INPUTS');
    expect(refused.comment).toContain('workload.sessions');
    expect(JSON.stringify(refused.gate.inputs.rows)).toContain('workload.sessions');
  });

  it('writes JUnit that its schema accepts, and a comment within the limits, each time', async () => {
    for (const { junit, comment } of [same, worse, refused]) {
      expect(await isValid(junit)).toBe(true);
      expect(comment.length).toBeGreaterThan(100);
      expect(comment.length).toBeLessThan(COMMENT_CHARACTERS);
    }
    expect(worse.junit.match(/<failure /g)).toHaveLength(worse.gate.verdicts.filter((row) => row.verdict === 'regressed').length);
    expect(await isValid(same.junit.replace('<testsuite ', '<testsuit '))).toBe(false);
  });

  it('gives the same bytes for one thread and two', async () => {
    const [one, two] = [await gate('--jobs', '1'), await gate('--jobs', '2')];
    expect(two.stdout).toBe(one.stdout);
    expect(two.junit).toBe(one.junit);
    expect(two.comment).toBe(one.comment);
  }, 300_000);
});

describe('what a gate refuses', () => {
  it('a baseline that is damaged, at its place, without touching it', async () => {
    const folder = emptyFolder();
    const file = join(folder, 'b.kvbase.json');
    writeFileSync(file, readFileSync(join(ROOT, 'scenarios/baselines/ci-router-gate.kvbase.json'), 'utf8').slice(0, 500));
    const { code, stderr, stdout } = await kvcast(['gate', SCENARIO, '--baseline', file, '--out', folder, '--force'], { cwd: ROOT });
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/error E_\w+ .*b\.kvbase\.json/);
  });

  it('a single replication, which has no interval', async () => {
    const { code, stderr } = await kvcast(['gate', SCENARIO, '--only-rep', '0', '--out', emptyFolder()], { cwd: ROOT });
    expect(code).toBe(2);
    expect(stderr).toContain('E_USAGE --only-rep');
  });

  it('a threshold on a metric that does not exist', async () => {
    const flags = ['--set', 'gate.thresholds=[{expr: "turn.tfft.p(99) < 1s"}]'];
    const { code, stderr } = await kvcast(['gate', SCENARIO, ...flags, '--out', emptyFolder()], { cwd: ROOT });
    expect(code).toBe(2);
    expect(stderr).toContain('turn.ttft');
  });
});

describe('init', () => {
  it('writes a gate that passes as it is, and refuses to overwrite what was changed', async () => {
    const folder = emptyFolder();
    const made = await kvcast(['init', 'fleet', '--template', 'gate'], { cwd: folder });
    expect(made.code).toBe(0);
    const files = made.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace('wrote ', ''));
    expect(files.some((file) => file.endsWith('.kvbase.json'))).toBe(true);
    for (const file of files) expect(existsSync(join(folder, file))).toBe(true);
    const passed = await kvcast(['gate', SCENARIO, '--reps', '2', '--out', 'out'], { cwd: join(folder, 'fleet') });
    expect(passed.code).toBe(0);
    writeFileSync(join(folder, files[0]!), 'mine');
    const again = await kvcast(['init', 'fleet', '--template', 'gate'], { cwd: folder });
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('E_INIT_EXISTS');
    expect(readFileSync(join(folder, files[0]!), 'utf8')).toBe('mine');
    expect((await kvcast(['init', 'fleet', '--template', 'gate', '--force'], { cwd: folder })).code).toBe(0);
    expect(readFileSync(join(folder, files[0]!), 'utf8')).not.toBe('mine');
  }, 120_000);
});
