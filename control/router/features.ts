/**
 * The features of router specification 4.4: one column per name, one row per candidate rank. Each is a loop of its own, so that a
 * decision costs no call per worker.
 */
import type { BranchTable } from '../blocks.ts';
import type { MatchColumns, Millis, PrefixIndex, RouteRequest } from '../ports.ts';
import type { ActiveColumns, Bookings } from './bookings.ts';
import type { HashRing } from './hash-ring.ts';
import type { RankTable } from './rank-table.ts';

/** Parameters that features themselves read, with the default of a document that does not set them. */
export interface FeatureConstants {
  /** Credit per matched HBM block, >= 0. 0 = no cache input is read at all. */
  readonly c: number;
  /** How fast the credit of loaded ranks decays, >= 0. */
  readonly decay: number;
  /** Weight of a host block, 0..1. */
  readonly h: number;
  /** Weight of a disk or remote block, 0..1. */
  readonly k: number;
  /** Credit per block that a shared tier holds beyond the rank's own HBM match, 0..1. */
  readonly m: number;
  /** What a block of a lower tier counts in matchLen, 0..1. */
  readonly hostCredit: number;
  /** Mix of matchLen: 1 = absolute length only. */
  readonly lenMix: number;
  /** Tokens at which the absolute length of matchLen saturates. */
  readonly lenScale: number;
}

/** Constants of the features where a policy names none. */
export const FEATURE_DEFAULTS: FeatureConstants = { c: 1, decay: 0, h: 0.75, k: 0.25, m: 0, hostCredit: 1, lenMix: 0, lenScale: 8192 };

/** What the pool does: whole requests, or one side of a disaggregated pair. */
export type Stage = 'aggregated' | 'prefill' | 'decode';

/** Everything a feature may look at; one per router, filled per decision. */
export interface FeatureInput {
  readonly branches: BranchTable;
  readonly table: RankTable;
  readonly bookings: Bookings;
  readonly index: PrefixIndex;
  readonly ring: HashRing;
  match: MatchColumns;
  active: ActiveColumns;
  /** Blocks of a shared tier beyond the HBM match, by rank; null = no such tier. */
  sharedBlocks: Float64Array | null;
  /** Cached blocks by rank, tiers weighted, from another index; null = `match` tells. */
  estimatedBlocks: Float64Array | null;
  /** 1 by rank = nothing is known of its load, so the request is costed as if alone and uncached; null = all loads are known. */
  unknownLoad: Uint8Array | null;
  constants: FeatureConstants;
  trackPrefill: boolean;
  assumeKvReuse: boolean;
  /** False: the request adds nothing to the active blocks of a rank. */
  trackActive: boolean;
  stage: Stage;
  signalMaxAgeMs: Millis;
  nowMs: Millis;
  request: RouteRequest;
  /** L, Q, R and block size of the request. */
  promptTokens: number;
  fullBlocks: number;
  requiredBlocks: number;
  blockTokens: number;
  /** Set by a feature that had to fall back to its booked equivalent. */
  fellBack: boolean;
}

type Fill = (input: FeatureInput, rows: Int32Array, n: number, out: Float64Array, inner: Float64Array) => void;

/** What a policy must know about a feature before it runs. */
export interface FeatureDefinition {
  /** Reads the prefix index. */
  readonly match?: boolean;
  /** Reads the overlap with active sequences. */
  readonly active?: boolean;
  /** Has a form `name(inner)`. */
  readonly inner?: boolean;
  /** Scraped signal with a fallback. */
  readonly signal?: boolean;
  /** Constants it reads. */
  readonly constants?: readonly (keyof FeatureConstants)[];
  readonly fill: Fill;
}

/** What the cached part of a prompt is read from. */
export type CacheInput = Pick<FeatureInput, 'match' | 'estimatedBlocks'> & { readonly constants: Pick<FeatureConstants, 'c' | 'h' | 'k'> };

/** Cached blocks of a rank with the lower tiers weighted: g1 + h g2 + k (g3 + g4), as far as `match` was filled. */
export function effectiveBlocks(input: CacheInput, rank: number): number {
  const { match, constants } = input;
  if (input.estimatedBlocks !== null) return input.estimatedBlocks[rank]!;
  return match.hbm[rank]! + constants.h * match.host[rank]! + constants.k * (match.disk[rank]! + match.remote[rank]!);
}

