/**
 * Colour tokens and the ASCII fallback. Colour is never the only carrier of a meaning, so plain text loses nothing.
 */

/** Meaning of a piece of text. */
export type Tone = 'good' | 'bad' | 'unsure' | 'dim' | 'strong' | 'plain';

export type Paint = (text: string, tone: Tone) => string;

const SGR: Record<Exclude<Tone, 'plain'>, [string, string]> = {
  good: ['\u001b[32m', '\u001b[39m'],
  bad: ['\u001b[31m', '\u001b[39m'],
  unsure: ['\u001b[33m', '\u001b[39m'],
  dim: ['\u001b[2m', '\u001b[22m'],
  strong: ['\u001b[1m', '\u001b[22m'],
};

/** Leaves text as it is. */
export const noPaint: Paint = (text) => text;

/** Wraps text in SGR codes. */
export const ansiPaint: Paint = (text, tone) => (tone === 'plain' || text === '' ? text : `${SGR[tone][0]}${text}${SGR[tone][1]}`);

const UNICODE = '✓✗±Δ·█▒░├─●┤│▁▂▃▄▅▆▇█◆≈≥≤…▏▎▍▌▋▊▉';
const ASCII = '+x~d|#=:|-o||._-:=+*#*~><.       ';
const TABLE = new Map([...UNICODE].map((c, i) => [c, ASCII[i] ?? '?'] as const));
TABLE.set('█', '#');
TABLE.set('•', '*');
TABLE.set('†', '^');
TABLE.set('×', 'x');

/** Replaces every non-ASCII sign by one ASCII sign of the same width. */
export function toAscii(text: string): string {
  let out = '';
  for (const c of text) out += c.charCodeAt(0) < 128 ? c : (TABLE.get(c) ?? '?');
  return out;
}
