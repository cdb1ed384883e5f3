/**
 * What a provider with `cache_control` would bill: breakpoints, TTLs, reads and writes in units of base input tokens.
 * Source: retention specification 8.6 (Anthropic's documented rules; when an entry becomes readable and how it is isolated are
 * unverified there).
 */
import type { Millis, Tokens } from '../ports.ts';

export type ProviderTtl = '5m' | '1h';

/** Multiples of the price of a base input token. */
export interface ProviderPrices {
  readonly write5m: number;
  readonly write1h: number;
  readonly read: number;
  readonly fresh: number;
}

/** List prices of Anthropic as multiples of the base input price (retention specification 8.6). */
export const PROVIDER_PRICES: ProviderPrices = { write5m: 1.25, write1h: 2, read: 0.1, fresh: 1 };

/** One content block of a request, in the order tools, system, messages. */
export interface ProviderBlock {
  /** Names the whole prefix up to and including this block: a change anywhere before gives another id. */
  readonly id: string;
  readonly tokens: Tokens;
  /** Set where the block carries a breakpoint. */
  readonly ttl?: ProviderTtl;
}

export interface ProviderRequest {
  /** Anchor of every clock: the start of the request that writes or reads. */
  readonly startMs: Millis;
  /** When the response begins and its entries become readable; default startMs. */
  readonly responseMs?: Millis;
  readonly blocks: readonly ProviderBlock[];
}

export interface ProviderBill {
  readonly readTokens: Tokens;
  readonly write5mTokens: Tokens;
  readonly write1hTokens: Tokens;
  readonly freshTokens: Tokens;
  /** Sum in base input tokens. */
  readonly units: number;
}

export interface ProviderRefusal {
  readonly status: 400;
  readonly reason: 'too_many_breakpoints' | 'ttl_order';
}

const MAX_BREAKPOINTS = 4;
const MAX_WALK_BLOCKS = 20;
const TTL_MS: Readonly<Record<ProviderTtl, Millis>> = { '5m': 300_000, '1h': 3_600_000 };

interface Entry {
  expiresMs: Millis;
  readonly readableMs: Millis;
  readonly ttlMs: Millis;
}

/** Cache entries of one workspace; requests must come in the order of their start. */
export class ProviderCache {
  readonly #entries = new Map<string, Entry>();
  readonly #minPrefixTokens: Tokens;
  readonly #prices: ProviderPrices;

  constructor(minPrefixTokens: Tokens = 1024, prices: ProviderPrices = PROVIDER_PRICES) {
    this.#minPrefixTokens = minPrefixTokens;
    this.#prices = prices;
  }

  /** Serves and bills one request. Cost O(blocks). */
  bill(request: ProviderRequest): ProviderBill | ProviderRefusal {
    const { blocks, startMs } = request;
    const ends: Tokens[] = [];
    const marks: number[] = [];
    let total = 0;
    let shortSeen = false;
    for (let i = 0; i < blocks.length; i++) {
      total += blocks[i]!.tokens;
      ends.push(total);
      const ttl = blocks[i]!.ttl;
      if (ttl === undefined) continue;
      if (ttl === '1h' && shortSeen) return { status: 400, reason: 'ttl_order' };
      if (ttl === '5m') shortSeen = true;
      marks.push(i);
    }
    if (marks.length > MAX_BREAKPOINTS) return { status: 400, reason: 'too_many_breakpoints' };
    const usable = marks.filter((i) => ends[i]! >= this.#minPrefixTokens);
    const readAt = this.#read(blocks, usable, startMs);
    const readTokens = readAt < 0 ? 0 : ends[readAt]!;
    let write5mTokens = 0;
    let write1hTokens = 0;
    let written = readTokens;
    for (const i of usable) {
      const span = Math.max(0, ends[i]! - written);
      if (blocks[i]!.ttl === '1h') write1hTokens += span;
      else write5mTokens += span;
      written += span;
      this.#write(blocks[i]!, startMs, request.responseMs ?? startMs);
    }
    const freshTokens = total - written;
    const p = this.#prices;
    const units = p.read * readTokens + p.write5m * write5mTokens + p.write1h * write1hTokens + p.fresh * freshTokens;
    return { readTokens, write5mTokens, write1hTokens, freshTokens, units };
  }

  /** Deepest live entry within 20 blocks before any breakpoint; reading refreshes it for free. -1 = none. */
  #read(blocks: readonly ProviderBlock[], marks: readonly number[], startMs: Millis): number {
    for (let m = marks.length - 1; m >= 0; m--) {
      const mark = marks[m]!;
      for (let i = mark; i >= Math.max(0, mark - MAX_WALK_BLOCKS); i--) {
        const entry = this.#entries.get(blocks[i]!.id);
        if (entry === undefined || entry.expiresMs < startMs || entry.readableMs > startMs) continue;
        entry.expiresMs = startMs + entry.ttlMs;
        return i;
      }
    }
    return -1;
  }

  #write(block: ProviderBlock, startMs: Millis, readableMs: Millis): void {
    const ttlMs = TTL_MS[block.ttl!];
    const known = this.#entries.get(block.id);
    if (known !== undefined && known.expiresMs >= startMs && known.ttlMs >= ttlMs) known.expiresMs = startMs + known.ttlMs;
    else this.#entries.set(block.id, { expiresMs: startMs + ttlMs, readableMs, ttlMs });
  }
}

/** Break-even points of the price list. */
export interface ProviderBreakEven {
  /** Re-sends of a prefix above which writing it pays. */
  readonly resends5m: number;
  readonly resends1h: number;
  /** Chance of a lapse, times the number of re-sends, above which 1 h beats 5 min. */
  readonly lapseFor1h: number;
  /** Pings that one avoided lapse pays for. */
  readonly pingsPerLapse: number;
}

/** Break-even points from the prices: a lapsed entry bills again as a write, not as fresh. */
export function providerBreakEven(prices: ProviderPrices = PROVIDER_PRICES): ProviderBreakEven {
  const { write5m, write1h, read, fresh } = prices;
  return {
    resends5m: (write5m - fresh) / (fresh - read),
    resends1h: (write1h - fresh) / (fresh - read),
    lapseFor1h: (write1h - write5m) / (write5m - read),
    pingsPerLapse: (write5m - read) / read,
  };
}
