/**
 * XXH3 with 64-bit results, over bytes and with a seed: the hash that Dynamo names blocks with.
 *
 * 64-bit words are pairs of 32-bit halves. A step that yields a word leaves its low half in `lo` and its high half in `hi`, so that
 * hashing allocates nothing but the result. Source: XXH3 algorithm description (xxHash 0.8, Y. Collet; public specification).
 */

/** Default secret of the algorithm, 192 bytes. */
const SECRET = bytesOf(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364ea' +
    'c5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
);

// Low and high halves of the 64-bit primes.
const P64_1_LO = 0x85ebca87;
const P64_1_HI = 0x9e3779b1;
const P64_2_LO = 0x27d4eb4f;
const P64_2_HI = 0xc2b2ae3d;
const P64_3_LO = 0x9e3779f9;
const P64_3_HI = 0x165667b1;
const P64_4_LO = 0xc2b2ae63;
const P64_4_HI = 0x85ebca77;
const P64_5_LO = 0x165667c5;
const P64_5_HI = 0x27d4eb2f;
const P32_1 = 0x9e3779b1;
const P32_2 = 0x85ebca77;
const P32_3 = 0xc2b2ae3d;

const STRIPE = 64;
const STRIPES_PER_BLOCK = 16;
const MASK_64 = 0xffff_ffff_ffff_ffffn;

let lo = 0;
let hi = 0;
/** Seed of the running hash. */
let seedLo = 0;
let seedHi = 0;

