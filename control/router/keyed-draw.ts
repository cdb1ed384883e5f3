/**
 * Keyed randomness: ties and draws are functions of (seed, request, worker), so results do not depend on the order of events.
 * Source: router specification 4.7; FNV-1a (Fowler, Noll, Vo) and the Murmur3 finaliser (A. Appleby, public domain).
 */

/** FNV-1a offset basis. */
export const FNV_BASIS = 0x811c9dc5;

/** 32-bit FNV-1a over the UTF-8 bytes of `text`, continued from `hash`. Returns a uint32. Cost O(length). */
export function fnv1a32(text: string, hash = FNV_BASIS): number {
  let h = hash | 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return fnv1a32Wide(text, i, h);
    h = Math.imul(h ^ code, 0x01000193);
  }
  return h >>> 0;
}

/** The rest of a string from the first character outside ASCII on. */
function fnv1a32Wide(text: string, from: number, hash: number): number {
  let h = hash;
  for (const character of text.slice(from)) {
    const point = character.codePointAt(0)!;
    if (point < 0x80) h = Math.imul(h ^ point, 0x01000193);
    else {
      if (point < 0x800) h = Math.imul(h ^ (0xc0 | (point >> 6)), 0x01000193);
      else {
        if (point < 0x10000) h = Math.imul(h ^ (0xe0 | (point >> 12)), 0x01000193);
        else {
          h = Math.imul(h ^ (0xf0 | (point >> 18)), 0x01000193);
          h = Math.imul(h ^ (0x80 | ((point >> 12) & 63)), 0x01000193);
        }
        h = Math.imul(h ^ (0x80 | ((point >> 6) & 63)), 0x01000193);
      }
      h = Math.imul(h ^ (0x80 | (point & 63)), 0x01000193);
    }
  }
  return h >>> 0;
}

/** Murmur3 32-bit finaliser. Returns a uint32. */
export function fmix32(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Mixed hash of a worker key, computed once per worker. */
export function workerHash(key: string): number {
  return fmix32(fnv1a32(key));
}

/** Mixed hash of a request id under a seed, computed once per request that meets a tie. */
export function requestHash(seed: number, id: string): number {
  return fmix32(fnv1a32(id) ^ seed);
}

/** Tie key of a (request, worker) pair from their mixed hashes; the largest wins. */
export function mixTie(request: number, worker: number): number {
  return fmix32(request ^ worker);
}

/** Tie key from the texts: fmix32(fmix32(FNV1a32(id) xor seed) xor fmix32(FNV1a32(workerKey))). */
export function tieKey(seed: number, id: string, workerKey: string): number {
  return mixTie(requestHash(seed, id), workerHash(workerKey));
}

const DRAW_HASHES: number[] = [];

/** Draw `k` of a request, uniform in [0, 1): tieKey(seed, id + "#" + attemptNumber, "draw/" + k) / 2^32. */
export function draw(seed: number, id: string, attemptNumber: number, k: number): number {
  for (let i = DRAW_HASHES.length; i <= k; i++) DRAW_HASHES.push(workerHash(`draw/${i}`));
  const request = fmix32(fnv1a32(`#${attemptNumber}`, fnv1a32(id)) ^ seed);
  return mixTie(request, DRAW_HASHES[k]!) / 4294967296;
}
