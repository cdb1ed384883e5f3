/** `--reporter NAME[:FILE]` and `--json`: which renderings go where. */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { UserError } from '../control/user-error.ts';
import type { Terminal } from '../reports/terminal.ts';
import { noPaint, type Paint } from '../reports/text/paint.ts';
import { didYouMean, orList } from '../scenarios/spelling.ts';
import type { OutputOptions } from './terminal.ts';

export interface Renderings {
  text(paint: Paint): string;
  json(): string;
  /** Chrome trace events; absent = the command draws no timeline. */
  perfetto?(): string;
  /** Markdown, JUnit XML, GitHub annotations; absent = the command has no such report. */
  md?(): string;
  junit?(): string;
  github?(): string;
}

/** Prints every asked rendering; text when nothing is asked. Files are written whole or not at all. Throws UserError E_USAGE, E_OUTPUT. */
export function writeReports(
  options: OutputOptions & { readonly reporter?: readonly string[] },
  terminal: Terminal,
  renderings: Renderings,
): void {
  const asked = [...(options.reporter ?? []), ...(options.json === true ? ['json'] : [])];
  const toStdout = asked.filter((r) => !r.includes(':'));
  if (toStdout.length > 1)
    throw new UserError({
      severity: 'error',
      code: 'E_USAGE',
      message: `got ${toStdout.length} reporters for stdout (${toStdout.join(', ')}), expected one`,
      hint: 'Send the others to files: json:out.json',
    });
  for (const reporter of asked.length === 0 ? ['text'] : asked) {
    const [name, file] = split(reporter);
    const render = renderer(name, renderings);
    if (file === undefined) terminal.result(render(terminal.paint));
    else {
      writeWhole(file, render(noPaint));
      terminal.note(`wrote ${file}`);
    }
  }
}

const NAMES = ['text', 'json', 'md', 'junit', 'github', 'perfetto'] as const;

/** Throws UserError E_USAGE for a name that the command does not have. */
function renderer(name: string, renderings: Renderings): (paint: Paint) => string {
  const known = NAMES.filter((n) => renderings[n] !== undefined);
  const found = known.find((n) => n === name);
  if (found !== undefined) return (paint) => renderings[found]!(paint);
  const hint = didYouMean(name, known);
  throw new UserError({
    severity: 'error',
    code: 'E_USAGE',
    message: `got reporter ${name}, expected ${orList(known)}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

function split(reporter: string): [string, string | undefined] {
  const at = reporter.indexOf(':');
  return at < 0 ? [reporter, undefined] : [reporter.slice(0, at), reporter.slice(at + 1)];
}

/** Writes a file whole or not at all. Throws UserError E_OUTPUT. */
export function writeWhole(file: string, content: string): void {
  const temporary = `${file}.tmp-${process.pid}`;
  try {
    writeFileSync(temporary, content);
    renameSync(temporary, file);
  } catch (error) {
    if (existsSync(temporary)) rmSync(temporary);
    throw new UserError(
      {
        severity: 'error',
        code: 'E_OUTPUT',
        file,
        message: `cannot write (${(error as { code?: string }).code ?? (error as Error).message})`,
      },
      1,
    );
  }
}
