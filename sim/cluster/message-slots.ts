/** Slots for objects that travel with a delay: a small free list so that a message is an integer in the calendar. */
export class MessageSlots<T> {
  readonly #items: (T | undefined)[] = [];
  readonly #free: number[] = [];

  put(item: T): number {
    const slot = this.#free.pop() ?? this.#items.length;
    this.#items[slot] = item;
    return slot;
  }

  take(slot: number): T {
    const item = this.#items[slot]!;
    this.#items[slot] = undefined;
    this.#free.push(slot);
    return item;
  }
}
