import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { formatProblem, UserError } from '../control/user-error.ts';
import { type LoadedScenario, type LoadOptions, loadScenarioSync } from './load-scenario.ts';
import { testPolicies } from './test-policies.fixture.ts';

const POLICIES = testPolicies();
const made: string[] = [];
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** A folder with these files. */
function folder(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'kvcast-scenario-'));
  made.push(dir);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

const BASE = `kvcast: 1
name: base
kind: terminating
workload:
  trace: {use: weka-dev@1}
  arrivals: {mode: closed, concurrency: 4}
fleet:
  model: qwen3-235b-a22b-fp8@1
  pools:
    - name: main
      gpu: h100-sxm@1
      tensorParallel: 8
      expertParallel: 8
      workers: 2
      engine: vllm@1
`;

const load = (text: string, options: LoadOptions = {}): LoadedScenario =>
  loadScenarioSync({ text, name: 'a.yaml' }, { policies: POLICIES, ...options });

/** Formatted problems of a text that must be refused. */
function refused(text: string, options: LoadOptions = {}): string[] {
  try {
    load(text, options);
  } catch (error) {
    if (error instanceof UserError) return error.problems.map(formatProblem);
    throw error;
  }
  return [];
}

describe('what a scenario becomes', () => {
  it('fills in defaults and presets, and knows where each value came from', () => {
    const scenario = load(BASE);
    const { fleet, control, run, workload } = scenario.settings;
    expect(fleet.contextLimitTokens).toBe(262144);
    expect(fleet.pools[0]).toMatchObject({
      gpusPerNode: 8,
      priceUsdPerGpuHour: 2.5,
      timer: { use: 'cells@1' },
      tiers: { host: { sizeBytes: 0, readBytesPerMs: 5e7, duplexBytesPerMs: 8.34e7 } },
    });
    expect(fleet.pools[0]!.engine.with).toMatchObject({
      blockSizeTokens: 16,
      maxSeqs: 1024,
      maxBatchedTokens: 8192,
      memoryUtilization: 0.92,
      asyncDepth: 1,
      onboard: 'always',
      rules: '0.32',
      overheadBytes: 3.5e9,
    });
    expect(control.router).toEqual({ use: 'dynamo-kv@1', name: 'dynamo-kv', version: 1, with: { c: 1, reuse: true } });
    expect(control.signals).toEqual({ metricsAgeMs: 50, indexAgeMs: 2, netDelayMs: 1 });
    expect(run).toMatchObject({
      horizonMs: Number.POSITIVE_INFINITY,
      warmupMs: 0,
      drain: true,
      timeLimitMs: 600_000,
      replications: { min: 10, max: 50, batch: 5, until: 0.05 },
      tieOrder: { by: 'id' },
    });
    expect(workload.trace).toMatchObject({
      format: 'weka',
      pauses: 'debiased',
      gapCapMs: Number.POSITIVE_INFINITY,
      outputs: 'recorded',
      partialBlocks: 'full-only',
    });
    expect(scenario.arms.map((arm) => arm.name)).toEqual(['default']);
    expect(scenario.origin('fleet.pools.main.workers')).toEqual({ kind: 'file', source: 'a.yaml', line: 14, column: 16 });
    expect(scenario.origin('fleet.pools[0].gpusPerNode')).toEqual({ kind: 'preset', source: 'gpu/h100-sxm@1' });
    expect(scenario.origin('run.checks')).toEqual({ kind: 'default' });
    expect(scenario.locate('fleet.pools.main.engine.with.kvBlocks')).toMatchObject({ file: 'a.yaml', line: 15 });
  });

  it('depends on the kind where the specification says so', () => {
    const steady = load(BASE.replace('terminating', 'steady') + 'run: {horizon: 2h}\n');
    expect(steady.settings.run).toMatchObject({ horizonMs: 7_200_000, warmupMs: 'auto', drain: false });
    expect(refused(BASE.replace('terminating', 'steady'))).toEqual([
      'E_REQUIRED a.yaml:3:7 run.horizon: got nothing, expected a value. A steady run needs an end, for example horizon: 6h.',
    ]);
  });

  it('expands a matrix into arms whose names drop the versions', () => {
    const scenario = load(
      `${BASE}matrix:\n  router: [round-robin@1, dynamo-kv@1]\n  retention: [lru@1, {use: kvcast-soft@1, with: {ttl: 5m}}]\nbaseline: round-robin+lru\n`,
    );
    expect(scenario.arms.map((arm) => arm.name)).toEqual([
      'round-robin+lru',
      'round-robin+kvcast-soft',
      'dynamo-kv+lru',
      'dynamo-kv+kvcast-soft',
    ]);
    expect(scenario.arms[3]!.settings.control.retention.with).toEqual({ ttl: 300_000, refresh: 'onHit', jitter: 0.1 });
    expect(scenario.baseline).toBe('round-robin+lru');
    expect(new Set(scenario.arms.map((arm) => arm.armId)).size).toBe(4);
  });

  it('merges the control of an arm into the base and applies its set', () => {
    const arms = `control: {retention: {use: kvcast-soft@1, with: {ttl: 1m}}}
arms:
  - {name: a}
  - {name: b, control: {retention: {with: {ttl: {tool: 30s, human: 0}}}}, set: {fleet.pools.main.tiers.host.size: 1GiB}}
  - {name: c, control: {retention: lru@1}}
`;
    const scenario = load(BASE + arms);
    expect(scenario.arms.map((arm) => arm.settings.control.retention.with)).toEqual([
      { ttl: 60_000, refresh: 'onHit', jitter: 0.1 },
      { ttl: { tool: 30_000, human: 0 }, refresh: 'onHit', jitter: 0.1 },
      {},
    ]);
    expect(scenario.arms.map((arm) => arm.settings.fleet.pools[0]!.tiers.host.sizeBytes)).toEqual([0, 2 ** 30, 0]);
  });

  it('is the same point whatever the order of keys, the comments and the way a number is written', () => {
    const reordered = `# a comment\nfleet:\n${BASE.split('fleet:\n')[1]}kind: terminating\nname: other\nkvcast: 1\nworkload:\n  arrivals: {concurrency: 4, mode: closed}\n  trace: {use: weka-dev@1}\n`;
    const one = load(`${BASE}run: {timeLimit: 5m}\n`).pointId;
    expect(load(`${reordered}run: {timeLimit: 300s}\n`).pointId).toBe(one);
    expect(load(`${BASE}run: {timeLimit: 301s}\n`).pointId).not.toBe(one);
    expect(load(`${BASE}run: {timeLimit: 5m}\nreport: {title: X}\n`).pointId).toBe(one);
  });

  it('applies flags last and remembers them', () => {
    const scenario = load(`${BASE}control: {retention: {use: kvcast-soft@1, with: {ttl: 1m}}}\n`, {
      sets: ['fleet.pools.main.workers=8', 'kvcast-soft.ttl=2m', 'control.router=round-robin@1', 'workload.trace.gapCap=10m'],
      seed: 9,
      reps: 3,
    });
    expect(scenario.settings.fleet.pools[0]!.workers).toBe(8);
    expect(scenario.settings.control.retention.with['ttl']).toBe(120_000);
    expect(scenario.settings.control.router.use).toBe('round-robin@1');
    expect(scenario.settings.seed).toBe(9);
    expect(scenario.settings.run.replications).toEqual({ min: 3, max: 3, batch: 1, until: 0 });
    expect(scenario.origin('fleet.pools.main.workers')).toEqual({ kind: 'flag', source: '--set fleet.pools.main.workers=8' });
    expect(refused(BASE, { sets: ['fleet.pools.main.wrokers=8'] })).toEqual([
      'E_UNKNOWN_KEY --set fleet.pools.main.wrokers=8 fleet.pools.main.wrokers: unknown key. Did you mean "workers"?',
    ]);
    expect(refused(BASE, { sets: ['fleet.pools.other.workers=8'] })[0]).toContain(
      'got other, expected the name of a list item. Names here: main.',
    );
    expect(refused(BASE, { sets: ['fleet.pools.main.workers=0'] })[0]).toMatch(
      /^E_RANGE --set fleet.pools.main.workers=0 fleet.pools\[0\].workers: got 0/,
    );
  });

  it('derives a sweep point without touching the original', () => {
    const scenario = load(BASE);
    const point = scenario.derive([{ path: 'fleet.pools.main.workers', value: 5, flag: '--sweep workers=5' }]);
    expect(point.settings.fleet.pools[0]!.workers).toBe(5);
    expect(scenario.settings.fleet.pools[0]!.workers).toBe(2);
    expect(point.pointId).not.toBe(scenario.pointId);
  });
});

