import { describe, expect, it } from 'vitest';
import { type LoadOptions, loadScenarioSync } from './load-scenario.ts';
import { testPolicies } from './test-policies.fixture.ts';

const base = (extra = '', pool = '') => `kvcast: 1
name: base
kind: terminating
workload:
  trace: {use: weka-dev@1, fleetShare: 50%}
  arrivals: {mode: closed, concurrency: 4, rampUp: 1m, cv: 2}
fleet:
  model: qwen3-235b-a22b-fp8@1
  pools:
    - {name: main, gpu: h100-sxm@1, tensorParallel: 8, expertParallel: 8, workers: 2, engine: vllm@1${pool}}
${extra}`;
const load = (text: string, options: LoadOptions = {}) =>
  loadScenarioSync({ text, name: 'a.yaml' }, { policies: testPolicies(), ...options });
const declared = (text: string, options?: LoadOptions) =>
  load(text, options)
    .inert({ unread: false })
    .map(({ path, reason }) => `${path}: ${reason}`);

describe('declared inert fields', () => {
  it('lists explicit values without effect, never defaults', () => {
    expect(declared(base())).toEqual(['workload.trace.fleetShare: sharing is not fleet']);
    expect(declared(base('', ', tiers: {host: {read: 10GB/s}}'))).toContain('fleet.pools.main.tiers.host.read: host.size is 0B');
    expect(declared(base('', ', tiers: {host: {size: 1GiB, read: 10GB/s}}'))).toEqual(['workload.trace.fleetShare: sharing is not fleet']);
  });

  it('follows flags', () => {
    expect(declared(base(), { sets: ['workload.trace.sharing=fleet'] })).toEqual([]);
    expect(declared(base(), { sets: ['workload.arrivals.mode=open', 'workload.arrivals.rate=5/h'] })).toEqual([
      'workload.trace.fleetShare: sharing is not fleet',
      'workload.arrivals.concurrency: arrivals are not closed',
      'workload.arrivals.rampUp: arrivals are not closed',
    ]);
  });

  it('counts a field as inert only if it is so in every arm', () => {
    const arms = 'arms:\n  - {name: a}\n  - {name: b, set: {fleet.pools.main.tiers.host.size: 1GiB}}\n';
    expect(declared(base(arms, ', tiers: {host: {read: 10GB/s}}'))).toEqual(['workload.trace.fleetShare: sharing is not fleet']);
  });

  it('says that a matrix replaces what control says', () => {
    const matrix = 'control: {retention: {use: kvcast-soft@1, with: {ttl: 1m}}}\nmatrix: {retention: [lru@1]}\n';
    expect(declared(base(matrix))).toContain('control.retention.with.ttl: matrix.retention replaces it in every arm');
  });

  it('sees the timer that makes a step time matter', () => {
    expect(declared(base('', ', timer: {use: polynomial@1, with: {prefillMs: 3}}'))).toContain(
      'fleet.pools.main.timer.with.prefillMs: the timer is not phases@1',
    );
    expect(declared(base('', ', timer: {with: {stepMs: 3}}'))).toContain('fleet.pools.main.timer.with.stepMs: the timer is not fixed@1');
    expect(declared(base('', ', timer: {use: fixed@1, with: {stepMs: 3}}'))).toEqual(['workload.trace.fleetShare: sharing is not fleet']);
  });
});

describe('unread fields', () => {
  it('are the explicit leaves that nobody asked for', () => {
    const scenario = load(base());
    const unread = () => scenario.inert().map(({ path }) => path);
    expect(unread()).toContain('fleet.pools.main.workers');
    expect(unread()).toContain('workload.arrivals.rampUp');
    const { fleet, workload } = scenario.read;
    for (const pool of fleet.pools) void pool.workers;
    void workload.arrivals.rampUpMs;
    expect(unread()).not.toContain('fleet.pools.main.workers');
    expect(unread()).not.toContain('workload.arrivals.rampUp');
    expect(unread()).toContain('fleet.pools.main.tensorParallel');
    void scenario.arms[0]!.read.fleet.pools.map((pool) => [pool.tensorParallel, pool.gpuPreset, pool.engine.preset]);
    expect(unread()).not.toContain('fleet.pools.main.tensorParallel');
    expect(unread()).not.toContain('fleet.pools.main.gpu');
  });

  it('hands out the same values as the settings', () => {
    const scenario = load(base());
    expect(JSON.stringify(scenario.read)).toBe(JSON.stringify(scenario.settings));
  });
});