/** Hash of the bytes, 0..2^64-1. The seed is taken modulo 2^64. Cost O(bytes), about 10 ns per 16 of them. */
export function xxh3(bytes: Uint8Array, seed = 0n): bigint {
  const wrapped = seed & MASK_64;
  seedLo = Number(wrapped & 0xffff_ffffn);
  seedHi = Number(wrapped >> 32n);
  const length = bytes.length;
  if (length <= 16) upTo16(bytes, length);
  else if (length <= 240) upTo240(bytes, length);
  else long(bytes, length);
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

function upTo16(bytes: Uint8Array, length: number): void {
  if (length > 8) {
    const low = keyed(24, 32, 1);
    const inLoLo = read32(bytes, 0) ^ low[0];
    const inLoHi = read32(bytes, 4) ^ low[1];
    const high = keyed(40, 48, -1);
    const inHiLo = read32(bytes, length - 8) ^ high[0];
    const inHiHi = read32(bytes, length - 4) ^ high[1];
    foldedProduct(inLoLo, inLoHi, inHiLo, inHiHi);
    add(swap32(inLoHi), swap32(inLoLo));
    add(inHiLo, inHiHi);
    add(length, 0);
    avalanche();
  } else if (length >= 4) {
    seedHi ^= swap32(seedLo);
    const [flipLo, flipHi] = keyed(8, 16, -1);
    lo = read32(bytes, length - 4) ^ flipLo;
    hi = read32(bytes, 0) ^ flipHi;
    mixWithLength(length);
  } else if (length > 0) {
    const [flipLo, flipHi] = [read32(SECRET, 0) ^ read32(SECRET, 4), 0];
    lo = flipLo;
    hi = flipHi;
    add(seedLo, seedHi);
    lo ^= (bytes[0]! << 16) | (bytes[length >> 1]! << 24) | bytes[length - 1]! | (length << 8);
    avalanche64();
  } else {
    lo = seedLo ^ read32(SECRET, 56) ^ read32(SECRET, 64);
    hi = seedHi ^ read32(SECRET, 60) ^ read32(SECRET, 68);
    avalanche64();
  }
}

/** Two words of the secret joined, plus (`sign` 1) or minus the seed. */
function keyed(a: number, b: number, sign: 1 | -1): readonly [number, number] {
  lo = read32(SECRET, a) ^ read32(SECRET, b);
  hi = read32(SECRET, a + 4) ^ read32(SECRET, b + 4);
  if (sign > 0) add(seedLo, seedHi);
  else subtract(seedLo, seedHi);
  return [lo, hi];
}

function upTo240(bytes: Uint8Array, length: number): void {
  times(length, 0, P64_1_LO, P64_1_HI);
  if (length <= 128) {
    for (let i = (length - 1) >> 5; i >= 0; i--) {
      addMixed(bytes, 16 * i, 32 * i);
      addMixed(bytes, length - 16 * (i + 1), 32 * i + 16);
    }
  } else {
    const rounds = length >> 4;
    for (let i = 0; i < 8; i++) addMixed(bytes, 16 * i, 16 * i);
    avalanche();
    for (let i = 8; i < rounds; i++) addMixed(bytes, 16 * i, 16 * (i - 8) + 3);
    addMixed(bytes, length - 16, 136 - 17);
  }
  avalanche();
}

/** Adds the mixture of 16 bytes with 16 bytes of the secret to the running word. */
function addMixed(bytes: Uint8Array, at: number, secretAt: number): void {
  const sumLo = lo;
  const sumHi = hi;
  lo = read32(SECRET, secretAt);
  hi = read32(SECRET, secretAt + 4);
  add(seedLo, seedHi);
  const aLo = lo ^ read32(bytes, at);
  const aHi = hi ^ read32(bytes, at + 4);
  lo = read32(SECRET, secretAt + 8);
  hi = read32(SECRET, secretAt + 12);
  subtract(seedLo, seedHi);
  foldedProduct(aLo, aHi, lo ^ read32(bytes, at + 8), hi ^ read32(bytes, at + 12));
  add(sumLo, sumHi);
}

/** More than 240 bytes: eight running words over stripes of 64 bytes. */
function long(bytes: Uint8Array, length: number): void {
  const secret = seededSecret();
  // Low half of word i at 2i, high half at 2i + 1.
  const words = new Int32Array([
    ...[P32_3, 0, P64_1_LO, P64_1_HI, P64_2_LO, P64_2_HI, P64_3_LO, P64_3_HI],
    ...[P64_4_LO, P64_4_HI, P32_2, 0, P64_5_LO, P64_5_HI, P32_1, 0],
  ]);
  const blockBytes = STRIPE * STRIPES_PER_BLOCK;
  const blocks = Math.floor((length - 1) / blockBytes);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < STRIPES_PER_BLOCK; i++) accumulate(words, bytes, block * blockBytes + i * STRIPE, secret, 8 * i);
    scramble(words, secret);
  }
  const rest = Math.floor((length - 1 - blockBytes * blocks) / STRIPE);
  for (let i = 0; i < rest; i++) accumulate(words, bytes, blocks * blockBytes + i * STRIPE, secret, 8 * i);
  accumulate(words, bytes, length - STRIPE, secret, secret.length - STRIPE - 7);
  times(length, 0, P64_1_LO, P64_1_HI);
  for (let i = 0; i < 4; i++) {
    const sumLo = lo;
    const sumHi = hi;
    const at = 11 + 16 * i;
    foldedProduct(
      words[4 * i]! ^ read32(secret, at),
      words[4 * i + 1]! ^ read32(secret, at + 4),
      words[4 * i + 2]! ^ read32(secret, at + 8),
      words[4 * i + 3]! ^ read32(secret, at + 12),
    );
    add(sumLo, sumHi);
  }
  avalanche();
}

function seededSecret(): Uint8Array {
  if (seedLo === 0 && seedHi === 0) return SECRET;
  const secret = new Uint8Array(SECRET.length);
  for (let at = 0; at < SECRET.length; at += 16) {
    lo = read32(SECRET, at);
    hi = read32(SECRET, at + 4);
    add(seedLo, seedHi);
    write64(secret, at);
    lo = read32(SECRET, at + 8);
    hi = read32(SECRET, at + 12);
    subtract(seedLo, seedHi);
    write64(secret, at + 8);
  }
  return secret;
}

function accumulate(words: Int32Array, bytes: Uint8Array, at: number, secret: Uint8Array, secretAt: number): void {
  for (let i = 0; i < 8; i++) {
    const valueLo = read32(bytes, at + 8 * i);
    const valueHi = read32(bytes, at + 8 * i + 4);
    const other = 2 * (i ^ 1);
    lo = words[other]!;
    hi = words[other + 1]!;
    add(valueLo, valueHi);
    words[other] = lo;
    words[other + 1] = hi;
    product32(valueLo ^ read32(secret, secretAt + 8 * i), valueHi ^ read32(secret, secretAt + 8 * i + 4));
    add(words[2 * i]!, words[2 * i + 1]!);
    words[2 * i] = lo;
    words[2 * i + 1] = hi;
  }
}