/** Effective blocks in tokens, rounded half away from zero. */
export function effectiveTokens(input: CacheInput & Pick<FeatureInput, 'blockTokens'>, rank: number): number {
  return Math.round(effectiveBlocks(input, rank) * input.blockTokens);
}

/** Prompt tokens a rank need not prefill as the policy sees it: 0 if it reads no cache input (c = 0). */
export function cachedTokens(input: CacheInput & Pick<FeatureInput, 'blockTokens'>, rank: number): number {
  return input.constants.c === 0 ? 0 : effectiveTokens(input, rank);
}

/**
 * Writes, by rank, how many blocks of a shared cache lie at or beyond the rank's own HBM match. `ranges` are disjoint block ranges
 * [from, to). Cost O(rows x ranges). Source: router specification 5.2.1.
 */
export function fillShared(
  input: FeatureInput,
  ranges: readonly (readonly [number, number])[],
  rows: Int32Array,
  n: number,
  out: Float64Array,
): void {
  for (let i = 0; i < n; i++) {
    const rank = rows[i]!;
    const own = Math.round(input.estimatedBlocks === null ? input.match.hbm[rank]! : input.estimatedBlocks[rank]!);
    let beyond = 0;
    for (const [from, to] of ranges) beyond += Math.max(0, to - Math.max(from, own));
    out[rank] = beyond;
  }
}

/** Credit in blocks, in the evaluation order of the recorded upstream router (5.2.1): (((c*phi)*g1 + h*g2) + k*(g3 + g4)) + m*shared. */
function creditBlocks(input: FeatureInput, rank: number, minPrefill: number): number {
  const { c, decay, h, k, m } = input.constants;
  if (c === 0) return 0;
  const { match } = input;
  let phi = 1;
  if (decay > 0 && input.trackPrefill) {
    const ahead = (input.bookings.prefillTokens[rank]! - minPrefill) / input.blockTokens;
    phi = 1 / (1 + decay * (ahead / Math.max(1, input.requiredBlocks)));
  }
  const own =
    input.estimatedBlocks === null
      ? c * phi * match.hbm[rank]! + h * match.host[rank]! + k * (match.disk[rank]! + match.remote[rank]!)
      : c * phi * input.estimatedBlocks[rank]!;
  return input.sharedBlocks === null ? own : own + m * input.sharedBlocks[rank]!;
}

function rawPrefillBlocks(input: FeatureInput, rank: number): number {
  if (!input.trackPrefill) return 0;
  const isUnknown = input.unknownLoad !== null && input.unknownLoad[rank] === 1;
  const prompt = isUnknown ? input.promptTokens : Math.max(input.promptTokens, cachedTokens(input, rank));
  return (input.bookings.prefillTokens[rank]! + prompt) / input.blockTokens;
}

function minPrefillOf(input: FeatureInput, rows: Int32Array, n: number): number {
  if (input.constants.decay <= 0) return 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < n; i++) least = Math.min(least, input.bookings.prefillTokens[rows[i]!]!);
  return least;
}

function fillDecode(input: FeatureInput, rows: Int32Array, n: number, out: Float64Array): void {
  const { activeBlocks } = input.bookings;
  const { overlap } = input.active;
  const { assumeKvReuse, trackActive, unknownLoad } = input;
  const added = trackActive ? input.fullBlocks : 0;
  for (let i = 0; i < n; i++) {
    const rank = rows[i]!;
    out[i] = activeBlocks[rank]! + (added - (assumeKvReuse ? overlap[rank]! : 0));
  }
  if (unknownLoad !== null) for (let i = 0; i < n; i++) if (unknownLoad[rows[i]!] === 1) out[i] = 0;
}

/** Active blocks after booking; without tracked prefill the credit is taken from them instead (router specification 5.2.1). */
function fillDecodeCost(input: FeatureInput, rows: Int32Array, n: number, out: Float64Array): void {
  fillDecode(input, rows, n, out);
  if (input.trackPrefill || input.constants.c === 0 || input.stage === 'prefill') return;
  for (let i = 0; i < n; i++) out[i] = Math.max(out[i]! - creditBlocks(input, rows[i]!, 0), 0);
}

