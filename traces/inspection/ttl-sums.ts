/** Sums by TTL in one pass: pauses and ages fall into the buckets between the TTLs. */
import { ExactSum } from './exact-sum.ts';
import { percent, ratio } from './quantile.ts';

/** TTLs of the table, s. */
export const TTLS_S = [0, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1800, 3600, 7200, 86400] as const;

export interface TtlRow {
  readonly ttlS: number;
  readonly prevTurnHitTokens: number;
  readonly prevTurnHitPct: number;
  readonly blockHits: number;
  readonly blockHitPct: number;
  readonly readsPerWrite: number;
  readonly missedRequests: number;
  readonly missedPct: number;
  readonly idleTokenMs: number;
  readonly idlePerActive: number;
}

/** Index of the first TTL that is not below `ms`; the number of TTLs if none. */
function bucketOf(ms: number): number {
  let low = 0;
  let high: number = TTLS_S.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (TTLS_S[mid]! * 1000 < ms) low = mid + 1;
    else high = mid;
  }
  return low;
}

/** Sums of one pause mode, by bucket of the pause or age. */
export class ModeSums {
  readonly #blocks = new Float64Array(TTLS_S.length + 1);
  readonly #prevBlocks = new Float64Array(TTLS_S.length + 1);
  readonly #transitions = new Float64Array(TTLS_S.length + 1);
  readonly #tokens = new Float64Array(TTLS_S.length + 1);
  readonly #tokenMs = Array.from({ length: TTLS_S.length + 1 }, () => new ExactSum());
  #lastTokens = 0;

  transition(pauseMs: number, commonBlocks: number, previousTokens: number): void {
    const b = bucketOf(pauseMs);
    this.#prevBlocks[b]! += commonBlocks;
    this.#transitions[b]! += 1;
    this.#tokens[b]! += previousTokens;
    this.#tokenMs[b]!.add(pauseMs, previousTokens);
  }

  blocks(ageMs: number, blocks: number): void {
    this.#blocks[bucketOf(ageMs)]! += blocks;
  }

  sessionEnd(lastTokens: number): void {
    this.#lastTokens += lastTokens;
  }

  rows(total: { inTokens: number; references: number; transitions: number; active: bigint; blockTokens: number }): TtlRow[] {
    let blockHits = 0;
    let prevBlocks = 0;
    let kept = 0;
    let keptTokens = 0;
    const ended = new ExactSum();
    const allTokens = this.#tokens.reduce((sum, x) => sum + x, 0);
    return TTLS_S.map((ttlS, i) => {
      blockHits += this.#blocks[i]!;
      prevBlocks += this.#prevBlocks[i]!;
      kept += this.#transitions[i]!;
      keptTokens += this.#tokens[i]!;
      ended.addSum(this.#tokenMs[i]!);
      const idle = ended.exact() + BigInt(ttlS * 1000) * BigInt(allTokens - keptTokens + this.#lastTokens);
      const hitTokens = prevBlocks * total.blockTokens;
      return {
        ttlS,
        prevTurnHitTokens: hitTokens,
        prevTurnHitPct: percent(hitTokens, total.inTokens, 6),
        blockHits,
        blockHitPct: percent(blockHits * total.blockTokens, total.inTokens, 6),
        readsPerWrite: ratio(blockHits, total.references - blockHits, 6),
        missedRequests: total.transitions - kept,
        missedPct: percent(total.transitions - kept, total.transitions, 6),
        idleTokenMs: Number(idle),
        idlePerActive: ratio(Number(idle), Number(total.active), 6),
      };
    });
  }
}
