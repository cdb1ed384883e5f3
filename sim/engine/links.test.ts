import { describe, expect, it } from 'vitest';
import { createLinkPool, D2H, H2D, type LinkPool, type LinkPoolOptions } from './links.ts';

const MB = 1e6;

function pool(options: Partial<LinkPoolOptions> = {}): { links: LinkPool; done: [number, number, number][] } {
  const done: [number, number, number][] = [];
  const links = createLinkPool({
    gpus: 8,
    h2dBytesPerMs: 50 * MB,
    d2hBytesPerMs: 50 * MB,
    duplexBytesPerMs: 100 * MB,
    dramBytesPerMs: 1000 * MB,
    onDone: (transfer, worker, tMs) => done.push([transfer, worker, tMs]),
    ...options,
  });
  return { links, done };
}

describe('link pool', () => {
  it('M13a: two transfers of one link share it', () => {
    const { links, done } = pool();
    links.start(0, H2D, 1000 * MB, 0, 0, 1, 0);
    links.start(0, H2D, 500 * MB, 0, 0, 1, 5);
    expect(links.nextMs).toBe(25);
    links.advance(100);
    expect(done).toEqual([
      [2, 0, 25],
      [1, 0, 30],
    ]);
    expect(links.nextMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('M13b: the rate falls while both directions are busy and rises again', () => {
    const { links, done } = pool({ h2dBytesPerMs: 48 * MB, d2hBytesPerMs: 48 * MB, duplexBytesPerMs: 80 * MB });
    links.start(0, H2D, 480 * MB, 0, 0, 1, 0);
    links.start(0, D2H, 200 * MB, 0, 0, 1, 5);
    links.advance(100);
    expect(done[0]).toEqual([2, 0, 10]);
    expect(done[1]![2]).toBeCloseTo(10 + 40 / 48, 12);
  });

  it('M13c: the DRAM cap binds eight restores at once', () => {
    const run = (dramBytesPerMs: number) => {
      const { links, done } = pool({ dramBytesPerMs });
      for (let worker = 0; worker < 8; worker++) links.start(worker, H2D, 500 * MB, 0, 0, 1, 0);
      links.advance(100);
      return done.map(([, , tMs]) => tMs);
    };
    expect(run(250 * MB)).toEqual(new Array(8).fill(16));
    expect(run(1000 * MB)).toEqual(new Array(8).fill(10));
  });

  it('counts a transfer over several GPUs that many times against the DRAM cap', () => {
    const { links, done } = pool({ dramBytesPerMs: 100 * MB });
    links.start(0, H2D, 500 * MB, 0, 0, 4, 0);
    links.advance(100);
    expect(done).toEqual([[1, 0, 20]]);
  });

  it('gives what a frozen link leaves of the DRAM cap to the others', () => {
    // Worker 0 has two transfers on one link (25 each); worker 1 alone gets the rest of the cap, 80 - 50 = 30.
    const { links } = pool({ dramBytesPerMs: 80 * MB });
    const a = links.start(0, H2D, 100 * MB, 0, 0, 1, 0);
    links.start(0, H2D, 100 * MB, 0, 0, 1, 0);
    const c = links.start(1, H2D, 90 * MB, 0, 0, 1, 0);
    expect(links.remainingMs(a, 0)).toBe(4);
    expect(links.remainingMs(c, 0)).toBe(3);
  });

  it('folds the submit cost of fragments into the work: 512 of them cost 1.28 ms', () => {
    // Engine specification 4.4: 671 MB per GPU at 50 GB/s = 13.4 ms + 512 fragments of 2.5 us.
    const { links } = pool();
    const transfer = links.start(0, H2D, 671 * MB, 512, 0.0025, 1, 0);
    expect(links.remainingMs(transfer, 0)).toBeCloseTo(13.42 + 1.28, 9);
  });

  it('completes zero bytes at once and knows infinite links', () => {
    const endless = Number.POSITIVE_INFINITY;
    const { links, done } = pool({ h2dBytesPerMs: endless, duplexBytesPerMs: endless, dramBytesPerMs: endless });
    links.start(0, D2H, 0, 0, 0, 1, 3);
    links.start(0, H2D, 5, 7, 1, 1, 3);
    links.start(1, H2D, 5, 7, 1, 1, 3);
    expect(links.nextMs).toBe(3);
    links.advance(3);
    expect(done.map(([transfer]) => transfer)).toEqual([1, 2, 3]);
  });

  it('speeds the others up when a transfer is cancelled', () => {
    const { links, done } = pool();
    const a = links.start(0, H2D, 500 * MB, 0, 0, 1, 0);
    links.start(0, H2D, 500 * MB, 0, 0, 1, 0);
    links.cancel(a, 4);
    links.cancel(a, 4);
    links.advance(100);
    expect(done).toEqual([[2, 0, 12]]);
  });

  it('estimates a new transfer behind the work that waits on its link', () => {
    const { links } = pool();
    links.start(0, H2D, 500 * MB, 0, 0, 1, 0);
    links.start(1, H2D, 500 * MB, 0, 0, 1, 0);
    expect(links.estimateMs(0, H2D, 100 * MB, 0, 0, 4)).toBe(8);
    expect(links.estimateMs(0, D2H, 100 * MB, 0, 0, 4)).toBe(2);
  });

  it('may be given new transfers while it completes others', () => {
    const done: number[] = [];
    const links = createLinkPool({
      gpus: 1,
      h2dBytesPerMs: 1,
      d2hBytesPerMs: 1,
      duplexBytesPerMs: 2,
      dramBytesPerMs: 10,
      onDone: (_transfer, _worker, tMs) => {
        done.push(tMs);
        if (done.length < 3) links.start(0, H2D, 2, 0, 0, 1, tMs);
      },
    });
    links.start(0, H2D, 2, 0, 0, 1, 0);
    links.advance(100);
    expect(done).toEqual([2, 4, 6]);
  });

  it('refuses what makes no sense', () => {
    expect(() => pool({ h2dBytesPerMs: 0 })).toThrow('h2dBytesPerMs is 0');
    expect(() => pool({ dramBytesPerMs: Number.NaN })).toThrow('dramBytesPerMs is NaN');
    const { links } = pool();
    expect(() => links.start(0, H2D, -1, 0, 0, 1, 0)).toThrow('-1 bytes');
    expect(() => links.start(0, H2D, 1, 0, 0, 9, 0)).toThrow('9 GPUs of 8');
    links.start(0, H2D, 50 * MB, 0, 0, 1, 10);
    expect(() => links.start(0, H2D, 1, 0, 0, 1, 9)).toThrow('time goes back');
    expect(() => links.start(0, H2D, 1, 0, 0, 1, 12)).toThrow('was not completed');
  });
});
