import { expect, it } from 'vitest';
import { BlockStore } from './block-store.ts';

function filled(...keys: readonly number[]): BlockStore {
  const store = new BlockStore(3);
  for (const key of keys) {
    store.take(key);
    store.ready(key);
  }
  return store;
}

it('gives up the least recently used readable block', () => {
  const store = filled(1, 2, 3);
  store.touch(1);
  expect(store.take(4)).toBe(2);
  expect([1, 2, 3, 4].map((key) => store.has(key))).toEqual([true, false, true, true]);
  expect(store.isReady(4)).toBe(false);
  expect(store.readable()).toEqual([3, 1]);
});

it('passes over what is read or written, and refuses if nothing else is left', () => {
  const store = filled(1, 2);
  store.take(3);
  store.pin(1, 1);
  expect(store.take(4)).toBe(2);
  store.pin(1, -1);
  expect(store.take(5)).toBe(1);
  expect(store.take(6)).toBeUndefined();
  store.drop(5);
  expect(store.take(6)).toBeNull();
  expect(store.filled).toBe(3);
});
