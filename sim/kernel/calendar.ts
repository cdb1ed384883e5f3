/**
 * The event calendar: always yields the smallest (time, class, entity) that is left, whatever the order of insertion.
 *
 * Two structures under one front:
 *
 *   slots   winner tree, one pending effect per slot (workers, link pools): set in place, so no event ever goes stale
 *           leaves  [slot 0][slot 1]…      inner node i holds the slot that wins below it and its time; node 1 is the root
 *   heap    4-ary heap for everything else (pauses, messages, deadlines), struct of arrays:
 *           time f64 | rank f64 = class * 2^32 + order of the entity | entity i32 | payload i32
 *
 * Ties inside (time, class, entity) go by payload, which callers number per entity. `order` is the entity itself, or a seeded
 * one-to-one hash of it when a study of tie order asks for that.
 * Source: engine specification 1 (order of effects), data-structures specification 5.
 */

const CLASS_STEP = 4294967296;

/** What {@link Calendar.next} found. */
export const NOTHING = 0;
/** A slot is due; it stays due until {@link Calendar.setSlot} moves it. */
export const SLOT = 1;
/** A pushed event is due; it has been removed. */
export const EVENT = 2;

/** Pending effects of a run. Times are ms, never in the past. */
export class Calendar {
  /** Time of the last effect yielded; never decreases. */
  nowMs = 0;
  /** Of the last effect yielded. For a slot, `entity` is the slot and `payload` 0. */
  eventClass = 0;
  entity = 0;
  payload = 0;
  /** Effects yielded so far. */
  yielded = 0;

  readonly #tieSeed: number;
  readonly #leaves: number;
  readonly #slotRank: Float64Array;
  readonly #winner: Int32Array;
  /** Time of the winner of each node. */
  readonly #winnerTime: Float64Array;
  // Heap.
  #size = 0;
  #time = new Float64Array(1024);
  #rank = new Float64Array(1024);
  #entity = new Int32Array(1024);
  #payload = new Int32Array(1024);

  /** `slots` entities 0..slots-1 with one pending effect each. `tieSeed` 0 orders ties by entity, else by a seeded hash of it. */
  constructor(slots = 0, tieSeed = 0) {
    this.#tieSeed = tieSeed;
    let leaves = 1;
    while (leaves < slots) leaves *= 2;
    this.#leaves = leaves;
    this.#winnerTime = new Float64Array(2 * leaves).fill(Infinity);
    this.#slotRank = new Float64Array(leaves);
    this.#winner = new Int32Array(2 * leaves);
    for (let i = 0; i < leaves; i++) this.#winner[leaves + i] = i;
    for (let i = leaves - 1; i >= 1; i--) this.#winner[i] = this.#winner[2 * i]!;
  }

  /** Pending pushed events (slots not counted). */
  get size(): number {
    return this.#size;
  }

  /** Time of the next effect, Infinity when nothing is left. */
  get nextMs(): number {
    const slot = this.#winnerTime[1]!;
    return this.#size > 0 && this.#time[0]! < slot ? this.#time[0]! : slot;
  }

