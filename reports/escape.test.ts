import { describe, expect, it } from 'vitest';
import { annotationMessage, annotationProperty, codeSpan, markdownText, printable, xmlText } from './escape.ts';

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=1>',
  '`|@everyone #1 [x](javascript:1)',
  'a\u001b[2Jb\nc',
  '\ud800\u202e\u2028',
  '&amp;%0A::error::x',
];

describe('text of others', () => {
  it.each(HOSTILE)('is text in XML: %j', (text) => {
    const out = xmlText(text);
    expect(out).not.toMatch(/[<>"']/);
    expect(out).not.toMatch(/&(?!#\d+;)/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(out).not.toMatch(/[\u0000-\u0008\ud800-\udfff\u202e\u2028]/);
  });

  it.each(HOSTILE)('is text in Markdown: %j', (text) => {
    expect(markdownText(text)).not.toMatch(/[<>|`*_~[\]\\@!$]/);
    expect(markdownText(text)).not.toContain('\n');
    const span = codeSpan(text);
    const fence = /^`+/.exec(span)![0];
    expect(span.endsWith(fence)).toBe(true);
    expect(span.slice(fence.length, -fence.length)).not.toContain(fence.length === 1 ? '`' : fence);
    expect(span.replaceAll('\\|', '')).not.toContain('|');
  });

  it.each(HOSTILE)('is one line of an annotation: %j', (text) => {
    expect(annotationMessage(text)).not.toMatch(/[\r\n]/);
    expect(annotationMessage(text)).not.toMatch(/%(?!25|0A|0D)/);
    expect(annotationProperty(text)).not.toMatch(/[:,\r\n]/);
  });

  it('shows what moves cursors', () => {
    expect(printable('a\u001b[2J\nb')).toBe('a\\x1b[2J\\nb');
  });
});
