/**
 * Names of block prefixes from token ids: the key provider `kvh1` of the live gateway, and namespaces that keep prefixes apart.
 * A key is a non-negative integer below 2^53 that names the prefix up to and including its block; only full blocks have keys.
 * Two 32-bit lanes with the Murmur3 body step; the state after a block is a function of its key, so a chain can be continued from
 * any key. Source: router specification 2.1 and 2.2; Murmur3 (A. Appleby, public domain).
 */
import { FNV_BASIS, fmix32, fnv1a32 } from './router/keyed-draw.ts';

/** What sets prefixes of equal tokens apart. Empty fields count as absent. */
export interface NamespaceParts {
  readonly lora?: string;
  readonly salt?: string;
  readonly tenant?: string;
}

/** `lora=…;salt=…;tenant=…` of the non-empty fields in that order, with `%`, `;` and `=` percent-encoded in values. */
export function namespaceOf(parts: NamespaceParts): string {
  const fields: string[] = [];
  for (const name of ['lora', 'salt', 'tenant'] as const) {
    const value = parts[name];
    if (value !== undefined && value !== '') fields.push(`${name}=${value.replace(/[%;=]/g, escapeByte)}`);
  }
  return fields.join(';');
}

function escapeByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** Full blocks of a prompt; `exclude` leaves out the last token, as TensorRT-LLM hashes. */
export function fullBlocks(promptTokens: number, blockTokens: number, lastToken: 'keep' | 'exclude' = 'keep'): number {
  return Math.floor((lastToken === 'keep' ? promptTokens : promptTokens - 1) / blockTokens);
}

export interface BlockKeyOptions {
  /** From {@link namespaceOf}; default the shared namespace. Ignored when `parentKey` is given: it carries its namespace. */
  readonly namespace?: string;
  /** Key of the block before `tokens[0]`: continues that chain. */
  readonly parentKey?: number;
  /** Further 32-bit words of a block (multimodal hashes as low, high), by block index counted from `tokens[0]`. */
  readonly extraWords?: ReadonlyMap<number, ArrayLike<number>>;
  readonly lastToken?: 'keep' | 'exclude';
}

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;
const TWO_32 = 0x1_0000_0000;

/**
 * Keys of the full blocks of a token sequence. Token ids are taken modulo 2^32. Collision odds about n^2 / 2^54 over n blocks, so
 * keys advise and never prove. Cost O(tokens), a few ns per token.
 */
export function blockKeys(tokens: ArrayLike<number>, blockTokens: number, options: BlockKeyOptions = {}): Float64Array<ArrayBuffer> {
  const { namespace = '', parentKey, extraWords } = options;
  const count = Math.max(0, fullBlocks(tokens.length, blockTokens, options.lastToken));
  const keys = new Float64Array(count);
  let a = 0;
  let b = 0;
  if (parentKey !== undefined) {
    const lo = parentKey >>> 0;
    const hi = (parentKey - lo) / TWO_32;
    a = lo ^ Math.imul(hi, 0x9e3779b1);
    b = hi ^ ((lo << 7) | (lo >>> 25));
  } else if (namespace !== '') {
    a = fmix32(fnv1a32(namespace, FNV_BASIS ^ 1)) | 0;
    b = fmix32(fnv1a32(namespace, FNV_BASIS ^ 2)) | 0;
  }
  let at = 0;
  for (let block = 0; block < count; block++) {
    let x = a ^ 0x9747b28c;
    let y = b ^ 0x5bd1e995;
    let words = blockTokens;
    for (const end = at + blockTokens; at < end; at++) {
      let k = Math.imul(tokens[at]!, C1);
      k = Math.imul((k << 15) | (k >>> 17), C2);
      x ^= k;
      x = (Math.imul((x << 13) | (x >>> 19), 5) + 0xe6546b64) | 0;
      y ^= k;
      y = (Math.imul((y << 13) | (y >>> 19), 5) + 0xe6546b64) | 0;
    }
    const extra = extraWords?.get(block);
    if (extra !== undefined) {
      words += extra.length;
      for (let i = 0; i < extra.length; i++) {
        x = foldWord(x, extra[i]!);
        y = foldWord(y, extra[i]!);
      }
    }
    const lo = fmix32(x ^ (4 * words));
    const hi = fmix32(y ^ (4 * words)) & 0x1fffff;
    keys[block] = hi * TWO_32 + lo;
    a = lo ^ Math.imul(hi, 0x9e3779b1);
    b = hi ^ ((lo << 7) | (lo >>> 25));
  }
  return keys;
}

/** One Murmur3 x86-32 body step. */
function foldWord(state: number, word: number): number {
  let k = Math.imul(word, C1);
  k = Math.imul((k << 15) | (k >>> 17), C2);
  const h = state ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}
