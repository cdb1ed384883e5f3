/** trace synthesize: sessions drawn from the fitted distributions, written as a trace, and how near they come to what they were fitted on. */
import { UserError } from '../control/user-error.ts';
import { wrap } from '../reports/text/table.ts';
import { alignColumns } from '../scenarios/command-output.ts';
import { parseScalar } from '../scenarios/scalars.ts';
import { didYouMean } from '../scenarios/spelling.ts';
import { type AcceptanceRow, acceptanceOf, JUDGED_FROM } from '../sim/workload/synthetic/acceptance.ts';
import { GENERATOR, KNOWN_MISFIT, synthesizeTrace } from '../sim/workload/synthetic/synthesize.ts';
import type { SyntheticOptions } from '../sim/workload/synthetic/synthetic-session.ts';
import { kvcastLines } from '../traces/writers/kvcast-writer.ts';
import { writeLines } from '../traces/writers/line-file.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/** Flags of the command. */
export interface SynthesizeOptions extends OutputOptions {
  readonly preset: string;
  readonly sessions: number;
  readonly seed: number;
  readonly output: string;
  readonly pauses: 'recorded' | 'debiased';
  readonly freshOnly?: boolean;
  readonly breaks: number;
  readonly subAgents: string;
}

/** `kvcast trace synthesize -n N -o OUT`. Throws UserError E_PRESET, E_RANGE, E_OUTPUT. */
export function synthesize(flags: SynthesizeOptions): void {
  const terminal = terminalOf(flags);
  const { seed, output, sessions } = flags;
  if (flags.preset !== GENERATOR) throw unknownGenerator(flags.preset);
  inRange('-n', sessions, 1, 1_000_000);
  inRange('--breaks', flags.breaks, 0, 10);
  const options: SyntheticOptions = {
    pauses: flags.pauses,
    freshOnly: flags.freshOnly ?? false,
    breaks: flags.breaks,
    subAgents: share('--sub-agents', flags.subAgents),
  };
  const trace = synthesizeTrace(seed, 0, sessions, options);
  writeLines(output, kvcastLines(trace));
  const count = (n: number): string => n.toLocaleString('en-US');
  const wrote = `wrote ${output === '-' ? 'stdout' : output} · ${count(trace.sessionCount)} sessions · ${count(trace.requestCount)} requests`;
  terminal.note(wrote);
  // With `-o -` the trace itself is the result.
  if (output === '-') return;
  const rows = acceptanceOf(trace);
  if (flags.json === true) {
    const { header, requestCount } = trace;
    terminal.result(
      `${JSON.stringify({ formatVersion: '1.0', generator: GENERATOR, seed, options, header, requests: requestCount, acceptance: rows }, null, 2)}\n`,
    );
  } else terminal.result(acceptanceText(rows, trace.sessionCount, isAsFitted(options)));
}

function isAsFitted(options: SyntheticOptions): boolean {
  return options.pauses === 'debiased' && !options.freshOnly && options.breaks === 1 && options.subAgents === 0;
}

/** Figures beside those of the fitted sessions; ranges are judged from {@link JUDGED_FROM} sessions on. */
export function acceptanceText(rows: readonly AcceptanceRow[], sessions: number, asFitted: boolean): string {
  const isJudged = asFitted && sessions >= JUDGED_FROM;
  const table = alignColumns([
    ['', 'fitted', 'drawn', ...(isJudged ? ['range', ''] : [])],
    ...rows.map((r) => [
      r.unit === '' ? r.figure : `${r.figure}, ${r.unit}`,
      number(r.fitted),
      number(r.drawn),
      ...(isJudged ? [`${number(r.from)}-${number(r.to)}`, r.inside ? 'ok' : 'OUTSIDE'] : []),
    ]),
  ]);
  const outside = rows.filter((r) => !r.inside).length;
  const judged = isJudged
    ? `${rows.length - outside} of ${rows.length} figures inside their range. A calibration check: the ranges come from the fitted sessions.`
    : asFitted
      ? `Ranges are judged from ${JUDGED_FROM.toLocaleString('en-US')} sessions on.`
      : 'Not judged: the options differ from those of the fit.';
  const notes = [judged, `Known misfit: ${KNOWN_MISFIT}.`].flatMap((note) => wrap(note, 100));
  return `${table.join('\n')}\n\n${notes.join('\n')}\n`;
}

function number(x: number): string {
  return x >= 1000 ? Math.round(x).toLocaleString('en-US') : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
}

function unknownGenerator(got: string): UserError {
  const hint = didYouMean(got, [GENERATOR]) ?? `Write ${GENERATOR}`;
  return new UserError({
    severity: 'error',
    code: 'E_PRESET',
    path: '--preset',
    message: `got ${got}, expected a generator: ${GENERATOR}`,
    hint,
  });
}

function share(flag: string, text: string): number {
  const parsed = parseScalar('share', text);
  const value = typeof parsed === 'number' ? parsed : Number(text);
  inRange(flag, value, 0, 1);
  return value;
}

function inRange(flag: string, value: number, low: number, high: number): void {
  if (value >= low && value <= high) return;
  const message = `got ${value}, expected ${low.toLocaleString('en-US')}..${high.toLocaleString('en-US')}`;
  throw new UserError({ severity: 'error', code: 'E_RANGE', path: flag, message });
}
