import { describe, expect, it } from 'vitest';
import { loadScenarioSync } from './load-scenario.ts';
import { axisFromFile, combineAxes, parseSweepFlag } from './sweep-axes.ts';
import { testPolicies } from './test-policies.fixture.ts';

const TEXT = `kvcast: 1
name: base
kind: terminating
workload:
  trace: {use: weka-dev@1}
  arrivals: {mode: closed, concurrency: 4}
fleet:
  model: qwen3-235b-a22b-fp8@1
  pools: [{name: main, gpu: h100-sxm@1, tensorParallel: 8, expertParallel: 8, workers: 2, engine: vllm@1}]
control: {retention: {use: kvcast-soft@1, with: {ttl: 5m}}}
`;
const scenario = loadScenarioSync({ text: TEXT, name: 'a.yaml' }, { policies: testPolicies() });
const FLAG = { kind: 'flag', source: '--sweep' } as const;
const flag = (text: string, notices?: string[]) => parseSweepFlag(scenario.tree, text, notices);
const range = (path: string, from: number | string, to: number | string, steps: number, scale: 'lin' | 'log', notices?: string[]) =>
  axisFromFile(scenario.tree, { path, range: { from, to, steps, scale } }, FLAG, notices).values;

describe('sweep axes', () => {
  it('reads the three forms of the command line, the path shortened to a suffix', () => {
    expect(flag('ttl=5m,15m,1h')).toEqual({ path: 'control.retention.with.ttl', label: 'ttl', values: ['5m', '15m', '1h'] });
    expect(flag('workers=4..16:4')).toEqual({ path: 'fleet.pools.main.workers', label: 'workers', values: [4, 8, 12, 16] });
    expect(flag('workers=1..64*2').values).toEqual([1, 2, 4, 8, 16, 32, 64]);
    expect(flag('ttl=1m..5m:2m').values).toEqual(['1m', '3m', '5m']);
    expect(flag('kvcast-soft.ttl=0,{tool: 1m, human: 0}').values).toEqual([0, '{tool: 1m, human: 0}']);
    expect(flag('control.router=dynamo-kv@1,round-robin@1').values).toEqual(['dynamo-kv@1', 'round-robin@1']);
    expect(flag('host.size=0B,64GiB').path).toBe('fleet.pools.main.tiers.host.size');
  });

  it('spaces a log range to three digits of a duration, the example of the specification', () => {
    expect(range('ttl', '5m', '1h', 5, 'log')).toEqual(['5m', '9m18s', '17m20s', '32m10s', '1h']);
    expect([558, 1040, 1930].map((s) => `${Math.floor(s / 60)}m${s % 60}s`)).toEqual(['9m18s', '17m20s', '32m10s']);
    expect(range('ttl', '1m', '5m', 3, 'lin')).toEqual(['1m', '3m', '5m']);
  });

  it('rounds integer leaves half up and says how many values it dropped', () => {
    const notices: string[] = [];
    expect(range('workers', 1, 3, 5, 'lin', notices)).toEqual([1, 2, 3]);
    expect(notices).toEqual(['workers: 2 of 5 values were equal after rounding and dropped']);
  });

  it('counts a grid like an odometer, the last axis fastest, and zips equal lengths', () => {
    const axes = [flag('workers=1,2'), flag('ttl=5m,1h')];
    const pairs = (combine: 'grid' | 'zip') => combineAxes(axes, combine, 500).map((point) => point.values.map(({ value }) => value));
    expect(pairs('grid')).toEqual([
      [1, '5m'],
      [1, '1h'],
      [2, '5m'],
      [2, '1h'],
    ]);
    expect(pairs('zip')).toEqual([
      [1, '5m'],
      [2, '1h'],
    ]);
    expect(() => combineAxes([flag('workers=1,2,3'), flag('ttl=5m')], 'zip', 500)).toThrow(/^E_SWEEP_ZIP/);
    expect(() => combineAxes([flag('workers=1..30:1'), flag('seed=1..30:1')], 'grid', 500)).toThrow('got 900 points, expected at most 500');
  });

  it('refuses what it cannot read', () => {
    expect(() => flag('tlt=5m')).toThrow(/^E_UNKNOWN_KEY/);
    expect(() => flag('name')).toThrow(/^E_SWEEP_AXIS/);
    expect(() => flag('workers=4..16')).toThrow('without a step');
    expect(() => flag('workers=16..4:4')).toThrow(/^E_SWEEP_AXIS/);
    expect(() => flag('workers=0..4*2')).toThrow(/^E_SWEEP_AXIS/);
    expect(() => flag('ttl=5m..64GiB:1m')).toThrow('expected two values of one unit');
    expect(() => flag('request=5m')).not.toThrow();
    expect(() => flag('use=x')).toThrow(/^E_PATH_AMBIGUOUS/);
  });

  it('sets each point on the scenario', () => {
    const points = combineAxes([flag('ttl=1m,2m')], 'grid', 500);
    const ttls = points.map((point) => {
      const overrides = point.values.map(({ path, label, value }) => ({ path, value, flag: `--sweep ${label}` }));
      return scenario.derive(overrides).settings.control.retention.with['ttl'];
    });
    expect(ttls).toEqual([60_000, 120_000]);
  });
});
