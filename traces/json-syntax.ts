/**
 * Finds where a text stops being JSON. Engines word and place this differently from version to version; our messages must not.
 * Source: RFC 8259 grammar.
 */

/** First violation: offset into the text, what was found and what could have stood there. */
export interface SyntaxFault {
  readonly offset: number;
  readonly got: string;
  readonly expected: string;
  /** The text ended before the value was complete. */
  readonly atEnd: boolean;
}

/** The first fault, or null for valid JSON. Cost O(length), no recursion. */
export function syntaxFault(text: string): SyntaxFault | null {
  return new Scanner(text).run();
}

const LITERALS: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' };
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const CUT_NUMBER = /^-?(?:(?:0|[1-9]\d*)(?:\.|(?:\.\d+)?[eE][+-]?))?$/;
const SPACE = /[ \t\r\n]*/y;

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): SyntaxFault | null {
    // Open containers, innermost last; what comes next is `value`, `key` or `rest` (comma or closing).
    const open: string[] = [];
    let next: 'value' | 'key' | 'rest' = 'value';
    let mayClose = false;
    for (;;) {
      this.#match(SPACE);
      const c = this.#text[this.#at];
      const inside = open[open.length - 1];
      if (next === 'rest') {
        if (inside === undefined) return c === undefined ? null : this.#fault('end of line');
        if (c === inside) {
          open.pop();
          this.#at++;
        } else if (c === ',') {
          this.#at++;
          next = inside === '}' ? 'key' : 'value';
          mayClose = false;
        } else return this.#fault(`"," or "${inside}"`);
        continue;
      }
      if (mayClose && c === inside) {
        open.pop();
        this.#at++;
        next = 'rest';
        continue;
      }
      if (next === 'key') {
        const bad = this.#string('a key in double quotes') ?? this.#colon();
        if (bad !== null) return bad;
        next = 'value';
        mayClose = false;
        continue;
      }
      if (c === '{' || c === '[') {
        open.push(c === '{' ? '}' : ']');
        this.#at++;
        next = c === '{' ? 'key' : 'value';
        mayClose = true;
        continue;
      }
      const bad = this.#scalar(c);
      if (bad !== null) return bad;
      next = 'rest';
    }
  }

  #scalar(c: string | undefined): SyntaxFault | null {
    if (c === '"') return this.#string('a string');
    const literal = c === undefined ? undefined : LITERALS[c];
    if (literal !== undefined) {
      for (const letter of literal) {
        if (this.#text[this.#at] !== letter) return this.#fault(literal);
        this.#at++;
      }
      return null;
    }
    const start = this.#at;
    if (!this.#match(NUMBER) && c !== '-') return this.#fault('a value');
    // A number that breaks off at the end of the text, such as `-`, `1.` or `5e-`.
    if (CUT_NUMBER.test(this.#text.slice(start, start + 400)) && this.#text.length - start < 400) this.#at = this.#text.length;
    else if (this.#at > start) return null;
    return this.#fault('a digit');
  }

  #colon(): SyntaxFault | null {
    this.#match(SPACE);
    if (this.#text[this.#at] !== ':') return this.#fault('":"');
    this.#at++;
    return null;
  }

  #string(expected: string): SyntaxFault | null {
    if (this.#text[this.#at] !== '"') return this.#fault(expected);
    for (this.#at++; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code) || code < 32) return this.#fault('a closing quote');
      if (code === 34) {
        this.#at++;
        return null;
      }
      if (code !== 92) continue;
      this.#at++;
      const letter = this.#text[this.#at];
      const rest = this.#text.slice(this.#at + 1, this.#at + 5);
      if (letter === 'u' && /^[0-9a-fA-F]{4}$/.test(rest)) this.#at += 4;
      else if (letter === 'u' && /^[0-9a-fA-F]{0,3}$/.test(rest) && this.#at + 1 + rest.length === this.#text.length) {
        this.#at = this.#text.length;
        return this.#fault('an escape sequence');
      } else if (letter === undefined || !'"\\/bfnrt'.includes(letter)) return this.#fault('an escape sequence');
    }
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    const moved = pattern.lastIndex > this.#at;
    this.#at = pattern.lastIndex;
    return moved;
  }

  #fault(expected: string): SyntaxFault {
    const atEnd = this.#at >= this.#text.length;
    const c = this.#text[this.#at] ?? '';
    const shown =
      c < ' ' || c === '\u007f' ? `U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}` : c === '"' ? 'a quote' : `"${c}"`;
    return { offset: this.#at, got: atEnd ? 'end of line' : shown, expected, atEnd };
  }
}
