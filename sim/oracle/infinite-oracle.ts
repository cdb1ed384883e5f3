/** O0: a cache without limit finds every block that was used before. What it misses is compulsory. Source: retention specification 11. */
import type { ReuseIntervals } from './reuse-intervals.ts';

export class InfiniteOracle {
  /** Blocks hit, those held by running requests included. */
  readonly hitBlocks: number;

  constructor({ blocks, heldBlocks }: Pick<ReuseIntervals, 'blocks' | 'heldBlocks'>) {
    this.hitBlocks = blocks.reduce((sum, n) => sum + n, heldBlocks);
  }
}
