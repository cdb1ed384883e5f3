/**
 * What a cached block is worth: the prefill time that finding it saves. C_re(p, n) = a n + b n (p + n / 2) for n tokens behind p, so a
 * block is worth more the deeper it lies, and the worth of a range is the sum over its blocks. Source: retention specification 5.
 */
export class PrefillWorth {
  /** Worth of block d = first + slope d, ms. */
  readonly firstMs: number;
  readonly slopeMs: number;

  constructor(blockTokens: number, msPerToken: number, msPerPair: number) {
    this.firstMs = msPerToken * blockTokens + (msPerPair * blockTokens * blockTokens) / 2;
    this.slopeMs = msPerPair * blockTokens * blockTokens;
  }

  /** Worth of the block at a depth, ms. */
  at(depth: number): number {
    return this.firstMs + this.slopeMs * depth;
  }

  /** Worth of blocks [from, to) of a path, ms. */
  of(from: number, to: number): number {
    const n = to - from;
    return n <= 0 ? 0 : n * this.firstMs + (this.slopeMs * n * (from + to - 1)) / 2;
  }
}