  /** Whether nothing but this slot, whose effect was yielded last, is due now. Cost O(log slots). */
  isAlone(slot: number): boolean {
    if (this.#size > 0 && this.#time[0]! <= this.nowMs) return false;
    const times = this.#winnerTime;
    for (let node = this.#leaves + slot; node > 1; node >>= 1) if (times[node ^ 1]! <= this.nowMs) return false;
    return true;
  }

  /** Sets the one pending effect of a slot; Infinity = none. Cost O(log slots). */
  setSlot(slot: number, timeMs: number, eventClass: number): void {
    if (!(timeMs >= this.nowMs)) throw new Error(`calendar: slot ${slot} at ${timeMs} ms lies before now, ${this.nowMs} ms`);
    const times = this.#winnerTime;
    const ranks = this.#slotRank;
    const winner = this.#winner;
    const rank = eventClass * CLASS_STEP + this.#order(slot);
    let node = this.#leaves + slot;
    if (times[node] === timeMs && ranks[slot] === rank) return;
    times[node] = timeMs;
    ranks[slot] = rank;
    let best = slot;
    let bestMs = timeMs;
    while (node > 1) {
      const otherMs = times[node ^ 1]!;
      if (otherMs < bestMs || (otherMs === bestMs && ranks[winner[node ^ 1]!]! < ranks[best]!)) {
        best = winner[node ^ 1]!;
        bestMs = otherMs;
      }
      node >>= 1;
      // Another slot won here and still does: above it nothing can change.
      if (best !== slot && winner[node] === best) return;
      winner[node] = best;
      times[node] = bestMs;
    }
  }

  /** Adds an event. `entity` 0..2^31-1, `payload` int32. Cost O(log pending), no allocation beyond growth. */
  push(timeMs: number, eventClass: number, entity: number, payload: number): void {
    if (!(timeMs >= this.nowMs)) throw new Error(`calendar: class ${eventClass} at ${timeMs} ms lies before now, ${this.nowMs} ms`);
    if (this.#size === this.#time.length) this.#grow();
    const times = this.#time;
    const ranks = this.#rank;
    const payloads = this.#payload;
    const entities = this.#entity;
    const rank = eventClass * CLASS_STEP + this.#order(entity);
    let i = this.#size++;
    while (i > 0) {
      const up = (i - 1) >> 2;
      const t = times[up]!;
      if (t < timeMs || (t === timeMs && (ranks[up]! < rank || (ranks[up]! === rank && payloads[up]! <= payload)))) break;
      times[i] = t;
      ranks[i] = ranks[up]!;
      entities[i] = entities[up]!;
      payloads[i] = payloads[up]!;
      i = up;
    }
    times[i] = timeMs;
    ranks[i] = rank;
    entities[i] = entity;
    payloads[i] = payload;
  }

  /**
   * Finds the next effect and writes it to `nowMs`, `eventClass`, `entity`, `payload`. A pushed event is removed; a slot stays.
   * Returns {@link NOTHING}, {@link SLOT} or {@link EVENT}.
   */
  next(): number {
    const slot = this.#winner[1]!;
    const slotTime = this.#winnerTime[1]!;
    const slotRank = this.#slotRank[slot]!;
    if (this.#size > 0) {
      const t = this.#time[0]!;
      if (t < slotTime || (t === slotTime && this.#rank[0]! < slotRank)) {
        this.nowMs = t;
        this.eventClass = Math.floor(this.#rank[0]! / CLASS_STEP);
        this.entity = this.#entity[0]!;
        this.payload = this.#payload[0]!;
        this.yielded++;
        this.#removeTop();
        return EVENT;
      }
    }
    if (slotTime === Infinity) return NOTHING;
    this.nowMs = slotTime;
    this.eventClass = Math.floor(slotRank / CLASS_STEP);
    this.entity = slot;
    this.payload = 0;
    this.yielded++;
    return SLOT;
  }

  #removeTop(): void {
    const times = this.#time;
    const ranks = this.#rank;
    const entities = this.#entity;
    const payloads = this.#payload;
    const size = --this.#size;
    const time = times[size]!;
    const rank = ranks[size]!;
    const payload = payloads[size]!;
    const entity = entities[size]!;
    let i = 0;
    for (;;) {
      const first = 4 * i + 1;
      if (first >= size) break;
      const end = Math.min(first + 4, size);
      let best = first;
      let bestTime = times[first]!;
      for (let k = first + 1; k < end; k++) {
        const t = times[k]!;
        if (t > bestTime) continue;
        if (t === bestTime) {
          const behind = ranks[k]! - ranks[best]!;
          if (behind > 0 || (behind === 0 && payloads[k]! > payloads[best]!)) continue;
        }
        best = k;
        bestTime = t;
      }
      if (bestTime > time || (bestTime === time && (ranks[best]! > rank || (ranks[best]! === rank && payloads[best]! >= payload)))) break;
      times[i] = bestTime;
      ranks[i] = ranks[best]!;
      entities[i] = entities[best]!;
      payloads[i] = payloads[best]!;
      i = best;
    }
    times[i] = time;
    ranks[i] = rank;
    entities[i] = entity;
    payloads[i] = payload;
  }

  #order(entity: number): number {
    return this.#tieSeed === 0 ? entity : tieHash(entity, this.#tieSeed);
  }

  #grow(): void {
    const size = this.#time.length * 2;
    const time = new Float64Array(size);
    time.set(this.#time);
    this.#time = time;
    const rank = new Float64Array(size);
    rank.set(this.#rank);
    this.#rank = rank;
    const entity = new Int32Array(size);
    entity.set(this.#entity);
    this.#entity = entity;
    const payload = new Int32Array(size);
    payload.set(this.#payload);
    this.#payload = payload;
  }
}

/** A one-to-one map of uint32 to uint32 per seed, so that two entities never tie. Source: the finaliser of MurmurHash3. */
export function tieHash(entity: number, seed: number): number {
  let h = (entity ^ seed) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
