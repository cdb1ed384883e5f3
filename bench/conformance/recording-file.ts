/** Reads recordings: JSON Lines, plain or gzip-compressed, one case per line. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { UserError } from '../../control/user-error.ts';
import type { CaseOutcome, Family } from './suite.ts';

/** Path of `<folder>/<name>.jsonl.gz` or `.jsonl`; undefined if neither is there. */
export function recordingFile(folder: string, name: string): string | undefined {
  return [`${name}.jsonl.gz`, `${name}.jsonl`].map((file) => join(folder, file)).find((file) => existsSync(file));
}

/**
 * The cases of a file in order. Throws E_RECORDING with file, line and column for text that is not gzip or not JSON.
 * Cost: the whole file in memory, one parsed line at a time.
 */
export function* readRecording<T>(file: string): Generator<T> {
  for (const { value } of readNumbered(file)) yield value as T;
}

/** As {@link readRecording}, not yet believed to be of any form, each with its 1-based line. */
export function* readNumbered(file: string): Generator<{ readonly line: number; readonly value: unknown }> {
  const lines = textOf(file).split('\n');
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    yield { line: i + 1, value: parsed(file, line, i + 1) };
  }
}

/**
 * The family of one recording, or none if the folder lacks it. `parts`: fields of a case that must be lists or objects, or its line is
 * refused with E_RECORDING.
 */
export function recordedFamily<T>(
  folder: string,
  name: string,
  parts: readonly string[],
  replayCase: (recorded: T) => CaseOutcome,
): Family[] {
  const file = recordingFile(folder, name);
  if (file === undefined) return [];
  return [
    {
      name,
      *replay() {
        for (const { line, value } of readNumbered(file)) {
          const fields = (value ?? {}) as Record<string, unknown>;
          const lacking = parts.find((part) => typeof fields[part] !== 'object' || fields[part] === null);
          if (lacking !== undefined) throw broken(file, `got no ${lacking}, expected a case of family ${name}`, { line, path: lacking });
          yield replayCase(value as T);
        }
      },
    },
  ];
}

function parsed(file: string, text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const column = Number(/position (\d+)/.exec(error.message)?.[1] ?? 0) + 1;
    throw broken(file, `got ${excerpt(text, column)}, expected one JSON object per line`, { line, column });
  }
}

function textOf(file: string): string {
  const bytes = readFileSync(file);
  if (!file.endsWith('.gz')) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes).toString('utf8');
  } catch (error) {
    throw broken(file, `cannot be decompressed (${(error as Error).message}), expected gzip`);
  }
}

function excerpt(line: string, column: number): string {
  return JSON.stringify(line.slice(Math.max(0, column - 9), column + 15));
}

/** E_RECORDING for a recording that cannot be replayed; `message` is `got X, expected Y`, `path` lies inside the JSON of the line. */
export function broken(
  file: string,
  message: string,
  place: { readonly line?: number; readonly column?: number; readonly path?: string } = {},
): UserError {
  return new UserError({
    severity: 'error',
    code: 'E_RECORDING',
    file,
    ...place,
    message,
    hint: 'Fetch the file again; formats: the README beside the shipped recordings in bench/conformance',
  });
}
