/**
 * A line of events that all wait the same time, so that they leave in the order they came: a ring instead of a heap.
 *
 * Layout: parallel rings [head, head + count) of due time, entity and payload. An event pushed earlier than its predecessor's due
 * time (a worker published late, see sim/engine/worker.ts) is inserted where it belongs by (time, entity).
 */
export class DelayLine {
  /** Due time of the first event; Infinity when empty. */
  nextMs = Number.POSITIVE_INFINITY;
  /** Entity of the first event. */
  nextEntity = 0;
  readonly eventClass: number;
  #timeMs = new Float64Array(64);
  #entity = new Int32Array(64);
  #payload = new Int32Array(64);
  #head = 0;
  #count = 0;

  constructor(eventClass: number) {
    this.eventClass = eventClass;
  }

  get count(): number {
    return this.#count;
  }

  /** Cost O(1); O(k) if k waiting events are due later. */
  push(timeMs: number, entity: number, payload: number): void {
    if (this.#count === this.#timeMs.length) this.#grow();
    const mask = this.#timeMs.length - 1;
    let i = this.#count++;
    while (i > 0) {
      const before = (this.#head + i - 1) & mask;
      const t = this.#timeMs[before]!;
      if (t < timeMs || (t === timeMs && this.#entity[before]! <= entity)) break;
      const here = (this.#head + i) & mask;
      this.#timeMs[here] = t;
      this.#entity[here] = this.#entity[before]!;
      this.#payload[here] = this.#payload[before]!;
      i--;
    }
    const at = (this.#head + i) & mask;
    this.#timeMs[at] = timeMs;
    this.#entity[at] = entity;
    this.#payload[at] = payload;
    if (i === 0) this.#publish();
  }

  /** Removes the first event and returns its payload. */
  pop(): number {
    const payload = this.#payload[this.#head]!;
    this.#head = (this.#head + 1) & (this.#timeMs.length - 1);
    this.#count--;
    this.#publish();
    return payload;
  }

  #publish(): void {
    if (this.#count === 0) {
      this.nextMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.nextMs = this.#timeMs[this.#head]!;
    this.nextEntity = this.#entity[this.#head]!;
  }

  #grow(): void {
    const size = this.#timeMs.length;
    const timeMs = new Float64Array(size * 2);
    const entity = new Int32Array(size * 2);
    const payload = new Int32Array(size * 2);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#head + i) & (size - 1);
      timeMs[i] = this.#timeMs[from]!;
      entity[i] = this.#entity[from]!;
      payload[i] = this.#payload[from]!;
    }
    this.#timeMs = timeMs;
    this.#entity = entity;
    this.#payload = payload;
    this.#head = 0;
  }
}