function scramble(words: Int32Array, secret: Uint8Array): void {
  for (let i = 0; i < 8; i++) {
    lo = words[2 * i]!;
    hi = words[2 * i + 1]!;
    shiftXor(47);
    const at = secret.length - STRIPE + 8 * i;
    times(lo ^ read32(secret, at), hi ^ read32(secret, at + 4), P32_1, 0);
    words[2 * i] = lo;
    words[2 * i + 1] = hi;
  }
}

function avalanche(): void {
  shiftXor(37);
  times(lo, hi, 0x9e3779f9, 0x16566791);
  shiftXor(32);
}

function avalanche64(): void {
  shiftXor(33);
  times(lo, hi, P64_2_LO, P64_2_HI);
  shiftXor(29);
  times(lo, hi, P64_3_LO, P64_3_HI);
  shiftXor(32);
}

/** Final mixture of 4 to 8 bytes. */
function mixWithLength(length: number): void {
  // Rotations by 49 and by 24.
  const l = lo;
  const h = hi;
  lo ^= ((h << 17) | (l >>> 15)) ^ ((l << 24) | (h >>> 8));
  hi ^= ((l << 17) | (h >>> 15)) ^ ((h << 24) | (l >>> 8));
  times(lo, hi, 0x1e98df25, 0x9fb21c65);
  // Shifted by 35: the high half falls out, so adding the length cannot carry.
  lo ^= (hi >>> 3) + length;
  times(lo, hi, 0x1e98df25, 0x9fb21c65);
  shiftXor(28);
}

/** x ^= x >>> bits for bits 1..63. */
function shiftXor(bits: number): void {
  if (bits >= 32) {
    lo ^= bits === 32 ? hi : hi >>> (bits - 32);
    return;
  }
  lo ^= (lo >>> bits) | (hi << (32 - bits));
  hi ^= hi >>> bits;
}

function add(bLo: number, bHi: number): void {
  const sum = (lo >>> 0) + (bLo >>> 0);
  hi = (hi + bHi + (sum > 0xffffffff ? 1 : 0)) | 0;
  lo = sum | 0;
}

function subtract(bLo: number, bHi: number): void {
  hi = (hi - bHi - (lo >>> 0 < bLo >>> 0 ? 1 : 0)) | 0;
  lo = (lo - bLo) | 0;
}

/** Whole 64-bit product of two 32-bit numbers. */
function product32(a: number, b: number): void {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // Both sums stay below 2^32.
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const rest = aLow * bHigh + (middle & 0xffff);
  hi = (aHigh * bHigh + (middle >>> 16) + (rest >>> 16)) | 0;
  lo = Math.imul(a, b);
}

/** Lower 64 bits of a 64-bit product. */
function times(aLo: number, aHi: number, bLo: number, bHi: number): void {
  product32(aLo, bLo);
  hi = (hi + Math.imul(aLo, bHi) + Math.imul(aHi, bLo)) | 0;
}

/** Lower half xor upper half of the 128-bit product. */
function foldedProduct(aLo: number, aHi: number, bLo: number, bHi: number): void {
  product32(aLo, bLo);
  const word0 = lo;
  const carry = hi >>> 0;
  product32(aHi, bLo);
  const midLo = (lo >>> 0) + carry;
  const midHi = (hi >>> 0) + (midLo > 0xffffffff ? 1 : 0);
  product32(aLo, bHi);
  const crossLo = (lo >>> 0) + (midLo >>> 0);
  const crossHi = (hi >>> 0) + (crossLo > 0xffffffff ? 1 : 0);
  product32(aHi, bHi);
  const topLo = (lo >>> 0) + midHi + crossHi;
  const topHi = (hi + Math.floor(topLo / 0x1_0000_0000)) | 0;
  lo = word0 ^ topLo;
  hi = crossLo ^ topHi;
}

function swap32(x: number): number {
  return (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);
}

function read32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function write64(bytes: Uint8Array, at: number): void {
  for (let i = 0; i < 4; i++) {
    bytes[at + i] = lo >>> (8 * i);
    bytes[at + 4 + i] = hi >>> (8 * i);
  }
}

function bytesOf(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
