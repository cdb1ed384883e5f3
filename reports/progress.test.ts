import { describe, expect, it } from 'vitest';
import { durationText, liveProgress, plainProgress } from './progress.ts';

const HALF = { doneJobs: 5, totalJobs: 10, share: 0.5, events: 4_120_000, elapsedMs: 10_000 };

describe('progress texts', () => {
  it('say share, runs, rate and what is left', () => {
    expect(liveProgress(HALF)).toBe('50 % · run 5/10 · 412k events/s · ETA 10 s');
    expect(plainProgress(HALF)).toBe('10s  50 %  run 5/10  412k events/s  ETA 10 s');
  });
  it('do not guess before one percent, and stay within 0 to 100 %', () => {
    expect(liveProgress({ ...HALF, share: 0, events: 0, elapsedMs: 0 })).toBe('0 % · run 5/10 · 0 events/s · ETA …');
    expect(liveProgress({ ...HALF, share: 1.2 })).toBe('100 % · run 5/10 · 412k events/s · ETA 0.0 s');
  });
  it('name durations in the unit people read', () => {
    expect([8300, 59_000, 125_000].map(durationText)).toEqual(['8.3 s', '59 s', '2 min 5 s']);
  });
});