function fillBookings(column: (bookings: Bookings) => Float64Array): Fill {
  return (input, rows, n, out) => {
    const values = column(input.bookings);
    for (let i = 0; i < n; i++) out[i] = values[rows[i]!]!;
  };
}

/** Scraped column, or the booked equivalent for every rank if any rank lacks a fresh value (router specification 3.3). */
function fillSignal(column: (table: RankTable) => Float64Array, booked: (input: FeatureInput, rank: number) => number): Fill {
  return (input, rows, n, out) => {
    const { table } = input;
    if (table.allFresh(rows, n, input.nowMs, input.signalMaxAgeMs)) {
      const values = column(table);
      for (let i = 0; i < n; i++) out[i] = values[rows[i]!]!;
      return;
    }
    input.fellBack = true;
    for (let i = 0; i < n; i++) out[i] = booked(input, rows[i]!);
  };
}

function bookedUsage(input: FeatureInput, rank: number): number {
  const blocks = input.table.hbmBlocks[rank]!;
  return blocks > 0 ? Math.min(1, input.bookings.activeBlocks[rank]! / blocks) : 0;
}

const usage = fillSignal((table) => table.kvUsage, bookedUsage);

function matchedBlocks(input: FeatureInput, rank: number): number {
  const { match } = input;
  return match.hbm[rank]! + match.host[rank]! + match.disk[rank]! + match.remote[rank]!;
}

