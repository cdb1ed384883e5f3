import { describe, expect, it } from 'vitest';
import { COMPONENTS, divideChunk, pairs } from './turn-components.ts';

describe('the time of a chunk by cause', () => {
  it('is divided as in the worked vector of the specification, 7.1', () => {
    expect(pairs(8000, 1536)).toBe(13_467_648);
    expect(pairs(9536, 512)).toBe(5_013_504);
    const pairMs = 9.7e-7 * pairs(8000, 2048);
    const ownMs = 106.5 + 0.168 + 8.0e-4 * 2048 + pairMs;
    expect(ownMs).toBeCloseTo(126.233117, 6);
    const got: Record<string, number> = {};
    const spans = [
      { label: 'ttl', tokens: 1536 },
      { label: 'compulsory', tokens: 512 },
    ] as const;
    divideChunk({ from: 8000, tokens: 2048, ownMs, pairMs }, spans, 8000, 'unknown', (label, ms) => {
      got[label] = ms;
    });
    expect(got['ttl']).toBeCloseTo(94.293419, 6);
    expect(got['compulsory']).toBeCloseTo(31.939699, 6);
    expect(Object.keys(got)).toEqual(['ttl', 'compulsory']);
  });

  it('covers tokens before the labelled ones and behind them', () => {
    const got: Record<string, number> = {};
    divideChunk({ from: 0, tokens: 100, ownMs: 100, pairMs: 0 }, [{ label: 'ttl', tokens: 30 }], 20, 'fault', (label, ms) => {
      got[label] = ms;
    });
    expect(got).toEqual({ fault: 20, ttl: 30, preempted: 50 });
  });
});

it('components are named once', () => {
  expect(new Set(COMPONENTS).size).toBe(COMPONENTS.length);
});
