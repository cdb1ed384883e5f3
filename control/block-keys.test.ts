import { describe, expect, it } from 'vitest';
import { blockKeys, fullBlocks, namespaceOf } from './block-keys.ts';

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe('kvh1 keys', () => {
  it('gives the vectors of router specification 2.1', () => {
    expect([...blockKeys(upTo(12), 4)]).toEqual([6529474853967463, 6186364096932614, 1300112482346807]);
    expect([...blockKeys(upTo(12), 4, { namespace: 'lora=a' })]).toEqual([5411048959222704, 2491748055774357, 6407859062218855]);
    expect([...blockKeys(upTo(8), 4, { namespace: 'salt=t1' })]).toEqual([1099413501405516, 8624884619844499]);
    expect([...blockKeys([1, 2, 3, 4, 5, 6, 7, 9], 4)]).toEqual([6529474853967463, 3398548480789080]);
    expect([...blockKeys(upTo(12), 8)]).toEqual([8123092813173140]);
    expect([...blockKeys(upTo(3), 4)]).toEqual([]);
  });

  it('gives the same keys from plain and typed token ids', () => {
    expect([...blockKeys(Uint32Array.from(upTo(12)), 4)]).toEqual([...blockKeys(upTo(12), 4)]);
  });

  it('continues a chain from the key of any block', () => {
    const tokens = Array.from({ length: 64 }, (_, i) => (i * 7919) % 150_000);
    for (const namespace of ['', 'lora=a;tenant=t']) {
      const all = blockKeys(tokens, 8, { namespace });
      for (let block = 1; block < 8; block++) {
        expect([...blockKeys(tokens.slice(8 * block), 8, { parentKey: all[block - 1]! })]).toEqual([...all.subarray(block)]);
      }
    }
  });

  it('tells multimodal content apart from the block that holds it on', () => {
    const plain = blockKeys(upTo(12), 4);
    const image = blockKeys(upTo(12), 4, { extraWords: new Map([[1, [0xdeadbeef, 7]]]) });
    expect(image[0]).toBe(plain[0]);
    expect(image[1]).not.toBe(plain[1]);
    expect(image[2]).not.toBe(plain[2]);
    // Appending the words to the tokens of one block is the same fold.
    expect(blockKeys([...upTo(4), 5, 6], 6)[0]).toBe(blockKeys(upTo(4), 4, { extraWords: new Map([[0, [5, 6]]]) })[0]);
  });

  it('excludes the last token where the engine does', () => {
    expect(fullBlocks(12, 4)).toBe(3);
    expect(fullBlocks(12, 4, 'exclude')).toBe(2);
    expect(fullBlocks(13, 4, 'exclude')).toBe(3);
    expect(blockKeys(upTo(12), 4, { lastToken: 'exclude' })).toHaveLength(2);
    expect(blockKeys([], 4, { lastToken: 'exclude' })).toHaveLength(0);
  });
});

describe('namespaceOf', () => {
  it('joins non-empty fields in fixed order and encodes separators', () => {
    expect(namespaceOf({})).toBe('');
    expect(namespaceOf({ tenant: 't', lora: 'a', salt: '' })).toBe('lora=a;tenant=t');
    expect(namespaceOf({ salt: 'x;tenant=y%' })).toBe('salt=x%3Btenant%3Dy%25');
  });

  it('never lets one tenant write another namespace', () => {
    expect(namespaceOf({ salt: 'a;tenant=b' })).not.toBe(namespaceOf({ salt: 'a', tenant: 'b' }));
  });
});
