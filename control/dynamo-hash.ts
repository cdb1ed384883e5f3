/**
 * Names of blocks as Dynamo 1.6 makes them, for a gateway that works beside Dynamo workers: XXH3-64 over the tokens of a block,
 * chained into sequence hashes. Source: router specification 5.2.1, recorded vectors of dynamo-kv-hashing 1.6.1.
 */
import { xxh3 } from './xxh3.ts';

/** Seed of blocks without adapter and namespace, and of every chain step. */
export const DYNAMO_SEED = 1337n;

/** What sets blocks of equal tokens apart. Empty names count as absent. */
export interface DynamoScope {
  readonly lora?: string;
  readonly namespace?: string;
}

export interface DynamoBlockOptions extends DynamoScope {
  /** Windows of one token more than a block, as speculative decoding with Eagle needs; their stride is the block. */
  readonly eagle?: boolean;
  /** Multimodal hashes per block, 0..2^64-1 each; null or a missing entry = none. */
  readonly multimodal?: readonly (readonly bigint[] | null)[];
}

const MASK_64 = 0xffff_ffff_ffff_ffffn;

/** Seed of the blocks of an adapter and namespace: 1337 + xxh3(lora, 0) + xxh3(namespace, 1) modulo 2^64. */
export function dynamoSeed(scope: DynamoScope = {}): bigint {
  const { lora = '', namespace = '' } = scope;
  let seed = DYNAMO_SEED;
  if (lora !== '') seed += xxh3(utf8(lora), 0n);
  if (namespace !== '') seed += xxh3(utf8(namespace), 1n);
  return seed & MASK_64;
}

/**
 * Hashes of the full blocks of a token sequence, each by its own content alone. A block is its tokens as 32-bit little-endian words,
 * then its multimodal hashes as 64-bit ones,
 * smallest first. Token ids are taken modulo 2^32. Cost O(tokens).
 */
export function dynamoBlockHashes(tokens: ArrayLike<number>, blockTokens: number, options: DynamoBlockOptions = {}): bigint[] {
  const seed = dynamoSeed(options);
  const window = options.eagle === true ? blockTokens + 1 : blockTokens;
  const hashes: bigint[] = [];
  for (let from = 0; from + window <= tokens.length; from += blockTokens) {
    const extra = [...(options.multimodal?.[hashes.length] ?? [])].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const bytes = new Uint8Array(4 * window + 8 * extra.length);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < window; i++) view.setUint32(4 * i, tokens[from + i]!, true);
    for (const [i, hash] of extra.entries()) view.setBigUint64(4 * window + 8 * i, hash, true);
    hashes.push(xxh3(bytes, seed));
  }
  return hashes;
}

/** Sequence hash of a block whose prefix has the sequence hash `parent`. */
export function dynamoNextHash(parent: bigint, block: bigint): bigint {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, parent, true);
  view.setBigUint64(8, block, true);
  return xxh3(bytes, DYNAMO_SEED);
}

/** Sequence hashes of a chain of blocks: the first block's own hash, then one step per block. */
export function dynamoSequenceHashes(blocks: readonly bigint[]): bigint[] {
  const hashes: bigint[] = [];
  for (const block of blocks) hashes.push(hashes.length === 0 ? block : dynamoNextHash(hashes[hashes.length - 1]!, block));
  return hashes;
}

const FIRST_PAD = 1_000_000;
const PAD_VALUES = 0x4000_0000n;

/** Token id that stands for a multimodal object in the prompt: 1 000 000 + hash modulo 2^30, so above every vocabulary. */
export function dynamoPadToken(multimodalHash: bigint): number {
  return FIRST_PAD + Number(multimodalHash % PAD_VALUES);
}

const IDENTIFIER = /^[0-9a-f]{64}$/i;

/** Multimodal hash of an identifier: the first 16 digits of 64 hexadecimal ones; null for anything else, e.g. a salt. */
export function dynamoMultimodalHash(identifier: string): bigint | null {
  return IDENTIFIER.test(identifier) ? BigInt(`0x${identifier.slice(0, 16)}`) : null;
}

/** UTF-8 bytes. A lone surrogate becomes U+FFFD, as TextEncoder does it. */
function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
