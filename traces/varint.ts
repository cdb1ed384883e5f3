/** Base-128 varints and front-coded names, the alphabet of the columnar cache. Numbers up to 2^51. */

/** Names as (characters shared with the name before, rest). */
export function writeNames(out: VarintWriter, names: readonly string[]): void {
  let previous = '';
  for (const name of names) {
    let common = 0;
    while (common < name.length && common < previous.length && name[common] === previous[common]) common++;
    const rest = Buffer.from(name.slice(common), 'utf16le');
    const narrow = /^[\x20-\x7e]*$/.test(name.slice(common));
    out.unsigned(common);
    out.unsigned(2 * (name.length - common) + (narrow ? 1 : 0));
    for (let i = 0; i < rest.length; i += narrow ? 2 : 1) out.byte(rest[i]!);
    previous = name;
  }
}

/** Names written by {@link writeNames}. */
export function readNames(input: VarintReader, count: number): string[] {
  const names: string[] = [];
  let previous = '';
  for (let i = 0; i < count; i++) {
    const common = input.unsigned();
    const packed = input.unsigned();
    const narrow = (packed & 1) === 1;
    const rest = input.take(narrow ? packed >> 1 : packed & ~1);
    previous = previous.slice(0, common) + rest.toString(narrow ? 'latin1' : 'utf16le');
    names.push(previous);
  }
  return names;
}

/** Appends varints to a growing buffer. */
export class VarintWriter {
  #buffer = Buffer.allocUnsafe(1 << 16);
  #at = 0;
  /** A number was not a whole one of at most 51 bits: the layout cannot carry the trace. */
  unfit = false;

  byte(value: number): void {
    if (this.#at === this.#buffer.length) this.#grow();
    this.#buffer[this.#at++] = value;
  }

  /** 0…2^51. */
  unsigned(value: number): void {
    if (!(value >= 0 && value <= 2 ** 52 && Number.isInteger(value))) {
      this.unfit = true;
      return;
    }
    if (this.#at + 8 > this.#buffer.length) this.#grow();
    let v = value;
    while (v > 127) {
      this.#buffer[this.#at++] = (v % 128) + 128;
      v = Math.floor(v / 128);
    }
    this.#buffer[this.#at++] = v;
  }

  signed(value: number): void {
    this.unsigned(value < 0 ? -2 * value - 1 : 2 * value);
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #grow(): void {
    const grown = Buffer.allocUnsafe(2 * this.#buffer.length);
    this.#buffer.copy(grown);
    this.#buffer = grown;
  }
}

/** Reads varints; the caller knows how many there are. */
export class VarintReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  unsigned(): number {
    const bytes = this.#bytes;
    let b = bytes[this.#at++]!;
    if (b < 128) return b;
    let value = b & 127;
    b = bytes[this.#at++]!;
    value |= (b & 127) << 7;
    if (b < 128) return value;
    b = bytes[this.#at++]!;
    value |= (b & 127) << 14;
    for (let scale = 2 ** 21; b >= 128; scale *= 128) {
      b = bytes[this.#at++]!;
      value += (b & 127) * scale;
    }
    return value;
  }

  signed(): number {
    const v = this.unsigned();
    return v % 2 === 0 ? v / 2 : -(v + 1) / 2;
  }

  take(count: number): Buffer {
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}