describe('extends', () => {
  it('merges depth-first, the file itself last, and points into the file that holds a value', () => {
    const dir = folder({
      'base.yaml': BASE,
      'lib/more.yaml': 'fleet: {pools: [{name: main, workers: 6}]}\nrun: {replications: 4}\n',
      'a.yaml': 'extends: [base.yaml, lib/more.yaml]\nname: a\nrun: {replications: null, checks: deep}\n',
    });
    const scenario = loadScenarioSync({ file: 'a.yaml' }, { cwd: dir, policies: POLICIES });
    expect(scenario.settings).toMatchObject({ name: 'a', run: { replications: { min: 10 }, checks: 'deep' } });
    expect(scenario.settings.fleet.pools[0]).toMatchObject({ workers: 6, tensorParallel: 8 });
    expect(scenario.origin('fleet.pools.main.workers')).toMatchObject({ source: 'lib/more.yaml', line: 1, via: ['a.yaml'] });
  });

  it('is the same scenario when the body adds nothing', () => {
    const dir = folder({ 'x.yaml': BASE, 'y.yaml': 'extends: [x.yaml]\n' });
    const ids = ['x.yaml', 'y.yaml'].map((file) => loadScenarioSync({ file }, { cwd: dir }).pointId);
    expect(ids[0]).toBe(ids[1]);
  });

  it('prints the include chain with an error in an included file', () => {
    const dir = folder({ 'x.yaml': BASE.replace('workers: 2', 'workers: 0'), 'y.yaml': 'extends: [x.yaml]\n' });
    const run = () => loadScenarioSync({ file: 'y.yaml' }, { cwd: dir });
    expect(run).toThrow(
      'E_RANGE x.yaml:14:16 fleet.pools[0].workers: got 0, expected an integer 1..1024. Remove the pool to leave it out. Included by y.yaml.',
    );
  });

  it('refuses circles, depth, missing files and URLs', () => {
    const deep = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`f${i}.yaml`, `extends: [f${i + 1}.yaml]\n`]));
    const dir = folder({
      'a.yaml': 'extends: [b.yaml]\n',
      'b.yaml': 'extends: [a.yaml]\n',
      'c.yaml': 'extends: [none.yaml]\n',
      'd.yaml': 'extends: ["https://x/y.yaml"]\n',
      ...deep,
    });
    const run = (file: string) => () => loadScenarioSync({ file }, { cwd: dir });
    expect(run('a.yaml')).toThrow('E_EXTENDS_CYCLE b.yaml:1:11 extends: got a cycle: a.yaml -> b.yaml -> a.yaml');
    expect(run('c.yaml')).toThrow('E_FILE c.yaml:1:11 extends: cannot read none.yaml (no such file)');
    expect(run('d.yaml')).toThrow(/^E_FILE d.yaml:1:11/);
    expect(run('f0.yaml')).toThrow(/^E_EXTENDS_DEPTH/);
    expect(run('zz.yaml')).toThrow('E_FILE zz.yaml: cannot read (no such file)');
  });
});

