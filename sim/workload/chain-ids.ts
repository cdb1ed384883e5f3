/**
 * Where every known block id lies: id -> (branch, own unit offset). Ids of session-local traces are small and dense, so they index
 * growable Int32 columns; ids from {@link DENSE_IDS} up (hashes) go to a Map.
 */

/** Ids below this index columns (at most 32 MiB); larger ones are kept in a Map. */
const DENSE_IDS = 1 << 22;
/** A packed map value is branch * PACK + offset; both stay below 2^26, so the product is an exact integer. */
const PACK = 1 << 26;

/** Positions of the ids of one namespace (tenant, model, file or session). */
export class ChainIds {
  #branch = new Int32Array(256).fill(-1);
  #offset = new Int32Array(256);
  /** Dense ids outside [low, high) are not set. */
  #low = DENSE_IDS;
  #high = 0;
  readonly #sparse = new Map<number, number>();

  /** Branch that holds the id, or -1 if the id was never seen. */
  branch(id: number): number {
    if (id < DENSE_IDS) return id < this.#high ? this.#branch[id]! : -1;
    const packed = this.#sparse.get(id);
    return packed === undefined ? -1 : Math.floor(packed / PACK);
  }

  /** Own offset of the id in its branch, in units. Only for known ids. */
  offset(id: number): number {
    return id < DENSE_IDS ? this.#offset[id]! : this.#sparse.get(id)! % PACK;
  }

  set(id: number, branch: number, offset: number): void {
    if (id >= DENSE_IDS) {
      this.#sparse.set(id, branch * PACK + offset);
      return;
    }
    if (id >= this.#branch.length) this.#grow(id + 1);
    if (id >= this.#high) this.#high = id + 1;
    if (id < this.#low) this.#low = id;
    this.#branch[id] = branch;
    this.#offset[id] = offset;
  }

  /** Forgets all ids, keeps the memory. Cost O(largest - smallest dense id). */
  clear(): void {
    if (this.#low < this.#high) this.#branch.fill(-1, this.#low, this.#high);
    this.#low = DENSE_IDS;
    this.#high = 0;
    this.#sparse.clear();
  }

  #grow(size: number): void {
    const capacity = Math.max(size, this.#branch.length * 2);
    const branch = new Int32Array(capacity).fill(-1);
    branch.set(this.#branch);
    this.#branch = branch;
    const offset = new Int32Array(capacity);
    offset.set(this.#offset);
    this.#offset = offset;
  }
}
