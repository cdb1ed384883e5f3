import { describe, expect, it } from 'vitest';
import { noPaint } from './paint.ts';
import { alignDecimals, padEnd, padStart, table, width, wrap, wrapCommand, wrapItems } from './table.ts';

describe('table', () => {
  it('puts text left, numbers right, no blanks at the end', () => {
    const lines = table(
      [{ align: 'left' }, { align: 'right' }, { align: 'left', gap: 1 }],
      [
        ['a', '1', 'x'],
        ['bcd', '1,000'],
      ],
      noPaint,
    );
    expect(lines).toEqual(['a        1 x', 'bcd  1,000']);
  });
  it('counts columns, not code units or colours', () => {
    const paint = (text: string) => `<${text}>`;
    const lines = table(
      [{ align: 'right' }, { align: 'left' }],
      [
        [{ text: '±1', tone: 'good' }, 'a'],
        ['100', 'b'],
      ],
      paint,
    );
    expect(lines).toEqual([' <±1>  <a>', '<100>  <b>']);
    expect(width('├─●─┤')).toBe(5);
  });
  it('keeps a minimum width', () => {
    expect(table([{ align: 'left', minWidth: 5 }, { align: 'left' }], [['a', 'b']], noPaint)).toEqual(['a      b']);
  });
});

describe('decimal points', () => {
  it('stand below each other', () => {
    expect(alignDecimals(['555 ±31', '8.68 ±0.5', '24.1'])).toEqual(['555 ±31    ', '  8.68 ±0.5', ' 24.1      ']);
    expect(alignDecimals(['12', ''])).toEqual(['12', '  ']);
    const at = alignDecimals(['1,234.5', '6.78', '+90.1']).map((text) => text.indexOf('.'));
    expect(new Set(at).size).toBe(1);
  });
});

describe('padding', () => {
  it('never cuts', () => {
    expect([padEnd('ab', 4), padStart('ab', 4), padEnd('abc', 2), padStart('abc', 2)]).toEqual(['ab  ', '  ab', 'abc', 'abc']);
  });
});

describe('wrapping', () => {
  it('breaks at blanks and hangs', () => {
    expect(wrap('aaa bbb ccc', 7)).toEqual(['aaa bbb', 'ccc']);
    expect(wrap('aaa bbb ccc', 7, 2)).toEqual(['aaa bbb', '  ccc']);
    expect(wrap('a-word-longer-than-the-line b', 5)).toEqual(['a-word-longer-than-the-line', 'b']);
  });
  it('keeps items whole', () => {
    expect(wrapItems(['gap cap none', 'sharing tools', 'inert none'], 30, 2)).toEqual(['gap cap none · sharing tools', '  inert none']);
  });
  it('leaves a command that can be pasted', () => {
    const lines = wrapCommand('kvcast run a --set x=1 --set y=2', 20);
    expect(lines).toEqual(['kvcast run a --set \\', '  x=1 --set y=2']);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(20);
    expect(lines.map((l) => l.replace(/ \\$/, '').trim()).join(' ')).toBe('kvcast run a --set x=1 --set y=2');
  });
});
