/** The two trace commands as functions: what goes to stdout and stderr, and the exit code. `cli.ts` only prints it. */
import { bundledTracePath } from './bundled.ts';
import { readTraceCached } from './cache.ts';
import type { Trace } from './columns.ts';
import { type ConvertOptions, convertTrace } from './convert.ts';
import { inspectTrace } from './inspect.ts';
import { inspectionText } from './inspect-text.ts';
import { lossText } from './loss-report.ts';
import { type ReadTraceOptions, readTrace } from './read.ts';

export interface CommandOutput {
  readonly stdout: string;
  /** Lines for stderr without newline and without colour: warnings first, then what was written. */
  readonly notices: readonly string[];
  readonly exitCode: number;
}

export interface InspectCommandOptions extends ReadTraceOptions {
  readonly json?: boolean;
  /** Context limit for finding H15, tokens. */
  readonly contextLimit?: number;
  readonly cacheDir?: string;
  /** False = read the source even if the cache knows it. */
  readonly cache?: boolean;
}

/** `kvcast trace inspect FILE`; FILE may be the preset name of a bundled trace. Throws UserError for bad input. */
export async function runTraceInspect(source: string, options: InspectCommandOptions = {}): Promise<CommandOutput> {
  const file = bundledTracePath(source) ?? source;
  const { json = false, contextLimit, cacheDir, cache = true, ...read } = options;
  const cached = cache ? await readTraceCached(file, { ...read, ...(cacheDir === undefined ? {} : { cacheDir }) }) : null;
  const trace = cached?.trace ?? (await readTrace(file, read));
  const inspection = inspectTrace(trace, contextLimit === undefined ? {} : { contextLimit });
  const stdout = json ? `${JSON.stringify(inspection, null, 2)}\n` : inspectionText(inspection);
  const notices = warnings(trace);
  if (cached?.notice !== undefined) notices.push(cached.notice);
  return { stdout, notices, exitCode: 0 };
}

/** `kvcast trace convert IN --to FORMAT -o OUT`. Throws UserError for bad input; exit code 3 if `strict` refused to lose something. */
export async function runTraceConvert(options: ConvertOptions): Promise<CommandOutput> {
  const result = await convertTrace({ ...options, input: bundledTracePath(options.input) ?? options.input });
  const number = (n: number): string => n.toLocaleString('en-US');
  const units = result.target === 'kvcast' ? ['sessions', 'requests'] : ['plays', 'rows'];
  const wrote = `wrote ${options.output === '-' ? 'stdout' : options.output} · ${number(result.sessions)} ${units[0]} · ${number(result.requests)} ${units[1]}`;
  const refused = `error E_TRACE_LOSS ${options.output}: nothing written, ${result.losses.length} kinds of loss. Drop --strict to accept them.`;
  const notices = [...result.notices.map((n) => `warning ${n}`), result.written ? wrote : refused];
  return { stdout: lossText(result.losses), notices, exitCode: result.written ? 0 : 3 };
}

function warnings(trace: Trace): string[] {
  return trace.notices.map((n) => `warning ${n.code} ${n.position ?? ''}: ${n.message} (${n.count.toLocaleString('en-US')})`);
}
