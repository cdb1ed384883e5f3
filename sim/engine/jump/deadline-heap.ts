import { widened } from '../../../control/widened.ts';

/** Deadlines of segments, earliest first: a binary heap of rows (time, segment, generation). Rows whose segment changed are the owner's to skip. */
export class DeadlineHeap {
  size = 0;
  /** Columns of the heap; row 0 is the earliest. */
  timeMs = new Float64Array(16);
  segment = new Int32Array(16);
  generation = new Int32Array(16);

  push(untilMs: number, s: number, born: number): void {
    let i = this.size++;
    if (i === this.timeMs.length) this.widen();
    const { timeMs, segment, generation } = this;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (timeMs[up]! <= untilMs) break;
      timeMs[i] = timeMs[up]!;
      segment[i] = segment[up]!;
      generation[i] = generation[up]!;
      i = up;
    }
    timeMs[i] = untilMs;
    segment[i] = s;
    generation[i] = born;
  }

  /** Takes row 0 away. */
  pop(): void {
    const n = --this.size;
    const { timeMs, segment, generation } = this;
    const untilMs = timeMs[n]!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && timeMs[child + 1]! < timeMs[child]!) child++;
      if (timeMs[child]! >= untilMs) break;
      timeMs[i] = timeMs[child]!;
      segment[i] = segment[child]!;
      generation[i] = generation[child]!;
      i = child;
    }
    timeMs[i] = untilMs;
    segment[i] = segment[n]!;
    generation[i] = generation[n]!;
  }

  private widen(): void {
    const size = this.timeMs.length * 2;
    this.timeMs = widened(this.timeMs, size);
    this.segment = widened(this.segment, size);
    this.generation = widened(this.generation, size);
  }
}
