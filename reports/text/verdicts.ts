/** Verdict words and marks: always word and sign; a mark alone only under a legend. */
import type { Verdict } from '../../sim/experiment/result.ts';
import type { Tone } from './paint.ts';

const MARKS: Readonly<Record<Verdict, readonly [string, Tone]>> = {
  improved: ['✓', 'good'],
  regressed: ['✗', 'bad'],
  'within noise': ['=', 'plain'],
  inconclusive: ['?', 'unsure'],
};

/** `✓ improved` */
export function verdictText(verdict: Verdict): string {
  return `${MARKS[verdict][0]} ${verdict}`;
}

/** `✓` */
export function verdictMark(verdict: Verdict | null): string {
  return verdict === null ? ' ' : MARKS[verdict][0];
}

/** Colour token of a verdict. */
export function verdictTone(verdict: Verdict | null): Tone {
  return verdict === null ? 'plain' : MARKS[verdict][1];
}
