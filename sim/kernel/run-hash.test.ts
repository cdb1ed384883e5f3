import { describe, expect, it } from 'vitest';
import { LOGGED, RunHash } from './run-hash.ts';

describe('the run hash', () => {
  it('gives the vectors of a second implementation, written in Python from the description', () => {
    const hash = new RunHash();
    expect(hash.digest()).toBe('81f88a9fef2e5b91');
    hash.add(0, LOGGED.arrival, 0);
    expect(hash.digest()).toBe('990cd70b05d508c5');
    hash.add(1.5, LOGGED.decision, 7);
    expect(hash.digest()).toBe('76a5f6333aa7034a');
    hash.add(5_000_000.123, LOGGED.end, 7);
    expect(hash.digest()).toBe('84e2209f6335c4b6');
  });

  it('sees order, every field, and times that differ by 71 minutes', () => {
    const of = (...facts: [number, number, number][]): string => {
      const hash = new RunHash();
      for (const fact of facts) hash.add(...fact);
      return hash.digest();
    };
    const all = [
      of([1, 1, 1], [1, 2, 2]),
      of([1, 2, 2], [1, 1, 1]),
      of([1, 1, 1], [1, 2, 3]),
      of([1, 1, 1], [1, 3, 2]),
      of([1.001, 1, 1], [1, 2, 2]),
      of([1 + 4294967.296, 1, 1], [1, 2, 2]),
      of([1, 1, 1]),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it('does not see differences below half a microsecond', () => {
    const a = new RunHash();
    const b = new RunHash();
    a.add(10.0000001, 1, 1);
    b.add(10.0000004, 1, 1);
    expect(a.digest()).toBe(b.digest());
  });

  it('has no collision among 100,000 short logs', () => {
    const seen = new Set<string>();
    for (let t = 0; t < 100; t++)
      for (let kind = 1; kind <= 10; kind++)
        for (let entity = 0; entity < 100; entity++) {
          const hash = new RunHash();
          hash.add(t, kind, entity);
          seen.add(hash.digest());
        }
    expect(seen.size).toBe(100_000);
  });
});
