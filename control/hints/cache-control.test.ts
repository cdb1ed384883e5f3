import { describe, expect, it } from 'vitest';
import { cacheControlPlaces, cacheControls } from './cache-control.ts';
import { cacheTtl } from './cache-ttl.ts';
import type { HintDrop } from './hint-drop.ts';

describe('TTL text of cache_control', () => {
  it('reads the vectors of router specification 1.3 in mode dynamo-1.0', () => {
    const seconds = (value: unknown): unknown => {
      const ttl = cacheTtl(value, 'dynamo-1.0');
      return typeof ttl === 'number' ? ttl / 1000 : ttl;
    };
    expect(['5m', '1h', '30s', '2h', 600, 'soon'].map(seconds)).toEqual([300, 3600, 300, 3600, 600, 300]);
    // Retention specification 7, sglang-pin.
    expect(['600', '5m', '1h', '30s', '2h', '1m', 'soon', ''].map(seconds)).toEqual([600, 300, 3600, 300, 3600, 300, 300, 300]);
    expect(seconds(undefined)).toBe(300);
  });

  it('knows only 5m and 1h in mode anthropic, absent is 5m', () => {
    expect(['5m', '1h', undefined].map((v) => cacheTtl(v, 'anthropic'))).toEqual([300_000, 3_600_000, 300_000]);
    for (const value of ['10m', '300', 300, null, true]) expect(cacheTtl(value, 'anthropic')).toBe('unknown_value');
  });

  it('takes any whole second from 1 s on in mode raw', () => {
    expect([1, '1', '90s', '2h', '30s'].map((v) => cacheTtl(v, 'raw'))).toEqual([1000, 1000, 90_000, 7_200_000, 30_000]);
    expect(['0', 0, '0s', '99999999999999999999h'].map((v) => cacheTtl(v, 'raw'))).toEqual(Array(4).fill('out_of_range'));
    expect(cacheTtl('soon', 'raw')).toBe('unknown_value');
  });

  it.each(['dynamo-1.0', 'raw'] as const)('refuses numbers that are no durations in mode %s', (mode) => {
    expect(cacheTtl(Number.NaN, mode)).toBe('not_finite');
    expect(cacheTtl(Number.POSITIVE_INFINITY, mode)).toBe('not_finite');
    expect(cacheTtl(-300, mode)).toBe('out_of_range');
    expect(cacheTtl(1e300, mode)).toBe('out_of_range');
    expect(cacheTtl(300.5, mode)).toBe('wrong_type');
    expect(cacheTtl(true, mode)).toBe('wrong_type');
    expect(cacheTtl(null, mode)).toBe('wrong_type');
  });
});

describe('cache_control breakpoints', () => {
  it('cover the full blocks before them and are dropped when there is none', () => {
    const drops: HintDrop[] = [];
    const control = { type: 'ephemeral', ttl: '1h' };
    const marks = [15, 16, 17, 64].map((endTokens) => ({ endTokens, control }));
    expect(cacheControls(marks, 16, 'dynamo-1.0', drops).map((c) => c.blockIndex)).toEqual([0, 0, 3]);
    expect(drops).toEqual([{ field: 'cache_control', reason: 'too_short' }]);
  });

  it('drop only themselves when malformed', () => {
    const drops: HintDrop[] = [];
    const good = { type: 'ephemeral' };
    const marks = [good, 'ephemeral', { type: 'persistent' }, { type: 'ephemeral', ttl: '10m' }, good].map((control) => ({
      endTokens: 64,
      control,
    }));
    expect(cacheControls(marks, 16, 'anthropic', drops)).toEqual([
      { blockIndex: 3, ttlMs: 300_000 },
      { blockIndex: 3, ttlMs: 300_000 },
    ]);
    expect(drops.map((d) => `${d.field}:${d.reason}`)).toEqual([
      'cache_control:wrong_type',
      'cache_control.type:unknown_value',
      'cache_control.ttl:unknown_value',
    ]);
  });

  it('are found in prompt order; of the system blocks only the last one counts', () => {
    const c = (ttl: string): object => ({ type: 'ephemeral', ttl });
    const body = {
      system: [
        { type: 'text', text: 'a', cache_control: c('s0') },
        { type: 'text', text: 'b', cache_control: c('s1') },
        { type: 'text', text: 'c' },
      ],
      tools: [{ name: 'Bash' }, { name: 'Read', cache_control: c('t1') }],
      messages: [
        { role: 'user', content: 'plain text' },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'x' },
            { type: 'tool_use', cache_control: c('m1') },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', cache_control: c('m2') },
            { type: 'unheard_of', cache_control: c('no') },
          ],
        },
      ],
      cache_control: c('top'),
    };
    expect(cacheControlPlaces(body).map((p) => `${p.level}/${p.index}/${p.block}/${(p.control as { ttl: string }).ttl}`)).toEqual([
      'tools/1/0/t1',
      'system/1/0/s1',
      'messages/1/1/m1',
      'messages/2/0/m2',
      'top/0/0/top',
    ]);
    expect(cacheControlPlaces({ nvext: { cache_control: c('n') } })).toMatchObject([{ level: 'top' }]);
    for (const garbage of [undefined, null, 7, [], { messages: 3, system: {}, tools: [null] }])
      expect(cacheControlPlaces(garbage)).toEqual([]);
  });
});
