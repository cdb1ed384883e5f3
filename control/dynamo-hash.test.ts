import { expect, test } from 'vitest';
import {
  dynamoBlockHashes,
  dynamoMultimodalHash,
  dynamoNextHash,
  dynamoPadToken,
  dynamoSeed,
  dynamoSequenceHashes,
} from './dynamo-hash.ts';

// Values recorded from dynamo-tokens and dynamo-kv-hashing 1.6.1.
test('adapter and namespace move the seed, empty names do not', () => {
  expect(dynamoSeed({ lora: '', namespace: '' })).toBe(1337n);
  expect(dynamoSeed({ namespace: 'a' })).toBe(15201566949650181209n);
  expect(dynamoSeed({ lora: 'a', namespace: 'tenant/alpha' })).toBe(11697030699273197454n);
  expect(dynamoSeed({ namespace: 'ünïcødé-アダプタ' })).toBe(2214269824323623576n);
});

test('a chain is the first block, then one step per block', () => {
  expect(dynamoNextHash(1590785158418825302n, 76206613078603010n)).toBe(5766538192072796948n);
  const blocks = dynamoBlockHashes([12322, 8264], 1, { multimodal: [[], null, null] });
  expect(blocks).toEqual([3615443031917035172n, 3675720128007251342n]);
  expect(dynamoSequenceHashes(blocks)).toEqual([3615443031917035172n, 1653153413726365691n]);
});

test('eagle windows reach one token beyond the block, and only whole windows count', () => {
  const tokens = [16733, 26184, 16916, 12571, 29231, 9818, 5159, 10641, 30356, 26613, 29182, 1883];
  const multimodal = [[15335465200867037770n], [16905872782196948068n, 14426147069223791939n], [7670843646653755357n]];
  expect(dynamoBlockHashes(tokens, 4, { eagle: true, multimodal })).toEqual([13411045621411905676n, 10531903060813509952n]);
  expect(dynamoBlockHashes([1, 2, 3, 4], 4, { eagle: true })).toEqual([]);
});

test('the order in which a block names its multimodal objects does not matter', () => {
  const hash = (...multimodal: bigint[]) => dynamoBlockHashes([1, 2, 3, 4], 4, { multimodal: [multimodal] });
  expect(hash(9n, 2n ** 63n, 1n)).toEqual(hash(2n ** 63n, 1n, 9n));
  expect(hash(9n)).not.toEqual(hash(1n));
});

test('multimodal objects become pad tokens, and only 64 hexadecimal digits name one', () => {
  expect(dynamoPadToken(1073741824n)).toBe(1_000_000);
  expect(dynamoPadToken(16157756028591473n)).toBe(1_015_209_905);
  expect(dynamoMultimodalHash('0123456789abcdef'.repeat(4))).toBe(81985529216486895n);
  for (const other of ['', '0123456789abcdef', `${'0123456789abcdef'.repeat(3)}0123456789abcdeg`])
    expect(dynamoMultimodalHash(other)).toBeNull();
});