describe('error texts', () => {
  const one = (text: string): string => {
    const problems = refused(text);
    expect(problems).toHaveLength(1);
    return problems[0]!;
  };

  it('says what was written, what is expected and what to do', () => {
    expect(one(BASE.replace('tensorParallel', 'tensorParalel'))).toBe(
      'E_UNKNOWN_KEY a.yaml:12:7 fleet.pools[0].tensorParalel: unknown key. Did you mean "tensorParallel"?',
    );
    expect(one(BASE.replace('engine: vllm@1', 'engine: {use: vllm@1, with: {gpu_memory_utilization: 0.9}}'))).toBe(
      'E_UNKNOWN_KEY a.yaml:15:36 gpu_memory_utilization: unknown key. That engine flag is engine.with.memoryUtilization here.',
    );
    expect(one(`${BASE}ttl: 5m\n`)).toBe('E_UNKNOWN_KEY a.yaml:16:1 ttl: unknown key. "ttl" exists at control.retention.with.ttl.');
    expect(one(`${BASE}kind: steady\n`)).toBe('E_DUPLICATE_KEY a.yaml:16:1 kind: got a second "kind", expected one. First at 3:1.');
    expect(one('kvcast: 1\nworkload:\n\ttrace: x\n')).toBe(
      'E_YAML a.yaml:3:1: got a tab, expected spaces for indentation. Replace the tab by 4 spaces.',
    );
    expect(one(`${BASE}control: {retention: {use: kvcast-soft@1, with: {ttl: 300}}}\n`)).toBe(
      'E_UNIT_MISSING a.yaml:16:55 control.retention.with.ttl: got 300, expected a duration. Write 300s or 5m.',
    );
    expect(one(`${BASE}      tiers: {host: {size: 80G}}\n`)).toBe(
      'E_SIZE_UNIT a.yaml:16:28 fleet.pools[0].tiers.host.size: got 80G, expected a size. Write 80GB (80,000,000,000 B) or 80GiB (85,899,345,920 B).',
    );
    expect(one(BASE.replace('workers: 2', 'workers: 0'))).toBe(
      'E_RANGE a.yaml:14:16 fleet.pools[0].workers: got 0, expected an integer 1..1024. Remove the pool to leave it out.',
    );
    expect(one(BASE.replace('weka-dev@1}', 'weka-dev@1, pauses: debias}'))).toBe(
      'E_ENUM a.yaml:5:36 workload.trace.pauses: got debias, expected recorded, debiased or synthetic. Did you mean "debiased"?',
    );
    expect(one(`${BASE}arms:\n  - {name: fast, set: {workload.sessions: 3}}\n`)).toBe(
      'E_PAIR_MISMATCH a.yaml:17:24 arms.fast.set: got workload.sessions, expected a path outside seed, workload.* and run.*. Arms share one workload; use sweep.',
    );
    expect(one(`${BASE}slo:\n  - {name: first-token, expr: "turn.tfft < 5s", scope: turn}\n`)).toBe(
      'E_SLO_METRIC a.yaml:17:31 slo.first-token.expr: got metric turn.tfft, expected a registry name. Did you mean "turn.ttft"?',
    );
  });

  it('names the newest version of a preset that was written without one', () => {
    expect(one(BASE.replace('h100-sxm@1', 'h100-sxm'))).toBe(
      'E_PRESET_VERSION a.yaml:11:12 fleet.pools[0].gpu: got h100-sxm, expected a gpu preset name@version. Write h100-sxm@1.',
    );
    expect(one(BASE.replace('h100-sxm@1', 'h100-sxm@7'))).toContain(
      'E_PRESET a.yaml:11:12 fleet.pools[0].gpu: got h100-sxm@7, expected a gpu preset. The newest version is h100-sxm@1.',
    );
    expect(one(`${BASE}control: {router: dynamo-kv}\n`)).toBe(
      'E_PRESET_VERSION a.yaml:16:19 control.router: got dynamo-kv, expected a router preset name@version. Write dynamo-kv@1.',
    );
    expect(one(`${BASE}control: {router: dynamo-vk@1}\n`)).toContain('Did you mean "dynamo-kv@1"?');
    expect(one(BASE.replace('weka-dev@1', 'weka-dev'))).toContain('E_PRESET_VERSION a.yaml:5:16 workload.trace.use');
    expect(one(BASE.replace('weka-dev@1', 'none.jsonl'))).toBe(
      'E_FILE a.yaml:5:16 workload.trace.use: cannot read none.jsonl (no such file)',
    );
  });

  it('refuses legal values that are not modelled, and never ignores them', () => {
    const cases: readonly (readonly [string, string, string])[] = [
      ['weka-dev@1}', 'weka-dev@1, entryCache: warm}', 'workload.trace.entryCache'],
      ['workers: 2', 'workers: 2\n      dataParallel: 2', 'fleet.pools[0].dataParallel'],
      ['workers: 2', 'workers: 2\n      role: prefill', 'fleet.pools[0].role'],
      ['engine: vllm@1', 'engine: sglang@1', 'fleet.pools[0].engine.use'],
      ['engine: vllm@1', 'engine: vllm@1\n  faults: [{at: 1m, kind: dropEvents, pool: main, worker: 0}]', 'fleet.faults[0].kind'],
      ['engine: vllm@1', 'engine: vllm@1\ncontrol: {router: {plugin: x.mjs}}', 'control.router.plugin'],
    ];
    for (const [from, to, path] of cases) {
      const problems = refused(BASE.replace(from, to));
      expect(problems, path).toHaveLength(1);
      expect(problems[0], path).toMatch(/^E_UNSUPPORTED a\.yaml:\d+:\d+ /);
      expect(problems[0]).toContain(path);
    }
  });

  it('takes sessions from a trace or from a generator, from exactly one', () => {
    const synth = (text: string) => BASE.replace('trace: {use: weka-dev@1}', text);
    const { workload } = load(synth('synth: {use: coding-agent-weka@1, with: {sharing: tools, subAgents: 2%}}')).settings;
    expect(workload.trace).toBeUndefined();
    expect(workload.synth).toMatchObject({
      use: 'coding-agent-weka@1',
      with: { sessions: 1000, pauses: 'debiased', sharing: 'tools', freshOnly: false, breaks: 1, subAgents: 0.02 },
    });
    expect(one(synth('synth: {use: weka-dev@1}'))).toMatch(
      /^E_PRESET a.yaml:5:16 workload.synth.use: got weka-dev@1, expected a generator/,
    );
    expect(one(synth('trace: {use: coding-agent-weka@1}'))).toMatch(/^E_PRESET a.yaml:5:16 workload.trace.use: .*Write synth: /);
    expect(one(synth('trace: {use: weka-dev@1}\n  synth: {use: coding-agent-weka@1}'))).toMatch(/^E_EXCLUSIVE a.yaml:6:10 workload.synth/);
    expect(one(synth('resample: none'))).toMatch(/^E_REQUIRED a.yaml:\d+:\d+ workload.trace: .* a generator: synth: /);
  });

  it('reads tenants, gives the rest of the shares to those without one, and refuses shares that cannot add up to 1', () => {
    const tenants = (list: string) => BASE.replace('concurrency: 4}', `concurrency: 4}\n  tenants: ${list}`);
    const { workload } = load(tenants('[{name: a, share: 50%, salt: team}, {name: b, class: batch}, {name: c}]')).settings;
    expect(workload.tenants).toEqual([
      { name: 'a', share: 0.5, salt: 'team' },
      { name: 'b', share: 0.25, class: 'batch' },
      { name: 'c', share: 0.25 },
    ]);
    expect(workload.salt).toBe('perTenant');
    expect(one(tenants('[{name: a, share: 0.7}, {name: b, share: 0.4}]'))).toMatch(
      /^E_RANGE a.yaml:\d+:\d+ workload.tenants: got shares that add up to 1.1, expected 1/,
    );
    expect(one(tenants('[{name: a, share: 10%}]'))).toContain('got shares that add up to 0.1, expected 1');
    expect(one(tenants('[{name: a}, {name: a}]'))).toMatch(/^E_NAME_DUPLICATE .*got a second tenant a/);
    expect(load(tenants(`[${Array.from({ length: 10 }, (_, i) => `{name: t${i}, share: 0.1}`).join(', ')}]`)).settings).toBeDefined();
  });

  it('reads changes of tool times and retries, and refuses impossible ones with their place', () => {
    const with_ = (text: string) => BASE.replace('concurrency: 4}', `concurrency: 4}\n  ${text}`);
    const { toolTime, retry } = load(
      with_(
        'toolTime: {scale: 0.5, shift: -2s, cap: 1m, overlap: 30%, human: {shift: 1h}, tools: [{name: Bash, scale: 2}]}\n  retry: {max: 0, cap: 3s}',
      ),
    ).settings.workload;
    const same = { scale: 1, shiftMs: 0, floorMs: 0, capMs: Number.POSITIVE_INFINITY };
    expect(toolTime).toEqual({
      ...{ scale: 0.5, shiftMs: -2000, floorMs: 0, capMs: 60_000, overlap: 0.3, resample: 'none' },
      human: { ...same, shiftMs: 3_600_000 },
      tools: [{ name: 'Bash', ...same, scale: 2 }],
    });
    expect(retry).toEqual({ max: 0, baseMs: 500, capMs: 3000 });
    expect(load(BASE).settings.workload.toolTime).toBeUndefined();
    expect(one(with_('toolTime: {scale: -1}'))).toMatch(
      /^E_RANGE a.yaml:7:21 workload.toolTime.scale: got -1, expected a number 0\.\.1000/,
    );
    expect(one(with_('toolTime: {floor: -1s}'))).toMatch(/^E_PATTERN a.yaml:7:21 workload.toolTime.floor: got -1s, expected a duration/);
    expect(one(with_('toolTime: {tools: [{scale: 2}]}'))).toMatch(/^E_REQUIRED a.yaml:7:\d+ workload.toolTime.tools\[0\].name/);
    expect(one(with_('toolTime: {tools: [{name: a}, {name: a}]}'))).toMatch(/^E_NAME_DUPLICATE/);
  });

  it('checks arms and baseline', () => {
    expect(one(`${BASE}arms: [{name: a}, {name: a}]\n`)).toMatch(/^E_ARM_DUPLICATE a.yaml:16:26 arms: got a second arm a/);
    expect(one(`${BASE}arms: [{name: a}]\nbaseline: b\n`)).toBe(
      'E_BASELINE_UNKNOWN a.yaml:17:11 baseline: got b, expected the name of an arm. Arms: a.',
    );
    expect(one(`${BASE}arms: [{name: a}]\nmatrix: {router: [dynamo-kv@1]}\n`)).toMatch(/^E_MATRIX_AND_ARMS a.yaml:17:1 matrix/);
    expect(one(`${BASE}matrix: {router: [dynamo-kv@1, {use: dynamo-kv@1, with: {c: 0}}]}\n`)).toMatch(/^E_ARM_DUPLICATE/);
    expect(
      load(`${BASE}matrix: {router: [dynamo-kv@1, {use: dynamo-kv@1, name: blind, with: {c: 0}}]}\n`).arms.map((arm) => arm.name),
    ).toEqual(['dynamo-kv+lru', 'blind+lru']);
  });

  it('checks fields against each other', () => {
    expect(one(BASE.replace(', concurrency: 4', ''))).toMatch(/^E_REQUIRED a.yaml:6:13 workload.arrivals.concurrency/);
    expect(one(BASE.replace('closed, concurrency: 4', 'open'))).toMatch(/^E_REQUIRED a.yaml:6:13 workload.arrivals.rate/);
    expect(one(BASE.replace('expertParallel: 8', 'expertParallel: 3'))).toContain(
      'E_RANGE a.yaml:13:23 fleet.pools.main.expertParallel: got 3, expected a divisor of tensorParallel x dataParallel = 8',
    );
    expect(one(BASE.replace('  pools:', '  contextLimit: 300k\n  pools:'))).toMatch(
      /^E_CONTEXT_EXCEEDED a.yaml:9:17 fleet.contextLimit: got 300,000, expected at most 262,144/,
    );
    expect(one(`${BASE}run: {replications: {min: 9, max: 3}}\n`)).toMatch(/^E_RANGE a.yaml:16:27 run.replications.min/);
    expect(one(`${BASE}run: {horizon: 1h, warmup: 1h}\n`)).toMatch(/^E_RANGE a.yaml:16:28 run.warmup/);
    expect(one(`${BASE}  faults: [{at: 1m, kind: crash, pool: mian, worker: 0}]\n`)).toContain('Did you mean "main"?');
    expect(one(`${BASE}  faults: [{at: 1m, kind: crash, pool: main, worker: 2}]\n`)).toContain('got 2, expected 0..1');
    expect(one(`${BASE}sweep: {axes: [{path: workers}]}\n`)).toMatch(/^E_SWEEP_AXIS a.yaml:16:16 sweep.axes\[0\]/);
    expect(one(BASE.replace('engine: vllm@1', 'engine: vllm@1\n      timer: fixed@1'))).toMatch(/^E_REQUIRED/);
    const timer = (text: string) => BASE.replace('engine: vllm@1', `engine: vllm@1\n      timer: ${text}`);
    expect(one(timer('{use: phases@1, with: {prefillMs: 100}}'))).toMatch(/^E_REQUIRED .*decodeMs/);
    expect(one(timer('{use: polynomial@1, with: {decodeFloorMs: 0}}'))).toMatch(/^E_RANGE .*decodeFloorMs/);
    expect(refused(timer('{use: polynomial@1, with: {decode: [1, 2]}}')).join()).toContain('timer.with.decode');
  });

  it('lists every problem, sorted by position', () => {
    const lines = refused(
      BASE.replace('h100-sxm@1', 'h100').replace('kind: terminating', 'kind: never').replace('workers: 2', 'workers: x'),
    );
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['a.yaml:3:7', 'a.yaml:11:12', 'a.yaml:14:16']);
  });

  it('bounds aliases, size and what aliases expand to', () => {
    const bomb = `a: &a [1,1,1,1,1,1,1,1,1]\n${'bcdefgh'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`)
      .join('\n')}\n`;
    expect(refused(bomb)[0]).toMatch(/^E_YAML .*got more than/);
    expect(refused(`# ${'x'.repeat(1024 * 1024)}\n`)[0]).toMatch(/^E_YAML a.yaml: got 1,048,579 bytes, expected at most 1 MiB/);
    expect(refused('')[0]).toMatch(/^E_TYPE a.yaml:1:1: got an empty file/);
    expect(refused('a: !x 1\n')[0]).toMatch(/^E_YAML/);
    expect(refused(`${BASE}__proto__: {a: 1}\n`)).toEqual(['E_UNKNOWN_KEY a.yaml:16:1 __proto__: unknown key']);
  });
});
