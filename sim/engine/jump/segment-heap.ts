import { widened } from '../../../control/widened.ts';
import { NONE } from './segment-store.ts';

/** What a heap asks about its segments. */
export interface SegmentOrder {
  /** Place in the heap, at s >> 4; the heap writes it. */
  readonly place: Int32Array;
  /** Whether segment a comes before segment b. A strict order. */
  isBefore(a: number, b: number): boolean;
}

/**
 * Segments, first one on top: a binary heap that knows where each segment is, so that one leaves from the middle when a hit takes it.
 * A segment whose key changes is taken out before, or {@link rise}s after it became smaller. Cost O(log size) each.
 */
export class SegmentHeap {
  size = 0;
  private segments = new Int32Array(16);
  private readonly order: SegmentOrder;

  constructor(order: SegmentOrder) {
    this.order = order;
  }

  /** The first segment, or NONE. */
  get first(): number {
    return this.size === 0 ? NONE : this.segments[0]!;
  }

  has(s: number): boolean {
    const at = this.order.place[s >> 4]!;
    return at < this.size && this.segments[at] === s;
  }

  add(s: number): void {
    if (this.size === this.segments.length) this.segments = widened(this.segments, this.size * 2);
    this.up(s, this.size++);
  }

  remove(s: number): void {
    const at = this.order.place[s >> 4]!;
    const last = this.segments[--this.size]!;
    if (last !== s) this.down(last, this.up(last, at));
  }

  /** The key of a segment became smaller. */
  rise(s: number): void {
    this.up(s, this.order.place[s >> 4]!);
  }

  /** Throws if a segment comes before the one above it. Cost O(size). */
  check(): void {
    const { segments, order } = this;
    for (let at = 0; at < this.size; at++) {
      if (order.place[segments[at]! >> 4] !== at) throw new Error('E1 place of a ranked segment');
      if (at > 0 && order.isBefore(segments[at]!, segments[(at - 1) >> 1]!)) throw new Error('E1 order of ranked segments');
    }
  }

  /** Puts a segment at a place or above it; returns where. */
  private up(s: number, at: number): number {
    const { segments, order } = this;
    const { place } = order;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = segments[above]!;
      if (!order.isBefore(s, other)) break;
      segments[at] = other;
      place[other >> 4] = at;
      at = above;
    }
    segments[at] = s;
    place[s >> 4] = at;
    return at;
  }

  private down(s: number, at: number): void {
    const { segments, order, size } = this;
    const { place } = order;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= size) break;
      if (below + 1 < size && order.isBefore(segments[below + 1]!, segments[below]!)) below++;
      const other = segments[below]!;
      if (!order.isBefore(other, s)) break;
      segments[at] = other;
      place[other >> 4] = at;
      at = below;
    }
    segments[at] = s;
    place[s >> 4] = at;
  }
}
