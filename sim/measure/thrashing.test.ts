import { describe, expect, it } from 'vitest';
import { ThrashingMonitor } from './thrashing.ts';

describe('the thrashing monitor', () => {
  it('sees more than a tenth of a minute’s prefill computed again', () => {
    const monitor = new ThrashingMonitor();
    for (let i = 1; i <= 6; i++) monitor.sample(i * 10_000, i * 1000, i * 100, i * 9000, 0.5, 0);
    expect(monitor.share).toBe(0);
    monitor.sample(70_000, 7000, 701, 63_000, 0.5, 0);
    expect(monitor.thrashingMs).toBe(9000);
    expect(monitor.share).toBeCloseTo(1 / 7, 12);
  });

  it('forgets what lies more than a minute back', () => {
    const monitor = new ThrashingMonitor();
    monitor.sample(10_000, 1000, 900, 9000, 0.5, 0);
    for (let i = 2; i <= 20; i++) monitor.sample(i * 10_000, i * 1000, 900, i * 9000, 0.5, 0);
    // Intervals up to 60 s still see the 900 tokens; from 70 s on the window starts at or after 10 s.
    expect(monitor.thrashingMs).toBe(6 * 9000);
  });

  it('sees a full pool behind a queue only after a minute without relief', () => {
    const monitor = new ThrashingMonitor();
    for (let i = 1; i <= 6; i++) monitor.sample(i * 10_000, i * 1000, 0, i * 10_000, 0.99, 3);
    expect(monitor.thrashingMs).toBe(0);
    monitor.sample(70_000, 7000, 0, 70_000, 0.98, 1);
    expect(monitor.thrashingMs).toBe(10_000);
    monitor.sample(80_000, 8000, 0, 80_000, 0.99, 0);
    monitor.sample(90_000, 9000, 0, 90_000, 0.99, 5);
    expect(monitor.thrashingMs).toBe(10_000);
  });
});
