/** The terminal of this process under a command's options. */
import { Terminal } from '../reports/terminal.ts';

/** Options that every command has. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color?: 'auto' | 'always' | 'never';
  readonly ascii?: boolean;
  readonly strict?: boolean;
}

/** Terminal on stdout and stderr. A reader that goes away ends the command quietly. */
export function terminalOf(options: OutputOptions): Terminal {
  return new Terminal(process.stdout, process.stderr, {
    color: options.color ?? 'auto',
    ascii: options.ascii ?? false,
    quiet: options.quiet ?? false,
    verbose: options.verbose ?? false,
    env: process.env,
  });
}
