/** A binary max-heap of integers. */
export class IndexHeap {
  readonly #items: number[] = [];

  /** Largest item; undefined if empty. */
  get top(): number | undefined {
    return this.#items[0];
  }

  /** Cost O(log n). */
  push(item: number): void {
    const items = this.#items;
    let i = items.push(item) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (items[up]! >= item) break;
      items[i] = items[up]!;
      i = up;
    }
    items[i] = item;
  }

  /** Removes the largest item. Cost O(log n). */
  pop(): void {
    const items = this.#items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    let i = 0;
    for (let child = 1; child < items.length; child = 2 * i + 1) {
      if (child + 1 < items.length && items[child + 1]! > items[child]!) child++;
      if (items[child]! <= last) break;
      items[i] = items[child]!;
      i = child;
    }
    items[i] = last;
  }
}
