import { expect, test } from 'vitest';
import { draw, fnv1a32, tieKey } from './keyed-draw.ts';

test('tie keys equal the vectors of router:E11', () => {
  const workers = ['w0/0', 'w1/0', 'w2/0'];
  expect(workers.map((w) => tieKey(42, 'req-1', w))).toEqual([3900307624, 3656227068, 1325242170]);
  expect(workers.map((w) => tieKey(42, 'req-2', w))).toEqual([381837660, 2644781313, 2879866293]);
  expect(workers.map((w) => tieKey(42, 'req-3', w))).toEqual([1553122125, 3438594963, 3113856779]);
});

test('draws equal the vectors of router:E11', () => {
  expect([0, 1, 2].map((k) => draw(42, 'req-1', 0, k))).toEqual([0.4587233108468354, 0.44766133395023644, 0.4768039083573967]);
});

test('tie wins over 16 000 ids and 8 ranks are uniform: chi-square with 7 degrees of freedom below 24.3', () => {
  const wins = new Array<number>(8).fill(0);
  for (let i = 0; i < 16_000; i++) {
    let best = 0;
    let bestKey = -1;
    for (let w = 0; w < 8; w++) {
      const key = tieKey(42, `req-${i}`, `w${w}/0`);
      if (key > bestKey) {
        bestKey = key;
        best = w;
      }
    }
    wins[best]!++;
  }
  const chiSquare = wins.reduce((sum, n) => sum + ((n - 2000) * (n - 2000)) / 2000, 0);
  expect(chiSquare).toBeLessThan(24.3);
});

test('the string hash reads UTF-8 bytes and can be continued', () => {
  const bytes = (text: string): number => {
    let h = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193) >>> 0;
    return h;
  };
  for (const text of ['', 'a', 'plain/0', 'größe', '模型', 'x😀y', '\u0800']) expect(fnv1a32(text)).toBe(bytes(text));
  expect(fnv1a32('b/ä', fnv1a32('a'))).toBe(fnv1a32('ab/ä'));
});
