import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syntaxFault } from './json-syntax.ts';

const runs = Number(process.env['KVCAST_RUNS'] ?? 400);

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('the syntax check', () => {
  it('accepts and refuses what JSON.parse does', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '\\',
      '1',
      '-',
      '0',
      '1.5',
      '1.',
      'e',
      '1e5',
      'true',
      'nul',
      'null',
      ' ',
      '\n',
      '"\\u00e4"',
      '"\\x"',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 10 }), (tokens) => {
        const text = tokens.join('');
        expect(syntaxFault(text) === null, text).toBe(parses(text));
      }),
      { numRuns: 5 * runs },
    );
  });
  it('accepts every JSON value and says of every cut one that it ends too early', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), (value, cut) => {
        const text = JSON.stringify({ value });
        expect(syntaxFault(text)).toBeNull();
        const at = cut % text.length;
        expect(syntaxFault(text.slice(0, at))?.atEnd).toBe(true);
      }),
      { numRuns: runs },
    );
  });
  it('names the place, what stands there and what could', () => {
    expect(syntaxFault('{"a":1 "b":2}')).toEqual({ offset: 7, got: 'a quote', expected: '"," or "}"', atEnd: false });
    expect(syntaxFault('[1,]')).toEqual({ offset: 3, got: '"]"', expected: 'a value', atEnd: false });
    for (const cut of ['-', '[1.', '[5e', '[5e-', '"\\u00', 'tru']) expect(syntaxFault(cut)?.atEnd, cut).toBe(true);
    expect(syntaxFault('{"a":')).toMatchObject({ offset: 5, expected: 'a value', atEnd: true });
  });
});
