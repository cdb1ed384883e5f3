/** Turns every failure of a command into diagnostics and an exit code: input errors without a stack, bugs with one. */
import { type Command, CommanderError } from 'commander';
import { formatProblem, UserError } from '../control/user-error.ts';
import { nearest } from '../scenarios/spelling.ts';
import { interruptionCode } from './exit-code.ts';
import { terminalOf } from './terminal.ts';

/** Prints the failure and sets the exit code. Help and version requests are no failures. */
export async function fail(error: unknown, program: Command): Promise<void> {
  const terminal = terminalOf({});
  if (error instanceof CommanderError) {
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version' || error.code === 'commander.help') {
      process.exitCode = error.exitCode;
      return;
    }
    if (!error.code.startsWith('commander.')) terminal.diagnostics([{ severity: 'error', text: error.message.replace(/^error /, '') }]);
    else terminal.diagnostics([{ severity: 'error', text: `E_USAGE ${usage(error, program)}` }]);
    process.exitCode = 2;
    return;
  }
  if (error instanceof UserError) {
    terminal.diagnostics(error.problems.map((p) => ({ severity: p.severity, text: formatProblem(p) })));
    process.exitCode = error.exitCode;
    return;
  }
  if ((error as { code?: string }).code === 'EPIPE') {
    process.exitCode = 130;
    return;
  }
  if ((error as Error).name === 'NothingCompleteError') {
    terminal.note(`interrupted: ${(error as Error).message}; no result is written`);
    process.exitCode = interruptionCode();
    return;
  }
  if ((error as Error).name === 'StuckError') {
    terminal.diagnostics([{ severity: 'error', text: `E_STUCK ${(error as Error).message}` }]);
    process.exitCode = 6;
    return;
  }
  const bug = error as Error;
  process.stderr.write(
    `internal error: ${bug.stack ?? bug.message}\nThis is a bug in kvcast. Please report it with the command and the file.\n`,
  );
  process.exitCode = 1;
}

/** `unknown option --sweeps. Did you mean "--sweep"?` from commander's own words. */
function usage(error: CommanderError, program: Command): string {
  const text = error.message.replace(/^error: /, '').replace(/\n[\s\S]*$/, '');
  const option = /unknown option '([^']+)'/.exec(text)?.[1];
  if (option !== undefined) {
    const known = program.commands
      .flatMap((c) => [c, ...c.commands])
      .flatMap((c) => c.options.map((o) => o.long).filter((l): l is string => l !== undefined && l !== null));
    return withHint(`unknown option ${option}`, nearest(option, [...new Set(known)]));
  }
  const command = /unknown command '([^']+)'/.exec(text)?.[1];
  if (command !== undefined)
    return withHint(
      `unknown command ${command}`,
      nearest(
        command,
        program.commands.map((c) => c.name()),
      ),
    );
  return `${text}. See kvcast --help`;
}

function withHint(text: string, names: readonly string[]): string {
  return names.length === 0 ? `${text}. See kvcast --help` : `${text}. Did you mean "${names[0]}"?`;
}
