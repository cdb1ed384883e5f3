/** trace inspect, trace convert. */
import type { CommandOutput } from '../traces/trace-commands.ts';
import { runTraceConvert, runTraceInspect } from '../traces/trace-commands.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/** `kvcast trace inspect FILE` */
export async function inspect(
  file: string,
  options: OutputOptions & { readonly format?: string; readonly skipBad?: number },
): Promise<void> {
  print(
    await runTraceInspect(file, {
      json: options.json ?? false,
      ...(options.format === undefined ? {} : { format: options.format }),
      ...(options.skipBad === undefined ? {} : { skipBad: options.skipBad }),
    }),
    options,
  );
}

/** `kvcast trace convert FILE --to FORMAT -o OUT` */
export async function convert(
  file: string,
  options: OutputOptions & { readonly to: string; readonly output: string; readonly pauses?: string; readonly format?: string },
): Promise<void> {
  print(
    await runTraceConvert({
      input: file,
      to: options.to,
      output: options.output,
      strict: options.strict ?? false,
      ...(options.pauses === undefined ? {} : { pauses: options.pauses }),
      ...(options.format === undefined ? {} : { format: options.format }),
    }),
    options,
  );
}

function print(output: CommandOutput, options: OutputOptions): void {
  const terminal = terminalOf(options);
  if (output.stdout !== '') terminal.result(output.stdout);
  for (const line of output.notices) {
    const diagnostic = /^(error|warning) /.exec(line);
    if (diagnostic === null) terminal.note(line);
    else terminal.diagnostics([{ severity: diagnostic[1] as 'error' | 'warning', text: line.slice(diagnostic[0].length) }]);
  }
  process.exitCode = output.exitCode;
}
