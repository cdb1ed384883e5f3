/**
 * Deficit round robin between classes: a class in turn serves while its credit covers the cost of its next request, then the turn
 * goes on. A class that is visited short of credit gets its quantum. If a whole round serves nobody, every class that could serve gets
 * as many quanta as the nearest one needs, at once. Source: router specification 5.2.1; Dynamo 1.6.1 as recorded (policy_queue).
 */

/** Whose turn it is. Classes are numbers 0..n-1. */
export class ClassTurns {
  readonly credit: Float64Array;
  readonly #quantum: Float64Array;
  #turn = 0;
  /** The class in turn served last, so it goes on without a new quantum. */
  #isServing = false;

  /** `quantum` of each class, >= 1. */
  constructor(quantum: readonly number[]) {
    this.#quantum = Float64Array.from(quantum);
    this.credit = new Float64Array(quantum.length);
  }

  /**
   * Chooses the class that serves next and grants credit on the way; -1 if none can. `cost` by class: of its next request, Infinity
   * for a class that cannot serve now. Cost O(classes).
   */
  choose(cost: Float64Array): number {
    const { credit } = this;
    const n = credit.length;
    if (this.#isServing && !(credit[this.#turn]! >= cost[this.#turn]!)) {
      this.#isServing = false;
      this.#turn = (this.#turn + 1) % n;
    }
    let rounds = Number.POSITIVE_INFINITY;
    for (let i = 0; i < n; i++) {
      const one = (this.#turn + i) % n;
      if (cost[one] === Number.POSITIVE_INFINITY) continue;
      if (credit[one]! < cost[one]!) credit[one]! += this.#quantum[one]!;
      if (credit[one]! >= cost[one]!) return this.#take(one);
      rounds = Math.min(rounds, Math.ceil((cost[one]! - credit[one]!) / this.#quantum[one]!));
    }
    if (rounds === Number.POSITIVE_INFINITY) return -1;
    let chosen = -1;
    for (let i = 0; i < n; i++) {
      const one = (this.#turn + i) % n;
      if (cost[one] === Number.POSITIVE_INFINITY) continue;
      credit[one]! += rounds * this.#quantum[one]!;
      if (chosen < 0 && credit[one]! >= cost[one]!) chosen = one;
    }
    return this.#take(chosen);
  }

  /** The chosen class served a request of this cost; an empty class keeps no credit. */
  charge(one: number, cost: number, isEmpty: boolean): void {
    this.credit[one] = isEmpty ? 0 : this.credit[one]! - cost;
  }

  #take(one: number): number {
    this.#turn = one;
    this.#isServing = true;
    return one;
  }
}