/** Every feature the engine knows, by name. `relLoad` and `fresh` take another feature's name in parentheses. */
export const FEATURES: Readonly<Record<string, FeatureDefinition>> = {
  matchBlocks: {
    match: true,
    fill: (input, rows, n, out) => {
      for (let i = 0; i < n; i++) out[i] = matchedBlocks(input, rows[i]!);
    },
  },
  matchRatio: {
    match: true,
    fill: (input, rows, n, out) => {
      const q = input.fullBlocks;
      for (let i = 0; i < n; i++) out[i] = q === 0 ? 0 : matchedBlocks(input, rows[i]!) / q;
    },
  },
  matchTokRatio: {
    match: true,
    fill: (input, rows, n, out) => {
      const prompt = input.promptTokens;
      for (let i = 0; i < n; i++) out[i] = Math.min(matchedBlocks(input, rows[i]!) * input.blockTokens, prompt) / prompt;
    },
  },
  matchPaddedRatio: {
    match: true,
    fill: (input, rows, n, out) => {
      for (let i = 0; i < n; i++) out[i] = matchedBlocks(input, rows[i]!) / input.requiredBlocks;
    },
  },
  matchLen: {
    match: true,
    constants: ['lenMix', 'lenScale', 'hostCredit'],
    fill: (input, rows, n, out) => {
      const { lenMix, lenScale, hostCredit } = input.constants;
      const { hbm } = input.match;
      const q = input.fullBlocks;
      for (let i = 0; i < n; i++) {
        const own = hbm[rows[i]!]!;
        const blocks = own + hostCredit * (matchedBlocks(input, rows[i]!) - own);
        const long = Math.min(1, (blocks * input.blockTokens) / lenScale);
        out[i] = lenMix * long * long + (q === 0 ? 0 : (1 - lenMix) * (blocks / q));
      }
    },
  },
  newPrefillTok: {
    match: true,
    constants: ['h', 'k'],
    fill: (input, rows, n, out) => {
      const prompt = input.promptTokens;
      for (let i = 0; i < n; i++) out[i] = prompt - Math.min(cachedTokens(input, rows[i]!), prompt);
    },
  },
  uncachedInflightTok: {
    match: true,
    constants: ['h', 'k'],
    fill: (input, rows, n, out) => {
      const prompt = input.promptTokens;
      const pending = input.bookings.prefillTokens;
      for (let i = 0; i < n; i++) out[i] = pending[rows[i]!]! + (prompt - Math.min(cachedTokens(input, rows[i]!), prompt));
    },
  },
  pendingPrefillTok: { fill: fillBookings((bookings) => bookings.prefillTokens) },
  rawPrefillBlocks: {
    match: true,
    constants: ['c', 'h', 'k'],
    fill: (input, rows, n, out) => {
      for (let i = 0; i < n; i++) out[i] = rawPrefillBlocks(input, rows[i]!);
    },
  },
  creditBlocks: {
    match: true,
    constants: ['c', 'decay', 'h', 'k', 'm'],
    fill: (input, rows, n, out) => {
      const least = minPrefillOf(input, rows, n);
      for (let i = 0; i < n; i++) out[i] = creditBlocks(input, rows[i]!, least);
    },
  },
  adjPrefillBlocks: {
    match: true,
    constants: ['c', 'decay', 'h', 'k', 'm'],
    fill: (input, rows, n, out) => {
      const least = minPrefillOf(input, rows, n);
      for (let i = 0; i < n; i++) {
        const rank = rows[i]!;
        out[i] = Math.max(rawPrefillBlocks(input, rank) - creditBlocks(input, rank, least), 0);
      }
    },
  },
  decodeBlocks: { match: true, active: true, constants: ['c', 'h', 'k', 'm'], fill: fillDecodeCost },
  potentialDecodeBlocks: {
    active: true,
    fill: (input, rows, n, out) => {
      fillDecode(input, rows, n, out);
      const open = input.requiredBlocks - (input.trackActive ? input.fullBlocks : 0);
      for (let i = 0; i < n; i++) out[i]! += open;
    },
  },
  decodeBlocksStaged: {
    match: true,
    active: true,
    constants: ['h', 'k'],
    fill: (input, rows, n, out) => {
      const { activeBlocks } = input.bookings;
      for (let i = 0; i < n; i++) {
        const rank = rows[i]!;
        const overlap = input.assumeKvReuse ? input.active.overlap[rank]! : 0;
        const cached = Math.min(cachedTokens(input, rank) / input.blockTokens, input.fullBlocks);
        out[i] = activeBlocks[rank]! + Math.max(cached - overlap, 0);
      }
    },
  },
  activeBlocks: { fill: fillBookings((bookings) => bookings.activeBlocks) },
  inflight: { fill: fillBookings((bookings) => bookings.inflight) },
  processed: { fill: fillBookings((bookings) => bookings.processed) },
  sinceScrapeTok: { fill: fillBookings((bookings) => bookings.sinceScrapeTokens) },
  waiting: {
    signal: true,
    fill: fillSignal(
      (table) => table.waiting,
      () => 0,
    ),
  },
  running: {
    signal: true,
    fill: fillSignal(
      (table) => table.running,
      (input, rank) => input.bookings.inflight[rank]!,
    ),
  },
  kvUsage: { signal: true, fill: usage },
  kvBarrier: {
    signal: true,
    fill: (input, rows, n, out, inner) => {
      usage(input, rows, n, out, inner);
      for (let i = 0; i < n; i++) {
        const u = Math.min(out[i]!, 0.999);
        out[i] = u / (1 - u);
      }
    },
  },
  fresh: {
    inner: true,
    fill: (input, rows, n, out) => {
      const { asOfMs } = input.table;
      for (let i = 0; i < n; i++) out[i] = input.nowMs - asOfMs[rows[i]!]! <= input.signalMaxAgeMs ? 1 : 0;
    },
  },
  relLoad: {
    inner: true,
    fill: (_input, _rows, n, out, inner) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += inner[i]!;
      const mean = n === 0 ? 0 : sum / n;
      for (let i = 0; i < n; i++) out[i] = (inner[i]! - mean) / Math.max(1, mean);
    },
  },
  indexSize: {
    fill: (input, rows, n, out) => {
      for (let i = 0; i < n; i++) out[i] = input.index.blocks(rows[i]!);
    },
  },
  ringOwner: { fill: (input, rows, n, out) => input.ring.fillOwner(input.request.sessionKey, input.table, rows, n, out) },
  ringRank: { fill: (input, rows, n, out) => input.ring.fillRank(input.request.sessionKey, input.table, rows, n, out) },
};
