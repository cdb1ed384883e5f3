import { describe, expect, it } from 'vitest';
import { didYouMean, editDistance, nearest, orList } from './spelling.ts';

describe('did you mean', () => {
  it('counts swaps of neighbours as one edit', () => {
    expect(editDistance('wrokers', 'workers')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('offers the best three within a third of the length, ties alphabetical', () => {
    expect(nearest('worker', ['workers', 'orker', 'name', 'work'])).toEqual(['orker', 'workers', 'work']);
    expect(nearest('ttl', ['hhl', 'tts', 'ttk', 'ttf', 'tta'])).toEqual(['tta', 'ttf', 'ttk']);
    expect(nearest('abc', ['xyz'])).toEqual([]);
  });

  it('says so in one sentence, or nothing', () => {
    expect(didYouMean('worker', ['workers'])).toBe('Did you mean "workers"?');
    expect(didYouMean('worker', ['name'])).toBeUndefined();
    expect(orList(['a', 'b', 'c'])).toBe('a, b or c');
  });
});
