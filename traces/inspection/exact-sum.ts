/** A sum of products of whole numbers that stays exact beyond 2^53: token milliseconds of a corpus reach 10^16. */
export class ExactSum {
  #small = 0;
  #large = 0n;

  /** Adds a · b. */
  add(a: number, b = 1): void {
    const product = a * b;
    if (product > Number.MAX_SAFE_INTEGER) {
      this.#large += BigInt(a) * BigInt(b);
      return;
    }
    if (this.#small + product > Number.MAX_SAFE_INTEGER) this.#flush();
    this.#small += product;
  }

  addSum(other: ExactSum): void {
    this.#large += other.exact();
  }

  exact(): bigint {
    this.#flush();
    return this.#large;
  }

  /** The sum rounded to a number. */
  value(): number {
    return Number(this.exact());
  }

  #flush(): void {
    this.#large += BigInt(this.#small);
    this.#small = 0;
  }
}
