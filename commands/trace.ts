/** trace inspect, trace convert. */
import type { ReadTraceOptions } from '../traces/read.ts';
import type { CommandOutput } from '../traces/trace-commands.ts';
import { runTraceConvert, runTraceInspect } from '../traces/trace-commands.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/** Options of commands that read a trace. */
interface ReadingOptions extends OutputOptions {
  readonly format?: string;
  readonly traceBlockTokens?: number;
  readonly skipBad?: number;
  readonly notBefore?: 'ignore' | 'respect';
}

/** `kvcast trace inspect FILE` */
export async function inspect(file: string, options: ReadingOptions & { readonly contextLimit?: number }): Promise<void> {
  const { json = false, contextLimit } = options;
  print(await runTraceInspect(file, { json, ...reading(options), ...(contextLimit === undefined ? {} : { contextLimit }) }), options);
}

/** `kvcast trace convert FILE --to FORMAT -o OUT` */
export async function convert(
  file: string,
  options: ReadingOptions & { readonly to: string; readonly output: string; readonly pauses?: string },
): Promise<void> {
  const { to, output, pauses, strict = false } = options;
  print(
    await runTraceConvert({ input: file, to, output, strict, ...reading(options), ...(pauses === undefined ? {} : { pauses }) }),
    options,
    output !== '-',
  );
}

function reading({ format, traceBlockTokens, skipBad, notBefore }: ReadingOptions): ReadTraceOptions {
  return {
    ...(format === undefined ? {} : { format }),
    ...(traceBlockTokens === undefined ? {} : { blockTokens: traceBlockTokens }),
    ...(skipBad === undefined ? {} : { skipBad }),
    ...(notBefore === undefined ? {} : { notBefore }),
  };
}

function print(output: CommandOutput, options: OutputOptions, resultIsText = true): void {
  const terminal = terminalOf(options);
  // With `-o -` the trace itself is the result; what was lost is said beside it.
  if (output.stdout !== '' && resultIsText) terminal.result(output.stdout);
  else if (output.stdout !== '') terminal.note(output.stdout.trimEnd());
  for (const line of output.notices) {
    const diagnostic = /^(error|warning) /.exec(line);
    if (diagnostic === null) terminal.note(line);
    else terminal.diagnostics([{ severity: diagnostic[1] as 'error' | 'warning', text: line.slice(diagnostic[0].length) }]);
  }
  process.exitCode = output.exitCode;
}
