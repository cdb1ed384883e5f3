/**
 * The free queue of vLLM's block pool: a doubly linked list over block ids, so that a block can leave from the middle when a prefix
 * hit takes it back. Block 0 (the null block) serves as the sentinel: its `next` is the head, its `previous` the tail.
 */
export class FreeQueue {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #length = 0;

  /** A queue holding blocks 1 .. blocks - 1 in that order. */
  constructor(blocks: number) {
    this.#next = new Int32Array(blocks).fill(-1);
    this.#previous = new Int32Array(blocks).fill(-1);
    this.#next[0] = 0;
    this.#previous[0] = 0;
    for (let block = 1; block < blocks; block++) this.append(block);
  }

  get length(): number {
    return this.#length;
  }

  has(block: number): boolean {
    return this.#next[block]! >= 0;
  }

  /** First block, or 0 if empty. */
  head(): number {
    return this.#next[0]!;
  }

  /** Block behind `block`, or 0 at the tail. */
  after(block: number): number {
    return this.#next[block]!;
  }

  append(block: number): void {
    this.#insertAfter(this.#previous[0]!, block);
  }

  prepend(block: number): void {
    this.#insertAfter(0, block);
  }

  remove(block: number): void {
    if (!this.has(block)) throw new Error(`free queue: block ${block} is not in the queue`);
    const next = this.#next[block]!;
    const previous = this.#previous[block]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#next[block] = -1;
    this.#previous[block] = -1;
    this.#length--;
  }

  /** All blocks, head first. Cost O(length); for tests and deep checks. */
  toArray(): number[] {
    const list: number[] = [];
    for (let block = this.head(); block !== 0; block = this.after(block)) list.push(block);
    return list;
  }

  #insertAfter(previous: number, block: number): void {
    if (this.has(block)) throw new Error(`free queue: block ${block} is in the queue already`);
    const next = this.#next[previous]!;
    this.#next[previous] = block;
    this.#previous[block] = previous;
    this.#next[block] = next;
    this.#previous[next] = block;
    this.#length++;
  }
}
