/**
 * Schedule-time effects on blocks of many steps of a run at once. A step takes blocks for some members and enters the completed
 * blocks of others in the cache; {@link Scheduler.crossDecode} does so step by step. Where each entered block only lengthens a
 * segment of its own request on a private branch, nobody can tell in which order blocks were entered and taken: entering changes no
 * idle segment, and taking changes no referenced one. Then all blocks are entered first and taken with one call.
 *
 * Needs: no claim whose end would fall between two steps, no later copies, no member that writes blocks others may match, and a
 * worker that may merge what these steps publish. The first member that does more than lengthen its segment ends the range.
 * Source: engine specification 6.2, data-structures specification 4.
 */
import type { DecodeSet } from './decode-set.ts';
import type { HbmPool } from './hbm-pool.ts';
import type { RequestSlots } from './request-slots.ts';
import { NONE } from './segment-columns.ts';

export class BulkCrossing {
  /** Of the last {@link cross}: step after the last one that took or entered a block, counted from its first; 0 = none did. */
  crossed = 0;
  /** Phase of the first step; the step that {@link stepOf} stands at, and the blocks taken before and up to it. */
  private first = 0;
  private step = -1;
  private counted = 0;
  private next = 0;
  private readonly slots: RequestSlots;
  private readonly decode: DecodeSet;
  private readonly pool: HbmPool;
  private readonly starts: { readonly start: Int32Array };
  private readonly enabled: boolean;

  /** `starts`: the branch table. `enabled`: blocks are cached at all. */
  constructor(slots: RequestSlots, decode: DecodeSet, pool: HbmPool, starts: { readonly start: Int32Array }, enabled: boolean) {
    this.slots = slots;
    this.decode = decode;
    this.pool = pool;
    this.starts = starts;
    this.enabled = enabled;
  }

  /** Step, counted from the first of the last {@link cross}, that takes the n-th block. Cheapest in the order of n. */
  stepOf(n: number): number {
    const { blockTokens, phaseCount } = this.decode;
    if (n < this.counted) {
      this.step = -1;
      this.counted = 0;
      this.next = 0;
    }
    while (n >= this.next) {
      this.step++;
      this.counted = this.next;
      this.next += phaseCount[(this.first + this.step) % blockTokens]!;
    }
    return this.step;
  }

  /** Takes the effects of up to `steps` steps and advances the decode set by them. Returns how many. Cost O(block crossings). */
  cross(steps: number, lastMs: number): number {
    const { decode, pool } = this;
    this.crossed = 0;
    if (!this.enabled || decode.sharedWriters > 0 || pool.copyBlocks > 0 || this.meetsMarks(steps, lastMs)) return 0;
    const { blockTokens, phaseCount, phaseHead, lag } = decode;
    const first = decode.iter % blockTokens;
    this.first = first;
    this.step = -1;
    this.counted = 0;
    this.next = 0;
    let entered = 0;
    let done = 0;
    let phase = lag === 0 ? first : (first + blockTokens - 1) % blockTokens;
    for (;;) {
      phase = phase + 1 === blockTokens ? 0 : phase + 1;
      const quiet = decode.distance(phase);
      // The step in which members of the next occupied phase complete a block.
      done += quiet;
      if (done >= steps) {
        done = steps;
        break;
      }
      phase = (phase + quiet) % blockTokens;
      if (!this.enter(phaseHead[phase]!, decode.iter + done + 1 - lag)) break;
      entered += phaseCount[phase]!;
      done++;
      this.crossed = done;
    }
    if (done === 0) return 0;
    let needed = entered;
    if (lag === 0) {
      // Members complete a block in the step before the one in which they need the next.
      needed += phaseCount[first]! - phaseCount[(first + done) % blockTokens]!;
      if (this.crossed > 0) this.crossed = this.crossed < done ? this.crossed + 1 : done;
      else if (phaseCount[first]! > 0) this.crossed = 1;
    }
    decode.iter += done;
    if (needed > 0) pool.take(needed);
    return done;
  }

  /** Whether a mark might end, or a claim break, in these steps. */
  private meetsMarks(steps: number, lastMs: number): boolean {
    const { decode, pool } = this;
    if (pool.expiryBy(lastMs) < lastMs) return true;
    const needed = decode.count * (Math.ceil(steps / decode.blockTokens) + 1);
    return pool.free - pool.claimed < needed && pool.nextExpiryMs !== Infinity;
  }

  /** Enters the blocks that the members of a phase have completed at `iter`. False, and nothing is changed, if one of them may not be. */
  private enter(head: number, iter: number): boolean {
    const { slots, decode, pool } = this;
    const { leaf, hint, phaseNext: next } = slots;
    const { start } = this.starts;
    const { blockTokens } = decode;
    if (next[head] === NONE) {
      const branch = leaf[head]!;
      const segment = pool.grow(branch, (slots.offset(head) + iter) / blockTokens - 1 - start[branch]!, hint[head]!);
      if (segment === NONE) return false;
      hint[head] = segment;
      return true;
    }
    for (let s = head; s !== NONE; s = next[s]!) {
      if (!pool.canLengthen(leaf[s]!, (slots.offset(s) + iter) / blockTokens - 1 - start[leaf[s]!]!, hint[s]!)) return false;
    }
    for (let s = head; s !== NONE; s = next[s]!) pool.lengthen(hint[s]!);
    return true;
  }
}
