/**
 * Keys that rankers give to blocks when their last holder lets go of them; smaller = evicted first. One object per pool; both engines ask
 * it the same questions in the same order.
 * Source: retention specification 5 and 6 (R3, R6, R8); SGLang `mem_cache/evict_policy.py`; T-LRU, arXiv 2510.15152.
 */
import type { EngineConfig } from './worker.ts';

/** Hits from which slru protects a block. */
export const PROTECTED_HITS = 2;
/** Weight of the last turn in the mean of new tokens per turn. */
const GROWTH_WEIGHT = 0.2;

/** What rankers read of an engine's configuration. */
export type RankConfig = Pick<EngineConfig, 'blockTokens' | 'ranker' | 'ttftTargetMs' | 'prefillMsPerToken' | 'prefillMsPerPair'>;

/** A conversation as tlru sees it. */
interface Conversation {
  tokens: number;
  /** Mean of new tokens per turn; 0 before the second. */
  growth: number;
}

export class RankKeys {
  /** Blocks at the begin of the chain in hand that tlru keeps; all of them under other rankers. */
  keepBlocks = Infinity;
  readonly #config: RankConfig;
  readonly #conversations = new Map<number, Conversation>();
  /** gdsf: recompute cost per token of the chain in hand, ms; key of the last victim. */
  #msPerToken: number;
  #inflation = 0;

  constructor(config: RankConfig) {
    this.#config = config;
    this.#msPerToken = config.prefillMsPerToken;
  }

  /** A request of a session lets go of a chain of this many cached blocks: it is the chain in hand until {@link endChain}. */
  startChain(session: number, blocks: number): void {
    const { ranker, blockTokens, prefillMsPerToken, prefillMsPerPair } = this.#config;
    const tokens = blocks * blockTokens;
    if (ranker === 'gdsf') this.#msPerToken = prefillMsPerToken + (prefillMsPerPair * tokens) / 2;
    if (ranker === 'tlru') this.keepBlocks = Math.ceil(this.#worthKeeping(session, tokens) / blockTokens);
  }

  /** What is released from now on is nobody's chain: it is worth keeping, at the price of a short prompt. */
  endChain(): void {
    this.keepBlocks = Infinity;
    this.#msPerToken = this.#config.prefillMsPerToken;
  }

  /** Key of a block that becomes idle, by its hits since it was stored. `kept` = it lies below {@link keepBlocks}. */
  key(hits: number, kept: boolean): number {
    switch (this.#config.ranker) {
      case 'lfu':
        return hits;
      case 'slru':
        return hits >= PROTECTED_HITS ? 1 : 0;
      case 'gdsf':
        return this.#inflation + (hits + 1) * this.#msPerToken;
      case 'tlru':
        return kept ? 1 : 0;
      default:
        return 0;
    }
  }

  /** An idle block with this key was taken: what is used from now on ranks above it. */
  evicted(key: number): void {
    if (this.#config.ranker === 'gdsf' && key > this.#inflation) this.#inflation = key;
  }

  /** Tokens of a conversation that its next turn needs within the TTFT target. */
  #worthKeeping(session: number, tokens: number): number {
    let known = this.#conversations.get(session);
    if (known === undefined) {
      known = { tokens: 0, growth: 0 };
      this.#conversations.set(session, known);
    }
    const added = tokens - known.tokens;
    // A shorter chain, or one more than twice as long, is no next turn of the last one.
    if (added > 0 && added <= known.tokens) known.growth += (known.growth === 0 ? 1 : GROWTH_WEIGHT) * (added - known.growth);
    known.tokens = tokens;
    return tokensWorthKeeping(tokens, known.growth, affordableTokens(tokens + known.growth, this.#config));
  }
}

/** Tokens of a conversation of `tokens` that are worth keeping if its next turn adds `growth` and `affordable` ones may be missing. */
export function tokensWorthKeeping(tokens: number, growth: number, affordable: number): number {
  return Math.min(Math.max(0, tokens + growth - affordable), tokens);
}

/**
 * Tokens at the end of a prompt of `tokens` that can be computed within the TTFT target (2 s if there is none): the n with
 * a n + b n (tokens - n / 2) = target, all of them if that is less. Infinity where prefill costs nothing.
 */
export function affordableTokens(tokens: number, config: Omit<RankConfig, 'blockTokens' | 'ranker'>): number {
  const { prefillMsPerToken, prefillMsPerPair: perPair, ttftTargetMs = 2000 } = config;
  const first = prefillMsPerToken + perPair * tokens;
  if (perPair === 0) return prefillMsPerToken === 0 ? Infinity : ttftTargetMs / prefillMsPerToken;
  const square = first * first - 2 * perPair * ttftTargetMs;
  return square <= 0 ? tokens : Math.min((first - Math.sqrt(square)) / perPair, tokens);
}
