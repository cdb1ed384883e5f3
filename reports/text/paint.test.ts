import { describe, expect, it } from 'vitest';
import { ansiPaint, noPaint, type Tone, toAscii } from './paint.ts';
import { verdictMark, verdictText } from './verdicts.ts';

describe('paint', () => {
  it('wraps text in codes that end what they began', () => {
    for (const tone of ['good', 'bad', 'unsure', 'dim', 'strong'] as Tone[]) {
      const text = ansiPaint('x', tone);
      expect(text.startsWith('\u001b[')).toBe(true);
      expect(text.endsWith('m')).toBe(true);
      expect(text.split('x')).toHaveLength(2);
    }
    expect([ansiPaint('x', 'plain'), ansiPaint('', 'good'), noPaint('x', 'good')]).toEqual(['x', '', 'x']);
  });
});

describe('ascii', () => {
  it('is the mapping of the design, one column for one', () => {
    const signs = '✓✗±Δ·█▒░├─●─┤│▁▂▃▄▅▆▇◆≈≥…';
    const ascii = '+x~d|#=:|-o-||._-:=+*' + '*~>.';
    expect(toAscii(signs)).toBe(ascii);
    expect(toAscii(signs)).toHaveLength([...signs].length);
  });
  it('leaves ASCII alone and nothing beyond it', () => {
    expect(toAscii('a -1.5 [x]')).toBe('a -1.5 [x]');
    for (const c of toAscii('†›€→·')) expect(c.charCodeAt(0)).toBeLessThan(128);
  });
});

describe('verdicts', () => {
  it('are always word and sign', () => {
    expect((['improved', 'regressed', 'within noise', 'inconclusive'] as const).map(verdictText)).toEqual([
      '✓ improved',
      '✗ regressed',
      '= within noise',
      '? inconclusive',
    ]);
    expect(verdictMark(null)).toBe(' ');
  });
});
