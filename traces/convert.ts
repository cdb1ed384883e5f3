/** `kvcast trace convert`: reads any known format and writes another, with a report of what it cannot carry. */
import { UserError } from '../control/user-error.ts';
import { nearest } from './json-fields.ts';
import { type ConvertTarget, type Loss, lossReport } from './loss-report.ts';
import { type ReadTraceOptions, readTrace } from './read.ts';
import { agenticMooncakeLines } from './writers/agentic-mooncake-writer.ts';
import { kvcastLines } from './writers/kvcast-writer.ts';
import { writeLines } from './writers/line-file.ts';

/** Formats that can be written. */
export const CONVERT_TARGETS: readonly ConvertTarget[] = ['kvcast', 'agentic-mooncake'];

export interface ConvertOptions extends ReadTraceOptions {
  readonly input: string;
  /** One of CONVERT_TARGETS. */
  readonly to: string;
  readonly output: string;
  /** Which pauses formats with one kind of pause get; default debiased. */
  readonly pauses?: string;
  /** True = any loss stops the conversion before writing. */
  readonly strict?: boolean;
}

export interface Conversion {
  readonly written: boolean;
  readonly target: ConvertTarget;
  readonly sessions: number;
  readonly requests: number;
  readonly losses: readonly Loss[];
  readonly notices: readonly string[];
}

/** Converts. Throws UserError for bad input, an unknown target or an output that cannot be written. */
export async function convertTrace(options: ConvertOptions): Promise<Conversion> {
  const { input, to, output, pauses = 'debiased', strict = false, ...readOptions } = options;
  const target = word(to, CONVERT_TARGETS, '--to', { 'agentic-mooncake-v2': 'agentic-mooncake', 'mooncake-agentic': 'agentic-mooncake' });
  const mode = word(pauses, ['recorded', 'debiased'] as const, '--pauses', {});
  const trace = await readTrace(input, readOptions);
  const losses = lossReport(trace, target, mode);
  const written = !(strict && losses.length > 0);
  if (written) writeLines(output, target === 'kvcast' ? kvcastLines(trace) : agenticMooncakeLines(trace, mode));
  const notices = trace.notices.map((n) => `${n.code} ${n.position ?? ''}: ${n.message} (${n.count.toLocaleString('en-US')})`);
  return { written, target, sessions: trace.sessionCount, requests: trace.requestCount, losses, notices };
}

function word<T extends string>(value: string, allowed: readonly T[], option: string, aliases: Readonly<Record<string, T>>): T {
  const found = (allowed as readonly string[]).includes(value) ? (value as T) : aliases[value];
  if (found !== undefined) return found;
  const near = nearest(value, allowed);
  const hint = near === '' ? {} : { hint: `Did you mean "${near}"?` };
  throw new UserError({
    severity: 'error',
    code: 'E_ENUM',
    path: option,
    message: `got ${value}, expected ${allowed.join(' or ')}`,
    ...hint,
  });
}
